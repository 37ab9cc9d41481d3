"""A second provider takes over what the first certainly did not send, and nothing that it may have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from control_center.domain.outcome import (
    Accepted,
    Blocked,
    CannotTell,
    Cause,
    Lookup,
    NotSent,
    Outcome,
    Refused,
    Stage,
    Text,
    Unknown,
)
from control_center.domain.retry import MAX_ATTEMPTS
from control_center.store import breakers, db
from tests.support.rows import a_message, a_studio
from workers.delivery import Delivery

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
DEADLINE = 20.0
OTHER = "+13125550199"  # of the same studio, at the other provider


class Provider:
    """Always answers the same."""

    def __init__(self, outcome: Outcome | None = None) -> None:
        self.outcome = outcome
        self.asked: list[Text] = []

    async def submit(self, message: Text) -> Outcome:
        self.asked.append(message)
        return self.outcome or Accepted(f"SM-{message.key}")

    async def lookup(self, _message: Text, _known: Collection[str] = ()) -> Lookup:
        return CannotTell("scripted")

    async def close(self) -> None: ...


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    sms = {"account": "default", "numbers": ["+13125550100"], "failover_numbers": [OTHER]}
    await a_studio(opened, settings={"sms": sms}, numbers=["+13125550100", OTHER])
    yield opened
    await opened.close()


async def a_text(pool: db.Pool, number: int = 1, **columns: Any) -> int:
    values = {"origin": "person", "body": "See you soon.", "address": f"+1312555{1000 + number}", **columns}
    return await a_message(pool, **values)


async def delivered(pool: db.Pool, first: Provider, second: Provider, *, ends: set[str], sender: str = "") -> None:
    """Both accounts deliver until every message is in one of these states."""
    stop = asyncio.Event()
    workers = [
        Delivery(
            pool,
            first,
            account="sms/default",
            owner=uuid4(),
            clock=lambda: NOON,
            failover="sms/backup",
            failover_sender=sender,
        ),
        Delivery(pool, second, account="sms/backup", owner=uuid4(), clock=lambda: NOON),
    ]
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        for one in workers:
            group.create_task(one.run(stop))
        while {row[0] for row in await pool.fetch("SELECT DISTINCT state FROM messages")} != ends:  # noqa: ASYNC110 - the fact is in the database
            await asyncio.sleep(0.02)
        stop.set()


async def row(pool: db.Pool, message: int) -> Any:
    return await pool.fetchrow("SELECT * FROM messages WHERE message_id = $1", message)


async def test_what_an_account_refuses_for_itself_leaves_by_the_other_with_its_own_number(pool: db.Pool) -> None:
    message = await a_text(pool)
    first, second = Provider(Blocked("twilio: suspended", "63038")), Provider()

    await delivered(pool, first, second, ends={"accepted"}, sender=OTHER)

    found = await row(pool, message)
    assert (found["account"], found["sender"], found["asked"]) == ("sms/backup", OTHER, 2)
    assert [one.sender for one in second.asked] == [OTHER]
    outcomes = await pool.fetch("SELECT outcome FROM attempts ORDER BY number")
    assert [one[0] for one in outcomes] == ["blocked", "accepted"]
    assert (await row(pool, message))["moved_from"] == ["sms/default"]


async def test_what_has_no_tries_left_there_leaves_by_the_other(pool: db.Pool) -> None:
    message = await a_text(pool, tries=MAX_ATTEMPTS - 1)
    first, second = Provider(NotSent("smpp: its queue is full", "0x14")), Provider()

    await delivered(pool, first, second, ends={"accepted"})

    found = await row(pool, message)
    assert (found["account"], found["sender"]) == ("sms/backup", "+13125550100")
    assert (len(first.asked), len(second.asked)) == (1, 1)


async def test_what_waits_for_an_open_breaker_leaves_by_the_other(pool: db.Pool) -> None:
    for number in range(5):
        await a_text(pool, number)
    async with db.session(pool) as connection:
        await breakers.failed(connection, "sms/default", "suspended", times=3)
    first, second = Provider(), Provider()

    await delivered(pool, first, second, ends={"accepted"})

    assert (len(first.asked), len(second.asked)) == (0, 5)


async def test_what_may_have_been_taken_is_never_handed_on(pool: db.Pool) -> None:
    await a_text(pool)
    first, second = Provider(Unknown("the connection dropped", Stage.SENT)), Provider()

    await delivered(pool, first, second, ends={"unknown"})

    assert second.asked == []


async def test_what_the_first_refuses_because_of_the_number_is_not_tried_at_the_other(pool: db.Pool) -> None:
    await a_text(pool)
    first, second = Provider(Refused("no such number", Cause.RECIPIENT)), Provider()

    await delivered(pool, first, second, ends={"failed"})

    assert second.asked == []


async def test_what_has_tries_left_is_tried_again_where_it_was(pool: db.Pool) -> None:
    message = await a_text(pool)
    first, second = Provider(NotSent("busy")), Provider()

    await delivered(pool, first, second, ends={"queued"})

    assert ((await row(pool, message))["account"], second.asked) == ("sms/default", [])


async def test_where_the_other_is_blocked_too_nothing_moves(pool: db.Pool) -> None:
    message = await a_text(pool)
    async with db.session(pool) as connection:
        await breakers.failed(connection, "sms/backup", "suspended", times=3)
    first, second = Provider(Blocked("suspended")), Provider()

    await delivered(pool, first, second, ends={"held"})

    assert ((await row(pool, message))["account"], second.asked) == ("sms/default", [])


async def test_a_doubt_and_a_plan_hold_on_whatever_the_account(pool: db.Pool) -> None:
    doubt = await a_text(pool, 1, state="held", reason="may be an opt-out: a person has to read it")
    plan = await a_text(pool, 2, state="held", reason="plan: 5 texts of this month's 5 are used up")
    sent = await a_text(pool, 3)
    first, second = Provider(Blocked("suspended")), Provider()

    await delivered(pool, first, second, ends={"held", "accepted"})

    assert {(await row(pool, one))["account"] for one in (doubt, plan)} == {"sms/default"}
    assert (await row(pool, sent))["account"] == "sms/backup"


@pytest.mark.parametrize("tries", [0, MAX_ATTEMPTS - 1], ids=["the account is blocked", "it has no tries left"])
async def test_what_another_studio_sends_never_leaves_from_this_ones_number(pool: db.Pool, tries: int) -> None:
    """Whoever answered STOP there would have said it to the wrong studio."""
    await a_studio(pool, "north")
    theirs = await a_text(pool, 1, studio="north", tries=tries)
    ours = await a_text(pool, 2, tries=tries)
    first, second = Provider(NotSent("busy") if tries else Blocked("suspended")), Provider()

    await delivered(pool, first, second, ends={"failed" if tries else "held", "accepted"}, sender=OTHER)

    found = await row(pool, theirs)
    assert (found["account"], found["sender"]) == ("sms/default", "+13125550100")
    assert [one.message for one in second.asked] == [f"m-{ours}"]
    if tries:
        assert found["reason"] == "attempts: busy"
