"""The floor of delivery: claim up to 100 jobs, POST them all at once over kept connections, mark them done."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import asyncpg

from bench import child
from bench.floor_schema import CLAIM, DONE, WAKE

POLL = 1.0


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Deliver `count` jobs to `url`."""
    database = await asyncpg.connect(options["dsn"])
    woken = asyncio.Event()
    listener = await asyncpg.connect(options["dsn"])
    await listener.add_listener(WAKE, lambda *_: woken.set())
    connector = aiohttp.TCPConnector(limit=100)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def post(body: str) -> None:
            async with session.post(options["url"], data=body.encode()) as answer:
                await answer.read()
                assert answer.status == 201, answer.status

        await child.ready()
        stretch, left = child.Stretch(), options["count"]
        stretch.begin()
        while left > 0:
            woken.clear()
            claimed = await database.fetch(CLAIM)
            if not claimed:
                await _first(woken, POLL)
                continue
            await asyncio.gather(*(post(row[1]) for row in claimed))
            await database.execute(DONE, [row[0] for row in claimed])
            left -= len(claimed)
        result = stretch.end()
    await listener.close()
    await database.close()
    return result


async def _first(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
