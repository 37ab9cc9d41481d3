"""A record that moves after a message about its old date went out: reminded afresh, told at once, or left alone."""

from __future__ import annotations

from typing import Any

import pytest

from control_center.domain.action import State
from control_center.domain.blackouts import Blackout
from control_center.domain.errors import Malformed
from control_center.domain.planner import Expire, Lapse, Send, Wait, decide
from tests.support.values import DAY, NOW, Shelf, a_picture, a_rule, a_trigger, local, the_rules

TELLING: dict[str, Any] = {"moved": "tell", "moved_template": "moved"}
FIRST, SECOND = "2026-12-01T14:00", "2026-12-20T14:00"
REMINDED = local("2026-11-26 09:00")


def on(date: str, version: int = 1) -> Any:
    return a_picture(version=version, dates={"session": date})


def a_shelf(**keys: Any) -> Shelf:
    """The reminder of 24 November for a session on 1 December, sent on the 26th."""
    shelf = Shelf(the_rules(a_trigger(**{**TELLING, **keys})))
    shelf.take(on(FIRST))
    shelf.release(at=REMINDED)
    return shelf


def test_a_move_after_the_reminder_is_told_of_at_once() -> None:
    shelf = a_shelf()

    shelf.take(on(SECOND, 2), now=REMINDED + DAY)

    (told,) = (one for one in shelf.actions if one.state is State.PLANNED)
    assert (told.occurrence, told.due_at) == ("2026-12-20T14:00:00~told", REMINDED + DAY)
    assert told.use_by == local("2026-12-20 14:00")


def test_the_telling_waits_for_the_window() -> None:
    shelf = a_shelf(processing={"mode": "automatic", "window": "09:00-18:00"})

    shelf.take(on(SECOND, 2), now=local("2026-11-27 22:00"))

    assert shelf.actions[-1].due_at == local("2026-11-28 09:00")


def test_a_move_before_the_reminder_moves_the_reminder_and_tells_nothing() -> None:
    shelf = Shelf(the_rules(a_trigger(**TELLING)))
    shelf.take(on(SECOND))

    shelf.take(on("2026-12-22T14:00", 2))

    assert shelf.states == {
        "2026-12-20T14:00:00": State.LAPSED,
        "2026-12-22T14:00:00": State.PLANNED,
    }


def test_what_is_told_is_not_reminded_of_afresh() -> None:
    shelf = a_shelf()
    shelf.take(on(SECOND, 2), now=REMINDED + DAY)
    shelf.release("2026-12-20T14:00:00~told", at=REMINDED + DAY)

    assert shelf.take(on(SECOND, 3), now=REMINDED + 2 * DAY) == []


def test_what_waits_to_be_told_keeps_its_time_when_something_else_changes() -> None:
    shelf = a_shelf()
    shelf.take(on(SECOND, 2), now=REMINDED + DAY)

    assert shelf.take(on(SECOND, 3), now=REMINDED + 2 * DAY) == []


def test_a_second_move_tells_of_the_newest_date_only() -> None:
    shelf = a_shelf()
    shelf.take(on(SECOND, 2), now=REMINDED + DAY)

    shelf.take(on("2026-12-21T14:00", 3), now=REMINDED + 2 * DAY)

    waiting = [one.occurrence for one in shelf.actions if one.state is State.PLANNED]
    assert waiting == ["2026-12-21T14:00:00~told"]


@pytest.mark.parametrize(("moved", "state"), [("remind", State.PLANNED), ("nothing", State.BASELINED)])
def test_the_other_policies_remind_afresh_or_do_nothing(moved: str, state: State) -> None:
    shelf = a_shelf(moved=moved, moved_template=...)

    shelf.take(on(SECOND, 2), now=REMINDED + DAY)

    assert shelf.states["2026-12-20T14:00:00"] is state


def test_the_telling_is_decided_by_the_new_date_and_not_by_the_reminders_day() -> None:
    rule = a_rule(**TELLING, exclude={"past_date": True}, blackouts=[Blackout.on("Fair", NOW.date())])
    soon, late = on("2026-11-28T14:00"), on(SECOND)

    assert isinstance(decide(rule, soon, "2026-11-28T14:00:00~told", NOW), Wait)  # the blackout day holds it
    assert isinstance(decide(rule, soon, "2026-11-28T14:00:00~told", NOW + DAY), Send)
    assert isinstance(decide(rule, late, "2026-12-20T14:00:00~told", NOW + DAY), Send)
    assert isinstance(decide(rule, soon, "2026-11-28T14:00:00~told", NOW + 4 * DAY), Expire)
    assert isinstance(decide(rule, soon, "2026-11-29T14:00:00~told", NOW), Lapse)


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"moved": "tell"}, "moved_template"),
        ({"moved_template": "moved"}, "moved_template"),
        ({**TELLING, "activate": {"on": "booked"}}, "moved"),
        ({**TELLING, "activate": {"on": "status_changed"}}, "moved"),
        ({**TELLING, "action": "call", "text": ...}, "moved"),
    ],
)
def test_telling_needs_its_words_and_a_date_that_may_move(keys: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as refused:
        a_trigger(**keys)
    assert refused.value.field == f'trigger "Reminder", {field}'


@pytest.mark.parametrize(
    ("moved", "state"), [("nothing", State.BASELINED), ("remind", State.PLANNED)], ids=["nothing", "remind"]
)
def test_an_instalment_that_is_due_later_is_said_again_only_where_the_trigger_wants_that(
    moved: str, state: State
) -> None:
    def owing(version: int, due: str) -> Any:
        instalments = [{"id": "1", "due": due, "amount": "400.00", "paid": False}]
        return a_picture("invoice", version=version, status="Open", dates={}, instalments=instalments)

    keys: dict[str, Any] = {"record": "invoice", "activate": {"on": "payment_due", "days": -3}, "moved": moved}
    shelf = Shelf(the_rules(a_trigger(**keys)))
    shelf.take(owing(1, "2026-12-01"))
    shelf.release(at=local("2026-11-28 09:00"))

    shelf.take(owing(2, "2026-12-20"), now=local("2026-11-29 09:00"))

    assert shelf.states == {"1@2026-12-01": State.RELEASED, "1@2026-12-20": state}


def test_another_instalment_is_no_move() -> None:
    def owing(version: int, *paid: bool) -> Any:
        days = zip(("1", "2"), ("2026-12-01", "2026-12-20"), paid, strict=True)
        parts = [{"id": one, "due": due, "amount": "400.00", "paid": done} for one, due, done in days]
        return a_picture("invoice", version=version, status="Open", dates={}, instalments=parts)

    keys: dict[str, Any] = {"record": "invoice", "activate": {"on": "payment_due", "days": -3}, "moved": "nothing"}
    shelf = Shelf(the_rules(a_trigger(**keys)))
    shelf.take(owing(1, False, True))
    shelf.release(at=local("2026-11-28 09:00"))

    shelf.take(owing(2, True, False), now=local("2026-11-29 09:00"))

    assert shelf.states == {"1@2026-12-01": State.RELEASED, "2@2026-12-20": State.PLANNED}
