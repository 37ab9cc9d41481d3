"""What a source has counted and never came is told once, and no longer missing when it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from control_center.engine import gaps
from control_center.engine.intake import Intake
from control_center.store import db, event_numbers
from control_center.store.event_numbers import as_ranges
from tests.support.crm import event, session
from tests.support.rows import a_studio

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
AT_ONCE = timedelta(0)
NUMBERS = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


@pytest.fixture
def intake(pool: db.Pool) -> Intake:
    return Intake(pool, lambda: NOW)


def numbered(*numbers: int, **keys: Any) -> list[bytes]:
    return [event(session(f"s{number}"), number=number, event_id=f"e{number}", **keys) for number in numbers]


async def missing(pool: db.Pool) -> list[tuple[str, int, int]]:
    async with db.session(pool) as connection:
        return [(gap.source, gap.first, gap.last) for gap in await event_numbers.gaps(connection)]


async def told(pool: db.Pool, *, patience: timedelta = AT_ONCE) -> list[tuple[Any, ...]]:
    with capture_logs() as said:
        await gaps.watch(pool, patience=patience)
    return [(line["event"], line.get("first"), line["last"]) for line in said]


async def test_what_comes_in_any_order_and_again_leaves_no_gap(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in(numbered(5, 7))
    assert await missing(pool) == [("/crm/main", 6, 6)]
    await intake.take_in(numbered(6, 7, 5, 8))
    await intake.take_in(numbered(4, 5))

    assert await missing(pool) == []


async def test_what_never_came_is_told_once_and_so_is_that_it_has_come(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in(numbered(1, 2, 6))
    assert await told(pool, patience=timedelta(minutes=1)) == [], "it may be on its way"
    assert await told(pool) == [("events.missing", 3, 5)]
    assert await told(pool) == []

    await intake.take_in(numbered(4, 9))
    assert await told(pool) == [("events.missing", 7, 8)]
    await intake.take_in(numbered(8, 7, 5, 3))
    assert await told(pool) == [("events.complete", None, 9)]
    assert await told(pool) == []


async def test_each_source_and_each_studio_counts_for_itself(pool: db.Pool, intake: Intake) -> None:
    await a_studio(pool, "north")
    there = numbered(100, 102, source="/crm/other")
    elsewhere = [event(session("s1"), number=7, event_id="e7", studio="north")]

    await intake.take_in([*numbered(1, 2), *there, *elsewhere, *numbered(3)])

    assert await missing(pool) == [("/crm/other", 101, 101)]


@pytest.mark.parametrize(
    "said",
    [
        {"sequence": "7"},
        {"sequence": "7", "sequencetype": "Time"},
        {"sequence": "A7", "sequencetype": "Integer"},
        {"sequence": {"a": 1}, "sequencetype": "Integer"},
        {"sequence": "-7", "sequencetype": "Integer"},
        {"sequence": "9" * 30, "sequencetype": "Integer"},
        {"sequencetype": "Integer"},
    ],
)
async def test_a_sequence_that_promises_nothing_is_none_and_spoils_no_event(
    pool: db.Pool, intake: Intake, said: dict[str, Any]
) -> None:
    taken = await intake.take_in([event(session(), **said)])

    assert len(taken.new) == 1
    assert await pool.fetchval("SELECT count(*) FROM event_numbers") == 0


async def test_what_a_person_no_longer_waits_for_is_not_missing(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in(numbered(1, 4))
    await told(pool)
    async with db.session(pool) as connection:
        await event_numbers.accept(connection, "main")

    assert await missing(pool) == []
    await intake.take_in(numbered(5, 3))
    assert await told(pool) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batches=st.lists(NUMBERS, min_size=1, max_size=5))
async def test_missing_is_what_lies_between_the_first_and_the_newest_and_has_not_come(
    pool: db.Pool, batches: list[list[int]]
) -> None:
    async with db.transaction(pool) as tx:
        await tx.execute("DELETE FROM event_numbers")
        for batch in batches:
            await event_numbers.note(tx, {("main", "/crm"): batch})
        found = {n for gap in await event_numbers.gaps(tx) for n in range(gap.first, gap.last + 1)}

    came = {number for batch in batches for number in batch}
    assert found == set(range(min(batches[0]), max(came))) - came


@given(numbers=NUMBERS)
def test_ranges_hold_exactly_their_numbers(numbers: list[int]) -> None:
    parts = as_ranges(numbers)[1:-1].replace("],[", "];[").split(";")
    ends = [[int(end) for end in part[1:-1].split(",")] for part in parts]
    assert [n for first, last in ends for n in range(first, last + 1)] == sorted(set(numbers))
