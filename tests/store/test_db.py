"""The door to PostgreSQL under strain: waits that are bounded, transactions that are tried again, and cancellation."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest

from control_center.store import db

IDLE = """
SELECT count(*) FROM pg_stat_activity
 WHERE application_name = 'test' AND datname = current_database() AND state LIKE 'idle in transaction%'"""
CANCELLATIONS = 400


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test", size=4)
    yield opened
    await opened.close()


async def test_work_that_is_cancelled_anywhere_leaves_no_transaction_open_and_the_pool_whole(
    pool: db.Pool, database_url: str
) -> None:
    chance = random.Random(53)

    async def work() -> None:
        async with db.transaction(pool) as tx:
            await tx.execute("SELECT pg_sleep(0.001)")
            await tx.execute("SELECT pg_sleep(0.001)")

    for _ in range(CANCELLATIONS // 8):
        some = [asyncio.create_task(work()) for _ in range(8)]
        await asyncio.wait(some, timeout=chance.uniform(0, 0.006), return_when=asyncio.ALL_COMPLETED)
        for one in some:
            one.cancel()
        for one in some:
            with suppress(asyncio.CancelledError):
                await one

    assert pool.get_idle_size() == pool.get_size() <= 4
    await asyncio.gather(*(work() for _ in range(8)))
    watching = await asyncpg.connect(database_url)
    assert await watching.fetchval(IDLE) == 0
    await watching.close()


async def test_who_finds_no_connection_free_is_told_so_in_time(pool: db.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "_ACQUIRE_TIMEOUT", 0.2)
    held = [await pool.acquire() for _ in range(4)]
    with pytest.raises(db.AWAY):
        async with db.session(pool):
            pass
    for one in held:
        await pool.release(one)


async def test_a_transaction_that_met_another_is_tried_again_as_a_whole_and_a_last_time(pool: db.Pool) -> None:
    begun: list[int] = []

    async def unlucky(tx: db.Connection) -> int:
        begun.append(await tx.fetchval("SELECT txid_current()"))
        if len(begun) < 5:
            raise asyncpg.SerializationError("met")
        return len(begun)

    assert await db.retried(pool, unlucky) == 5
    assert len(set(begun)) == 5

    async def hopeless(_tx: db.Connection) -> None:
        begun.append(0)
        raise asyncpg.DeadlockDetectedError("met")

    with pytest.raises(asyncpg.DeadlockDetectedError):
        await db.retried(pool, hopeless, tries=3)
    assert begun.count(0) == 3


async def test_nothing_but_a_meeting_is_tried_again(pool: db.Pool) -> None:
    tried: list[type[BaseException]] = []

    for error in (asyncio.CancelledError, asyncpg.UniqueViolationError, ValueError, ConnectionResetError):

        async def failing(_tx: db.Connection, error: type[BaseException] = error) -> None:
            tried.append(error)
            raise error

        with pytest.raises(error):
            await db.retried(pool, failing)

    assert len(tried) == 4
