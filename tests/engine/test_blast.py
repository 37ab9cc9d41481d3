"""What passes a trigger's ceiling is held until a person decides, and nobody is written to twice for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from control_center.domain.action import PAUSED, State
from control_center.domain.blackouts import Blackout
from control_center.engine import blackouts, review, review_list, triggers
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.review_list import Deed
from control_center.engine.upkeep import Upkeep
from control_center.store import db
from control_center.store.views_actions import Filter
from tests.support.crm import client, event, session, snapshot
from tests.support.rounds import NOON, messages, release, states
from tests.support.rows import a_client, a_record, a_studio, a_trigger, an_action

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
HELD = Filter(trigger="Reminder", states=[State.HELD])


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    await a_client(opened)
    yield opened
    await opened.close()


_numbers = count(1)


async def a_reminder(pool: db.Pool, **keys: Any) -> int:
    """A trigger that writes a week before, at whatever hour."""
    return await a_trigger(pool, "Reminder", **{"processing": {"mode": "automatic"}, **keys})


async def some_due(pool: db.Pool, trigger: int, number: int, *, at: datetime = NOON, **columns: Any) -> list[int]:
    """Reminders that are due at that time, of sessions four days later."""
    day = (at + timedelta(days=4)).strftime("%Y-%m-%d")
    made = []
    for _ in range(number):
        record = await a_record(pool, f"session/s{next(_numbers)}", dates={"session": f"{day}T14:00"})
        made.append(
            await an_action(
                pool,
                record=record,
                trigger_id=trigger,
                occurrence=f"{day}T14:00:00",
                activation_at=at - HOUR,
                due_at=at - MINUTE,
                use_by=at + timedelta(days=4),
                **columns,
            )
        )
    return made


async def let_go(pool: db.Pool, expect: int, at: datetime = NOON) -> review_list.Tally:
    return await review_list.decide(pool, lambda: at, "main", HELD, Deed.RELEASE, expect=expect, by="Ada")


# Held ------------------------------------------------------------------------------------------------------------


async def test_what_passes_the_ceiling_is_held_and_says_the_number_the_ceiling_and_why(pool: db.Pool) -> None:
    await some_due(pool, await a_reminder(pool, ceiling=3), 5)

    with capture_logs() as lines:
        await release(pool)

    assert await states(pool) == {"released": 3, "held": 2}
    assert await messages(pool) == 3
    reasons = {row[0] for row in await pool.fetch("SELECT reason FROM actions WHERE state = 'held'")}
    said = "5 were due at once and 0 had gone in the 60 minutes before; the ceiling is 3 in 60 minutes"
    assert reasons == {f"blast guard: {said} (the trigger's own), so a person decides"}
    [shut] = [line for line in lines if line["event"] == "guard.shut"]
    assert (shut["trigger"], shut["log_level"]) == ("Reminder", "warning")
    assert sum(line["event"] == "action.held" for line in lines) == 2


async def test_the_crm_is_told_of_each_action_that_is_held_once(pool: db.Pool) -> None:
    await some_due(pool, await a_reminder(pool, ceiling=3), 5)

    await release(pool)
    await release(pool)

    reports = await pool.fetch("SELECT subject, data FROM commands WHERE verb = 'action.held'")
    assert len({row["subject"] for row in reports}) == len(reports) == 2
    data = json.loads(reports[0]["data"])
    assert data["state"] == "held"
    assert "the ceiling is 3" in data["reason"]


async def test_everything_behind_what_is_held_is_held_until_a_person_decides(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=3)
    await some_due(pool, trigger, 4)
    await release(pool)

    later = NOON + 5 * HOUR
    await some_due(pool, trigger, 2, at=later)
    await release(pool, later)

    assert await states(pool) == {"released": 3, "held": 3}


async def test_another_trigger_goes_on(pool: db.Pool) -> None:
    await some_due(pool, await a_reminder(pool, ceiling=3), 5)
    await some_due(pool, await a_trigger(pool, "Thanks", ceiling=3), 3)

    await release(pool)

    assert await states(pool) == {"released": 6, "held": 2}


async def test_what_does_not_go_anyway_counts_for_nothing(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=2)
    actions = await some_due(pool, trigger, 4)
    await pool.execute(
        "UPDATE records SET body = replace(body, 'Booked', 'Inquiry') WHERE record_id IN"
        " (SELECT record_id FROM actions WHERE action_id = ANY ($1))",
        actions[:2],
    )

    await release(pool)

    assert await states(pool) == {"released": 2, "lapsed": 2}


async def test_the_hour_before_counts_and_the_hour_before_that_does_not(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=3)
    await some_due(pool, trigger, 3)
    await release(pool)
    later = NOON + HOUR + MINUTE
    await some_due(pool, trigger, 3, at=later)
    await release(pool, later)
    assert await states(pool) == {"released": 6}

    await some_due(pool, trigger, 1, at=later + 30 * MINUTE)
    await release(pool, later + 30 * MINUTE)

    assert await states(pool) == {"released": 6, "held": 1}


# The ceiling -----------------------------------------------------------------------------------------------------


async def test_a_trigger_without_a_ceiling_of_its_own_has_the_studios(pool: db.Pool) -> None:
    await pool.execute("UPDATE studios SET settings = '{\"blast_ceiling\": 2}', revision = revision + 1")
    await some_due(pool, await a_reminder(pool), 3)

    await release(pool)

    assert await states(pool) == {"released": 2, "held": 1}
    assert "(the studio's blast_ceiling)" in await pool.fetchval("SELECT reason FROM actions WHERE state = 'held'")


async def test_four_times_the_busiest_hour_of_28_days_is_ordinary(pool: db.Pool) -> None:
    await pool.execute("UPDATE studios SET settings = '{\"blast_ceiling\": 2}', revision = revision + 1")
    trigger = await a_reminder(pool)
    for hours, number in [(5, 2), (24 * 29, 50), (1, 50)]:  # too old, and what is being judged itself
        await pool.execute(
            "INSERT INTO release_counts VALUES ('main', $1, date_trunc('hour', $2::timestamptz), $3)",
            trigger,
            NOON - hours * HOUR,
            number,
        )
    await some_due(pool, trigger, 9)

    await release(pool)

    assert await states(pool) == {"released": 8, "held": 1}
    reason = await pool.fetchval("SELECT reason FROM actions WHERE state = 'held'")
    assert "the ceiling is 8 in 60 minutes (4 times its busiest hour of the last 28 days)" in reason


async def test_a_surge_does_not_raise_its_own_ceiling(pool: db.Pool) -> None:
    await pool.execute("UPDATE studios SET settings = '{\"blast_ceiling\": 2}', revision = revision + 1")
    trigger = await a_reminder(pool)
    for minutes in range(0, 50, 10):
        at = NOON + minutes * MINUTE
        await some_due(pool, trigger, 1, at=at)
        await release(pool, at)
    assert await states(pool) == {"released": 2, "held": 3}


async def test_a_ceiling_of_zero_holds_nothing(pool: db.Pool) -> None:
    await some_due(pool, await a_reminder(pool, ceiling=0), 30)
    await release(pool)
    assert await states(pool) == {"released": 30}


async def test_only_what_goes_by_itself_is_counted_as_ordinary(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=3)
    await some_due(pool, trigger, 5)
    await release(pool)
    await let_go(pool, 2)
    await release(pool)
    await review.process(pool, lambda: NOON, "main", await some_due(pool, trigger, 1, state="review"), by="Ada")

    assert await states(pool) == {"released": 6}
    rows = await pool.fetch("SELECT trigger_id, hour, released FROM release_counts")
    assert [tuple(row) for row in rows] == [(trigger, NOON, 3)]


# Side by side ----------------------------------------------------------------------------------------------------


async def test_releases_side_by_side_do_not_pass_the_ceiling_together(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control_center.engine.release.BATCH", 5)
    await some_due(pool, await a_reminder(pool, ceiling=12), 60)

    await asyncio.gather(*(Release(pool, lambda: NOON).catch_up() for _ in range(4)))

    assert await states(pool) == {"released": 12, "held": 48}
    assert await messages(pool) == 12


async def test_two_releases_across_the_turn_of_an_hour_share_one_ceiling(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=4)
    await some_due(pool, trigger, 3, at=NOON - MINUTE)
    await release(pool, NOON - MINUTE)
    await some_due(pool, trigger, 3)

    await asyncio.gather(release(pool, NOON), release(pool, NOON - timedelta(seconds=1)))

    assert await states(pool) == {"released": 4, "held": 2}


# The causes ------------------------------------------------------------------------------------------------------


def bookings(number: int, day: str = "2026-11-30") -> list[bytes]:
    return [
        event(
            session(f"b{n}", client=f"c-b{n}", dates={"session": f"{day}T14:00"}, status_changed_at=str(NOON)),
            about=client(f"c-b{n}", phones=[{"number": f"312555{n:04}", "sms": True}]),
            time="2026-11-22T18:00:00Z",
        )
        for n in range(number)
    ]


async def test_a_backlog_after_an_outage_is_held_above_the_ceiling(pool: db.Pool) -> None:
    await a_reminder(pool, ceiling=3)
    await Intake(pool, lambda: NOON - timedelta(days=1)).take_in(bookings(8))
    assert await states(pool) == {"planned": 8}

    await release(pool, NOON + timedelta(days=2))  # nobody was here when they came due

    assert await states(pool) == {"released": 3, "held": 5}


async def test_a_restored_backup_is_held_above_the_ceiling(pool: db.Pool) -> None:
    await some_due(pool, await a_reminder(pool, ceiling=3), 8)
    await pool.execute("CREATE TABLE backup AS SELECT action_id, state FROM actions")
    await release(pool)
    await let_go(pool, 5)
    await release(pool)
    assert await states(pool) == {"released": 8}

    await pool.execute(
        "DELETE FROM messages; DELETE FROM release_guards; DELETE FROM release_counts;"
        " UPDATE actions SET state = backup.state, released_at = NULL, let_go_by = NULL"
        " FROM backup WHERE backup.action_id = actions.action_id"
    )
    await release(pool, NOON + HOUR)

    assert await states(pool) == {"released": 3, "held": 5}


async def test_arming_a_trigger_writes_to_nobody_above_the_ceiling(pool: db.Pool) -> None:
    await Intake(pool, lambda: NOON - timedelta(days=1)).take_in(bookings(8, "2026-12-01"))
    table = {
        "name": "Reminder",
        "record": "session",
        "status": "Booked",
        "activate": {"on": "session", "days": -7},
        "action": "sms",
        "text": "See you soon.",
        "purpose": "transactional",
        "processing": {"mode": "automatic"},
        "ceiling": 3,
        "enabled": True,
    }
    await triggers.put(pool, lambda: NOON, "main", table, by="Ada")
    await release(pool)
    assert await states(pool) == {"planned": 8}

    await release(pool, NOON + timedelta(days=1))

    assert await states(pool) == {"released": 3, "held": 5}


async def test_a_burst_of_imported_changes_is_held_above_the_ceiling(pool: db.Pool) -> None:
    await a_reminder(pool, ceiling=3, activate={"on": "status_changed"})

    await Intake(pool, lambda: NOON).take_in(bookings(8))
    await release(pool)

    assert await states(pool) == {"released": 3, "held": 5}


async def test_a_snapshot_never_fires_a_trigger(pool: db.Pool) -> None:
    await a_reminder(pool, activate={"on": "status_changed"})
    records = [session(f"s{n}", client=f"c-{n}", status_changed_at="2026-11-23T17:59:00Z") for n in range(5)]

    await Intake(pool, lambda: NOON).take_in([snapshot(records=records, clients=[client(f"c-{n}") for n in range(5)])])
    await release(pool)

    assert set(await states(pool)) <= {"baselined"}
    assert await messages(pool) == 0


async def test_a_clock_that_jumps_ahead_and_back_holds_above_the_ceiling(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=3)
    ahead = NOON + timedelta(days=30)
    await some_due(pool, trigger, 8, at=ahead)
    await release(pool, ahead)
    assert await states(pool) == {"released": 3, "held": 5}

    await let_go(pool, 5, ahead)
    await release(pool, ahead)
    await some_due(pool, trigger, 4)
    await release(pool, NOON)

    assert await states(pool) == {"released": 11, "held": 1}


# A person decides ------------------------------------------------------------------------------------------------


async def test_one_release_lets_all_go_and_what_comes_then_is_counted_anew(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=3)
    await some_due(pool, trigger, 9)
    await release(pool)

    with capture_logs() as lines:
        told = await let_go(pool, 6)
        await release(pool)

    assert (told.count, told.done, told.why) == (6, 6, [])
    assert await states(pool) == {"released": 9}
    assert await messages(pool) == 9
    [opened] = [line for line in lines if line["event"] == "guard.opened"]
    assert (opened["trigger"], opened["by"]) == ("Reminder", "Ada")
    assert await pool.fetchval("SELECT count(*) FROM actions WHERE let_go_by = 'Ada'") == 6

    await some_due(pool, trigger, 4)
    await release(pool)
    assert await states(pool) == {"released": 12, "held": 1}


async def test_what_was_let_go_still_qualifies_and_keeps_to_its_window(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=1, processing={"mode": "automatic", "window": "09:00-18:00"})
    actions = await some_due(pool, trigger, 4)
    await release(pool)
    held = [row[0] for row in await pool.fetch("SELECT action_id FROM actions WHERE state = 'held' ORDER BY 1")]
    assert set(held) < set(actions)
    await pool.execute(
        "UPDATE records SET body = replace(body, 'Booked', 'Inquiry') WHERE record_id ="
        " (SELECT record_id FROM actions WHERE action_id = $1)",
        held[0],
    )

    night = NOON + 10 * HOUR
    await let_go(pool, 3, night)
    await release(pool, night)
    assert await states(pool) == {"released": 1, "lapsed": 1, "planned": 2}
    assert "outside the window" in await pool.fetchval("SELECT reason FROM actions WHERE state = 'planned' LIMIT 1")

    await release(pool, NOON + 21 * HOUR)
    assert await states(pool) == {"released": 3, "lapsed": 1}
    assert await pool.fetchval("SELECT count(*) FROM actions WHERE released_by IS NOT NULL") == 0


async def test_dropping_what_is_held_opens_the_guard_and_sends_nothing(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=3)
    await some_due(pool, trigger, 5)
    await release(pool)

    await review_list.decide(pool, lambda: NOON, "main", HELD, Deed.DELETE, expect=2, by="Ada")
    await some_due(pool, trigger, 1)
    await release(pool)

    assert await states(pool) == {"released": 4, "deleted": 2}
    assert await messages(pool) == 4


async def test_the_guard_stays_shut_while_a_person_has_yet_to_decide_on_the_last(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=3)
    await some_due(pool, trigger, 5)
    await release(pool)
    first, last = [row[0] for row in await pool.fetch("SELECT action_id FROM actions WHERE state = 'held'")]

    await review.delete(pool, lambda: NOON, "main", [first], by="Ada")
    await some_due(pool, trigger, 1)
    await release(pool)
    assert await states(pool) == {"released": 3, "deleted": 1, "held": 2}

    newest = await pool.fetchval("SELECT max(action_id) FROM actions WHERE state = 'held'")
    await review.release(pool, lambda: NOON, "main", [last, newest], by="Ada")
    await some_due(pool, trigger, 1)
    await release(pool)
    assert await states(pool) == {"released": 6, "deleted": 1}


async def test_a_guard_whose_held_actions_have_ended_by_themselves_is_opened_by_the_same_call(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=1)
    await some_due(pool, trigger, 2)
    await release(pool)
    await pool.execute("UPDATE actions SET state = 'expired' WHERE state = 'held'")

    await let_go(pool, 0)
    await some_due(pool, trigger, 1)
    await release(pool)

    assert await states(pool) == {"released": 2, "expired": 1}


async def a_shut_guard(pool: db.Pool) -> int:
    """One has gone, two of sessions on 27 November are held."""
    trigger = await a_reminder(pool, ceiling=1)
    await some_due(pool, trigger, 3)
    await release(pool)
    assert await states(pool) == {"released": 1, "held": 2}
    return trigger


async def shut(pool: db.Pool) -> int:
    number: int = await pool.fetchval("SELECT count(*) FROM release_guards WHERE held_since IS NOT NULL")
    return number


async def the_held_end(pool: db.Pool, how: str) -> None:
    """What is held comes to an end without anybody's decision."""
    rows = await pool.fetch("SELECT record_id FROM actions WHERE state = 'held' ORDER BY 1")
    names: dict[str, dict[str, Any]] = {
        "canceled": {"status": "Canceled"},
        "moved": {"dates": {"session": "2027-06-12T14:00"}},
    }
    changed = [session(row[0], version=2, **names[how]) for row in rows]
    await Intake(pool, lambda: NOON).take_in([event(one, "updated") for one in changed])


