"""A status change made by a trigger may fire others: never itself again, never more than a few, never in a circle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from control_center.domain.action import Add, State
from control_center.domain.chains import LONGEST, circle
from control_center.domain.reconciliation import reconcile
from control_center.domain.trigger import Trigger
from tests.support.values import NOW, a_picture, a_trigger, the_rules


def changing(name: str, status: str | None, to: str, **keys: Any) -> Trigger:
    return a_trigger(
        record="session",
        name=name,
        status=status or ...,
        action="change_status",
        change_status={"to": to},
        activate={"on": "status_changed"},
        text=...,
        **keys,
    )


def planned(trigger: Trigger, chain: tuple[int, ...]) -> Add:
    (step,) = reconcile(a_picture(), the_rules(trigger), (), NOW, chain=chain)
    assert isinstance(step, Add)
    return step


def test_what_a_trigger_brought_about_fires_others_and_they_know_it() -> None:
    step = planned(a_trigger(3, activate={"on": "status_changed"}), (7,))

    assert (step.plan.state, step.chain) == (State.PLANNED, (7,))


def test_a_write_back_never_fires_its_own_trigger_again() -> None:
    step = planned(a_trigger(7, activate={"on": "status_changed"}), (7,))

    assert (step.plan.state, step.plan.reason) == (State.BASELINED, "chain: this change came of the trigger itself")


def test_a_trigger_does_not_come_round_by_way_of_others() -> None:
    assert planned(a_trigger(7, activate={"on": "status_changed"}), (7, 8)).plan.state is State.BASELINED


def test_a_chain_ends_after_five() -> None:
    longest = tuple(range(10, 10 + LONGEST))

    assert planned(a_trigger(1, activate={"on": "status_changed"}), longest[1:]).plan.state is State.PLANNED
    assert planned(a_trigger(1, activate={"on": "status_changed"}), longest).plan.state is State.BASELINED


def test_what_does_not_hang_on_the_status_belongs_to_no_chain() -> None:
    step = planned(a_trigger(7), (7,))

    assert (step.plan.state, step.chain) == (State.PLANNED, ())


# Circles --------------------------------------------------------------------------------------------------


def test_triggers_that_set_one_another_off_for_ever_are_a_circle() -> None:
    ping, pong = changing("ping", "Booked", "Shot"), changing("pong", "Shot", "Booked")

    assert circle([ping, pong]) == ["ping", "pong", "ping"]


def test_a_trigger_for_every_status_that_sets_one_is_a_circle_of_its_own() -> None:
    assert circle([changing("all", None, "Shot")]) == ["all", "all"]


@pytest.mark.parametrize(
    "triggers",
    [
        [changing("one", "Booked", "Shot"), changing("two", "Shot", "Done")],
        [changing("ping", "Booked", "Shot"), replace(changing("pong", "Shot", "Booked"), enabled=False)],
        [changing("ping", "Booked", "Shot", type="Wedding"), changing("pong", "Shot", "Booked", type="Portrait")],
        [changing("same", "Shot", "Shot")],
        [changing("ping", "Booked", "Shot"), a_trigger(name="dated", status="Shot", then_status="Booked")],
        [],
    ],
    ids=["a line", "one is off", "other types", "its own status", "hangs on a date", "none"],
)
def test_what_comes_to_an_end_is_no_circle(triggers: list[Trigger]) -> None:
    assert circle(triggers) is None


def test_a_status_changed_on_the_side_closes_a_circle_too() -> None:
    texts = a_trigger(name="texts", status="Shot", activate={"on": "status_changed"}, then_status="Booked")

    assert circle([changing("ping", "Booked", "Shot"), texts]) == ["ping", "texts", "ping"]
