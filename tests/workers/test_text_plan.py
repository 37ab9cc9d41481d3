"""A studio's plan of texts: what goes by itself waits beyond it, and everything that is handed over counts once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from control_center.domain.message import PRIORITIES, Origin
from control_center.domain.outcome import Accepted, CannotTell, Fate, Lookup, NotSent, Outcome, Receipt, Text
from control_center.domain.signature import Signature
from control_center.domain.text_plan import TextPlan
from control_center.engine import front_desk, replies, text_plans
from control_center.engine import studios as studio_edits
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.upkeep import Upkeep
from control_center.store import cases, db, studios, submissions
from control_center.store.submissions import Ready
from tests.support.crm import client, event, session
from tests.support.days import booked_before, monday_ahead
from tests.support.rows import a_message, a_studio, a_trigger
from workers.claims import Claims
from workers.delivery import CLAIM_LIMIT, Delivery
from workers.rationing import limited

NOON = monday_ahead()  # 12:00 in Chicago
NOVEMBER, DECEMBER = date(NOON.year, 11, 1), date(NOON.year, 12, 1)
DEADLINE = 20.0
BY = Signature("ada", "cli")
BULK = "See you soon."
LONG = "See you soon at the lake. " * 8  # two segments
USED = "SELECT month, sum(texts), sum(segments) FROM usage GROUP BY month ORDER BY month"


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


async def plan_becomes(pool: db.Pool, **plan: Any) -> None:
    values = {"name": "Main", "timezone": "America/Chicago", "sms": {"numbers": ["+13125550100"]}, "plan": plan}
    await studio_edits.replace(pool, lambda: NOON, "main", values, by="ada")


async def written(pool: db.Pool, number: int = 1, *, origin: str = "bulk", **columns: Any) -> list[int]:
    """So many texts that are written already and wait, to as many numbers."""
    start = await pool.fetchval("SELECT count(*) FROM messages")
    return [
        await a_message(
            pool, origin=origin, address=f"+1312555{1000 + start + n}", **{"body": "See you soon.", **columns}
        )
        for n in range(number)
    ]


MOVING = "state IN ('claimed', 'submitting') OR state = 'queued' AND tries = 0"


async def delivered(
    pool: db.Pool, provider: Provider, *, at: datetime = NOON, slots: int = 16, moving: str = MOVING
) -> None:
    """Deliver until nothing waits to be taken or is on its way, or nothing is `moving`."""
    stop = asyncio.Event()
    delivery = Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: at, slots=slots)
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        group.create_task(delivery.run(stop))
        while await pool.fetchval(f"SELECT count(*) FROM messages WHERE {moving}"):  # noqa: ASYNC110 - the fact is in the database, which sets no event here
            await asyncio.sleep(0.01)
        stop.set()


async def states(pool: db.Pool) -> dict[str, int]:
    return {row[0]: row[1] for row in await pool.fetch("SELECT state, count(*) FROM messages GROUP BY state")}


async def used(pool: db.Pool) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await pool.fetch(USED)]


async def test_each_text_handed_over_counts_once_with_its_segments_and_where_it_came_from(pool: db.Pool) -> None:
    await a_planned_studio(pool)
    await a_trigger(pool, "Reminder", activate={"on": "status_changed"})
    booked = session("1", client="c-1", **booked_before(NOON))
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


async def test_each_text_counts_by_the_country_it_went_to_whoever_found_out_that_it_was_taken(pool: db.Pool) -> None:
    await a_studio(pool, settings={"sms": {"numbers": ["+13125550100"], "countries": ["CA", "GB"]}})
    for address, state in (
        ("+13125551001", "queued"),
        ("+14165551002", "queued"),
        ("+14165551003", "unknown"),
        ("+442071838750", "unknown"),
        ("+12005551004", "queued"),  # of no country that the numbering plan knows, with the studio's own code
    ):
        await a_message(pool, origin="person", address=address, state=state, body="See you soon.", segments=1)
    numbers = {row[0]: row[1] for row in await pool.fetch("SELECT address, message_id FROM messages")}

    await delivered(pool, Provider(), moving="state IN ('queued', 'claimed', 'submitting')")
    arrived = Receipt(reference=f"m-{numbers['+14165551003']}.1", provider_id=None, fate=Fate.DELIVERED)
    await replies.take_receipts(pool, "sms/default", [("r-1", arrived, "")])
    await front_desk.resolve(pool, "main", numbers["+442071838750"], sent=True, evidence="they answered", by=BY)

    rows = await pool.fetch("SELECT country, sum(texts), sum(segments) FROM usage_sources GROUP BY 1")
    assert {row[0]: tuple(row[1:]) for row in rows} == {"US": (1, 1), "CA": (2, 2), "GB": (1, 1), "": (1, 1)}


async def test_a_text_counts_in_the_month_of_its_studios_calendar(pool: db.Pool) -> None:
    await a_planned_studio(pool)
    await written(pool, origin="person", use_by=NOON + timedelta(days=30))  # a person's own keeps to no hours

    await delivered(pool, Provider(), at=datetime(NOON.year, 12, 1, 5, 59, tzinfo=UTC))  # 23:59 in Chicago

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


async def test_any_number_of_workers_together_never_pass_a_plan_whatever_they_have_on_its_way(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=10)
    await written(pool, 2 * CLAIM_LIMIT)  # more than one of them takes at once
    provider, stop = Provider(), asyncio.Event()
    provider.gate.clear()  # it takes its time: nobody knows yet what of the plan is used up
    workers = [
        Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: NOON, slots=32) for _ in range(3)
    ]
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.run(stop))
        while await pool.fetchval("SELECT count(*) FROM messages WHERE state IN ('queued', 'claimed')"):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        assert await states(pool) == {"submitting": 10, "held": 190}
        await text_plans.let_go(pool, NOON, limit=500)
        assert await states(pool) == {"submitting": 10, "held": 190}  # there is no room until one turns out not taken
        provider.gate.set()
        stop.set()

    assert await states(pool) == {"accepted": 10, "held": 190}
    assert await used(pool) == [(NOVEMBER, 10, 10)]


async def claimed(connection: db.Connection, number: int) -> list[Ready]:
    """So many texts of `main`, claimed and decided while its plan had room."""
    owner = uuid4()
    found = await Claims("sms/default", owner).claim(connection, PRIORITIES, number)
    until = datetime.now(UTC) + timedelta(minutes=1)
    of = await cases.gather(connection, found, owner)
    return limited([Ready(one, until, f"m-{one.message_id}.1", None, BULK) for one in of], NOON)


async def test_of_two_that_pass_at_the_same_instant_the_second_sees_what_the_first_has_passed(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=3)
    await written(pool, 4)
    at_once = {"lease": timedelta(minutes=2), "margin": timedelta(seconds=1)}
    async with pool.acquire() as one, pool.acquire() as other, asyncio.timeout(DEADLINE):
        first, second = await claimed(one, 2), await claimed(other, 2)
        async with one.transaction():
            assert len(await submissions.step(one, [], first, **at_once)) == 2
            waiting = asyncio.create_task(submissions.step(other, [], second, **at_once))
            while not await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        assert len(await waiting) == 1  # one was left


async def test_a_text_that_may_have_been_taken_counts_until_the_opposite_is_proven(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=1)
    lost = await a_message(pool, origin="person", state="unknown", due_at=NOON)
    before = await a_message(pool, origin="person", state="unknown", due_at=NOON - timedelta(days=40))
    await written(pool)

    await delivered(pool, Provider())
    assert await states(pool) == {"unknown": 2, "held": 1}

    await front_desk.resolve(pool, "main", lost, sent=False, evidence="the provider has not got it", by=BY)
    await text_plans.let_go(pool, NOON, limit=500)
    await delivered(pool, Provider())
    assert await states(pool) == {"unknown": 1, "failed": 1, "accepted": 1}
    assert before  # of a month that is over: it takes nothing of this one


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


async def test_a_text_counts_in_the_month_in_which_it_was_handed_over_however_late_that_is_known(pool: db.Pool) -> None:
    await a_planned_studio(pool)
    found, proven = [await a_message(pool, origin="person", state="unknown", segments=1) for _ in range(2)]
    last_minute = "UPDATE attempts SET started_at = '2026-05-01T04:59:00Z'"  # of April, in Chicago
    await pool.execute(last_minute)

    await front_desk.resolve(pool, "main", found, sent=True, evidence="they answered", by=BY)
    receipt = Receipt(reference=f"m-{proven}.1", provider_id=None, fate=Fate.DELIVERED)
    await replies.take_receipts(pool, "sms/default", [("r-1", receipt, "")])

    assert await used(pool) == [(date(2026, 4, 1), 2, 2)]


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

    await plan_becomes(pool, texts_per_month=4)
    await text_plans.let_go(pool, NOON, limit=500)
    assert await pool.fetch("SELECT message_id FROM messages WHERE state = 'queued' ORDER BY 1") == [
        (first[2],),
        (first[3],),
    ]
    await delivered(pool, Provider())
    assert await states(pool) == {"accepted": 4, "held": 4}

    december = datetime(NOON.year, 12, 1, 18, tzinfo=UTC)
    await text_plans.let_go(pool, december, limit=500)
    await delivered(pool, Provider(), at=december)
    assert await states(pool) == {"accepted": 8}
    assert await used(pool) == [(NOVEMBER, 4, 4), (DECEMBER, 4, 4)]


async def test_what_waited_for_a_plan_goes_on_inside_its_hours_only_and_ends_visibly_when_it_is_too_late(
    pool: db.Pool,
) -> None:
    await a_planned_studio(pool, texts_per_month=1)
    await written(pool, 2, use_by=NOON + timedelta(days=3))
    short = await written(pool, 1, use_by=NOON + timedelta(hours=1))
    await delivered(pool, Provider())
    assert await states(pool) == {"accepted": 1, "held": 2}

    evening = NOON + timedelta(hours=10)  # 22:00 in Chicago
    await Upkeep(pool, lambda: evening, uuid4()).expire_messages()
    why = await pool.fetchval("SELECT reason FROM messages WHERE message_id = $1 AND state = 'expired'", short[0])
    assert "and waited: plan: 1 texts of this month's 1 are used up" in why
    await plan_becomes(pool, texts_per_month=9)
    await text_plans.let_go(pool, evening, limit=500)
    await delivered(pool, Provider(), at=evening, moving="state <> 'expired' AND reason = 'waited for the plan'")

    assert await states(pool) == {"accepted": 1, "expired": 1, "queued": 1}
    due_at = await pool.fetchval("SELECT due_at FROM messages WHERE state = 'queued'")
    assert due_at == NOON + timedelta(hours=21)  # 09:00 in Chicago


async def test_where_there_is_room_again_a_reminder_goes_before_all_the_bulk_that_waited_longer(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=1)
    for origin in ("bulk", "bulk", "trigger"):
        reminder = await a_message(
            pool, origin=origin, state="held", reason="plan: 0 texts of this month's 0 are used up"
        )

    await text_plans.let_go(pool, NOON, limit=500)

    assert await pool.fetch("SELECT message_id FROM messages WHERE state = 'queued'") == [(reminder,)]


async def test_a_plan_lowered_below_what_was_used_holds_all_that_goes_by_itself(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=9)
    await written(pool, 3)
    await delivered(pool, Provider())
    await plan_becomes(pool, texts_per_month=2)
    await written(pool, 2)
    await written(pool, 1, origin="person")
    await delivered(pool, Provider())

    assert await states(pool) == {"accepted": 4, "held": 2}


async def told(pool: db.Pool) -> list[str]:
    """Look twice, and say all marks that studios were told of so far: per cent of so many texts."""
    await text_plans.warn(pool, NOON)
    await text_plans.warn(pool, NOON)
    rows = await pool.fetch("SELECT data::jsonb FROM commands WHERE verb = 'plan.warned' ORDER BY sequence")
    found = [json.loads(row[0]) for row in rows]
    return [f"{one['percent']} of {one['texts_per_month']}" for one in found]


async def sent(pool: db.Pool, texts: int) -> None:
    """So many this month, counted by two connections."""
    await pool.execute("DELETE FROM usage")
    await pool.execute(
        "INSERT INTO usage (studio_id, month, shard, texts) VALUES ('main', $1, 3, $2), ('main', $1, 5, $3)",
        NOVEMBER,
        texts // 2,
        texts - texts // 2,
    )


async def test_a_studio_is_told_once_of_each_mark_of_its_plan(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=100)
    heard = []
    for number in (79, 80, 99, 100, 130):
        await sent(pool, number)
        heard.append(len(await told(pool)))

    assert heard == [0, 1, 1, 2, 2]
    assert await told(pool) == ["80 of 100", "100 of 100"]


async def test_who_comes_to_both_marks_at_once_is_told_of_the_higher_one(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=5)
    await sent(pool, 5)

    assert await told(pool) == ["100 of 5"]


async def test_a_plan_that_was_changed_in_the_middle_of_the_month_is_warned_of_anew(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=100)
    await sent(pool, 100)
    assert await told(pool) == ["100 of 100"]

    await plan_becomes(pool, texts_per_month=1000)  # raised
    assert await told(pool) == ["100 of 100"]
    await sent(pool, 800)
    assert await told(pool) == ["100 of 100", "80 of 1000"]

    await plan_becomes(pool, texts_per_month=50)  # lowered below what was used
    assert await told(pool) == ["100 of 100", "80 of 1000", "100 of 50"]
    await plan_becomes(pool, texts_per_month=1000)  # and back
    assert await told(pool) == ["100 of 100", "80 of 1000", "100 of 50"]


async def test_of_a_month_that_is_over_nobody_is_warned(pool: db.Pool) -> None:
    await a_planned_studio(pool, texts_per_month=100)
    await pool.execute("INSERT INTO usage (studio_id, month, texts) VALUES ('main', $1, 100)", NOVEMBER)

    await text_plans.warn(pool, datetime(NOON.year, 12, 1, 6, tzinfo=UTC))  # midnight in Chicago

    assert await pool.fetchval("SELECT count(*) FROM commands") == 0


def test_only_what_goes_by_itself_is_ever_held() -> None:
    held = {origin for origin in Origin if TextPlan(texts_per_month=5).holds(origin, 5)}

    assert held == {Origin.TRIGGER, Origin.BULK}
