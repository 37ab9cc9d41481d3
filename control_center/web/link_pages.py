"""The pages that links in messages lead to: a GET shows one and changes nothing, its button posts."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from control_center.engine.following import Following, Shown, View
from control_center.web import bodies, forms, problems
from control_center.web.parts import PARTS
from control_center.web.problems import Handler, Problem

STYLE: Final = (
    "body{font:17px/1.5 system-ui,sans-serif;color:#222;background:#f6f6f4;margin:0}"
    "main{max-width:34rem;margin:8vh auto;padding:2rem;background:#fff;border-radius:8px}"
    ".who{color:#666;margin:0}h1{font-size:1.5rem}fieldset{border:0;padding:0;margin:0 0 1rem}"
    ".scores{display:flex;flex-wrap:wrap;gap:.5rem 1rem;margin:.5rem 0}.comment{display:block;margin:0 0 1rem}"
    "textarea{display:block;width:100%;box-sizing:border-box;font:inherit}"
    "button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:6px;color:#fff;background:#1f5f4f}"
)
_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CSP: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FORM: Final = 16 * 1024  # bytes of a form of ours, or of a mail program
_FIELDS: Final = 20
_SCORE: Final = re.compile(r"10|[0-9]")

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True, undefined=StrictUndefined
)
_pages.globals["style"] = Markup(STYLE)  # noqa: S704 - a constant of ours


def add_routes(app: web.Application) -> None:
    """Without a key of the installation none of these leads anywhere."""
    for path, show, act, name in (
        ("/u/{token}", _unsubscribe_page, _unsubscribe, "unsubscribe"),
        ("/c/{token}", _confirm_page, _confirm, "confirm"),
        ("/n/{token}", _score_page, _score, "rate"),
        (r"/n/{token}/{score:10|\d}", _score_page, _score, "score"),
    ):
        resource = app.router.add_resource(path, name=name)
        resource.add_route("GET", _for_people(show))
        resource.add_route("HEAD", _for_people(show))
        resource.add_route("POST", _for_people(act))


def _for_people(handler: Handler) -> Handler:
    """What fails is told on a page: whoever followed a link has no use for a problem document."""

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = await problems.middleware(request, handler)
        if answer.content_type != problems.MEDIA:
            return answer
        kept = {name: answer.headers[name] for name in ("Retry-After", "Connection") if name in answer.headers}
        return _sorry(HTTPStatus(answer.status), kept)

    return handle


def _sorry(status: HTTPStatus, headers: Mapping[str, str]) -> web.Response:
    """What went wrong, and what to do: the score is what a form may lack, the rest is nobody's doing who reads it."""
    if status is HTTPStatus.BAD_REQUEST:
        why = (
            "Something was missing, or a number was not from 0 to 10. Nothing was changed: go back, and try once more."
        )
    elif status < HTTPStatus.INTERNAL_SERVER_ERROR:
        why = "That was too much, or it took too long to come. Nothing was changed: go back, and try with less."
    else:
        why = "We cannot answer just now. Open the link once more in a few minutes, or answer the message it was in."
    return _html(_pages.get_template("sorry.html.j2").render(view=None, why=why), status, headers)


async def _unsubscribe_page(request: web.Request) -> web.Response:
    return _page("unsubscribe", await _following(request, Following.subscription))


async def _unsubscribe(request: web.Request) -> web.Response:
    """RFC 8058: the mail program posts one field, without cookies and without being led anywhere else."""
    form = await _form(request)
    if form.get("List-Unsubscribe", "").lower() != "one-click":
        raise Problem(HTTPStatus.BAD_REQUEST, "List-Unsubscribe=One-Click is what this address takes")
    return _page("unsubscribe", await _following(request, Following.unsubscribe))


async def _confirm_page(request: web.Request) -> web.Response:
    return _confirmation(await _following(request, Following.confirmation))


async def _confirm(request: web.Request) -> web.Response:
    return _confirmation(await _following(request, Following.confirm))


def _confirmation(view: View | None) -> web.Response:
    if view is None:
        return _page("confirm", None)
    what = (view.record.record.type or view.record.kind) if view.record is not None else "appointment"
    return _page("confirm", view, what=what, when=view.when, reach=_reach(view))


async def _score_page(request: web.Request) -> web.Response:
    chosen = request.match_info.get("score")
    return _question(request, await _following(request, Following.question), int(chosen) if chosen else None)


async def _score(request: web.Request) -> web.Response:
    """A score, a comment, or both. What the form says counts; the address only says what was pressed first."""
    form = await _form(request)
    typed = form.get("score") or request.match_info.get("score", "")
    comment = form.get("comment", "")
    token, following = request.match_info["token"], _of(request)
    view = await following.question(token)
    if view is not None and view.shown is Shown.OPEN and not _SCORE.fullmatch(typed):
        raise Problem(HTTPStatus.BAD_REQUEST, "score: a whole number from 0 to 10 is needed")
    if view is not None:
        view = await following.score(token, int(typed) if _SCORE.fullmatch(typed) else 0, comment)
    return _question(request, view, None)


def _question(request: web.Request, view: View | None, score: int | None) -> web.Response:
    if view is None:
        return _page("score", None)
    action = f"/n/{request.match_info['token']}"
    return _page("score", view, score=score, action=action, reach=_reach(view))


def _of(request: web.Request) -> Following:
    following = request.app[PARTS].following
    if following is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is nothing at this address")
    return following


async def _following(request: web.Request, do: Callable[[Following, str], Awaitable[View | None]]) -> View | None:
    return await do(_of(request), request.match_info["token"])


def _page(name: str, view: View | None, **seen: Any) -> web.Response:
    """A page of ours, or the one for a link that leads nowhere."""
    page = _pages.get_template(f"{name if view is not None else 'nothing'}.html.j2")
    return _html(page.render(view=view, **seen), HTTPStatus.OK if view is not None else HTTPStatus.NOT_FOUND)


def _html(text: str, status: HTTPStatus, headers: Mapping[str, str] = MappingProxyType({})) -> web.Response:
    return web.Response(
        text=text,
        status=status,
        content_type="text/html",
        charset="utf-8",
        headers={"Content-Security-Policy": CSP, "X-Robots-Tag": "noindex", **headers},
    )


async def _form(request: web.Request) -> dict[str, str]:
    """The fields of a form, in either of the two ways that programs send one. Raises Problem."""
    body = await bodies.read(request, limit=_FORM, seconds=request.app[PARTS].limits.body_seconds)
    if request.content_type == "multipart/form-data":
        return _parts(request.headers.get("Content-Type", ""), body)
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is no form") from None


def _parts(content_type: str, body: bytes) -> dict[str, str]:
    found = {}
    for part in forms.parts(content_type, body)[:_FIELDS]:
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found[name] = content.decode("utf-8", "replace").rstrip("\r\n")
    return found


def _reach(view: View) -> str:
    ways = " or ".join(way for way in (view.studio.phone, view.studio.reply_to or view.studio.email_sender) if way)
    return f"Reach us at {ways}." if ways else "Answer the message, and we will help."
