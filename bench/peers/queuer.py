"""PgQueuer, batches of 10, on uvloop, its job an aiohttp POST over kept connections."""

from __future__ import annotations

import os
import sys
from typing import Any

import aiohttp
import asyncpg
import uvloop
from pgqueuer import AsyncpgDriver, PgQueuer, Queries  # type: ignore[import-not-found] # in the peers' environment only

BODY = "x" * 1024
PAGE = 1000


async def fill(count: int) -> None:
    connection = await asyncpg.connect(os.environ["PEER_DSN"])
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    for start in range(0, count, PAGE):
        page = min(PAGE, count - start)
        await queries.enqueue(["deliver"] * page, [BODY.encode()] * page, [0] * page)
    await connection.close()


async def drain() -> None:
    connection = await asyncpg.connect(os.environ["PEER_DSN"])
    queuer = PgQueuer.from_asyncpg_connection(connection)
    url = os.environ["PEER_URL"]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def deliver(job: Any) -> None:
            async with session.post(url, data=job.payload) as answer:
                await answer.read()
                assert answer.status == 201, answer.status

        queuer.entrypoint("deliver")(deliver)
        await queuer.run(batch_size=10)


if __name__ == "__main__":
    uvloop.run(fill(int(os.environ["PEER_COUNT"])) if sys.argv[1] == "fill" else drain())
