"""Receipts of calls that come side by side share a transaction, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from control_center.domain.outcome import Fate, Receipt
from control_center.engine import receipt_tray
from control_center.engine.receipt_tray import ReceiptTray
from control_center.engine.replies import take_receipts
from control_center.store import db
from tests.support.rows import a_client, a_message, a_record, a_studio

ACCOUNT = "sms/default"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    await a_client(opened)
    await a_record(opened)
    yield opened
    await opened.close()


async def sent(pool: db.Pool, count: int) -> list[int]:
    return [await a_message(pool, state="accepted") for _ in range(count)]


def call(tray: ReceiptTray, message: int) -> asyncio.Task[None]:
    key = f"m-{message}.1"
    return asyncio.ensure_future(tray.take(ACCOUNT, [(key, Receipt(Fate.DELIVERED, key, None), "{}")]))


async def states(pool: db.Pool) -> set[str]:
    return {row[0] for row in await pool.fetch("SELECT DISTINCT state FROM messages")}


async def test_what_comes_while_one_transaction_runs_is_the_next_one(pool: db.Pool) -> None:
    tray = ReceiptTray(pool)

    await asyncio.gather(*(call(tray, message) for message in await sent(pool, 20)))

    assert await states(pool) == {"delivered"}
    # Those that were there when it began, and those that came meanwhile.
    assert await pool.fetchval("SELECT count(DISTINCT xmin::text) FROM receipts") <= 2


async def test_a_call_is_answered_after_the_commit_of_what_it_brought(pool: db.Pool) -> None:
    tray = ReceiptTray(pool)
    (message,) = await sent(pool, 1)

    await call(tray, message)

    assert await states(pool) == {"delivered"}


async def test_what_cannot_be_stored_fails_alone(pool: db.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = await sent(pool, 3)

    async def fails_on_the_second(pool: db.Pool, account: str, came: Sequence[Any]) -> int:
        if any(key == f"m-{messages[1]}.1" for key, _, _ in came):
            raise ValueError("this one")
        return await take_receipts(pool, account, came)

    monkeypatch.setattr(receipt_tray, "take_receipts", fails_on_the_second)
    tray = ReceiptTray(pool)
    told = await asyncio.gather(*(call(tray, message) for message in messages), return_exceptions=True)

    assert [type(one) for one in told] == [type(None), ValueError, type(None)]
    found = await pool.fetch("SELECT state FROM messages ORDER BY message_id")
    assert [row[0] for row in found] == ["delivered", "accepted", "delivered"]


async def test_while_the_database_is_away_every_call_is_told_so(pool: db.Pool) -> None:
    messages = await sent(pool, 3)
    gone = await db.open_pool(pool._connect_args[0], application="gone")
    await gone.close()
    tray = ReceiptTray(gone)

    told = await asyncio.gather(*(call(tray, message) for message in messages), return_exceptions=True)

    assert all(isinstance(one, asyncpg.InterfaceError) for one in told)


async def test_a_call_that_was_given_up_costs_the_others_nothing(pool: db.Pool) -> None:
    first, second, third = await sent(pool, 3)
    tray = ReceiptTray(pool)
    calls = [call(tray, message) for message in (first, second, third)]
    await asyncio.wait(calls[:1])
    calls[1].cancel()

    await asyncio.gather(*calls, return_exceptions=True)

    assert calls[2].exception() is None
    assert await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", third) == "delivered"


async def test_where_too_many_wait_a_call_is_told_at_once_to_come_again(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt_tray, "ROOM", 2)
    tray = ReceiptTray(pool)

    told = await asyncio.gather(*(call(tray, message) for message in await sent(pool, 3)), return_exceptions=True)

    assert [type(one) for one in told] == [type(None), type(None), TimeoutError]


async def test_what_every_call_has_given_up_is_not_stored(pool: db.Pool) -> None:
    tray = ReceiptTray(pool)
    (message,) = await sent(pool, 1)
    async with pool.acquire() as other, other.transaction():
        await other.execute("LOCK TABLE receipts IN SHARE MODE")
        given_up = call(tray, message)
        await asyncio.wait([given_up], timeout=0.3)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)

    await call(tray, message)

    assert await states(pool) == {"delivered"}
    assert await pool.fetchval("SELECT count(*) FROM receipts") == 1
