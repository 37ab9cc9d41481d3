"""One log line for each call, and headers for each answer.

The line names the route and never the address: queries carry phone numbers and tokens.
"""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from control_center.web.problems import Handler

log = structlog.get_logger(__name__)

_QUIET = frozenset({"healthz", "readyz", "metrics"})  # asked all day long by machines

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Log the route's name, the status and how long it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    status = 0  # of a call that was cut off
    try:
        answer = await handler(request)
        status = answer.status
        return answer
    finally:
        name = request.match_info.route.name or "none"
        tell = log.debug if name in _QUIET and status < 400 else log.info
        took = round((loop.time() - began) * 1000, 1)
        tell("http.request", route=name, method=request.method[:20], status=status, ms=took)


async def add_headers(_request: web.Request, answer: web.StreamResponse) -> None:
    """What every answer carries; a page of the console may have said otherwise before."""
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers["Server"] = "control-center"  # aiohttp has put its version there by now


class Request(web.Request):
    """A call; what was no HTTP is answered before there is a route, and gets the headers here."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        await super()._prepare_hook(response)
        if self._match_info is None:
            await add_headers(self, response)
