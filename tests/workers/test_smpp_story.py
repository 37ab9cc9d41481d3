"""What comes over an SMPP session: kept by the worker, put together and read by the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from control_center.domain.inbound import Inbound
from control_center.domain.outcome import Fate, Receipt
from control_center.engine.hearing import Hearing as Reader
from control_center.store import db
from tests.support import smsc as centre
from tests.support.mutations import LONG
from tests.support.rows import a_message, a_studio
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


async def heard(pool: db.Pool) -> list[str]:
    await Reader(pool, now).run_once()
    rows = await pool.fetch("SELECT body FROM messages WHERE state = 'received' ORDER BY message_id")
    return [row[0] for row in rows]


async def test_a_delivery_whose_answer_was_lost_is_read_once_when_it_comes_again(pool: db.Pool, smsc: Smsc) -> None:
    async with at_work(pool, smsc):
        await smsc.deliver(b"HELP")
        assert await heard(pool) == ["HELP"]
        smsc.drop()
        await smsc.bound.wait()
        for _ in range(2):
            assert await smsc.deliver(b"HELP") == 0

    assert await heard(pool) == ["HELP"]
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE origin = 'answer'") == 1


async def test_the_same_words_with_others_between_or_after_a_text_of_ours_are_said_again(
    pool: db.Pool, smsc: Smsc
) -> None:
    async with at_work(pool, smsc):
        for words in (b"STOP", b"START", b"STOP", b"yes"):
            await smsc.deliver(words)
        assert await heard(pool) == ["STOP", "START", "STOP", "yes"]
        await a_message(pool, state="accepted", account=ACCOUNT, sent_at=now())
        await smsc.deliver(b"yes")
        assert (await heard(pool))[3:] == ["yes", "yes"]
        await pool.execute("UPDATE messages SET created_at = created_at - interval '16 minutes'")
        await smsc.deliver(b"yes")

    assert (await heard(pool))[3:] == ["yes", "yes", "yes"]


async def test_a_part_that_comes_again_after_its_text_was_read_is_no_text_of_its_own(pool: db.Pool, smsc: Smsc) -> None:
    async with at_work(pool, smsc):
        first, second = b"\x05\x00\x03\x07\x02\x01See you ", b"\x05\x00\x03\x07\x02\x02at the lake"
        for part in (first, second, second):
            await smsc.deliver(part, esm_class=0x40)
        assert await heard(pool) == ["See you at the lake"]
        for part in (second, first):
            await smsc.deliver(part, esm_class=0x40)

    assert await heard(pool) == ["See you at the lake"]
    assert not await pool.fetchval("SELECT count(*) FROM arrivals WHERE waiting")


async def test_parts_that_come_on_both_sides_of_a_stretch_of_time_are_of_one_text(pool: db.Pool) -> None:
    before, after = datetime(2026, 11, 23, 18, 9, 59, tzinfo=UTC), datetime(2026, 11, 23, 18, 10, 1, tzinfo=UTC)
    hearing = Hearing(pool, ACCOUNT)

    async def comes(number: int, at: datetime) -> None:
        words = ("See you ", "at the lake")[number - 1]
        text = Inbound(f"part {number}", None, "13125550188", "13125550100", words, at)
        assert await hearing.hear(text, ("13125550188 13125550100 7/2", number, 2), None, "")

    await comes(1, before)
    await comes(2, after)
    assert await heard(pool) == ["See you at the lake"]
    await comes(1, after)
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


@pytest.mark.parametrize("known", ["abc\x00123", LONG], ids=["with a NUL", "longer than any index takes"])
async def test_a_receipt_of_any_id_is_kept_so_that_it_is_not_brought_for_ever(pool: db.Pool, known: str) -> None:
    said = Receipt(Fate.DELIVERED, None, known)

    assert await Hearing(pool, ACCOUNT).hear(None, None, (f"{known} delivered", said), "raw")

    assert await pool.fetchval("SELECT count(*) FROM receipts") == 1
