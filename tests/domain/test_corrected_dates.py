"""A date that is put right: what was wrongly over comes back, and the year that follows is not lost with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from control_center.domain.action import IN_SNAPSHOT, State
from control_center.domain.planner import Expire, Lapse, Send, decide
from tests.support.values import DAY, NOW, Shelf, a_picture, a_trigger, local, the_rules

# A due date -----------------------------------------------------------------------------------------------

DUE: dict[str, Any] = {"status": "Booked", "activate": {"on": "status_due", "days": -1}}
STALE, RIGHT = "2026-11-20", "2026-12-10"


def with_due_date(day: str, version: int = 1) -> Any:
    return a_picture(version=version, status_due_date=day)


def over(shelf: Shelf, now: Any = NOW) -> None:
    """What release makes of the only one that waits, whose time is past."""
    (rule,) = shelf.rules.by_id.values()
    found = decide(rule, with_due_date(STALE), shelf.only.occurrence, now)
    assert isinstance(found, Expire)
    shelf.end(State.EXPIRED, found.reason)


def test_what_expired_by_a_due_date_that_was_wrong_waits_for_the_right_one() -> None:
    shelf = Shelf(the_rules(a_trigger(**DUE)))
    shelf.take(with_due_date(STALE))
    over(shelf)

    shelf.take(with_due_date(RIGHT, 2), now=NOW + DAY)

    assert (shelf.only.state, shelf.only.due_at) == (State.PLANNED, local("2026-12-09 00:00"))
    (rule,) = shelf.rules.by_id.values()
    assert isinstance(decide(rule, with_due_date(RIGHT, 2), shelf.only.occurrence, local("2026-12-09 12:00")), Send)


def test_it_goes_once_only() -> None:
    shelf = Shelf(the_rules(a_trigger(**DUE)))
    shelf.take(with_due_date(STALE))
    over(shelf)
    shelf.take(with_due_date(RIGHT, 2), now=NOW + DAY)
    shelf.release(at=local("2026-12-09 12:00"))

    assert shelf.take(with_due_date("2026-12-20", 3), now=local("2026-12-10 12:00")) == []


@pytest.mark.parametrize("day", [STALE, "2026-11-22"])
def test_what_expired_stays_so_where_it_would_be_too_late_again(day: str) -> None:
    shelf = Shelf(the_rules(a_trigger(**DUE)))
    shelf.take(with_due_date(STALE))
    over(shelf)

    assert shelf.take(with_due_date(day, 2)) == []


def test_what_had_nobody_to_go_to_stays_expired_while_its_date_is_the_same() -> None:
    shelf = Shelf(the_rules(a_trigger(**DUE)))
    shelf.take(with_due_date(RIGHT))
    shelf.end(State.EXPIRED, "no route")

    assert shelf.take(with_due_date(RIGHT, 2)) == []


def test_what_an_edit_sets_aside_does_not_come_back() -> None:
    shelf = Shelf(the_rules(a_trigger(**DUE, processing={"mode": "manual"})))
    shelf.take(with_due_date("2026-11-24"))
    shelf.end(State.EXPIRED, "use-by")

    shelf.take(with_due_date("2026-11-26", 2), baseline="before the trigger: it was already past")

    assert shelf.only.state is State.EXPIRED


# The same by a snapshot -----------------------------------------------------------------------------------

BY = pytest.mark.parametrize("baseline", [None, IN_SNAPSHOT], ids=["an event", "a snapshot"])
YESTERDAY, TODAY = "2026-11-24", "2026-11-25"  # when this is thought to be
LATE_IS_SKIPPED: dict[str, Any] = {"status": "Booked", "activate": {"on": "status_due"}, "late": "skip"}


@BY
@pytest.mark.parametrize("day", [TODAY, "2026-11-26", RIGHT])
def test_what_expired_by_a_wrong_date_is_planned_by_the_right_one_whoever_brings_it(day: str, baseline: str) -> None:
    shelf = Shelf(the_rules(a_trigger(**DUE)))
    shelf.take(with_due_date(STALE))
    over(shelf)

    shelf.take(with_due_date(day, 2), baseline=baseline)

    assert shelf.only.state is State.PLANNED


@BY
def test_what_was_too_late_by_a_wrong_date_is_planned_by_the_right_one_whoever_brings_it(baseline: str) -> None:
    shelf = Shelf(the_rules(a_trigger(**LATE_IS_SKIPPED)))
    shelf.take(with_due_date(STALE))
    assert list(shelf.states.values()) == [State.LAPSED]

    shelf.take(with_due_date(TODAY, 2), baseline=baseline)

    assert list(shelf.states.values()) == [State.PLANNED]


@BY
@pytest.mark.parametrize("sent", ["nothing yet", "stopped before it left"])
def test_what_lapsed_as_moved_comes_back_with_its_date_whoever_brings_it(baseline: str, sent: str) -> None:
    """Planned in time, and its day was yesterday, but it is of use until the session."""
    shelf = Shelf(the_rules(a_trigger(status="Booked", activate={"on": "session", "days": -7})))
    right = {"session": "2026-12-01T14:00", "booked": None}
    shelf.take(a_picture(dates=right), now=local("2026-11-20 12:00"))
    if sent == "nothing yet":
        shelf.take(a_picture(version=2, dates={"session": "2027-03-01T14:00", "booked": None}))
        (first, second) = shelf.actions
        assert (first.state, second.state) == (State.LAPSED, State.PLANNED)
    else:
        shelf.set(replace(shelf.only, state=State.RELEASED, unsent=True))

    shelf.take(a_picture(version=3, dates=right), baseline=baseline)

    assert shelf.actions[0].state is State.PLANNED


@BY
def test_what_waits_by_a_wrong_date_goes_on_waiting_by_a_later_one_whoever_brings_it(baseline: str) -> None:
    shelf = Shelf(the_rules(a_trigger(status="Booked", activate={"on": "status_due"})))
    shelf.take(with_due_date(YESTERDAY))

    shelf.take(with_due_date(TODAY, 2), baseline=baseline)

    assert (shelf.only.state, shelf.only.activation_at) == (State.PLANNED, local("2026-11-25 00:00"))


@pytest.mark.parametrize("state", [State.RELEASED, State.DELETED, State.BASELINED])
def test_a_snapshot_brings_nothing_back_that_is_over(state: State) -> None:
    shelf = Shelf(the_rules(a_trigger(**DUE)))
    shelf.take(with_due_date(STALE))
    shelf.end(state)

    assert shelf.take(with_due_date(TODAY, 2), baseline=IN_SNAPSHOT) == []


def test_a_snapshot_does_not_bring_back_what_it_moves_to_an_earlier_day_that_is_past() -> None:
    shelf = Shelf(the_rules(a_trigger(status="Booked", activate={"on": "status_due"})))
    shelf.take(with_due_date(RIGHT))
    shelf.end(State.LAPSED, "exclusion: on hold")

    assert shelf.take(with_due_date(YESTERDAY, 2), baseline=IN_SNAPSHOT) == []


# A birthday -----------------------------------------------------------------------------------------------

WISHES: dict[str, Any] = {"record": "client", "activate": {"on": "birthday"}, "status": ...}


def born(day: str, version: int = 1) -> Any:
    return a_picture("client", version=version, birthday=day)


@pytest.mark.parametrize("end", [State.RELEASED, State.DELETED, State.BASELINED, State.EXPIRED])
def test_a_birthday_that_is_corrected_after_this_years_wish_is_wished_next_year(end: State) -> None:
    shelf = Shelf(the_rules(a_trigger(**WISHES)))
    shelf.take(born("1990-11-25"), now=local("2026-11-20 12:00"))
    shelf.set(replace(shelf.only, state=end, released_at=local("2026-11-25 12:00") if end is State.RELEASED else None))
    shelf.take(born("1990-11-25"), now=local("2026-11-25 12:00"))
    assert shelf.states == {"2026": end, "2027": State.PLANNED}

    shelf.take(born("1990-12-20", 2), now=local("2026-11-26 12:00"))

    assert shelf.actions[-1].occurrence == "2027"
    assert (shelf.actions[-1].state, shelf.actions[-1].due_at) == (State.PLANNED, local("2027-12-20 00:00"))


def test_a_wish_that_is_dropped_before_its_day_is_followed_by_next_years() -> None:
    shelf = Shelf(the_rules(a_trigger(**WISHES)))
    shelf.take(born("1990-12-20"))
    shelf.end(State.DELETED)

    shelf.take(born("1990-12-20"))

    assert shelf.states == {"2026": State.DELETED, "2027": State.PLANNED}


def test_each_member_of_the_family_has_a_next_year_of_their_own() -> None:
    rules = the_rules(a_trigger(**WISHES, send_to=["family:son"]))
    shelf = Shelf(rules)
    sons = [
        {"relationship": "Son", "first_name": name, "birthday": day, "phones": [], "emails": []}
        for name, day in (("Max", "2019-12-20"), ("Ben", "2017-12-22"))
    ]
    shelf.take(a_picture("client", family=sons))
    first, _ = shelf.actions
    shelf.set(replace(first, state=State.DELETED))

    shelf.take(a_picture("client", family=sons))

    assert shelf.states == {
        "2026 son max": State.DELETED,
        "2026 son ben": State.PLANNED,
        "2027 son max": State.PLANNED,
    }


def test_a_wish_that_waits_its_turn_is_not_doubled() -> None:
    shelf = Shelf(the_rules(a_trigger(**WISHES)))
    shelf.take(born("1990-12-20"))

    assert shelf.take(born("1990-12-20")) == []
    assert not isinstance(decide(shelf.rules.by_id[1], born("1990-12-20"), "2026", NOW), Lapse)
