"""Which actions a record has under a trigger, when they are due, and what becomes of each: rule by rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from control_center.domain.action import BEFORE_TRIGGER, BEFORE_US, IN_SNAPSHOT, TRANSITIONS, State
from control_center.domain.activations import Activation, activations, as_released
from control_center.domain.blackouts import Blackout
from control_center.domain.planner import Decision, Expire, Lapse, Review, Send, Wait, decide, due, plans
from control_center.domain.record import Picture, Record
from control_center.domain.rules import Rule
from control_center.domain.zones import zone
from tests.support.values import (
    DAY,
    NOW,
    Shelf,
    a_picture,
    a_record,
    a_rule,
    a_trigger,
    an_action,
    as_read,
    decided,
    local,
    the_rules,
    utc,
)

BY_STATUS: dict[str, Any] = {"activate": {"on": "status_changed"}}
BY_DUE_DATE: dict[str, Any] = {"activate": {"on": "status_due"}}
AUTOMATIC = {"mode": "automatic"}
OFFICE_HOURS = {**AUTOMATIC, "window": "09:00-18:00"}
JUNE_12 = "2027-06-12T14:00"


def a_shelf(**keys: Any) -> Shelf:
    return Shelf(the_rules(a_trigger(**keys)))


def planned(shelf: Shelf) -> list[str]:
    return [one.occurrence for one in shelf.actions if one.state is State.PLANNED]


def on(day: str) -> dict[str, str]:
    return {"session": day}


# Which records match --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "type_", "matches"),
    [
        (..., ..., True),
        ("Booked", ..., True),
        ("Delivered", ..., False),
        (..., "Wedding", True),
        (..., "Portrait", False),
        ("Booked", "Wedding", True),
        ("Booked", "Portrait", False),
        ("booked", ..., False),
    ],
)
def test_a_filter_left_out_means_all_and_one_given_means_that_one(status: Any, type_: Any, *, matches: bool) -> None:
    shelf = a_shelf(status=status, type=type_)

    shelf.take(a_picture())

    assert len(planned(shelf)) == int(matches)


@pytest.mark.parametrize(
    ("kind", "base", "keys"),
    [
        ("client", "status_changed", {}),
        ("client", "status_due", {"status_due_date": "2026-12-01"}),
        ("session", "session", {}),
        ("session", "booked", {}),
        ("session", "status_changed", {}),
        ("session", "status_due", {"status_due_date": "2026-12-01"}),
        ("appointment", "appointment", {"dates": {"appointment": JUNE_12}}),
        ("appointment", "booked", {"dates": {"booked": "2026-11-21"}}),
        ("appointment", "status_changed", {}),
        ("appointment", "status_due", {"status_due_date": "2026-12-01"}),
        ("invoice", "invoice", {"dates": {"invoice": "2026-11-21"}}),
        ("invoice", "paid", {"dates": {"paid": "2026-11-24"}}),
        ("invoice", "status_changed", {}),
        ("invoice", "status_due", {"status_due_date": "2026-12-01"}),
    ],
)
def test_each_kind_is_planned_by_each_of_its_dates(kind: str, base: str, keys: dict[str, Any]) -> None:
    shelf = a_shelf(record=kind, activate={"on": base})

    shelf.take(a_picture(kind, **keys))

    assert shelf.only.state is State.PLANNED


def test_a_trigger_on_one_kind_leaves_records_of_another_alone() -> None:
    shelf = a_shelf(record="appointment", **BY_STATUS)

    shelf.take(a_picture("session"))

    assert shelf.actions == []


@pytest.mark.parametrize(
    ("keys", "ask"),
    [
        ({"dates": {}}, {}),
        ({"dates": {"session": None}}, {}),
        ({"status_due_date": None}, BY_DUE_DATE),
        ({"status_changed_at": None, "verb": "updated"}, BY_STATUS),
    ],
)
def test_without_its_base_date_a_trigger_does_not_activate(keys: dict[str, Any], ask: dict[str, Any]) -> None:
    shelf = a_shelf(**ask)

    shelf.take(a_picture(**keys))

    assert shelf.actions == []


def test_a_record_without_a_status_matches_only_triggers_for_all_statuses() -> None:
    shelf = Shelf(the_rules(a_trigger(1), a_trigger(2, status="Booked")))

    shelf.take(a_picture(status=None))

    assert [one.trigger_id for one in shelf.actions] == [1]


def test_a_record_is_planned_by_every_trigger_that_matches_each_on_its_own() -> None:
    shelf = Shelf(the_rules(a_trigger(1), a_trigger(2, status="Booked"), a_trigger(3, type="Portrait")))

    shelf.take(a_picture())

    assert sorted(one.trigger_id for one in shelf.actions) == [1, 2]


# When an activation is ------------------------------------------------------------------------------------


def the_activation(rule: Rule, record: Record) -> Activation | None:
    found = activations(rule, record, NOW)
    return found[0] if found else None


def activated(rule: Rule, **keys: Any) -> tuple[datetime, datetime]:
    found = the_activation(rule, as_read(a_record(**keys)))
    assert found is not None
    return found.at, found.use_by


@pytest.mark.parametrize(
    ("days", "at"),
    [(-7, "2027-06-05"), (-1, "2027-06-11"), (0, "2027-06-12"), (3, "2027-06-15")],
)
def test_days_before_or_after_a_date_are_local_days_from_their_start(days: int, at: str) -> None:
    rule = a_rule(activate={"on": "session", "days": days})

    assert activated(rule)[0] == local(f"{at} 00:00")


def test_days_are_calendar_days_also_over_a_change_of_the_clock() -> None:
    rule = a_rule(activate={"on": "session", "days": -7})

    at, use_by = activated(rule, dates=on("2027-03-17T14:00"))  # the clock goes forward on the 14th

    assert (at, use_by) == (local("2027-03-10 00:00"), local("2027-03-17 14:00"))
    assert use_by - at == 7 * DAY + timedelta(hours=13)


def test_a_day_without_midnight_starts_with_its_first_moment() -> None:
    # Clocks in Santiago go forward at the start of 6 September 2026.
    rule = a_rule(at=zone("America/Santiago"), activate={"on": "session"})

    assert activated(rule, dates=on("2026-09-06"))[0] == utc("2026-09-06 04:00")


def test_a_date_given_as_an_instant_is_the_local_day_it_falls_on() -> None:
    rule = a_rule(activate={"on": "session", "days": -1})

    assert activated(rule, dates=on("2027-06-13T02:00:00Z"))[0] == local("2027-06-11 00:00")


def test_what_only_ever_lies_behind_us_activates_at_its_own_instant() -> None:
    assert activated(a_rule(**BY_STATUS))[0] == utc("2026-11-21 16:04:05")
    assert activated(a_rule(activate={"on": "booked"}), dates={"booked": "2026-11-21T09:30"})[0] == local(
        "2026-11-21 09:30"
    )


def test_what_only_ever_lies_behind_us_activates_with_the_day_where_only_a_day_is_known() -> None:
    assert activated(a_rule(activate={"on": "booked"}))[0] == local("2026-11-21 00:00")


def test_days_after_a_change_start_with_the_local_day() -> None:
    rule = a_rule(activate={"on": "status_changed", "days": 3})

    # Three in the morning UTC on the 22nd is still the 21st in Chicago.
    assert activated(rule, status_changed_at="2026-11-22T03:00:00Z")[0] == local("2026-11-24 00:00")


def test_the_stored_due_date_counts() -> None:
    rule = a_rule(activate={"on": "status_due", "days": -2})

    assert activated(rule, status_due_date="2026-12-01")[0] == local("2026-11-29 00:00")


# Until when it is of use ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "session", "use_by"),
    [
        ({"activate": {"on": "session", "days": -7}}, JUNE_12, "2027-06-12 14:00"),
        ({"activate": {"on": "session", "days": -7}}, "2027-06-12", "2027-06-13 00:00"),
        ({"activate": {"on": "session"}}, JUNE_12, "2027-06-26 00:00"),
        ({"activate": {"on": "session", "days": 3}}, JUNE_12, "2027-06-29 00:00"),
        ({"activate": {"on": "session", "days": -7}, "use_by": "2d"}, JUNE_12, "2027-06-07 00:00"),
        ({"activate": {"on": "session", "days": -7}, "use_by": "6h"}, JUNE_12, "2027-06-05 06:00"),
    ],
)
def test_use_by_is_the_base_for_days_before_it_else_fourteen_days_or_what_the_trigger_says(
    keys: dict[str, Any], session: str, use_by: str
) -> None:
    assert activated(a_rule(**keys), dates=on(session))[1] == local(use_by)


# Occurrences ----------------------------------------------------------------------------------------------


def test_the_same_version_again_plans_nothing_more() -> None:
    shelf = a_shelf()
    shelf.take(a_picture())

    assert shelf.take(a_picture()) == []


def test_an_occurrence_that_was_sent_is_never_planned_again() -> None:
    shelf = a_shelf()
    shelf.take(a_picture())
    shelf.release()

    assert shelf.take(a_picture(version=2, fields={"location": "Lakeside"})) == []


@pytest.mark.parametrize("end", [State.DELETED, State.EXPIRED, State.BASELINED])
def test_an_occurrence_that_was_dealt_with_is_never_planned_again(end: State) -> None:
    shelf = a_shelf()
    shelf.take(a_picture())
    shelf.end(end)

    assert shelf.take(a_picture(version=2)) == []


def test_entering_a_status_again_is_a_new_occurrence() -> None:
    shelf = a_shelf(status="Booked", **BY_STATUS)
    shelf.take(a_picture())
    shelf.release()
    shelf.take(a_picture(version=2, status="Delivered", status_changed_at="2026-11-22T10:00:00Z"))

    shelf.take(a_picture(version=3, status_changed_at="2026-11-23T10:00:00Z"))

    assert list(shelf.states.values()) == [State.RELEASED, State.PLANNED]


def test_booked_happens_once_however_often_the_record_changes() -> None:
    shelf = a_shelf(activate={"on": "booked"})
    shelf.take(a_picture())
    shelf.release()

    assert shelf.take(a_picture(version=2, dates={"session": "2027-07-01", "booked": "2026-11-21"})) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2026-11-21T16:04:05Z", "2026-11-21T16:04:05+00:00"),
        ("2026-11-21T16:04:05Z", "2026-11-21T10:04:05-06:00"),
        ("2026-11-21T16:04:05Z", "2026-11-21T16:04:05.000Z"),
        ("2026-11-21T16:04", "2026-11-21 16:04:00"),
    ],
)
def test_another_spelling_of_an_instant_is_not_another_occurrence(one: str, other: str) -> None:
    shelf = a_shelf(**BY_STATUS)
    shelf.take(a_picture(status_changed_at=one))
    shelf.release()

    assert shelf.take(a_picture(version=2, status_changed_at=other)) == []


def test_a_new_start_time_on_the_same_day_is_a_move() -> None:
    shelf = a_shelf()
    shelf.take(a_picture())

    shelf.take(a_picture(version=2, dates=on("2027-06-12T16:00")))

    assert list(shelf.states.values()) == [State.LAPSED, State.PLANNED]


@pytest.mark.parametrize("status", ["Reorder #1", "#2", "Album #", "C# day #12"])
def test_a_status_may_have_a_number_sign_in_its_name(status: str) -> None:
    rule = a_rule(status=status, **BY_STATUS)

    assert isinstance(decided(rule, a_picture(status=status), NOW), Send)


# Moving ---------------------------------------------------------------------------------------------------


def test_a_record_that_moves_takes_its_planned_action_along() -> None:
    shelf = a_shelf()
    shelf.take(a_picture())

    shelf.take(a_picture(version=2, dates=on("2027-07-10T14:00")))

    assert shelf.states == {"2027-06-12T14:00:00": State.LAPSED, "2027-07-10T14:00:00": State.PLANNED}
    assert shelf.actions[0].reason == "moved: the session is now 2027-07-10T14:00:00"
    assert shelf.actions[1].due_at == local("2027-07-03 00:00")


def test_a_record_that_moves_back_before_anything_went_out_returns_its_action() -> None:
    shelf = a_shelf()
    for version, day in enumerate((JUNE_12, "2027-07-10T14:00", JUNE_12), 1):
        shelf.take(a_picture(version=version, dates=on(day)))

    assert shelf.states == {"2027-06-12T14:00:00": State.PLANNED, "2027-07-10T14:00:00": State.LAPSED}


def test_after_a_message_went_out_a_move_reminds_afresh_at_its_time() -> None:
    shelf = a_shelf(moved="remind")
    shelf.take(a_picture())
    shelf.release()

    shelf.take(a_picture(version=2, dates=on("2027-07-10T14:00")))

    assert shelf.states == {"2027-06-12T14:00:00": State.RELEASED, "2027-07-10T14:00:00": State.PLANNED}


def test_after_a_message_went_out_a_move_says_nothing_where_the_trigger_wants_that() -> None:
    shelf = a_shelf(moved="nothing")
    shelf.take(a_picture())
    shelf.release()

    shelf.take(a_picture(version=2, dates=on("2027-07-10T14:00")))

    assert shelf.states == {"2027-06-12T14:00:00": State.RELEASED, "2027-07-10T14:00:00": State.BASELINED}
    assert "went out" in shelf.actions[1].reason


def test_before_a_message_went_out_a_move_is_followed_also_where_the_trigger_says_nothing() -> None:
    shelf = a_shelf(moved="nothing")
    shelf.take(a_picture())

    shelf.take(a_picture(version=2, dates=on("2027-07-10T14:00")))

    assert planned(shelf) == ["2027-07-10T14:00:00"]


def test_a_date_left_before_it_was_sent_says_nothing_either_once_another_was() -> None:
    shelf = a_shelf(moved="nothing")
    shelf.take(a_picture())
    shelf.take(a_picture(version=2, dates=on("2027-07-10T14:00")))
    shelf.release("2027-07-10T14:00:00")

    shelf.take(a_picture(version=3))

    assert planned(shelf) == []


@pytest.mark.parametrize("first", [State.RELEASED, State.DELETED, State.EXPIRED, State.BASELINED])
def test_back_at_a_date_that_was_dealt_with_after_another_was_sent_is_a_new_occurrence(first: State) -> None:
    shelf = a_shelf()
    shelf.take(a_picture())
    shelf.release() if first is State.RELEASED else shelf.end(first)
    shelf.take(a_picture(version=2, dates=on("2027-07-10T14:00")))
    shelf.release(at=NOW + DAY)

    shelf.take(a_picture(version=3))
    shelf.take(a_picture(version=3))

    assert planned(shelf) == ["2027-06-12T14:00:00#2"]
    assert isinstance(
        decide(shelf.rules.by_id[1], a_picture(version=3), "2027-06-12T14:00:00#2", local("2027-06-05 10:00")), Send
    )


def test_a_third_time_at_one_date_is_the_third_occurrence() -> None:
    shelf = a_shelf()
    for version, day in enumerate((JUNE_12, "2027-07-10", JUNE_12, "2027-07-10", JUNE_12), 1):
        shelf.take(a_picture(version=version, dates=on(day)))
        shelf.release(at=NOW + version * DAY)

    assert list(shelf.states) == [
        "2027-06-12T14:00:00",
        "2027-07-10",
        "2027-06-12T14:00:00#2",
        "2027-07-10#2",
        "2027-06-12T14:00:00#3",
    ]


def test_a_date_that_a_person_dropped_stays_dropped_whatever_was_sent_before() -> None:
    shelf = a_shelf()
    shelf.take(a_picture())
    shelf.release()
    shelf.take(a_picture(version=2, dates=on("2027-07-10T14:00")))
    shelf.end(State.DELETED)

    assert shelf.take(a_picture(version=3, dates=on("2027-07-10T14:00"))) == []


def test_back_at_a_date_where_nothing_went_out_in_between_is_the_same_occurrence() -> None:
    shelf = a_shelf()
    shelf.take(a_picture())
    shelf.release()
    shelf.take(a_picture(version=2, dates=on("2027-07-10T14:00")))

    shelf.take(a_picture(version=3))

    assert shelf.states == {"2027-06-12T14:00:00": State.RELEASED, "2027-07-10T14:00:00": State.LAPSED}


@pytest.mark.parametrize("waiting", [State.PLANNED, State.REVIEW, State.HELD])
def test_a_due_date_that_moves_moves_what_waits_for_it(waiting: State) -> None:
    shelf = a_shelf(**BY_DUE_DATE)
    shelf.take(a_picture(status_due_date="2026-12-01"))
    shelf.end(waiting)

    shelf.take(a_picture(version=2, status_due_date="2026-12-20"))

    assert (shelf.only.state, shelf.only.due_at) == (State.PLANNED, local("2026-12-20 00:00"))


@pytest.mark.parametrize("waiting", [State.PLANNED, State.REVIEW, State.HELD])
def test_what_waits_stays_where_it_is_when_the_record_changes_otherwise(waiting: State) -> None:
    shelf = a_shelf()
    shelf.take(a_picture())
    shelf.end(waiting)

    assert shelf.take(a_picture(version=2, flags={"on_hold": True})) == []


@pytest.mark.parametrize("waiting", [State.PLANNED, State.REVIEW, State.HELD])
def test_what_waits_lapses_with_the_reason_when_the_record_no_longer_matches(waiting: State) -> None:
    shelf = a_shelf(status="Booked")
    shelf.take(a_picture())
    shelf.end(waiting)

    shelf.take(a_picture(version=2, status="Delivered"))

    assert (shelf.only.state, shelf.only.reason) == (
        State.LAPSED,
        "status: it is 'Delivered', the trigger wants 'Booked'",
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "Portrait"}, "type: it is 'Portrait', the trigger wants 'Wedding'"),
        ({"dates": {}}, "date: the session has no session any more"),
        ({"verb": "deleted"}, "deleted: the session no longer exists"),
    ],
)
def test_what_waits_lapses_for_a_reason_that_says_what_changed(change: dict[str, Any], reason: str) -> None:
    shelf = a_shelf(type="Wedding")
    shelf.take(a_picture())

    shelf.take(a_picture(version=2, **change))

    assert (shelf.only.state, shelf.only.reason) == (State.LAPSED, reason)


def test_what_waits_lapses_when_its_trigger_is_switched_off() -> None:
    shelf = a_shelf()
    shelf.take(a_picture())

    shelf.rules = the_rules()
    shelf.take(a_picture())

    assert (shelf.only.state, shelf.only.reason) == (State.LAPSED, "trigger: it is switched off")


# Lapsed is not the end ------------------------------------------------------------------------------------


def a_lapsed_one(**keys: Any) -> Shelf:
    shelf = a_shelf(status="Booked", **keys)
    shelf.take(a_picture())
    shelf.take(a_picture(version=2, status="On ice"))
    assert shelf.only.state is State.LAPSED
    return shelf


def test_a_record_that_qualifies_again_returns_the_same_action() -> None:
    shelf = a_lapsed_one()

    shelf.take(a_picture(version=3))

    assert (shelf.only.state, shelf.only.reason) == (State.PLANNED, "")


def test_a_record_that_qualifies_again_after_the_use_by_does_not() -> None:
    shelf = a_lapsed_one()

    assert shelf.take(a_picture(version=3), now=local("2027-06-12 14:00")) == []


def test_a_lapsed_action_that_is_due_returns_only_once_nothing_excludes_it() -> None:
    shelf = a_lapsed_one(exclude={"on_hold": True})
    when = local("2027-06-06 10:00")

    shelf.take(a_picture(version=3, flags={"on_hold": True}), when)
    assert planned(shelf) == []
    shelf.take(a_picture(version=4), when)
    assert planned(shelf) == ["2027-06-12T14:00:00"]


def test_a_lapsed_action_that_is_not_yet_due_returns_whatever_excludes_it_now() -> None:
    shelf = a_lapsed_one(exclude={"on_hold": True})

    shelf.take(a_picture(version=3, flags={"on_hold": True}))

    assert shelf.only.state is State.PLANNED


def test_a_session_on_hold_keeps_its_planned_reminder() -> None:
    shelf = a_shelf(exclude={"on_hold": True})

    shelf.take(a_picture(flags={"on_hold": True}))

    assert planned(shelf) == ["2027-06-12T14:00:00"]


# History and news -----------------------------------------------------------------------------------------


def test_what_was_past_when_we_first_heard_of_a_record_is_history() -> None:
    shelf = a_shelf(**BY_STATUS)

    shelf.take(a_picture(verb="updated", time="2026-11-25T16:00:00Z"))

    assert (shelf.only.state, shelf.only.reason) == (State.BASELINED, BEFORE_US)


def test_what_was_still_ahead_when_we_first_heard_of_a_record_is_planned() -> None:
    shelf = a_shelf()

    shelf.take(a_picture(verb="updated", time="2026-11-25T16:00:00Z"))

    assert shelf.only.state is State.PLANNED


def test_the_status_change_by_which_we_first_hear_of_a_record_is_news() -> None:
    shelf = Shelf(the_rules(a_trigger(1, **BY_STATUS), a_trigger(2, activate={"on": "booked"})))

    shelf.take(a_picture(verb="status_changed", time="2026-11-25T16:00:00Z"))

    assert {one.trigger_id: one.state for one in shelf.actions} == {1: State.PLANNED, 2: State.BASELINED}


def test_a_backdated_change_of_a_record_that_we_know_is_news() -> None:
    shelf = a_shelf(status="Delivered", **BY_STATUS)
    known = a_picture(verb="updated", time="2026-11-25T16:00:00Z")
    shelf.take(known)

    after = a_picture(version=2, status="Delivered", status_changed_at="2026-11-20T10:00:00Z")
    shelf.take(seen_after(known, after))

    assert planned(shelf) == ["Delivered@2026-11-20T10:00:00+00:00"]


def seen_after(known: Picture, later: Picture) -> Picture:
    return replace(
        later, first_version=known.first_version, first_facts=known.first_facts, known_since=known.known_since
    )


def test_history_that_turns_out_to_be_news_is_planned() -> None:
    shelf = a_shelf(**BY_STATUS)
    shelf.take(a_picture(verb="updated", version=2, time="2026-11-25T16:00:00Z"))

    shelf.take(a_picture(verb="created", version=2))

    assert shelf.only.state is State.PLANNED


def test_news_that_turns_out_to_be_history_is_set_aside() -> None:
    # Moved to July and back before we heard of it: as long as the older version is missing, June looks new.
    shelf = a_shelf(activate={"on": "session", "days": -300})
    back = a_picture(version=6, verb="updated", time="2026-11-24T06:00:00Z")
    away = a_picture(version=5, verb="updated", time="2026-11-24T05:00:00Z", dates=on("2027-07-10T14:00"))
    shelf.take(seen_after(away, back))
    assert planned(shelf) == ["2027-06-12T14:00:00"]

    shelf.take(seen_after(a_picture(version=4, verb="updated", time="2026-11-24T04:00:00Z"), back))

    assert (shelf.only.state, shelf.only.reason) == (State.BASELINED, BEFORE_US)


def test_a_due_date_moved_back_into_the_past_is_not_history_because_its_status_was() -> None:
    known = a_picture(verb="updated", time="2026-11-24T12:00:00Z", status_due_date="2026-12-01")
    shelf = a_shelf(**BY_DUE_DATE)
    shelf.take(known)

    shelf.take(seen_after(known, a_picture(version=2, status_due_date="2026-11-23")))

    assert (shelf.only.state, shelf.only.due_at) == (State.PLANNED, local("2026-11-23 00:00"))


@pytest.mark.parametrize(
    ("day", "state"),
    [("2026-11-24", State.BASELINED), ("2026-11-25", State.BASELINED), ("2026-11-26", State.PLANNED)],
)
def test_saving_a_trigger_sets_aside_what_activates_today_or_earlier_and_arms_the_rest(day: str, state: State) -> None:
    shelf = a_shelf(**BY_DUE_DATE)

    shelf.take(a_picture(status_due_date=day), baseline=BEFORE_TRIGGER)

    assert shelf.only.state is state


def test_today_is_the_studios_today() -> None:
    shelf = a_shelf(**BY_DUE_DATE)

    # In Chicago it is still the 25th.
    shelf.take(a_picture(status_due_date="2026-11-26"), utc("2026-11-26 05:59"), baseline=BEFORE_TRIGGER)

    assert shelf.only.state is State.PLANNED


def test_editing_a_trigger_sets_aside_what_waits_and_is_past_under_the_new_rule() -> None:
    shelf = a_shelf(**BY_DUE_DATE, processing={"mode": "manual"})
    shelf.take(a_picture(status_due_date="2026-11-20"))
    shelf.end(State.REVIEW)

    shelf.take(a_picture(status_due_date="2026-11-20"), baseline=BEFORE_TRIGGER)

    assert (shelf.only.state, shelf.only.reason) == (State.BASELINED, BEFORE_TRIGGER)


def test_what_a_snapshot_loads_fires_nothing_that_is_due_today_or_earlier() -> None:
    shelf = Shelf(the_rules(a_trigger(1, **BY_STATUS), a_trigger(2)))

    shelf.take(a_picture(), baseline=IN_SNAPSHOT)

    assert {one.trigger_id: one.state for one in shelf.actions} == {1: State.BASELINED, 2: State.PLANNED}


def test_a_snapshot_leaves_what_already_waits_in_peace() -> None:
    shelf = a_shelf(**BY_STATUS)
    shelf.take(a_picture())

    assert shelf.take(a_picture(version=2), baseline=IN_SNAPSHOT) == []


def test_a_snapshot_that_moves_what_waits_into_the_past_sets_it_aside() -> None:
    shelf = a_shelf(**BY_DUE_DATE)
    shelf.take(a_picture(status_due_date="2026-12-20"))

    shelf.take(a_picture(version=2, status_due_date="2026-11-20"), baseline=IN_SNAPSHOT)

    assert (shelf.only.state, shelf.only.reason) == (State.BASELINED, IN_SNAPSHOT)


# Late -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("late", "state"), [("send", State.PLANNED), ("skip", State.LAPSED)])
def test_an_activation_already_past_at_booking_is_sent_late_or_skipped(late: str, state: State) -> None:
    shelf = a_shelf(late=late)

    shelf.take(a_picture(dates=on("2026-11-30T14:00")))  # a week before was the 23rd

    assert shelf.only.state is state
    if late == "skip":
        assert shelf.only.reason == "late: its activation, 2026-11-23, was already past"


def test_an_activation_today_is_not_late() -> None:
    shelf = a_shelf(late="skip")

    shelf.take(a_picture(dates=on("2026-12-02T14:00")))

    assert shelf.only.state is State.PLANNED


def test_what_was_planned_in_time_is_not_late_because_it_still_waits() -> None:
    shelf = a_shelf(late="skip")
    shelf.take(a_picture(dates=on("2026-12-02T14:00")))

    assert shelf.take(a_picture(version=2, dates=on("2026-12-02T14:00")), now=NOW + 2 * DAY) == []


def test_another_use_by_makes_nothing_late_that_waits() -> None:
    keys = {**BY_DUE_DATE, "late": "skip"}
    shelf = a_shelf(**keys)
    shelf.take(a_picture(status_due_date="2026-11-26"))
    shelf.rules = the_rules(a_trigger(**keys, use_by="30d"))

    shelf.take(a_picture(status_due_date="2026-11-26"), now=local("2026-11-28 10:00"))

    assert (shelf.only.state, shelf.only.use_by) == (State.PLANNED, local("2026-12-26 00:00"))


def test_a_due_date_moved_into_the_past_is_late_and_may_be_put_right_again() -> None:
    shelf = a_shelf(late="skip", **BY_DUE_DATE)
    shelf.take(a_picture(status_due_date="2026-12-20"))

    shelf.take(a_picture(version=2, status_due_date="2026-11-20"))
    assert (shelf.only.state, shelf.only.reason) == (
        State.LAPSED,
        "late: its activation, 2026-11-20, was already past",
    )
    shelf.take(a_picture(version=3, status_due_date="2026-12-21"))
    assert (shelf.only.state, shelf.only.due_at) == (State.PLANNED, local("2026-12-21 00:00"))


def test_what_was_planned_in_time_and_qualifies_again_is_not_late() -> None:
    shelf = a_shelf(late="skip", status="Booked")
    shelf.take(a_picture(dates=on("2026-12-02T14:00")))
    shelf.take(a_picture(version=2, status="On ice", dates=on("2026-12-02T14:00")))

    shelf.take(a_picture(version=3, dates=on("2026-12-02T14:00")), now=NOW + DAY)

    assert planned(shelf) == ["2026-12-02T14:00:00"]


def test_a_due_date_that_was_past_at_first_and_is_put_right_is_planned_whatever_came_first() -> None:
    wrong, right = a_picture(status_due_date="2026-11-20"), a_picture(version=2, status_due_date="2026-12-20")
    in_order, swapped = a_shelf(late="skip", **BY_DUE_DATE), a_shelf(late="skip", **BY_DUE_DATE)

    for picture in (wrong, right):
        in_order.take(picture)
    swapped.take(right)

    assert planned(in_order) == planned(swapped)


# When it is due -------------------------------------------------------------------------------------------


def placed(picture: Picture | None = None, *, now: datetime = NOW, **keys: Any) -> tuple[datetime, str]:
    blackouts = keys.pop("blackouts", ())
    (found,) = plans(a_rule(blackouts=blackouts, **keys), picture or a_picture(), now)
    return found.due_at, found.reason


def test_an_automatic_action_is_due_when_its_calendar_first_opens() -> None:
    assert placed() == (local("2027-06-05 00:00"), "")
    assert placed(processing=OFFICE_HOURS) == (local("2027-06-05 09:00"), "outside the window 09:00-18:00")
    # The fifth is a Saturday.
    assert placed(processing={**OFFICE_HOURS, "not_on": ["sat", "sun"]}) == (
        local("2027-06-07 09:00"),
        "excluded weekday (Saturday)",
    )


def test_a_blackout_day_moves_what_is_due_on_it() -> None:
    fair = Blackout.on("Fair", date(2027, 6, 5))

    assert placed(blackouts=[fair]) == (local("2027-06-06 00:00"), "blackout day (Fair)")
    assert placed(blackouts=[fair], processing={**AUTOMATIC, "blackouts": False}) == (local("2027-06-05 00:00"), "")


def test_an_action_is_never_due_later_than_its_use_by() -> None:
    away = Blackout.between("Away", date(2027, 6, 1), date(2027, 6, 30))

    assert placed(blackouts=[away]) == (local("2027-06-12 14:00"), "blackout day (Away)")


def test_a_manual_action_is_due_for_review_on_its_activation_whatever_its_calendar() -> None:
    manual = {"mode": "manual", "window": "09:00-18:00", "not_on": ["sat"]}

    assert placed(processing=manual) == (local("2027-06-05 00:00"), "")


@pytest.mark.parametrize("mode", ["automatic", "manual"])
def test_placing_an_action_anew_gives_it_the_time_it_was_planned_for(mode: str) -> None:
    rule = a_rule(processing={"mode": mode, "window": "09:00-18:00", "not_on": ["sat"]})
    (first,) = plans(rule, a_picture(), NOW)

    again = due(rule, an_action(activation_at=first.activation_at, due_at=NOW, use_by=first.use_by), NOW)

    assert (again.due_at, again.reason) == (first.due_at, first.reason)


def test_placing_an_action_anew_never_places_it_in_the_past() -> None:
    rule = a_rule(processing=OFFICE_HOURS)
    now = local("2027-06-06 20:00")

    again = due(rule, an_action(due_at=local("2027-06-07 09:00")), now)

    assert (again.due_at, again.reason) == (local("2027-06-07 09:00"), "outside the window 09:00-18:00")


# What becomes of it now -----------------------------------------------------------------------------------


def at(when: str, picture: Picture | None = None, *, by_hand: bool = False, **keys: Any) -> Decision:
    """What is decided about the reminder of 5 June at this local time."""
    blackouts = keys.pop("blackouts", ())
    return decided(a_rule(blackouts=blackouts, **keys), picture or a_picture(), local(when), by_hand=by_hand)


def test_a_switched_off_trigger_and_an_unknown_record_send_nothing() -> None:
    assert decide(None, a_picture(), "x", NOW) == Lapse("trigger: it is switched off")
    assert decide(a_rule(), None, "x", NOW) == Lapse("record: it is not known")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "Delivered"}, "status: it is 'Delivered', the trigger wants 'Booked'"),
        ({"status": None}, "status: it is None, the trigger wants 'Booked'"),
        ({"type": "Portrait"}, "type: it is 'Portrait', the trigger wants 'Wedding'"),
        ({"verb": "deleted"}, "deleted: the session no longer exists"),
        ({"dates": {}}, "date: the session has no session"),
        ({"dates": on("2027-07-10")}, "moved: the session is now 2027-07-10"),
    ],
)
def test_a_record_that_no_longer_matches_lapses_with_the_reason(change: dict[str, Any], reason: str) -> None:
    rule = a_rule(status="Booked", type="Wedding")

    assert decide(rule, a_picture(version=2, **change), "2027-06-12T14:00:00", local("2027-06-05 10:00")) == Lapse(
        reason
    )


@pytest.mark.parametrize("flag", ["on_hold", "confirmed", "canceled"])
def test_an_exclusion_counts_where_the_trigger_asks_for_it_and_the_record_says_so(flag: str) -> None:
    flagged = a_picture(flags={flag: True})

    assert isinstance(at("2027-06-05 10:00", flagged), Send)
    assert isinstance(at("2027-06-05 10:00", exclude={flag: True}), Send)
    excluded = at("2027-06-05 10:00", flagged, exclude={flag: True})
    assert isinstance(excluded, Lapse)
    assert excluded.reason.startswith(flag.replace("_", " "))


@pytest.mark.parametrize("when", ["2027-06-05 00:00", "2027-06-05 23:59"])
def test_on_its_date_an_activation_is_not_past(when: str) -> None:
    assert isinstance(at(when, exclude={"past_date": True}), Send)


def test_once_its_date_is_over_an_activation_is_past() -> None:
    assert at("2027-06-06 00:00", exclude={"past_date": True}) == Lapse(
        "past date: its activation, 2027-06-05, is over"
    )


def test_an_excluded_weekday_and_the_past_date_exclusion_together_lose_the_message() -> None:
    keys: dict[str, Any] = {"processing": {**AUTOMATIC, "not_on": ["sat"]}, "exclude": {"past_date": True}}

    assert at("2027-06-05 10:00", **keys) == Wait(local("2027-06-06 00:00"), "excluded weekday (Saturday)")
    assert isinstance(at("2027-06-06 00:00", **keys), Lapse)


def test_past_its_use_by_nothing_is_sent() -> None:
    assert isinstance(at("2027-06-12 13:59"), Send)
    assert isinstance(at("2027-06-12 14:00"), Expire)


def test_before_its_activation_it_waits_for_it() -> None:
    assert at("2027-06-04 23:59") == Wait(local("2027-06-05 00:00"), "date: its activation is 2027-06-05")
    assert at("2027-06-04 10:00", processing=OFFICE_HOURS) == Wait(
        local("2027-06-05 09:00"), "date: its activation is 2027-06-05"
    )


@pytest.mark.parametrize(
    ("when", "decision"),
    [
        ("2027-06-05 08:59", Wait(local("2027-06-05 09:00"), "outside the window 09:00-18:00")),
        ("2027-06-05 09:00", Send(local("2027-06-05 18:00"))),
        ("2027-06-05 17:59", Send(local("2027-06-05 18:00"))),
        ("2027-06-05 18:00", Wait(local("2027-06-06 09:00"), "outside the window 09:00-18:00")),
        ("2027-06-11 18:00", Wait(local("2027-06-12 09:00"), "outside the window 09:00-18:00")),
        ("2027-06-12 09:00", Send(local("2027-06-12 14:00"))),
    ],
)
def test_an_automatic_action_keeps_to_its_window_start_included_end_excluded(when: str, decision: Decision) -> None:
    assert at(when, processing=OFFICE_HOURS) == decision


def test_a_window_past_midnight_is_judged_by_the_day_it_is() -> None:
    night = {**AUTOMATIC, "window": "22:00-06:00", "not_on": ["sun"]}

    assert at("2027-06-05 23:00", processing=night) == Send(local("2027-06-06 00:00"))
    # The tail of Saturday's window lies on Sunday, which is excluded as a whole day.
    assert at("2027-06-06 01:00", processing=night) == Wait(local("2027-06-07 00:00"), "excluded weekday (Sunday)")


def test_a_blackout_day_holds_the_whole_day_also_the_tail_of_a_window() -> None:
    fair, night = Blackout.on("Fair", date(2027, 6, 6)), {**AUTOMATIC, "window": "22:00-06:00"}

    assert at("2027-06-06 01:00", processing=night, blackouts=[fair]) == Wait(
        local("2027-06-07 00:00"), "blackout day (Fair)"
    )


def test_a_trigger_without_blackouts_goes_out_on_them() -> None:
    fair = Blackout.on("Fair", date(2027, 6, 5))

    assert isinstance(at("2027-06-05 10:00", blackouts=[fair], processing={**AUTOMATIC, "blackouts": False}), Send)


def test_a_wait_for_something_that_opens_after_the_use_by_ends_there() -> None:
    away = Blackout.between("Away", date(2027, 6, 1), date(2027, 6, 30))

    assert at("2027-06-05 10:00", blackouts=[away]) == Wait(local("2027-06-12 14:00"), "blackout day (Away)")
    assert at("2027-06-01 10:00", blackouts=[away]) == Wait(
        local("2027-06-12 14:00"), "date: its activation is 2027-06-05"
    )


def test_reasons_are_given_in_the_order_filters_exclusions_use_by_person_calendar() -> None:
    # Everything stands in the way at once; each test below takes away the first.
    away = [Blackout.between("Away", date(2027, 6, 1), date(2027, 6, 30))]
    held = {"on_hold": True, "confirmed": True, "canceled": True}
    every = {"past_date": True, **held}
    manual: dict[str, Any] = {"processing": {"mode": "manual"}, "blackouts": away}
    late = "2027-06-13 10:00"

    wrong = decide(
        a_rule(status="X", exclude=every, **manual), a_picture(flags=held), "2027-06-12T14:00:00", local(late)
    )
    assert isinstance(wrong, Lapse)
    assert wrong.reason.startswith("status")
    for name in ("on_hold", "confirmed", "canceled", "past_date"):
        left = at(late, a_picture(flags=held), exclude=every, **manual)
        assert isinstance(left, Lapse)
        assert left.reason.startswith(name.replace("_", " "))
        every = {**every, name: False}
    assert isinstance(at(late, exclude=every, **manual), Expire)
    assert isinstance(at("2027-06-06 10:00", exclude=every, **manual), Review)
    assert isinstance(at("2027-06-06 10:00", exclude=every, blackouts=away), Wait)


OUR_OWN: dict[str, Any] = {"status": "Reminded", "status_changed_at": "2026-11-25T15:00:00Z", "status_due_date": None}


@pytest.mark.parametrize("activate", [BY_STATUS, BY_DUE_DATE, {"activate": {"on": "session", "days": -7}}])
@pytest.mark.parametrize(
    ("change", "trigger", "stops"),
    [
        ({}, {}, None),
        ({"status": "Canceled"}, {}, "status: it is 'Canceled'"),
        ({"type": "Portrait"}, {"type": "Wedding"}, "type: it is 'Portrait'"),
        ({"flags": {"on_hold": True}}, {"exclude": {"on_hold": True}}, "on hold"),
        ({}, {"then_status": ...}, "status: it is 'Reminded'"),
    ],
)
def test_a_released_action_is_not_stopped_by_the_status_that_it_gave_its_record_and_by_all_else_it_is(
    activate: dict[str, Any], change: dict[str, Any], trigger: dict[str, Any], stops: str | None
) -> None:
    keys = {"status": "Booked", "then_status": "Reminded", "late": "send", **activate, **trigger}
    rule = a_rule(**keys)
    first = a_picture(status_due_date="2026-11-24", dates={"session": "2026-12-01T14:00"})
    (plan,) = plans(rule, first, NOW)
    active = as_released(rule, plan.occurrence, plan.activation_at, plan.use_by)
    answer = a_picture(version=2, dates={"session": "2026-12-01T14:00"}, **{**OUR_OWN, **change})

    waiting = decide(rule, answer, plan.occurrence, NOW)
    released = decide(rule, answer, plan.occurrence, NOW, released=active)

    assert isinstance(waiting, Lapse), "what is not released yet no longer qualifies"
    if stops is None:
        assert isinstance(released, Send)
    else:
        assert isinstance(released, Lapse)
        assert stops in released.reason


def test_what_hung_on_a_status_that_its_action_changed_still_ends_with_its_use_by() -> None:
    rule = a_rule(then_status="Reminded", use_by="1d", **BY_STATUS)
    (plan,) = plans(rule, a_picture(), NOW)
    active = as_released(rule, plan.occurrence, plan.activation_at, plan.use_by)

    found = decide(rule, a_picture(version=2, **OUR_OWN), plan.occurrence, plan.use_by, released=active)

    assert isinstance(found, Expire)


# A person -------------------------------------------------------------------------------------------------

MANUAL: dict[str, Any] = {"processing": {"mode": "manual", "window": "09:00-18:00", "not_on": ["sat"]}}


def test_a_manual_action_waits_for_a_person_once_it_is_due() -> None:
    assert at("2027-06-04 10:00", **MANUAL) == Wait(local("2027-06-05 00:00"), "date: its activation is 2027-06-05")
    assert at("2027-06-05 03:00", **MANUAL) == Review("manual: the trigger waits for a person")


@pytest.mark.parametrize("mode", ["automatic", "manual"])
def test_processed_by_hand_it_ignores_window_and_weekdays(mode: str) -> None:
    keys: dict[str, Any] = {"processing": {**MANUAL["processing"], "mode": mode}}

    assert at("2027-06-05 03:00", by_hand=True, **keys) == Send(local("2027-06-12 14:00"))


def test_processed_by_hand_it_still_keeps_to_blackout_days() -> None:
    fair = Blackout.on("Fair", date(2027, 6, 5))

    assert at("2027-06-05 03:00", by_hand=True, blackouts=[fair], **MANUAL) == Wait(
        local("2027-06-06 00:00"), "blackout day (Fair)"
    )


def test_processed_by_hand_it_still_must_qualify() -> None:
    held = a_picture(flags={"on_hold": True})

    assert isinstance(at("2027-06-05 10:00", held, by_hand=True, exclude={"on_hold": True}), Lapse)
    assert isinstance(at("2027-06-12 14:00", by_hand=True), Expire)


def test_processed_by_hand_before_its_activation_it_waits_for_that_and_not_for_the_window() -> None:
    assert at("2027-06-04 10:00", by_hand=True, processing=OFFICE_HOURS) == Wait(
        local("2027-06-05 00:00"), "date: its activation is 2027-06-05"
    )


# How long a decision holds --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "until"),
    [
        ({}, "2027-06-12 14:00"),
        ({"processing": OFFICE_HOURS}, "2027-06-05 18:00"),
        ({"processing": {**AUTOMATIC, "not_on": ["sun"]}}, "2027-06-06 00:00"),
        ({"blackouts": [Blackout.on("Fair", date(2027, 6, 8))]}, "2027-06-08 00:00"),
        ({"exclude": {"past_date": True}}, "2027-06-06 00:00"),
        ({"use_by": "12h"}, "2027-06-05 12:00"),
    ],
    ids=["use-by", "window", "weekday", "blackout", "past date", "use_by"],
)
def test_a_decision_to_send_holds_until_the_first_thing_that_would_end_it(keys: dict[str, Any], until: str) -> None:
    assert at("2027-06-05 10:00", **keys) == Send(local(until))


# The states -----------------------------------------------------------------------------------------------

MOVES = {
    "planned": "planned review held released lapsed expired deleted baselined",
    "review": "planned review held released lapsed expired deleted baselined",
    "held": "planned held released lapsed expired deleted baselined",
    "lapsed": "planned held baselined",
    "baselined": "planned",
    "released": "planned held baselined",  # only where nothing of it left
    "expired": "planned held",
    "deleted": "",
}


@pytest.mark.parametrize("state", State)
def test_an_action_moves_only_as_the_contract_says(state: State) -> None:
    assert {following.value for following in TRANSITIONS[state]} == set(MOVES[state.value].split())


def test_a_record_finds_its_triggers_among_many() -> None:
    triggers = [a_trigger(number, status=f"S{number % 50}", type=f"T{number % 7}") for number in range(1, 400)]
    rules = the_rules(*triggers, a_trigger(1000))

    found = [rule.trigger.trigger_id for rule in rules.matching("session", as_read(a_record(status="S3", type="T3")))]

    assert found == [3, 353, 1000]