@pytest.mark.parametrize("how", ["canceled", "moved"])
async def test_a_guard_that_holds_nothing_any_more_lets_go_again_without_a_person(pool: db.Pool, how: str) -> None:
    trigger = await a_shut_guard(pool)
    await the_held_end(pool, how)

    later = NOON + 2 * HOUR
    await some_due(pool, trigger, 1, at=later)
    with capture_logs() as lines:
        await release(pool, later)

    assert (await states(pool))["released"] == 2
    assert await shut(pool) == 0
    [opened] = [line for line in lines if line["event"] == "guard.opened"]
    assert (opened["by"], opened["reason"]) == (None, "it holds nothing any more")


async def test_what_went_before_still_counts_where_no_person_opened_the_guard(pool: db.Pool) -> None:
    trigger = await a_shut_guard(pool)
    await the_held_end(pool, "canceled")

    await some_due(pool, trigger, 1, at=NOON + 30 * MINUTE)
    await release(pool, NOON + 30 * MINUTE)

    assert (await states(pool))["released"] == 1
    assert await shut(pool) == 1


async def test_upkeep_opens_a_guard_whose_held_actions_have_expired(pool: db.Pool) -> None:
    await a_shut_guard(pool)
    await a_trigger(pool, "Thanks")

    with capture_logs() as lines:
        await Upkeep(pool, lambda: NOON + timedelta(days=5), uuid4()).expire_actions()

    assert await states(pool) == {"released": 1, "expired": 2}
    assert await shut(pool) == 0
    assert [line["trigger"] for line in lines if line["event"] == "guard.opened"] == ["Reminder"]


