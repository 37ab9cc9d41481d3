"""The application put together, and its life on a port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import http_parser, web
from aiohttp.http_exceptions import HttpProcessingError

from control_center.domain.errors import ConfigurationError
from control_center.web import access, health, link_pages, problems
from control_center.web.api import (
    actions,
    audit,
    blackouts,
    bulk,
    bulk_recipients,
    catalog,
    clients,
    commands,
    consents,
    desk,
    events,
    explain,
    forecast,
    messages,
    openapi,
    prefixes,
    sandbox,
    scores,
    serving,
    spending,
    studios,
    template_previews,
    templates,
    trigger_versions,
    triggers,
    usage,
    users,
)
from control_center.web.hooks import mail, sms
from control_center.web.parts import PARTS, Parts

log = structlog.get_logger(__name__)

SHUTDOWN = 20.0  # seconds that calls have to end once we stop
OPENAPI = f"{serving.PREFIX}/openapi.json"

ROUTES = [
    *events.ROUTES,
    *messages.ROUTES,
    *desk.ROUTES,
    *prefixes.ROUTES,
    *spending.ROUTES,
    *clients.ROUTES,
    *consents.ROUTES,
    *bulk.ROUTES,
    *bulk_recipients.ROUTES,
    *actions.ROUTES,
    *triggers.ROUTES,
    *trigger_versions.ROUTES,
    *forecast.ROUTES,
    *templates.ROUTES,
    *template_previews.ROUTES,
    *blackouts.ROUTES,
    *studios.ROUTES,
    *catalog.ROUTES,
    *users.ROUTES,
    *audit.ROUTES,
    *commands.ROUTES,
    *explain.ROUTES,
    *sandbox.ROUTES,
    *usage.ROUTES,
    *scores.ROUTES,
]


def application(parts: Parts) -> web.Application:
    """API, hooks and health as one application. Raises ConfigurationError without aiohttp's compiled parser."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ConfigurationError(
            "aiohttp runs without its compiled parser, which reads requests less strictly; install a wheel of it"
        )
    app = web.Application(middlewares=[access.middleware, problems.middleware], client_max_size=parts.limits.body)
    app[PARTS] = parts
    app.on_response_prepare.append(access.add_headers)
    serving.add_routes(app, ROUTES)
    app.router.add_get(OPENAPI, _openapi(parts), name="openapi")
    sms.add_routes(app)
    mail.add_routes(app)
    link_pages.add_routes(app)
    health.add_routes(app)
    return app


def _openapi(parts: Parts) -> problems.Handler:
    document = msgspec.json.encode(openapi.document(ROUTES, server=parts.public_url, prefix=serving.PREFIX))

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(status=HTTPStatus.OK, body=document, content_type="application/json")

    return handle


async def serve(
    parts: Parts, *, host: str, port: int, stop: asyncio.Event, listening: Callable[[str, int], None] | None = None
) -> None:
    """Serve until `stop` is set; then no new call is taken, and those begun have `SHUTDOWN` seconds to end.

    `listening` is told the address once it is open: port 0 takes any free one. Raises ConfigurationError where
    the port cannot be had.
    """
    _quieten(logging.getLogger("aiohttp.server"))
    app = application(parts)
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=SHUTDOWN,
        keepalive_timeout=parts.limits.idle_seconds,
    )
    await runner.setup()
    assert runner.server is not None, "it was just set up"
    runner.server.request_factory = partial(app._make_request, _cls=access.Request)  # noqa: SLF001 - no other way in
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        bound = runner.addresses[0][:2]
        log.info("http.listening", host=bound[0], port=bound[1])
        if listening is not None:
            listening(*bound)
        await stop.wait()
    finally:
        await runner.cleanup()


class _WithoutTraceback(logging.Filter):
    """What strangers send that is no HTTP is told in a line: aiohttp answers it with 400 and a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.msg, record.args = "not HTTP: %s", (type(error).__name__,)
            record.exc_info, record.exc_text = None, None
        return True


def _quieten(logger: logging.Logger) -> None:
    if not any(isinstance(one, _WithoutTraceback) for one in logger.filters):
        logger.addFilter(_WithoutTraceback())
