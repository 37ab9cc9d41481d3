"""A conversation over SMPP, from the queue to the centre and back into the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from control_center.engine.hearing import Hearing as Reader
from control_center.engine.replies import adopt
from control_center.store import db
from tests.support import smsc as centre
from tests.support.rows import a_client, a_message, a_studio
from tests.support.smsc import Smsc
from workers.delivery import Delivery
from workers.hearing import Hearing
from workers.sms.smpp import Smpp
from workers.sms.smpp_session import Centre

ACCOUNT = "sms/smsc"
DEADLINE = 20.0


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    numbers = {"account": "smsc", "numbers": ["+13125550100"]}
    await a_studio(opened, settings={"sms": numbers})
    await a_client(opened, reach=["+13125550188"])
    yield opened
    await opened.close()


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    async with centre.running() as server:
        yield server


@asynccontextmanager
async def at_work(pool: db.Pool, smsc: Smsc) -> AsyncIterator[None]:
    """The account's worker, bound."""
    where = Centre("127.0.0.1", smsc.port, "studio", "secret")
    smpp = Smpp(where, Hearing(pool, ACCOUNT).hear, clock=now, longest_pause=0.3)
    stop = asyncio.Event()
    delivery = Delivery(pool, smpp, account=ACCOUNT, owner=uuid4(), clock=now)
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        group.create_task(delivery.run(stop))
        await smsc.bound.wait()
        yield
        stop.set()
    await smpp.close()


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    while not await fact():  # noqa: ASYNC110 - the fact is in the database, which sets no event here
        await asyncio.sleep(0.01)


async def comes_to(pool: db.Pool, message: int, state: str) -> None:
    async def reached() -> bool:
        return bool(await pool.fetchval("SELECT state = $2 FROM messages WHERE message_id = $1", message, state))

    await until(reached)


async def a_text(pool: db.Pool, body: str = "See you soon.") -> int:
    return await a_message(pool, origin="person", account=ACCOUNT, body=body, due_at=now())


async def test_a_text_its_receipt_a_reply_a_stop_and_silence(pool: db.Pool, smsc: Smsc) -> None:
    reader = Reader(pool, now)
    async with at_work(pool, smsc):
        text = await a_text(pool)
        await comes_to(pool, text, "accepted")
        assert await smsc.receipt("id-1") == 0
        await adopt(pool, limit=10)
        await comes_to(pool, text, "delivered")

        assert await smsc.deliver("See you there 😀".encode("utf-16-be"), coding=8) == 0
        await reader.run_once()
        reply = await pool.fetchrow("SELECT * FROM messages WHERE state = 'received'")
        assert (reply["body"], reply["client_id"], reply["account"]) == ("See you there 😀", "c-12", ACCOUNT)

        assert await smsc.deliver(b"STOP") == 0
        await reader.run_once()
        answer = await pool.fetchval("SELECT message_id FROM messages WHERE origin = 'answer'")
        await comes_to(pool, answer, "accepted")
        assert "no more texts" in smsc.texts[-1].text

        after = await a_text(pool, "One more thing.")
        await comes_to(pool, after, "suppressed")
    assert len(smsc.texts) == 2


async def test_a_lost_answer_is_unknown_until_a_person_settles_it_and_is_not_sent_again(
    pool: db.Pool, smsc: Smsc
) -> None:
    smsc.statuses = ["lost"]
    async with at_work(pool, smsc):
        text = await a_text(pool)
        await comes_to(pool, text, "unknown")
        await smsc.bound.wait()  # the session stands again
        other = await a_text(pool, "Another.")
        await comes_to(pool, other, "accepted")

    assert [one.text for one in smsc.texts] == ["See you soon.", "Another."]


async def test_a_throttled_minute_costs_a_wait_and_nothing_else(pool: db.Pool, smsc: Smsc) -> None:
    smsc.statuses = [0x58]
    async with at_work(pool, smsc):
        text = await a_text(pool)

        async def throttled() -> bool:
            return bool(await pool.fetchval("SELECT state = 'queued' AND tries = 1 FROM messages"))

        await until(throttled)
        await pool.execute("UPDATE messages SET due_at = now()")  # the wait is over
        await comes_to(pool, text, "accepted")

    assert len(smsc.texts) == 1


async def test_the_parts_of_a_text_are_put_together_in_their_order_and_once(pool: db.Pool, smsc: Smsc) -> None:
    reader = Reader(pool, now)
    async with at_work(pool, smsc):
        await smsc.deliver(b"\x05\x00\x03\x07\x02\x02at the lake", esm_class=0x40)
        await reader.run_once()
        assert await pool.fetchval("SELECT count(*) FROM messages") == 0  # it waits for the other part
        await smsc.deliver(b"\x05\x00\x03\x07\x02\x01See you ", esm_class=0x40)
        await asyncio.gather(reader.run_once(), Reader(pool, now).run_once())

    rows = await pool.fetch("SELECT body, segments FROM messages")
    assert [tuple(row) for row in rows] == [("See you at the lake", 2)]
    assert not await pool.fetchval("SELECT count(*) FROM arrivals WHERE waiting")


async def test_a_part_that_never_comes_does_not_keep_the_others(pool: db.Pool, smsc: Smsc) -> None:
    async with at_work(pool, smsc):
        await smsc.deliver(b"\x05\x00\x03\x07\x02\x01STOP ", esm_class=0x40)
    await pool.execute("UPDATE arrivals SET received_at = now() - interval '3 minutes'")

    await Reader(pool, now).run_once()

    assert await pool.fetchval("SELECT body FROM messages WHERE state = 'received'") == "STOP  […] "


async def test_a_text_to_a_number_that_is_no_studios_is_kept_and_not_read_again(pool: db.Pool, smsc: Smsc) -> None:
    async with at_work(pool, smsc):
        await smsc.deliver(b"Hello", to="13125550177")

    await Reader(pool, now).run_once()
    await Reader(pool, now).run_once()

    assert await pool.fetchval("SELECT count(*) FROM messages") == 0
    rows = await pool.fetch("SELECT studio_id, waiting, message_id FROM arrivals")
    assert [tuple(row) for row in rows] == [("", False, None)]
