"""A studio's plan of texts: what goes by itself waits beyond it, and everything that is handed over counts once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from control_center.domain.message import Origin
from control_center.domain.outcome import Accepted, CannotTell, Lookup, NotSent, Outcome, Text
from control_center.domain.signature import Signature
from control_center.domain.text_plan import TextPlan
from control_center.engine import front_desk, text_plans
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db, studios
from tests.support.crm import client, event, session
from tests.support.rows import a_message, a_studio, a_trigger
from workers.delivery import Delivery

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)
DEADLINE = 20.0
BY = Signature("ada", "cli")
BULK = "See you soon."
LONG = "See you soon at the lake. " * 8  # two segments


class Provider:
    """Takes every text, unless a test scripts what it answers first."""

    def __init__(self, *first: Outcome) -> None:
        self.first = list(first)
        self.asked: list[Text] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def submit(self, message: Text) -> Outcome:
        self.asked.append(message)
        await self.gate.wait()
        return self.first.pop(0) if self.first else Accepted(f"SM-{message.key}")

    async def lookup(self, _message: Text, _known: Collection[str] = ()) -> Lookup:
        return CannotTell("scripted")

    async def close(self) -> None:
        self.gate.set()


class Refusing(Provider):
    """Answers the first text of a bulk as a test says, and takes the rest."""

    async def submit(self, message: Text) -> Outcome:
        self.asked.append(message)
        return self.first.pop() if self.first and message.body == BULK else Accepted(f"SM-{message.key}")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    yield opened
    await opened.close()


async def a_planned_studio(pool: db.Pool, studio: str = "main", **plan: Any) -> str:
    settings = {"sms": {"account": "default", "numbers": ["+13125550100"]}, "plan": plan}
    return await a_studio(pool, studio, settings=settings)


async def written(pool: db.Pool, number: int = 1, *, origin: str = "bulk", **columns: Any) -> list[int]:
    """So many texts that are written already and wait, to as many numbers."""
    start = await pool.fetchval("SELECT count(*) FROM messages")
    return [
        await a_message(
            pool, origin=origin, address=f"+1312555{1000 + start + n}", **{"body": "See you soon.", **columns}
        )
        for n in range(number)
    ]


async def delivered(pool: db.Pool, provider: Provider, *, at: datetime = NOON, slots: int = 16) -> None:
    """Deliver until nothing waits to be taken or is on its way."""
    stop = asyncio.Event()
    delivery = Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: at, slots=slots)
    moving = "SELECT count(*) FROM messages WHERE state IN ('claimed', 'submitting') OR state = 'queued' AND tries = 0"
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        group.create_task(delivery.run(stop))
        while await pool.fetchval(moving):  # noqa: ASYNC110 - the fact is in the database, which sets no event here
            await asyncio.sleep(0.01)
        stop.set()


async def states(pool: db.Pool) -> dict[str, int]:
    return {row[0]: row[1] for row in await pool.fetch("SELECT state, count(*) FROM messages GROUP BY state")}


async def used(pool: db.Pool) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await pool.fetch("SELECT month, texts, segments FROM usage ORDER BY month")]


async def test_each_text_handed_over_counts_once_with_its_segments_and_where_it_came_from(pool: db.Pool) -> None:
    await a_planned_studio(pool)
    await a_trigger(pool, "Reminder", activate={"on": "status_changed"})
    booked = session("1", client="c-1", status_changed_at="2026-11-23T17:59:00Z")
    await Intake(pool, lambda: NOON).take_in([event(booked, about=client("c-1"))])
    await Release(pool, lambda: NOON).run_once()
    await written(pool, 2)
    await written(pool, 1, origin="person", body=LONG)
    await written(pool, 1, origin="answer", body="You are out.")

    await delivered(pool, Refusing(NotSent("busy")))

    assert await used(pool) == [(NOVEMBER, 4, 5)]  # one was not taken
    async with db.session(pool) as connection:
        studio = (await studios.get(connection, ["main"]))["main"]
        found = await text_plans.report(connection, studio, NOON, texting=True)
    sources = {
        (one["trigger"] or one["origin"]): (one["texts"], one["segments"]) for one in found["this_month"]["by_trigger"]
    }
    assert sources == {"Reminder": (1, 1), "bulk": (1, 1), "person": (1, 2), "answer": (1, 1)}


async def test_a_text_counts_in_the_month_of_its_studios_calendar(pool: db.Pool) -> None:
    await a_planned_studio(pool)
    await written(pool, use_by=NOON + timedelta(days=30))

    await delivered(pool, Provider(), at=datetime(2026, 12, 1, 5, 59, tzinfo=UTC))  # 23:59 in Chicago

    assert await used(pool) == [(NOVEMBER, 1, 1)]


async def test_what_the_provider_counts_as_segments_is_what_is_billed(pool: db.Pool) -> None:
    await a_planned_studio(pool)
    await written(pool)

    await delivered(pool, Provider(Accepted("SM1", segments=3)))

    assert await used(pool) == [(NOVEMBER, 1, 3)]


async def test_beyond_the_plan_what_goes_by_itself_is_held_with_the_reason_and_nothing_is_dropped(
    pool: db.Pool,
) -> None:
    await a_planned_studio(pool, texts_per_month=5)
    await written(pool, 12)
    provider = Provider()

    await delivered(pool, provider)

    assert len(provider.asked) == 5
    assert await states(pool) == {"accepted": 5, "held": 7}
    reasons = {row[0] for row in await pool.fetch("SELECT reason FROM messages WHERE state = 'held'")}
    assert reasons == {"plan: 5 texts of this month's 5 are used up"}


async def test_a_persons_text_and_the_answer_to_a_stop_leave_beyond_the_plan_and_count(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=1)
    await written(pool, 3, origin="person")
    await written(pool, 2, origin="answer")

    await delivered(pool, Provider())

    assert await states(pool) == {"accepted": 5}
    assert await used(pool) == [(NOVEMBER, 5, 5)]


async def test_a_plan_that_may_be_overrun_holds_nothing(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=2, overrun=True)
    await written(pool, 4)

    await delivered(pool, Provider())

    assert await states(pool) == {"accepted": 4}


async def test_a_text_that_was_not_taken_counts_for_nothing(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=1)
    await written(pool)

    await delivered(pool, Provider(NotSent("busy")))

    assert await used(pool) == []
    assert await pool.fetchval("SELECT state FROM messages") == "queued"


async def test_a_text_that_a_person_found_out_was_sent_counts(pool: db.Pool) -> None:
    await a_planned_studio(pool)
    sent, lost = [await a_message(pool, origin="person", state="unknown", segments=2) for _ in range(2)]

    await front_desk.resolve(pool, "main", sent, sent=True, evidence="found_out: they answered", by=BY)
    await front_desk.resolve(pool, "main", lost, sent=False, evidence="the provider has not got it", by=BY)

    assert [row[1:] for row in await used(pool)] == [(1, 2)]


async def test_one_studios_plan_is_not_anothers(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=1)
    await a_planned_studio(pool, "south", texts_per_month=3)
    await written(pool, 3)
    for n in range(3):
        await a_message(pool, studio="south", origin="bulk", address=f"+1312555200{n}", body="See you soon.")

    await delivered(pool, Provider())

    found = await pool.fetch("SELECT studio_id, state, count(*) FROM messages GROUP BY 1, 2")
    assert {tuple(row) for row in found} == {("main", "accepted", 1), ("main", "held", 2), ("south", "accepted", 3)}


async def test_held_texts_go_on_oldest_first_when_the_plan_is_raised_and_all_when_the_month_turns(
    pool: db.Pool,
) -> None:
    await a_planned_studio(pool, texts_per_month=2)
    use_by = NOON + timedelta(days=30)
    first = await written(pool, 8, use_by=use_by)
    await delivered(pool, Provider())
    assert await states(pool) == {"accepted": 2, "held": 6}
    await text_plans.let_go(pool, NOON, limit=500)
    assert await states(pool) == {"accepted": 2, "held": 6}

    await pool.execute("""UPDATE studios SET revision = revision + 1,
        settings = '{"sms": {"numbers": ["+13125550100"]}, "plan": {"texts_per_month": 4}}'""")
    await text_plans.let_go(pool, NOON, limit=500)
    assert await pool.fetch("SELECT message_id FROM messages WHERE state = 'queued' ORDER BY 1") == [
        (first[2],),
        (first[3],),
    ]
    await delivered(pool, Provider())
    assert await states(pool) == {"accepted": 4, "held": 4}

    december = datetime(2026, 12, 1, 18, tzinfo=UTC)
    await text_plans.let_go(pool, december, limit=500)
    await delivered(pool, Provider(), at=december)
    assert await states(pool) == {"accepted": 8}
    assert await used(pool) == [(NOVEMBER, 4, 4), (DECEMBER, 4, 4)]


@pytest.mark.parametrize(("sent", "mark"), [(79, []), (80, [80]), (99, [80]), (100, [100]), (130, [100])])
async def test_a_studio_is_told_once_of_each_mark_of_its_plan(pool: db.Pool, sent: int, mark: list[int]) -> None:
    await a_planned_studio(pool, texts_per_month=100)
    await pool.execute("INSERT INTO usage (studio_id, month, texts) VALUES ('main', $1, $2)", NOVEMBER, sent)

    await text_plans.warn(pool, NOON)
    await text_plans.warn(pool, NOON)

    told = await pool.fetch("SELECT (data::jsonb ->> 'percent')::int FROM commands WHERE verb = 'plan.warned'")
    assert [row[0] for row in told] == mark


async def test_of_a_month_that_is_over_nobody_is_warned(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=100)
    await pool.execute("INSERT INTO usage (studio_id, month, texts) VALUES ('main', $1, 100)", NOVEMBER)

    await text_plans.warn(pool, datetime(2026, 12, 1, 6, tzinfo=UTC))  # midnight in Chicago

    assert await pool.fetchval("SELECT count(*) FROM commands") == 0


def test_only_what_goes_by_itself_is_ever_held() -> None:
    held = {origin for origin in Origin if TextPlan(texts_per_month=5).holds(origin, 5)}

    assert held == {Origin.TRIGGER, Origin.BULK}
