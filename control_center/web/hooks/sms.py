"""Calls of SMS providers, receipts and incoming texts alike: verified, stored with all that follows, then answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

import structlog
from aiohttp import web

from control_center.web import bodies
from control_center.web.hooks.providers import READERS, Call
from control_center.web.parts import PARTS, Parts
from control_center.web.problems import Problem

log = structlog.get_logger(__name__)

_REFUSED = "the signature does not fit"
_SILENCE: Mapping[str, str] = {"twilio": "<Response/>"}  # what a provider that reads our answer is told to do: nothing


def add_routes(app: web.Application) -> None:
    """Both addresses of a provider take both kinds of calls, with the account in the address or found by its signature.

    Kannel calls with GET; where nobody signs like that it is refused like any other.
    """
    for what in ("status", "inbound"):
        for path in (f"/hooks/sms/{{provider}}/{what}", f"/hooks/sms/{{provider}}/{{account}}/{what}"):
            app.router.add_post(path, _take)
            app.router.add_get(path, _take, allow_head=False)


async def _take(request: web.Request) -> web.Response:
    """200 once it is stored, or was before; 403 and nothing else where the signature does not fit."""
    parts = request.app[PARTS]
    provider = request.match_info["provider"]
    reader = READERS.get(provider)
    if reader is None:
        raise Problem(HTTPStatus.NOT_FOUND, "no such provider calls here")
    call = await _call(parts, request)
    accounts = [
        one
        for one in parts.accounts
        if one.provider == provider and (call.named is None or one.name == f"sms/{call.named}")
    ]
    brought = reader(call, accounts)
    if brought is None:
        log.warning("hook.refused", provider=provider, reason=_REFUSED)
        raise Problem(HTTPStatus.FORBIDDEN, _REFUSED)
    async with asyncio.timeout(parts.limits.hook_seconds):  # then 503: what is not stored is never taken for received
        if brought.receipts:
            came = [(known_by, receipt, call.raw) for known_by, receipt in brought.receipts]
            await parts.receipts.take(brought.account.name, came)
        if brought.texts:
            await parts.conversations.take(brought.account.name, [(text, call.raw) for text in brought.texts])
    if not brought.receipts and not brought.texts:
        log.warning(
            "hook.unread", provider=provider, account=brought.account.name, reason=f"{len(call.raw)} characters"
        )
    silence = _SILENCE.get(provider)
    return web.Response(text=silence, content_type="text/xml") if silence else web.Response(status=HTTPStatus.OK)


async def _call(parts: Parts, request: web.Request) -> Call:
    """The call as it was signed. Raises Problem."""
    limits = parts.limits
    body = await bodies.read(request, limit=limits.hook_body, seconds=limits.body_seconds)
    if not request.raw_path.startswith("/"):
        raise Problem(HTTPStatus.FORBIDDEN, _REFUSED)
    return Call(
        url=parts.public_url.rstrip("/") + request.raw_path,
        query=request.raw_path.partition("?")[2],
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        at=parts.clock(),
        named=request.match_info.get("account"),
    )
