"""From a request to an answer: who calls, what they ask, the handler, and JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from aiohttp import web

from control_center.domain.signature import Signature
from control_center.web import bodies
from control_center.web.api import bearer, ids, reading, repeats, versions
from control_center.web.api.routes import JSON, Answer, Call, Route
from control_center.web.parts import PARTS
from control_center.web.problems import Handler
from control_center.web.turnstile import Turnstile

PREFIX = "/api/v1"


def add_routes(app: web.Application, routes: Sequence[Route]) -> None:
    """Serve these routes under /api/v1."""
    limits = app[PARTS].limits
    turnstile = Turnstile(limits.in_flight, "more calls than are worked on at once")
    keyed = asyncio.Semaphore(limits.keyed)
    for route in routes:
        app.router.add_route(route.method, _address(route), _handler(route, turnstile, keyed), name=route.name)


def _address(route: Route) -> str:
    """Ids by their shape, so that `/actions/delete` is not an action. Names are looked at once they are decoded."""
    if "{id}" not in route.path:
        return PREFIX + route.path
    return PREFIX + route.path.replace("{id}", f"{{id:{ids.pattern(route.path).strip('^$')}}}")


def _handler(route: Route, turnstile: Turnstile, keyed: asyncio.Semaphore) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        with turnstile:
            return _response(await _answer(route, keyed, request))

    return handle


async def _answer(route: Route, keyed: asyncio.Semaphore, request: web.Request) -> Answer:
    parts = request.app[PARTS]
    user = await bearer.caller(parts, request)
    bearer.allow(user, route)
    query = reading.query(request, route.query)
    named = request.match_info["id"] if route.about == "address" else getattr(query, "studio", None)
    studio = await bearer.studio(parts, user, route, named)
    read = versions.wanted(request, heeded=route.heeds)
    media, raw = "", b""
    if route.reads:
        media = reading.media_type(request, route.reads)
        raw = await bodies.read(request, limit=parts.limits.body, seconds=parts.limits.body_seconds)
    call = Call(
        parts=parts,
        caller=user,
        by=Signature(user.name, "api"),
        studio=studio,
        path=dict(request.match_info),
        query=query,
        body=reading.body(raw, media, route.reads[media]) if media else None,
        raw=raw,
        media=media,
        content_type=request.headers.get("Content-Type", ""),
        versions=read,
    )
    key = repeats.key_of(request) if route.method == "POST" else None
    if key is None:
        return await route.handler(call)
    async with keyed:
        asked = repeats.digest(user, request, media, raw)
        return await repeats.once(call, key, route.handler, asked=asked)


def _response(answer: Answer) -> web.Response:
    if answer.body is None:
        return web.Response(status=answer.status, headers=answer.headers)
    body = msgspec.json.encode(answer.body)
    return web.Response(status=answer.status, body=body, content_type=JSON, headers=answer.headers)
