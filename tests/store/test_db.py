"""The door to PostgreSQL under strain: waits that are bounded, transactions that are tried again, and cancellation."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest

from control_center.store import db, servers

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
    monkeypatch.setattr(db, "ACQUIRE_SECONDS", 0.2)
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


@pytest.mark.parametrize(
    ("dsn", "each"),
    [
        ("postgresql://cc@one/cc", ["postgresql://cc@one/cc"]),
        ("postgresql://cc@/cc?host=/run/one&port=5432", ["postgresql://cc@/cc?host=/run/one&port=5432"]),
        ("postgresql:///cc?service=studio", ["postgresql:///cc?service=studio"]),
        (
            "postgresql://cc:a%2Cb@one:5432,[::1]:5433/cc?sslmode=disable",
            [
                "postgresql://cc:a%2Cb@one:5432/cc?sslmode=disable",
                "postgresql://cc:a%2Cb@[::1]:5433/cc?sslmode=disable",
            ],
        ),
        (
            "postgresql://cc@/cc?host=/run/one,/run/two&port=5432,5433",
            ["postgresql://cc@/cc?host=%2Frun%2Fone&port=5432", "postgresql://cc@/cc?host=%2Frun%2Ftwo&port=5433"],
        ),
        (
            "postgresql://cc@/cc?host=one,two&port=5432",
            ["postgresql://cc@/cc?host=one&port=5432", "postgresql://cc@/cc?host=two&port=5432"],
        ),
        (
            "postgresql://cc@/cc?host=one,two",
            ["postgresql://cc@/cc?host=one", "postgresql://cc@/cc?host=two"],
        ),
    ],
)
def test_each_server_of_an_address_is_asked_by_itself(dsn: str, each: list[str]) -> None:
    assert servers.one_by_one(dsn) == each


async def test_a_first_server_that_is_silent_does_not_keep_us_from_the_one_that_took_over(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "ACQUIRE_SECONDS", 6.0)
    heard = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    both = database_url.replace("host=", "host=127.0.0.1,").replace("port=", f"port={port},")
    opened = await db.open_pool(f"{both}&target_session_attrs=read-write", application="test")
    assert heard.is_set()
    async with db.session(opened) as connection:
        assert await connection.fetchval("SELECT NOT pg_is_in_recovery()")
    listening = await db.connect(f"{both}&target_session_attrs=read-write", application="test")
    await listening.close()
    await opened.close()
    silent.close()
    await silent.wait_closed()
