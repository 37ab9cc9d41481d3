"""Whether we are ready, and what somebody should look at although we are.

Anybody may ask, without a token: so all who ask while a look is made share it, and a crowd costs the database no more
than one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from control_center.store import db, dead_queue, event_numbers, prefixes, spending, usage, views_health
from control_center.web.parts import Check, Parts

CHECK_SECONDS = 3.0  # a check that takes longer has failed


class Readiness:
    """Looks at everything we need, one look at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._looking: asyncio.Task[tuple[bool, dict[str, Any]]] | None = None

    async def answer(self, _request: web.Request) -> web.Response:
        """200 where everything we need is there; else 503 naming what is not."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(_look(self._parts))
        ready, body = await asyncio.shield(self._looking)
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


async def _look(parts: Parts) -> tuple[bool, dict[str, Any]]:
    async def database() -> str | None:
        async with db.session(parts.pool) as tx:
            await views_health.alive(tx)
        return None

    checks: Mapping[str, Check] = {"database": database, **parts.readiness}
    found = dict(zip(checks, await asyncio.gather(*(_checked(check) for check in checks.values())), strict=True))
    ready = all(missing is None for missing in found.values())
    warnings = await _warnings(parts) if found["database"] is None else []
    return ready, {
        "ready": ready,
        "checks": {name: missing or "ok" for name, missing in found.items()},
        **({"warnings": warnings} if warnings else {}),
    }


async def _warnings(parts: Parts) -> list[str]:
    """What somebody should look at although we are ready; of which studio, only those may know who may ask."""
    try:
        async with asyncio.timeout(CHECK_SECONDS), db.session(parts.pool) as tx:
            holding = len(await usage.holding(tx))
            missing = len({(gap.studio, gap.source) for gap in await event_numbers.gaps(tx)})
            neighbours = await prefixes.number_shut(tx)
            spent = len(await spending.holding(tx))
            set_aside, _ = await dead_queue.others(tx)
            brought, _ = await dead_queue.brought(tx)
    except TimeoutError:
        return []
    except db.AWAY:
        return []
    said = {
        f"texts of {holding} studio(s) wait because a plan is used up": holding,
        f"events of {missing} source(s) never came; see: control-center events gaps": missing,
        f"the broker has set {set_aside} event(s) aside; see: control-center events collect": set_aside,
        f"{brought} event(s) the broker had set aside wait to be replayed; see: control-center events dead": brought,
        f"texts to {neighbours} range(s) of numbers are held; see: control-center messages prefixes": neighbours,
        f"texts of {spent} studio(s) wait because a day's money is spent; see: control-center messages spending": spent,
    }
    return [words for words, number in said.items() if number]


async def _checked(check: Check) -> str | None:
    """What is missing, in words; None where nothing is."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} seconds"
    except db.AWAY as error:
        return f"away: {type(error).__name__}"