async def test_upkeep_leaves_a_guard_shut_that_holds_something(pool: db.Pool) -> None:
    await a_shut_guard(pool)

    await Upkeep(pool, lambda: NOON, uuid4()).expire_actions()

    assert await shut(pool) == 1


async def test_letting_go_what_is_not_held_opens_no_guard(pool: db.Pool) -> None:
    await a_shut_guard(pool)

    wanted = Filter(trigger="Reminder", states=[State.REVIEW])
    await review_list.decide(pool, lambda: NOON, "main", wanted, Deed.RELEASE, expect=0, by="Ada")

    assert await shut(pool) == 1


async def test_what_is_processed_on_a_blackout_day_stays_held_and_keeps_its_guard_shut(pool: db.Pool) -> None:
    await a_shut_guard(pool)
    today = Blackout("Stocktaking", NOON.date(), NOON.date())
    await blackouts.add(pool, lambda: NOON, "main", today, by="Ada")

    told = await review_list.decide(pool, lambda: NOON, "main", HELD, Deed.PROCESS, expect=2, by="Ada")

    said = "blast guard: Ada processed it, and it still waits: blackout day (Stocktaking)"
    assert [(one.state, one.reason, one.count) for one in told.why] == [("held", said, 2)]
    assert await shut(pool) == 1
    assert (await let_go(pool, 2)).done == 2


