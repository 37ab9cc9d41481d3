"""A studio that is switched off: nothing of it is sent, and nobody else waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from control_center.domain.studio import parse
from control_center.engine import studios
from control_center.store import db
from control_center.store import studios as stored
from tests.support.programs import eventually
from tests.support.rows import a_message, a_studio, now
from workers.delivery import Delivery
from workers.sandbox import Sandbox

OFF: Final = "studio: it is switched off, and nothing of it is sent"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


@asynccontextmanager
async def delivering(pool: db.Pool, folder: Path) -> AsyncIterator[Path]:
    """A worker at work; gives the file of what its provider took."""
    outbox, stop = folder / "outbox.ndjson", asyncio.Event()
    channel = Sandbox(outbox=outbox, clock=now, latency=timedelta())
    worker = Delivery(pool, channel, account="sms/default", owner=uuid4(), clock=now)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run(stop))
        yield outbox
        stop.set()


async def test_what_waits_of_it_waits_and_the_texts_of_others_go_past_it(pool: db.Pool, tmp_path: Path) -> None:
    for n in range(60):  # more than a worker keeps at hand
        await a_message(pool, origin="person", address=f"+1312555{n:04}", body="We are open.")
    await a_studio(pool, "other")
    one = await a_message(pool, studio="other", origin="person", body="See you soon.")
    await pool.execute("UPDATE studios SET enabled = false, revision = revision + 1 WHERE studio_id = 'main'")

    async with delivering(pool, tmp_path) as outbox:
        await eventually(lambda: pool.fetchval("SELECT state = 'accepted' FROM messages WHERE message_id = $1", one))
        await eventually(
            lambda: pool.fetchval(
                "SELECT bool_and(state = 'queued' AND reason = $1) FROM messages WHERE studio_id = 'main'", OFF
            )
        )
        assert outbox.read_bytes().count(b"\n") == 1


async def test_it_goes_on_at_once_where_the_studio_is_switched_on_again(pool: db.Pool, tmp_path: Path) -> None:
    await pool.execute("UPDATE studios SET enabled = false")
    one = await a_message(pool, origin="person", body="See you soon.")

    async with delivering(pool, tmp_path):
        await eventually(lambda: pool.fetchval("SELECT reason = $1 FROM messages WHERE message_id = $2", OFF, one))
        async with db.session(pool) as connection:
            house = studios.resource((await stored.get(connection, ["main"]))["main"])
        await studios.put(pool, now, parse({**house, "enabled": True}), by="Ada")
        await eventually(lambda: pool.fetchval("SELECT state = 'accepted' FROM messages WHERE message_id = $1", one))
