"""A record that does not qualify for a while, and does again: its ladder waits for it, as its reminder would have."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from control_center.domain.catalogue_actions import Leg
from control_center.domain.forecast import Scene
from control_center.domain.foreseen_ladder import follows
from control_center.domain.ladder import Climb, Done, Look, Sent, Standing, step
from control_center.domain.message import State
from tests.support.values import a_client, a_picture, a_rule, a_studio, as_read, local

HOUR = timedelta(hours=1)
TWO_DAYS, SESSION = local("2027-06-10 14:00"), local("2027-06-12 14:00")
CALL = {"unless": "delivered", "by": "2d", "action": "call"}
BARRED: list[tuple[dict[str, Any], str]] = [
    ({"flags": {"on_hold": True}}, "on hold: the session is on hold"),
    ({"flags": {"canceled": True}}, "canceled: the session is canceled"),
    ({"status": "Quoted"}, "status: it is 'Quoted', the trigger wants 'Booked'"),
]


def standing(**record: Any) -> Standing:
    """A reminder of the session on 12 June, 14:00, which did not arrive."""
    return Standing(
        rule=a_rule(ladder=[CALL], status="Booked", exclude={"on_hold": True, "canceled": True}),
        picture=a_picture(**record),
        client=as_read(a_client()),
        country="US",
        occurrence="2027-06-12T14:00:00",
        rung=0,
        sent=[Sent(Leg.SMS, "+13125550188", "client", State.UNDELIVERED)],
    )


def nobody_stopped(_channel: str, _address: str) -> str:
    return ""


@pytest.mark.parametrize(("record", "reason"), BARRED)
def test_a_step_waits_while_its_record_does_not_qualify_and_is_taken_once_it_does_again(
    record: dict[str, Any], reason: str
) -> None:
    assert step(standing(**record), TWO_DAYS, nobody_stopped) == Look(TWO_DAYS + HOUR, reason, barred=True)
    assert isinstance(step(standing(), TWO_DAYS + HOUR, nobody_stopped), Climb)


@pytest.mark.parametrize(("record", "reason"), BARRED)
def test_a_step_whose_time_has_not_come_is_not_ended_by_a_hold(record: dict[str, Any], reason: str) -> None:
    """A zone that changes, or an edit, has every ladder looked at before its time."""
    assert reason
    assert step(standing(**record), TWO_DAYS - HOUR, nobody_stopped) == Look(TWO_DAYS)


@pytest.mark.parametrize(("record", "reason"), BARRED)
def test_once_the_date_is_here_the_ladder_ends_for_what_barred_it(record: dict[str, Any], reason: str) -> None:
    assert step(standing(**record), SESSION - HOUR / 2, nobody_stopped) == Look(SESSION, reason, barred=True)
    assert step(standing(**record), SESSION, nobody_stopped) == Done(reason)


def test_a_record_that_moved_or_is_gone_ends_its_ladder_at_once() -> None:
    moved = step(standing(dates={"session": "2027-07-12T14:00"}), TWO_DAYS, nobody_stopped)
    assert isinstance(moved, Done)
    assert moved.reason.startswith("moved:")
    deleted = step(standing(verb="deleted"), TWO_DAYS, nobody_stopped)
    assert deleted == Done("deleted: the session no longer exists")


def test_a_forecast_foresees_no_step_that_a_hold_bars() -> None:
    at = standing(flags={"on_hold": True})
    assert at.rule is not None
    assert at.picture is not None
    scene = Scene(at.rule, at.picture, at.occurrence, None, a_studio(), {}, None, SESSION)

    assert list(follows(scene, at, TWO_DAYS, SESSION, nobody_stopped)) == []