async def test_what_a_person_processes_is_neither_held_nor_counted(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=2)
    waiting = await some_due(pool, trigger, 6, state="review")

    await review.process(pool, lambda: NOON, "main", waiting, by="Ada")
    await some_due(pool, trigger, 2)
    await release(pool)

    assert await states(pool) == {"released": 8}


async def test_only_what_is_held_can_be_let_go(pool: db.Pool) -> None:
    trigger = await a_reminder(pool, ceiling=3)
    await some_due(pool, trigger, 2, state="review")

    wanted = Filter(trigger="Reminder", states=[State.REVIEW])
    told = await review_list.decide(pool, lambda: NOON, "main", wanted, Deed.RELEASE, expect=2, by="Ada")

    assert (told.done, told.not_applicable) == (0, 2)
    assert told.why[0].reason == "it is not held, so there is nothing to let go"
    assert await states(pool) == {"review": 2}


async def test_what_waits_for_its_trigger_to_be_switched_on_is_not_let_go(pool: db.Pool) -> None:
    await some_due(pool, await a_reminder(pool, ceiling=3), 2, state="held", reason=PAUSED)

    told = await let_go(pool, 2)

    assert (told.done, told.not_applicable, told.why[0].reason) == (0, 2, PAUSED)
    assert await states(pool) == {"held": 2}


