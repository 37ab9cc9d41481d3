"""A studio with several numbers: each person always sees the same one."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.senders import chosen
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.rows import a_message, a_studio, a_trigger

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)
NUMBERS = ["+13125550100", "+13125550101", "+13125550102"]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    yield opened
    await opened.close()


async def a_studio_of(pool: db.Pool, numbers: list[str]) -> None:
    await a_studio(pool, settings={"sms": {"account": "default", "numbers": numbers}}, numbers=numbers)


async def released(pool: db.Pool, *numbers: str) -> dict[str, str]:
    """A reminder to each of these; the number of ours that each leaves from."""
    await a_trigger(pool, activate={"on": "status_changed"})
    people = [
        event(
            session(str(n), client=f"c-{n}", status_changed_at="2026-11-23T17:59:00Z"),
            about=client(f"c-{n}", phones=[{"number": number, "sms": True}]),
        )
        for n, number in enumerate(numbers)
    ]
    await Intake(pool, lambda: NOON).take_in(people)
    while await Release(pool, lambda: NOON).run_once():
        pass
    rows = await pool.fetch("SELECT address, sender FROM messages WHERE origin = 'trigger'")
    return {row[0]: row[1] for row in rows}


async def test_the_number_used_last_with_somebody_is_used_again(pool: db.Pool) -> None:
    await a_studio_of(pool, NUMBERS)
    for sender in NUMBERS[1:]:
        await a_message(pool, origin="person", state="accepted", address="+13125551000", sender=sender)

    assert await released(pool, "+13125551000") == {"+13125551000": NUMBERS[2]}


async def test_the_number_that_somebody_wrote_to_last_is_used(pool: db.Pool) -> None:
    await a_studio_of(pool, NUMBERS)
    await a_message(pool, state="received", address="+13125551000", sender=NUMBERS[1])

    assert await released(pool, "+13125551000") == {"+13125551000": NUMBERS[1]}


async def test_a_number_that_the_studio_has_given_up_is_not_used_any_more(pool: db.Pool) -> None:
    await a_studio_of(pool, NUMBERS)
    await a_message(pool, origin="person", state="accepted", address="+13125551000", sender="+13125550199")

    assert await released(pool, "+13125551000") == {"+13125551000": chosen(NUMBERS, "+13125551000")}


async def test_new_people_are_spread_over_the_numbers(pool: db.Pool) -> None:
    await a_studio_of(pool, NUMBERS)

    found = await released(pool, *(f"+1312555{n}" for n in range(1000, 1060)))

    assert found == {address: chosen(NUMBERS, address) for address in found}
    assert min(Counter(found.values()).values()) > 10


async def test_a_studio_with_one_number_texts_from_it(pool: db.Pool) -> None:
    await a_studio_of(pool, NUMBERS[:1])
    await a_message(pool, origin="person", state="accepted", address="+13125551000", sender=NUMBERS[1])

    assert await released(pool, "+13125551000") == {"+13125551000": NUMBERS[0]}


@pytest.mark.parametrize("own", [1, 2])
async def test_nothing_leaves_from_a_number_of_the_account_that_takes_over(pool: db.Pool, own: int) -> None:
    """Not even to somebody who was texted from it last: the studio's own account could not send from it."""
    sms = {"account": "default", "numbers": NUMBERS[:own], "failover_numbers": NUMBERS[2:]}
    await a_studio(pool, settings={"sms": sms}, numbers=[*NUMBERS[:own], *NUMBERS[2:]])
    people = [f"+1312555{number}" for number in range(1000, 1010)]
    await a_message(pool, origin="person", state="accepted", address=people[0], sender=NUMBERS[2])

    assert set((await released(pool, *people)).values()) <= set(NUMBERS[:own])
