"""What waits for a person's word is let go by that alone: no edit, no event and no restored backup says it for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from control_center.domain.action import State
from control_center.domain.bulk import Audience
from control_center.domain.bulk import State as Bulk
from control_center.domain.errors import Malformed, Refused
from control_center.domain.fence import HELD as FENCED
from control_center.engine import arming, bulks, review_list, triggers
from control_center.engine.bulks import Wish
from control_center.engine.intake import Intake
from control_center.engine.pump import Pump
from control_center.engine.review_list import Deed
from control_center.fence import Fence
from control_center.store import db, views_bulks
from control_center.store.views_actions import Filter
from tests.support.crm import event, session
from tests.support.rounds import NOON, messages, release, states
from tests.support.rows import a_client, a_record, a_studio, an_action, now

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SETTINGS: dict[str, Any] = {"sms": {"account": "default", "numbers": ["+13125550100"]}}
_numbers = count(1)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    await a_client(opened)
    yield opened
    await opened.close()


def at(instant: datetime) -> Any:
    return lambda: instant


def reminder(**keys: Any) -> dict[str, Any]:
    return {
        "name": "Reminder",
        "record": "session",
        "status": "Booked",
        "activate": {"on": "session", "days": -7},
        "action": "sms",
        "text": "See you soon.",
        "purpose": "transactional",
        "use_by": "3d",
        "processing": {"mode": "automatic", "window": "10:00-18:00"},
        "enabled": True,
        "ceiling": 2,
        **keys,
    }


async def save(pool: db.Pool, *, by: str = "Ada", when: datetime = NOON, **keys: Any) -> int:
    return (await triggers.put(pool, at(when), "main", reminder(**keys), by=by)).trigger_id


async def all_due(pool: db.Pool, trigger: int, number: int) -> None:
    """Sessions in a week, at 14:00 in Chicago, with the reminders that are due today."""
    for _ in range(number):
        record = await a_record(pool, f"session/s{next(_numbers)}", dates={"session": "2026-11-30T14:00"})
        await an_action(
            pool,
            record=record,
            trigger_id=trigger,
            occurrence="2026-11-30T14:00:00",
            activation_at=datetime(2026, 11, 23, 6, tzinfo=UTC),
            due_at=NOON - HOUR,
            use_by=datetime(2026, 11, 26, 6, tzinfo=UTC),
        )


# A blast that is held -------------------------------------------------------------------------------------------


EDITS: dict[str, dict[str, Any]] = {
    "of use for longer": {"use_by": "4d"},
    "and without a ceiling": {"use_by": "4d", "ceiling": 0},
    "on another day": {"activate": {"on": "session", "days": -6}, "ceiling": 0},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_an_edit_lets_nothing_go_that_is_held(pool: db.Pool, edit: dict[str, Any]) -> None:
    await all_due(pool, await save(pool), 6)
    await release(pool)
    assert await states(pool) == {"released": 2, "held": 4}

    await save(pool, **edit)
    await release(pool)
    await release(pool, NOON + DAY + 2 * HOUR)

    assert (await states(pool), await messages(pool)) == ({"released": 2, "held": 4}, 2)
    reasons = [row[0] for row in await pool.fetch("SELECT DISTINCT reason FROM actions WHERE state = 'held'")]
    assert [reason.startswith("blast guard: 6 were due") for reason in reasons] == [True]
    ends = {row[0] for row in await pool.fetch("SELECT use_by FROM actions WHERE state = 'held'")}
    assert ends == {datetime(2026, 11, 27, 6, tzinfo=UTC)}


async def test_what_moves_to_another_day_is_planned_for_that_one(pool: db.Pool) -> None:
    await all_due(pool, await save(pool), 3)
    await release(pool)
    held = await pool.fetchval("SELECT record_id FROM actions WHERE state = 'held'")

    moved = session(held, version=2, dates={"session": "2026-12-15T14:00"}, status_changed_at=None)
    await Intake(pool, at(NOON)).take_in([event(moved, "updated")])

    assert await states(pool) == {"released": 2, "planned": 1, "lapsed": 1}


async def test_what_was_let_go_for_one_time_is_counted_again_at_another(pool: db.Pool) -> None:
    await all_due(pool, await save(pool), 6)
    await release(pool)
    held = Filter(trigger="Reminder", states=[State.HELD])
    evening = NOON + 8 * HOUR
    await review_list.decide(pool, at(evening), "main", held, Deed.RELEASE, expect=4, by="Bob")
    await release(pool, evening)
    assert await states(pool) == {"released": 2, "planned": 4}

    await save(pool, when=evening, use_by="5d")
    await release(pool, NOON + DAY)

    assert (await states(pool), await messages(pool)) == ({"released": 4, "held": 2}, 4)


async def test_what_was_let_go_waits_for_its_window_and_goes_past_the_guard(pool: db.Pool) -> None:
    await all_due(pool, await save(pool), 6)
    await release(pool)
    held = Filter(trigger="Reminder", states=[State.HELD])
    evening = NOON + 8 * HOUR
    await review_list.decide(pool, at(evening), "main", held, Deed.RELEASE, expect=4, by="Bob")
    await release(pool, evening)
    await release(pool, NOON + DAY)

    assert await states(pool) == {"released": 6}


# A bulk, and the time that it was let go for ----------------------------------------------------------------------


async def a_list(pool: db.Pool, *, when: Callable[[], datetime] = now, **wish: Any) -> int:
    words = msgspec.json.encode({"kind": "any", "purpose": "transactional", "sms": "We are closed today."}).decode()
    await pool.execute("INSERT INTO templates (studio_id, name, body) VALUES ('main', 'closed', $1)", words)
    return (await bulks.create(pool, when, "main", Wish(Audience("client"), "closed", **wish), by="Ada")).bulk_id


async def test_a_time_that_is_over_lets_nothing_go(pool: db.Pool) -> None:
    number = await a_list(pool)

    with pytest.raises(Malformed, match="is over; leave it out"):
        await bulks.start(pool, now, "main", number, expect=1, at=now() - DAY, by="Ada")
    with pytest.raises(Malformed, match="is over; leave it out"):
        await bulks.create(
            pool, now, "main", Wish(Audience("client"), "closed", start_at=now() - DAY, expect=1), by="Ada"
        )

    assert not await Pump(pool, now).run_once()
    started = await bulks.start(pool, now, "main", number, expect=1, at=now(), by="Ada")
    assert started.state is Bulk.SCHEDULED


async def test_numbers_in_a_row_that_wait_for_a_person_wait_on_when_their_bulk_was_paused(pool: db.Pool) -> None:
    number = await a_list(pool, when=at(NOON), expect=1)
    assert await Pump(pool, at(NOON)).run_once()
    await pool.execute("UPDATE messages SET state = 'held', reason = 'prefix: 11 numbers that begin with +13125550'")

    await bulks.pause(pool, now, "main", number, by="Ada")
    await bulks.resume(pool, now, "main", number, by="Ada")

    assert await pool.fetchval("SELECT concat(state, ' ', reason) FROM messages") == (
        "held prefix: 11 numbers that begin with +13125550"
    )


# A database that was put back -----------------------------------------------------------------------------------


async def forgets(pool: db.Pool, folder: Path) -> None:
    """The database is one from before, and somebody has armed it."""
    await pool.execute("UPDATE fence SET timeline = '000000AF'")
    assert not await Fence(pool, folder).look()
    await arming.arm(pool, "doubt", by="Ada", reason="restored")


async def of(pool: db.Pool, number: int) -> tuple[str, str]:
    async with db.session(pool) as connection:
        found = await views_bulks.bulk(connection, "main", number)
    assert found is not None
    return found.state, found.reason


async def test_a_list_that_may_have_been_let_go_in_the_lost_time_is_not_let_go_again(
    pool: db.Pool, tmp_path: Path
) -> None:
    number = await a_list(pool)
    await forgets(pool, tmp_path)

    with pytest.raises(Refused, match="may have gone out"):
        await bulks.start(pool, now, "main", number, expect=1, by="Ada")

    assert not await Pump(pool, now).run_once()
    again = await bulks.create(pool, now, "main", Wish(Audience("client"), "closed", expect=1), by="Ada")
    assert again.state is Bulk.SCHEDULED
    assert (await bulks.cancel(pool, now, "main", number, by="Ada")).state is Bulk.CANCELLED


async def test_nobody_approves_it_either(pool: db.Pool, tmp_path: Path) -> None:
    settings = msgspec.json.encode({**SETTINGS, "second_person_above": 0}).decode()
    await pool.execute("UPDATE studios SET settings = $1", settings)
    number = await a_list(pool, expect=1)
    await forgets(pool, tmp_path)
    async with db.session(pool) as connection:
        seen = await views_bulks.bulk(connection, "main", number)
    assert seen is not None

    with pytest.raises(Refused, match="may have gone out"):
        await bulks.approve(pool, now, "main", number, expect=1, seen=seen.approval.seen or "", by="Bob")


async def test_a_list_that_was_to_begin_later_may_have_been_ended_in_the_lost_time(
    pool: db.Pool, tmp_path: Path
) -> None:
    number = await a_list(pool, start_at=now() + DAY, expect=1)
    await forgets(pool, tmp_path)

    state, reason = await of(pool, number)
    assert (state, reason.startswith(FENCED)) == ("paused", True)
    assert not await Pump(pool, lambda: now() + 2 * DAY).run_once()
    assert (await bulks.resume(pool, now, "main", number, by="Ada")).state is Bulk.SCHEDULED


async def test_a_list_that_a_person_had_stopped_says_that_it_may_have_gone_on(pool: db.Pool, tmp_path: Path) -> None:
    number = await a_list(pool, expect=1)
    await bulks.pause(pool, now, "main", number, by="Ada")
    await forgets(pool, tmp_path)

    state, reason = await of(pool, number)
    assert state == "paused"
    assert reason.startswith(FENCED)
    assert "; paused before: paused by Ada at" in reason