async def test_one_call_lets_go_more_than_are_otherwise_decided_at_once(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_list, "MOST", 3)
    monkeypatch.setattr(review_list, "PAGE_RELEASED", 4)
    await some_due(pool, await a_reminder(pool, ceiling=1), 12)
    await release(pool)

    assert (await let_go(pool, 11)).done == 11
    await release(pool)

    assert await states(pool) == {"released": 12}


# The review list's other rules -----------------------------------------------------------------------------------


async def test_manual_processing_qualifies_anew_but_ignores_window_and_weekdays(pool: db.Pool) -> None:
    shut = {"mode": "manual", "window": "03:00-04:00", "not_on": ["mon"]}
    trigger = await a_reminder(pool, processing=shut)
    goes, gone = await some_due(pool, trigger, 2, state="review")
    await pool.execute(
        "UPDATE records SET body = replace(body, 'Booked', 'Inquiry') WHERE record_id ="
        " (SELECT record_id FROM actions WHERE action_id = $1)",
        gone,
    )

    done = await review.process(pool, lambda: NOON, "main", [goes, gone], by="Ada")

    assert done[goes][0] is State.RELEASED
    assert done[gone] == (State.LAPSED, "status: it is 'Inquiry', the trigger wants 'Booked'")


async def test_every_message_has_the_use_by_of_its_action(pool: db.Pool) -> None:
    await some_due(pool, await a_reminder(pool), 3)

    await release(pool)

    rows = await pool.fetch(
        "SELECT messages.use_by, actions.use_by FROM messages JOIN actions USING (studio_id, action_id)"
    )
    assert len(rows) == 3
    assert {mine == its for mine, its in rows} == {True}
    nullable = await pool.fetchval(
        "SELECT is_nullable FROM information_schema.columns WHERE table_name = 'messages' AND column_name = 'use_by'"
    )
    assert nullable == "NO"
