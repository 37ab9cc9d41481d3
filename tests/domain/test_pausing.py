"""A trigger that is switched off with what waits under it, and versions that are kept for what they planned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control_center.domain.action import PAUSED, Add, State
from control_center.domain.blackouts import Blackouts
from control_center.domain.planner import PAUSED_LOOK, Expire, Lapse, Send, Wait, decide
from control_center.domain.reconciliation import reconcile
from control_center.domain.rules import Rules
from tests.support.values import CHICAGO, DAY, NOW, Shelf, a_picture, a_trigger, an_action, the_rules, utc

AT_ITS_TIME = utc("2027-06-05 16:00")
OCCURRENCE = "2027-06-12T14:00:00"


@pytest.mark.parametrize("paused", ["hold", "drain"])
def test_a_paused_trigger_plans_nothing_new(paused: str) -> None:
    shelf = Shelf(the_rules(replace(a_trigger(), paused=paused)))

    shelf.take(a_picture())

    assert shelf.actions == []


@pytest.mark.parametrize(("paused", "state"), [("hold", State.HELD), ("drain", State.PLANNED)])
def test_what_waits_under_a_paused_trigger_moves_with_its_record(paused: str, state: State) -> None:
    shelf = Shelf(the_rules(replace(a_trigger(), paused=paused)), [an_action()])

    shelf.take(a_picture(version=2, dates={"session": "2027-06-19T14:00"}))

    assert shelf.states == {OCCURRENCE: State.LAPSED, "2027-06-19T14:00:00": state}


def test_what_lapsed_under_a_trigger_that_holds_comes_back_held() -> None:
    shelf = Shelf(the_rules(replace(a_trigger(), paused="hold")), [an_action(state=State.LAPSED)])

    shelf.take(a_picture())

    assert (shelf.only.state, shelf.only.reason) == (State.HELD, PAUSED)


def test_what_drains_is_sent_when_its_time_comes() -> None:
    rule = the_rules(replace(a_trigger(), paused="drain")).by_id[1]

    assert isinstance(decide(rule, a_picture(), OCCURRENCE, AT_ITS_TIME), Send)


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_is_on_hold_waits_even_where_its_time_has_come_or_a_person_asks(*, by_hand: bool) -> None:
    rule = the_rules(replace(a_trigger(), paused="hold")).by_id[1]

    assert decide(rule, a_picture(), OCCURRENCE, AT_ITS_TIME, by_hand=by_hand) == Wait(
        AT_ITS_TIME + PAUSED_LOOK, PAUSED
    )


def test_what_is_on_hold_still_lapses_and_ends() -> None:
    rule = the_rules(replace(a_trigger(), paused="hold")).by_id[1]

    assert isinstance(decide(rule, a_picture(dates={}), OCCURRENCE, AT_ITS_TIME), Lapse)
    assert isinstance(decide(rule, a_picture(), OCCURRENCE, AT_ITS_TIME + 30 * DAY), Expire)


# Versions that are kept -----------------------------------------------------------------------------------


def two_versions() -> Rules:
    """A week before in version 1, which is kept; three days before in version 2."""
    newest = replace(a_trigger(activate={"on": "session", "days": -3}), version=2)
    return Rules([newest], CHICAGO, Blackouts(), kept=[a_trigger()])


def test_what_a_kept_version_planned_stays_and_is_not_planned_twice() -> None:
    assert reconcile(a_picture(), two_versions(), [an_action()], NOW) == []


def test_what_was_planned_by_the_newest_version_goes_by_it() -> None:
    (step,) = reconcile(a_picture(), two_versions(), (), NOW)

    assert isinstance(step, Add)
    assert (step.plan.trigger_version, step.plan.activation_at) == (2, utc("2027-06-09 05:00"))


def test_an_action_is_decided_by_the_version_it_names_where_that_is_kept() -> None:
    rules = two_versions()

    assert rules.of(1, 1) is rules.kept[1, 1]
    assert rules.of(1, 2) is rules.of(1, 0) is rules.by_id[1]
    assert isinstance(decide(rules.of(1, 1), a_picture(), OCCURRENCE, AT_ITS_TIME), Send)
    assert isinstance(decide(rules.of(1, 2), a_picture(), OCCURRENCE, AT_ITS_TIME), Wait)


def test_a_kept_version_of_a_trigger_that_is_gone_decides_nothing() -> None:
    assert Rules([], CHICAGO, Blackouts()).of(1, 1) is None
