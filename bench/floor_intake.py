"""The floor of intake: consume, remember the message id, insert one job for each new one, commit, acknowledge.

One transaction for whatever has arrived while the last one ran, and one acknowledgement for all of it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aio_pika
import asyncpg

from bench import child
from bench.floor_schema import WAKE

BATCH = 200
PREFETCH = 500

REMEMBER = """
INSERT INTO inbox (id, body) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING RETURNING id"""
PLAN = "INSERT INTO jobs (body) SELECT * FROM unnest($1::text[])"


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Take in `count` messages from `queue`; with `wake`, notify whoever claims."""
    database = await asyncpg.connect(options["dsn"])
    connection = await aio_pika.connect(options["broker_url"])
    channel = await connection.channel(publisher_confirms=False)
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.get_queue(options["queue"], ensure=False)
    gathered: list[aio_pika.abc.AbstractIncomingMessage] = []
    arrived = asyncio.Event()

    async def gather(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        gathered.append(message)
        arrived.set()

    await child.ready()
    stretch, left = child.Stretch(), options["count"]
    await queue.consume(gather)
    while left > 0:
        if not gathered:
            arrived.clear()
            await arrived.wait()
            stretch.begin()
        batch, gathered[:BATCH] = gathered[:BATCH], []
        left -= await _take_in(database, batch, wake=options.get("wake", False))
    result = stretch.end()
    await connection.close()
    await database.close()
    return result


async def _take_in(
    database: asyncpg.Connection, batch: list[aio_pika.abc.AbstractIncomingMessage], *, wake: bool
) -> int:
    bodies = {message.message_id: message.body.decode() for message in batch}
    async with database.transaction():
        new = await database.fetch(REMEMBER, list(bodies), list(bodies.values()))
        await database.execute(PLAN, [bodies[row[0]] for row in new])
        if wake:
            await database.execute("SELECT pg_notify($1, '')", WAKE)
    await batch[-1].ack(multiple=True)
    return len(batch)
