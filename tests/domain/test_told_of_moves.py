"""What waits to tell of a move: its words are of use until the new date, whatever becomes of its trigger meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from control_center.domain import words
from control_center.domain.action import BEFORE_TRIGGER, IN_SNAPSHOT, RECORDED, Action, State
from control_center.domain.blackouts import Blackouts
from control_center.domain.planner import Expire, Send, Wait, decide, relocated
from control_center.domain.rules import Rules
from tests.support.values import CHICAGO, DAY, Shelf, a_picture, a_trigger, local, the_rules

TELLING: dict[str, Any] = {"moved": "tell", "moved_template": "moved"}
WINDOW: dict[str, Any] = {"processing": {"mode": "automatic", "window": "09:00-18:00"}}
FIRST, SOON, LATER = "2026-12-01T14:00", "2026-12-02T14:00", "2026-12-20T14:00"
REMINDED = local("2026-11-26 09:00")
NIGHT, MORNING = local("2026-11-27 22:00"), local("2026-11-28 09:00")


def on(date: str, version: int = 1, **keys: Any) -> Any:
    return a_picture(version=version, dates={"session": date}, **keys)


def a_shelf(**keys: Any) -> Shelf:
    """The reminder of 24 November for a session on 1 December, sent on the 26th."""
    shelf = Shelf(the_rules(a_trigger(**{**TELLING, **keys})))
    shelf.take(on(FIRST))
    shelf.release(at=REMINDED)
    return shelf


def moved_by_night(date: str, **keys: Any) -> tuple[Shelf, Action]:
    """It moves at ten in the evening: that is told of at nine in the morning."""
    shelf = a_shelf(**{**WINDOW, **keys})
    shelf.take(on(date, 2), now=NIGHT)
    told = shelf.actions[-1]
    assert (told.state, told.occurrence[-5:], told.due_at) == (State.PLANNED, "~told", MORNING)
    return shelf, told


def edited(shelf: Shelf, *, keep: bool = False, **keys: Any) -> None:
    """The trigger's next version, whether or not what waits keeps the one it has."""
    (rule,) = shelf.rules.by_id.values()
    after = replace(a_trigger(**{**TELLING, **WINDOW, **keys}), version=2)
    kept = [rule.trigger] if keep else []
    shelf.rules = Rules([after], CHICAGO, Blackouts(()), kept=kept)


@pytest.mark.parametrize("use_by", ["4d", "6h", None])
def test_a_move_is_told_of_until_the_new_date_however_short_the_reminder_is_of_use(use_by: str | None) -> None:
    """It moves to a nearer day, for which the reminder would be too late; and the client has the old date."""
    shelf = a_shelf(**({} if use_by is None else {"use_by": use_by}))
    now = REMINDED + 3 * DAY

    shelf.take(on(SOON, 2), now=now)

    told = shelf.actions[-1]
    assert (told.state, told.due_at, told.use_by) == (State.PLANNED, now, local("2026-12-02 14:00"))
    (rule,) = shelf.rules.by_id.values()
    assert isinstance(decide(rule, on(SOON, 2), told.occurrence, now), Send)
    assert isinstance(decide(rule, on(SOON, 2), told.occurrence, local("2026-12-02 14:00")), Expire)
    assert relocated(rule, on(SOON, 2), told, now).use_by == told.use_by


def test_a_move_that_waits_to_be_told_of_keeps_its_time_under_the_version_that_was_kept_for_it() -> None:
    shelf, told = moved_by_night(LATER)
    edited(shelf, keep=True, text="See you.")

    shelf.take(on(LATER, 3, type="Family"), now=NIGHT)

    assert shelf.actions[-1] == told


@pytest.mark.parametrize("baseline", [BEFORE_TRIGGER, IN_SNAPSHOT])
def test_a_move_that_waits_to_be_told_of_is_not_history_however_long_the_reminders_day_is_past(baseline: str) -> None:
    """A trigger that is switched off over night and on again, or a snapshot: the client still has the old date."""
    shelf, told = moved_by_night(SOON)

    shelf.take(on(SOON, 3), now=NIGHT, baseline=baseline)

    assert shelf.actions[-1] == told


