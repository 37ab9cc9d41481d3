"""Several workers on one number send no faster than it may carry, and what waits for it costs no attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from control_center.domain.message import Origin
from control_center.domain.pacing import Budget
from control_center.domain.studio import parse
from control_center.store import budgets, cases, db, messages, slowdowns
from control_center.store.submissions import Ready
from tests.support.rows import a_client, a_message, a_record, a_studio, ahead, now
from workers.pacing import pace

OURS = "+13125550100"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_hot_pool(database_url, application="test", size=6)
    settings = {"sms": {"account": "default", "numbers": [OURS], "limits": {"number": {"per_second": 1}}}}
    await a_studio(opened, settings=settings, numbers=[OURS])
    await a_client(opened)
    await a_record(opened)
    yield opened
    await opened.close()


async def ready(pool: db.Pool, *, limit: int = 100, account: str = "sms/default") -> list[Ready]:
    """Whatever is due, claimed and prepared by a worker of its own."""
    owner = uuid4()
    async with db.session(pool) as connection:
        claimed = await messages.claim_due(
            connection, account, owner, since=BEGINNING, lease=timedelta(minutes=1), limit=limit
        )
        found = await cases.gather(connection, claimed, owner)
    until = ahead(hours=1)
    return [Ready(one, until, f"m-{one.message_id}.1", None, "See you soon.") for one in found]


async def paced(pool: db.Pool, texts: list[Ready], *, at: datetime | None = None) -> list[Ready]:
    async with db.session(pool) as connection:
        return await pace(connection, texts, at or now())


async def waiting(pool: db.Pool) -> list[Any]:
    rows: list[Any] = await pool.fetch("SELECT * FROM messages WHERE state = 'queued' ORDER BY due_at, message_id")
    return rows


async def test_what_there_is_no_room_for_waits_with_its_place_and_its_reason(pool: db.Pool) -> None:
    for n in range(5):
        await a_message(pool, address=f"+1312555{n:04}")

    at = now()
    gone = await paced(pool, await ready(pool), at=at)

    late = await waiting(pool)
    assert (len(gone), len(late)) == (2, 3)
    assert [round((row["due_at"] - at).total_seconds()) for row in late] == [2, 3, 4]
    assert {(row["reason"], row["tries"], row["claims"], row["slot_at"] == row["due_at"]) for row in late} == {
        (f"limit: {OURS} takes no more at once", 0, 0, True)
    }


async def test_a_text_whose_place_has_come_goes_and_takes_no_other(pool: db.Pool) -> None:
    at = now()
    message = await a_message(pool, slot_at=at - timedelta(seconds=1))
    async with db.transaction(pool) as tx:
        await budgets.lock(tx, [("main", OURS)])
        await budgets.spend(tx, {("main", OURS): Budget(at + timedelta(minutes=5), at.date(), 9)})

    gone = await paced(pool, await ready(pool), at=at)

    assert [one.case.message_id for one in gone] == [message]
    assert await pool.fetchval("SELECT used FROM senders WHERE number = $1", OURS) == 9


async def test_a_place_that_was_not_used_in_its_minute_is_gone(pool: db.Pool) -> None:
    at = now()
    await a_message(pool, slot_at=at - timedelta(minutes=2))
    async with db.transaction(pool) as tx:
        await budgets.lock(tx, [("main", OURS)])
        await budgets.spend(tx, {("main", OURS): Budget(at + timedelta(minutes=5), at.date(), 9)})

    assert await paced(pool, await ready(pool), at=at) == []


async def test_a_reminder_takes_the_place_before_bulk_that_was_claimed_with_it(pool: db.Pool) -> None:
    for n in range(4):
        await a_message(pool, origin="bulk", address=f"+1312555{n:04}")
    reminders = [await a_message(pool, address=f"+1414555{n:04}") for n in range(2)]

    gone = await paced(pool, sorted(await ready(pool), key=lambda one: one.case.message_id))

    assert [one.case.message_id for one in gone] == reminders
    assert {(row["origin"], row["slot_at"]) for row in await waiting(pool)} == {("bulk", None)}


async def test_workers_that_take_at_the_same_time_share_one_budget(pool: db.Pool) -> None:
    for n in range(40):
        await a_message(pool, address=f"+1312555{n:04}")
    shares = [await ready(pool, limit=10) for _ in range(4)]
    at = now()

    gone = await asyncio.gather(*(paced(pool, share, at=at) for share in shares))

    assert sum(map(len, gone)) == 2
    places = [round((row["due_at"] - at).total_seconds()) for row in await waiting(pool)]
    assert places == list(range(2, 40))


async def test_another_studio_and_mail_are_not_counted(pool: db.Pool) -> None:
    await a_studio(pool, "other")
    await a_client(pool, studio="other")
    await a_record(pool, studio="other")
    for n in range(5):
        await a_message(pool, address=f"+1312555{n:04}", studio="other")
    assert len(await paced(pool, await ready(pool))) == 5
    assert await pool.fetchval("SELECT count(*) FROM senders") == 0


async def test_what_was_placed_before_is_not_placed_again(pool: db.Pool) -> None:
    for n in range(3):
        await a_message(pool, address=f"+1312555{n:04}")
    texts = await ready(pool)
    async with db.session(pool) as connection:
        again = await pace(connection, texts, now(), placed={one.case.message_id for one in texts})
    assert again == texts


async def test_reminders_are_claimed_before_bulk_and_what_a_person_wrote_before_both(pool: db.Pool) -> None:
    for n in range(3):
        await a_message(pool, origin="bulk", address=f"+1312555{n:04}", due_at=now() - timedelta(hours=1))
        await a_message(pool, address=f"+1414555{n:04}")
        await a_message(pool, origin="person", address=f"+1515555{n:04}")
    orders = [{one.case.origin for one in await ready(pool, limit=3)} for _ in range(3)]
    assert orders == [{Origin.PERSON}, {Origin.TRIGGER}, {Origin.BULK}]


def test_the_settings_of_a_studio_name_its_limits() -> None:
    sms = {"numbers": [OURS], "limits": {"number": {"per_second": 0.25, "per_day": 1000}}}
    found = parse({"id": "main", "name": "Main", "timezone": "America/Chicago", "sms": sms})
    assert parse({"id": "main", "name": "Main", "timezone": "America/Chicago", **found.settings()}) == found
    assert msgspec.json.encode(found.settings())


async def test_mails_of_a_domain_that_was_told_to_send_less_leave_further_apart(pool: db.Pool) -> None:
    at = now()
    for n in range(3):
        await a_message(pool, channel="email", address=f"jo{n}@mail.example", sender="ada@slow.example")
    await a_message(pool, channel="email", sender="ada@studio.example")
    async with db.session(pool) as connection:
        for seconds in (60, 50, 40, 20):  # the second is of the same breath as the first
            told = at - timedelta(seconds=seconds)
            slowed = await slowdowns.tell(connection, "main", "Ada@Slow.example", told)
            assert (slowed is None) is (seconds == 50)

    gone = await paced(pool, await ready(pool, account="email/default"), at=at)

    late = await waiting(pool)
    assert sorted(one.case.sender for one in gone) == ["ada@slow.example", "ada@studio.example"]
    assert [round((row["due_at"] - at).total_seconds()) for row in late] == [4, 8]
    assert {(row["reason"], row["tries"]) for row in late} == {("slowed: slow.example was told to send less", 0)}
