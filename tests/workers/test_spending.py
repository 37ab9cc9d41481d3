"""Texts that would cost more than their studio's day may are held, and go on tomorrow or when a person says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from control_center.domain.errors import NotFound, Refused
from control_center.domain.outcome import Accepted, CannotTell, Lookup, NotSent, Outcome, Text
from control_center.engine import spending as engine
from control_center.engine import studios as studio_edits
from control_center.engine.upkeep import Upkeep
from control_center.store import db, spending
from tests.support.days import monday_ahead
from tests.support.programs import eventually
from tests.support.rows import a_message, a_studio, ahead
from workers.delivery import Delivery

NOON = monday_ahead()  # 12:00 in Chicago
MONDAY = NOON.date()
LONG = "See you soon at the lake. " * 8  # two segments
PLAN = {"price_per_segment": "0.01", "prices": {"CA": "0.03"}, "currency": "USD"}


class Provider:
    """Takes every text, unless a test scripts what it answers first."""

    def __init__(self, *first: Outcome) -> None:
        self.first = list(first)
        self.asked: list[Text] = []

    async def submit(self, message: Text) -> Outcome:
        self.asked.append(message)
        return self.first.pop(0) if self.first else Accepted(f"SM-{message.key}")

    async def lookup(self, _message: Text, _known: Collection[str] = ()) -> Lookup:
        return CannotTell("scripted")

    async def close(self) -> None:
        return None


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened, settings=settings("0.10"))
    yield opened
    await opened.close()


def settings(limit: str | None, **limits: Any) -> dict[str, Any]:
    money = {} if limit is None else {"money_per_day": limit}
    limits = {"bulk_percent": 100, **money, **limits}
    return {
        "sms": {"account": "default", "numbers": ["+13125550100"], "limits": limits, "countries": ["CA"]},
        "plan": PLAN,
    }


async def limit_becomes(pool: db.Pool, limit: str | None, **limits: Any) -> None:
    values = {"name": "Main", "timezone": "America/Chicago", **settings(limit, **limits)}
    await studio_edits.replace(pool, lambda: NOON, "main", values, by="ada")


async def texts(pool: db.Pool, number: int, *, area: str = "+1414555", **columns: Any) -> list[int]:
    """So many texts that are written and wait, to as many people."""
    columns = {"origin": "bulk", "body": "See you soon.", "use_by": ahead(days=900), **columns}
    start = await pool.fetchval("SELECT count(*) FROM messages")
    return [await a_message(pool, address=f"{area}{1000 + start + n}", **columns) for n in range(number)]


async def delivered(pool: db.Pool, *first: Outcome, at: datetime = NOON, workers: int = 1) -> Provider:
    """Deliver until nothing waits to be taken or is on its way."""
    provider, stop = Provider(*first), asyncio.Event()
    all_at_rest = (
        "SELECT count(*) = 0 FROM messages WHERE state IN ('claimed', 'submitting') OR state = 'queued' AND reason = ''"
    )
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            worker = Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: at, slots=4)
            group.create_task(worker.run(stop))
        await eventually(lambda: pool.fetchval(all_at_rest))
        stop.set()
    return provider


async def states(pool: db.Pool) -> dict[str, int]:
    return {row[0]: row[1] for row in await pool.fetch("SELECT state, count(*) FROM messages GROUP BY state")}


async def spent(pool: db.Pool, studio: str = "main") -> tuple[date, Decimal]:
    row = await pool.fetchrow("SELECT day, spent FROM spending WHERE studio_id = $1", studio)
    assert row is not None
    return row["day"], row["spent"]


def _stopped(at: datetime) -> Callable[[], datetime]:
    return lambda: at


async def let_go(pool: db.Pool, at: datetime = NOON) -> None:
    """A round of the upkeep, after which what waited for money is as new."""
    await Upkeep(pool, lambda: at, uuid4()).heed_plans()
    await pool.execute("UPDATE messages SET reason = '' WHERE state = 'queued' AND reason = 'waited for money'")


async def test_what_would_be_dearer_than_the_day_may_be_is_held_with_the_reason_and_told_of_once(pool: db.Pool) -> None:
    await texts(pool, 15)

    with capture_logs() as lines:
        provider = await delivered(pool)
        await texts(pool, 3)
        await delivered(pool)

    assert (len(provider.asked), await states(pool)) == (10, {"accepted": 10, "held": 8})
    assert await spent(pool) == (MONDAY, Decimal("0.10"))
    reasons = {row[0] for row in await pool.fetch("SELECT reason FROM messages WHERE state = 'held'")}
    assert reasons == {"money: 0.10 of this day's 0.10 USD are spent, and the next text costs 0.01"}
    assert [line["log_level"] for line in lines if line["event"] == "money.spent"] == ["warning"]
    assert sum(line["event"] == "message.held" for line in lines) == 8


async def test_a_text_costs_its_segments_at_the_price_of_its_country(pool: db.Pool) -> None:
    await texts(pool, 1, body=LONG)
    await texts(pool, 1, area="+1416555", body=LONG)  # Toronto
    await texts(pool, 1, area="+1416555")

    provider = await delivered(pool)

    assert (len(provider.asked), await spent(pool)) == (2, (MONDAY, Decimal("0.08")))
    await texts(pool, 3)
    await delivered(pool)
    assert await states(pool) == {"accepted": 4, "held": 2}  # a cheap one behind a dear one that waits still fits


@pytest.mark.parametrize(("origin", "goes"), [("person", 10), ("bulk", 10), ("answer", 12)])
async def test_everybodys_texts_wait_but_for_the_answers_to_stop_and_help(
    pool: db.Pool, origin: str, goes: int
) -> None:
    await texts(pool, 12, origin=origin)

    assert len((await delivered(pool)).asked) == goes


async def test_bulk_leaves_a_part_of_the_day_to_reminders(pool: db.Pool) -> None:
    await limit_becomes(pool, "0.10", bulk_percent=50)
    await texts(pool, 12)
    await delivered(pool)
    await texts(pool, 12, origin="person")

    await delivered(pool)

    found = await pool.fetch("SELECT origin, count(*) FROM messages WHERE state = 'accepted' GROUP BY 1")
    assert {tuple(row) for row in found} == {("bulk", 5), ("person", 5)}


async def test_several_workers_together_spend_no_more_than_one(pool: db.Pool) -> None:
    await texts(pool, 60)

    provider = await delivered(pool, workers=4)

    assert len({text.to for text in provider.asked}) == len(provider.asked) == 10
    assert (await states(pool), await spent(pool)) == ({"accepted": 10, "held": 50}, (MONDAY, Decimal("0.10")))


async def test_what_waited_goes_tomorrow_reminders_first_as_far_as_that_day_reaches(pool: db.Pool) -> None:
    await texts(pool, 10)
    await delivered(pool)
    bulk = await texts(pool, 12)
    [reminder] = await texts(pool, 1, origin="person")
    await delivered(pool)
    await let_go(pool)
    assert await states(pool) == {"accepted": 10, "held": 13}  # today there is nothing more

    tomorrow = NOON + timedelta(days=1)
    await let_go(pool, tomorrow)
    await delivered(pool, at=tomorrow)

    assert await states(pool) == {"accepted": 20, "held": 3}
    assert await spent(pool) == (MONDAY + timedelta(days=1), Decimal("0.10"))
    left = [row[0] for row in await pool.fetch("SELECT message_id FROM messages WHERE state = 'held' ORDER BY 1")]
    assert (reminder not in left, left) == (True, bulk[-3:])


async def test_a_limit_that_is_raised_or_lifted_lets_go_at_once(pool: db.Pool) -> None:
    await texts(pool, 30)
    await delivered(pool)

    await limit_becomes(pool, "0.15")
    await let_go(pool)
    await delivered(pool)
    assert await states(pool) == {"accepted": 15, "held": 15}

    await limit_becomes(pool, None)
    await let_go(pool)
    await delivered(pool)
    assert await states(pool) == {"accepted": 30}


async def test_a_person_gives_the_day_its_money_once_more_and_no_more_than_that(pool: db.Pool) -> None:
    await texts(pool, 25)
    await delivered(pool)

    given = await engine.overspend(pool, lambda: NOON, "main", day=MONDAY, by="Ada")
    await pool.execute("UPDATE messages SET reason = '' WHERE state = 'queued'")
    with capture_logs() as lines:
        await delivered(pool)

    assert (given.there_is, given.messages) == (Decimal("0.20"), 15)
    assert await states(pool) == {"accepted": 20, "held": 5}
    assert [line["event"] for line in lines if line["event"].startswith("money.")] == ["money.spent"]  # told anew
    [entry] = await pool.fetch("SELECT who, verb, resource, before, after FROM audit")
    assert tuple(entry)[:3] == ("Ada", "release", f"spending/{MONDAY}")
    assert ('"there_is":"0.10"' in entry["before"], '"there_is":"0.20"' in entry["after"]) == (True, True)


async def test_a_day_that_has_its_money_again_is_not_given_it_once_more_while_the_last_of_what_waited_goes(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "AT_ONCE", 5)
    await texts(pool, 25)
    await delivered(pool)
    await engine.overspend(pool, lambda: NOON, "main", day=MONDAY, by="Ada")

    with pytest.raises(Refused, match="has its money again"):
        await engine.overspend(pool, lambda: NOON, "main", day=MONDAY, by="Ada")

    assert await pool.fetchval("SELECT again FROM spending WHERE studio_id = 'main'") == 1
    assert await states(pool) == {"accepted": 10, "held": 10, "queued": 5}


async def test_where_nothing_waits_or_of_another_day_there_is_nothing_to_give(pool: db.Pool) -> None:
    await texts(pool, 5)
    await delivered(pool)
    with pytest.raises(NotFound, match=f"no texts of {MONDAY} are held"):
        await engine.overspend(pool, lambda: NOON, "main", day=MONDAY, by="Ada")

    await texts(pool, 10)
    await delivered(pool)
    for clock, day in ((NOON, MONDAY - timedelta(days=1)), (NOON + timedelta(days=1), MONDAY)):
        with pytest.raises(NotFound):
            await engine.overspend(pool, _stopped(clock), "main", day=day, by="Ada")


async def test_another_try_of_the_same_text_costs_nothing_more(pool: db.Pool) -> None:
    await texts(pool, 1)
    busy = NotSent("busy")
    for answers in ([busy], [busy], []):
        await delivered(pool, *answers)
        await pool.execute("UPDATE messages SET due_at = now(), reason = '' WHERE state = 'queued'")
    await delivered(pool)

    assert (await states(pool), await spent(pool)) == ({"accepted": 1}, (MONDAY, Decimal("0.01")))


async def test_what_its_number_takes_no_more_of_today_costs_nothing_today(pool: db.Pool) -> None:
    await limit_becomes(pool, "0.10", number={"per_day": 4})
    await texts(pool, 30)

    await delivered(pool)

    assert (await states(pool), await spent(pool)) == ({"accepted": 4, "queued": 26}, (MONDAY, Decimal("0.04")))
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE charged_on IS NOT NULL") == 4


async def test_a_studio_that_says_nothing_of_it_holds_nothing_and_anothers_money_is_not_its_own(pool: db.Pool) -> None:
    await a_studio(pool, "south", settings=settings(None))
    await a_studio(pool, "east", settings=settings("0.02"))
    for studio in ("main", "south", "east"):
        await texts(pool, 12, studio=studio)

    await delivered(pool)

    found = await pool.fetch("SELECT studio_id, count(*) FROM messages WHERE state = 'accepted' GROUP BY 1")
    assert {tuple(row) for row in found} == {("main", 10), ("south", 12), ("east", 2)}
    assert await pool.fetchval("SELECT count(*) FROM spending WHERE studio_id = 'south'") == 0
    async with db.session(pool) as connection:
        assert [(one.studio, one.held) for one in await spending.shut(connection)] == [("east", 10), ("main", 2)]