def test_a_move_that_nothing_waits_for_yet_is_history_in_a_snapshot() -> None:
    shelf = a_shelf()

    shelf.take(on(SOON, 2), now=NIGHT, baseline=IN_SNAPSHOT)

    assert shelf.actions[-1].state is State.BASELINED


def test_where_the_trigger_reminds_afresh_by_now_what_waited_to_tell_is_the_reminder_of_the_new_date() -> None:
    shelf, told = moved_by_night(LATER)
    edited(shelf, moved="remind", moved_template=...)

    shelf.take(on(LATER, 3), now=NIGHT)

    reminder = shelf.actions[-1]
    assert (reminder.state, reminder.due_at) == (State.PLANNED, local("2026-12-13 09:00"))
    (rule,) = shelf.rules.by_id.values()
    assert decide(rule, on(LATER, 3), told.occurrence, MORNING) == Wait(
        local("2026-12-13 09:00"), "date: its activation is 2026-12-13"
    )
    assert words.source(rule.trigger, {}, moved=True)["sms"] == "See you soon."


def test_where_the_trigger_does_nothing_of_a_move_by_now_what_waited_to_tell_is_set_aside() -> None:
    shelf, _ = moved_by_night(LATER)
    edited(shelf, moved="nothing", moved_template=...)

    shelf.take(on(LATER, 3), now=NIGHT)

    assert shelf.actions[-1].state is State.BASELINED


# What was only recorded -----------------------------------------------------------------------------------


def recorded(shelf: Shelf, *, at: datetime = REMINDED) -> None:
    shelf.release(at=at)
    (only,) = shelf.actions
    shelf.set(replace(only, reason=f"{RECORDED} only recorded"))


@pytest.mark.parametrize("moved", ["nothing", "tell", "remind"])
def test_what_a_shadow_recorded_was_said_to_nobody_so_the_new_date_has_its_reminder(moved: str) -> None:
    keys: dict[str, Any] = {"moved": moved, **({"moved_template": "moved"} if moved == "tell" else {})}
    shelf = Shelf(the_rules(a_trigger(shadow=True, **keys)))
    shelf.take(on(FIRST))
    recorded(shelf)
    shelf.rules = the_rules(replace(a_trigger(**keys), version=2))

    shelf.take(on(LATER, 2), now=REMINDED + DAY)

    new = shelf.actions[-1]
    assert (new.occurrence, new.state, new.due_at) == ("2026-12-20T14:00:00", State.PLANNED, local("2026-12-13 00:00"))


def test_while_it_is_a_shadow_what_it_recorded_counts_as_said_so_that_it_shows_what_would_be() -> None:
    shelf = Shelf(the_rules(a_trigger(shadow=True, **TELLING)))
    shelf.take(on(FIRST))
    recorded(shelf)

    shelf.take(on(LATER, 2), now=REMINDED + DAY)

    assert shelf.actions[-1].occurrence == "2026-12-20T14:00:00~told"


def test_an_instalment_that_only_a_shadow_named_has_its_reminder_at_another_due_date() -> None:
    keys: dict[str, Any] = {"record": "invoice", "activate": {"on": "payment_due", "days": -3}, "moved": "nothing"}

    def due(date: str, version: int) -> Any:
        found = [{"id": "1", "due": date, "amount": "400.00", "paid": False}]
        return a_picture("invoice", version=version, instalments=found, dates={}, status_changed_at=...)

    shelf = Shelf(the_rules(a_trigger(shadow=True, **keys)))
    shelf.take(due("2026-12-15", 1))
    recorded(shelf, at=local("2026-12-12 09:00"))
    shelf.rules = the_rules(replace(a_trigger(**keys), version=2))

    shelf.take(due("2026-12-22", 2), now=local("2026-12-13 09:00"))

    assert shelf.states["1@2026-12-22"] is State.PLANNED
