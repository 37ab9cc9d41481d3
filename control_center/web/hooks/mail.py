"""Mail that a relay, or a mail server's pipe, brings: the message as it came, signed as a gateway's calls are."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import structlog
from aiohttp import web

from control_center.domain.wire import gateway_hooks
from control_center.web import bodies
from control_center.web.parts import PARTS, Account, Parts
from control_center.web.problems import Problem
from control_center.web.turnstile import Turnstile

log = structlog.get_logger(__name__)

_REFUSED = "the signature does not fit"
_TO = "x-envelope-to"  # where it was delivered, if who brings it says so; not signed, and trusted with nothing


def add_routes(app: web.Application) -> None:
    """Both addresses take every mail: what it is, it says itself."""
    turnstile = Turnstile(app[PARTS].limits.mails, "more mails than are read at once")

    async def take(request: web.Request) -> web.Response:
        with turnstile:
            return await _take(request)

    for what in ("inbound", "bounce"):
        app.router.add_post(f"/hooks/email/{what}", take)
        app.router.add_post(f"/hooks/email/{{account}}/{what}", take)


async def _take(request: web.Request) -> web.Response:
    """200 once it is stored, or was before; 403 and nothing else where the signature does not fit."""
    parts = request.app[PARTS]
    if parts.mailroom is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is nothing at this address")
    body = await bodies.read(request, limit=parts.limits.mail_body, seconds=parts.limits.body_seconds)
    account = _signer(parts, request, body)
    if account is None:
        log.warning("hook.refused", provider="email", reason=_REFUSED)
        raise Problem(HTTPStatus.FORBIDDEN, _REFUSED)
    async with asyncio.timeout(parts.limits.hook_seconds):
        await parts.mailroom.take(account.name, body, to=request.headers.get(_TO, "")[:320])
    return web.Response(status=HTTPStatus.OK)


def _signer(parts: Parts, request: web.Request, body: bytes) -> Account | None:
    """The first account of mail whose signature holds; the one named in the address, if one is."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    named = request.match_info.get("account")
    for one in parts.accounts:
        meant = one.name.startswith("email/") and named in (None, one.name.partition("/")[2])
        if meant and gateway_hooks.verify(headers, body, one.secrets, parts.clock()):
            return one
    return None
