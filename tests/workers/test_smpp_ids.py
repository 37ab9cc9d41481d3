"""Centres that spell an id otherwise in a receipt than in their answer: it finds its text, or none, never another's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.outcome import Accepted, Fate, Receipt
from control_center.domain.wire.smpp_ids import numbers, spellings
from control_center.engine import replies
from control_center.store import db
from tests.support import smsc as centre
from tests.support.rows import a_message, a_studio, ago, now
from tests.support.smsc import Smsc
from tests.workers.test_smpp import LONG, Ear, a_text
from workers.hearing import Hearing
from workers.sms.smpp import Smpp
from workers.sms.smpp_session import Centre

ACCOUNT = "sms/smsc"
JO, KIM = "+13125550188", "+13125550177"
HEX, DECIMAL = "1A2B3C4D", "439041101"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened, settings={"sms": {"account": "smsc", "numbers": ["+13125550100"]}})
    yield opened
    await opened.close()


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    async with centre.running() as server:
        yield server


async def a_text_sent(pool: db.Pool, provider_id: str | None, *, to: str = JO, **more: Any) -> int:
    values = {"state": "accepted", "sent_at": ago(minutes=5), "account": ACCOUNT, "body": "See you soon."}
    return await a_message(pool, provider_id=provider_id, address=to, **{**values, **more})


async def comes(pool: db.Pool, known: str, *, of: str = "13125550188", fate: Fate = Fate.DELIVERED) -> None:
    """A receipt as a worker keeps it and the engine finds its text."""
    said = Receipt(fate, None, known, numbers=numbers(of, "13125550100"))
    assert await Hearing(pool, ACCOUNT).hear(None, None, (f"{known} {fate.value}", said), "raw")
    await replies.adopt(pool, limit=10)


async def state(pool: db.Pool, message: int) -> str:
    found: str = await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", message)
    return found


# --- how an id may be spelled ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answered", "told"),
    [
        ("1A2B3C4D", "439041101"),
        ("439041101", "1A2B3C4D"),
        ("439041101", "1a2b3c4d"),
        ("1A2B3C4D", "1a2b3c4d"),
        ("1a2b3c4d", "0439041101"),
        ("001A2B3C4D", "439041101"),
        ("7F3A21", "0008337953"),
        ("8337953", "007f3a21"),
        ("0008337953", "7F3A21"),
        ("0000000008337953", "8337953"),
        ("12345678", "305419896"),
        ("msg-00af", "MSG-00AF"),
    ],
)
def test_one_id_in_the_spellings_of_centres(answered: str, told: str) -> None:
    assert answered in spellings(told)


@given(st.text(max_size=80))
def test_whatever_an_id_is_its_other_spellings_are_few_and_none_is_itself(known: str) -> None:
    found = spellings(known)

    assert known not in found
    assert len(found) == len(set(found)) <= 60
    assert not any(" " in one for one in found)


@given(st.integers(1_000_000, 2**63))
def test_a_number_is_found_in_either_base(number: int) -> None:
    assert f"{number:x}" in spellings(str(number))
    assert f"{number:X}" in spellings(str(number))
    assert str(number) in spellings(f"{number:x}") or f"{number:x}" == str(number)


@pytest.mark.parametrize(
    "known", ["", "  ", "0" * 300, "f" * 300, "9" * 300, "٣٤٥٦٧٨٩", "0x", "-12", "1_000_000", "+7"]
)
def test_what_is_no_number_is_spelled_as_it_is(known: str) -> None:
    assert all(one.lower() == known.lower() for one in spellings(known))


# --- which text it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answered", "told"), [(HEX, DECIMAL), (DECIMAL, HEX), (HEX, HEX.lower()), (HEX, "0439041101")]
)
@pytest.mark.parametrize("of", ["13125550188", "+13125550188", "0013125550188", "3125550188"])
async def test_a_receipt_finds_its_text_in_another_spelling(pool: db.Pool, answered: str, told: str, of: str) -> None:
    message = await a_text_sent(pool, answered)

    await comes(pool, told, of=of)

    assert await state(pool, message) == "delivered"
    assert await pool.fetchval("SELECT provider_id FROM messages WHERE message_id = $1", message) == answered
    assert await pool.fetchval("SELECT count(*) FROM receipts WHERE message_id IS NULL") == 0


async def test_a_receipt_that_came_before_the_answer_finds_its_text_later(pool: db.Pool) -> None:
    await comes(pool, DECIMAL)
    message = await a_text_sent(pool, HEX, sent_at=now())

    await replies.adopt(pool, limit=10)

    assert await state(pool, message) == "delivered"


async def test_another_recipients_text_is_never_meant(pool: db.Pool) -> None:
    message = await a_text_sent(pool, HEX, to=KIM)

    await comes(pool, DECIMAL)
    await replies.adopt(pool, limit=10)

    assert await state(pool, message) == "accepted"
    assert await pool.fetchval("SELECT count(*) FROM receipts WHERE message_id IS NULL") == 1


async def test_another_accounts_text_is_never_meant(pool: db.Pool) -> None:
    message = await a_text_sent(pool, HEX, account="sms/another")

    await comes(pool, DECIMAL)

    assert await state(pool, message) == "accepted"


async def test_a_receipt_that_names_no_number_means_a_text_by_its_very_id_alone(pool: db.Pool) -> None:
    first, second = await a_text_sent(pool, HEX), await a_text_sent(pool, "99" + DECIMAL)

    await comes(pool, DECIMAL, of="")
    await comes(pool, "99" + DECIMAL, of="")

    assert [await state(pool, one) for one in (first, second)] == ["accepted", "delivered"]


async def test_the_very_id_goes_before_any_other_spelling(pool: db.Pool) -> None:
    literal, converted = await a_text_sent(pool, "12345678"), await a_text_sent(pool, "BC614E")

    await comes(pool, "12345678")

    assert [await state(pool, one) for one in (literal, converted)] == ["delivered", "accepted"]


async def test_the_very_id_of_another_number_does_not_go_before_this_numbers(pool: db.Pool) -> None:
    """A centre that counts in hex and tells in decimal comes to each spelling twice."""
    literal, converted = await a_text_sent(pool, "12345678", to=KIM), await a_text_sent(pool, "BC614E")

    await comes(pool, "12345678")

    assert [await state(pool, one) for one in (literal, converted)] == ["accepted", "delivered"]


async def test_of_two_texts_that_might_be_meant_none_is(pool: db.Pool) -> None:
    """Read as decimal it is one of them, read as hexadecimal the other."""
    texts = [await a_text_sent(pool, "BC614E"), await a_text_sent(pool, "305419896")]

    await comes(pool, "12345678")

    assert [await state(pool, one) for one in texts] == ["accepted", "accepted"]


async def test_a_text_of_long_ago_is_not_meant_nor_one_that_was_sent_long_after(pool: db.Pool) -> None:
    old = await a_text_sent(pool, HEX, sent_at=ago(days=20), created_at=ago(days=20))
    await comes(pool, DECIMAL)
    assert await state(pool, old) == "accepted"

    await pool.execute("UPDATE receipts SET received_at = received_at - interval '2 hours'")
    new = await a_text_sent(pool, HEX.lower(), sent_at=now())
    await replies.adopt(pool, limit=10)
    assert await state(pool, new) == "accepted"


async def test_a_small_number_may_be_any_texts_and_counts_where_there_is_only_one(pool: db.Pool) -> None:
    alone = await a_text_sent(pool, "1F")
    await comes(pool, "31")
    assert await state(pool, alone) == "delivered"

    to_kim = [
        await a_text_sent(pool, "2F", to=KIM),
        await a_text_sent(pool, None, to=KIM, state="unknown", sent_at=None),
    ]
    await comes(pool, "47", of=KIM)
    assert [await state(pool, one) for one in to_kim] == ["accepted", "unknown"]


async def test_a_receipt_that_means_nobody_is_left_where_it_is_and_not_looked_at_for_ever(pool: db.Pool) -> None:
    for known in ("BC614E", "305419896"):
        await a_text_sent(pool, known)
    await comes(pool, "12345678")

    assert await replies.adopt(pool, limit=10) == 0


async def test_a_repeat_of_it_changes_nothing(pool: db.Pool) -> None:
    message = await a_text_sent(pool, HEX)
    for _ in range(2):
        await comes(pool, DECIMAL)

    assert await state(pool, message) == "delivered"
    reports = await pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'message.delivered'")
    assert reports == 1


# --- over a session --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def bound(smsc: Smsc, ear: Any) -> AsyncIterator[Smpp]:
    opened = Smpp(Centre("127.0.0.1", smsc.port, "studio", "secret"), ear, clock=now, longest_pause=0.3)
    async with asyncio.timeout(60):
        await smsc.bound.wait()
        yield opened
    await opened.close()


async def test_a_receipt_over_a_session_finds_its_text(pool: db.Pool, smsc: Smsc) -> None:
    async with bound(smsc, Hearing(pool, ACCOUNT).hear):
        message = await a_text_sent(pool, HEX)

        assert await smsc.receipt(DECIMAL, "UNDELIV", err="011") == 0
        await replies.adopt(pool, limit=10)

    assert await state(pool, message) == "undelivered"


async def test_a_long_text_has_arrived_when_each_part_has_in_whatever_spelling(smsc: Smsc) -> None:
    smsc.named = lambda number: f"{0x7F3A210 + number:X}"
    ear = Ear()
    async with bound(smsc, ear.hear) as smpp:
        assert await smpp.submit(a_text(LONG)) == Accepted("7F3A213", 3)

        await smsc.receipt(f"{0x7F3A210 + 1:010d}", sender="13125550177")  # somebody else's
        for number in (2, 1):
            await smsc.receipt(str(0x7F3A210 + number))
        assert [one.reference for one in ear.receipts] == [None]
        await smsc.receipt(str(0x7F3A210 + 3))

    assert ear.receipts[1:] == [Receipt(Fate.DELIVERED, "m-1.1", None)]


async def test_a_part_that_did_not_arrive_is_known_in_another_spelling(smsc: Smsc) -> None:
    smsc.named = lambda number: str(133_472_784 + number)
    ear = Ear()
    async with bound(smsc, ear.hear) as smpp:
        await smpp.submit(a_text(LONG, at=now(), expires_at=now() + timedelta(hours=6)))

        await smsc.receipt(f"{133_472_784 + 2:x}", "UNDELIV", err="011")

    assert [(one.fate, one.reference, one.code) for one in ear.receipts] == [(Fate.UNDELIVERED, "m-1.1", "011")]


def test_a_number_is_told_by_its_digits() -> None:
    assert numbers("+1 312 555 0188", "0013125550100") == ("13125550188", "13125550100")
    assert numbers("AdaPark", "72345") == ()
    assert uuid4().hex not in spellings(uuid4().hex)
