"""What may follow a message that comes to nothing: a ladder climbed ahead of time, as if nobody were reached.

It asks `ladder.step` what the ladder itself will ask, with every message that is not known to have arrived taken for
lost, and told as lines that go only if that is so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from control_center.domain import zones
from control_center.domain.catalogue_actions import Leg
from control_center.domain.forecast import End, Fate, Line, Scene, lines
from control_center.domain.ladder import (
    NOT_ARRIVED,
    Climb,
    Done,
    Look,
    Pass,
    Sent,
    Standing,
    date_of,
    step,
    upcoming,
)
from control_center.domain.message import State
from control_center.domain.recipients import Letterbox, Routing, Stopped
from control_center.domain.shifts import LEAST_STEP
from control_center.domain.trigger_ladder import Rung

MOST_LOOKS = 4000  # at one step, as `forecast.MOST_STEPS`


def written_to(routing: Routing) -> list[Sent]:
    """The messages of an action that is yet to go, as they stand if nothing comes of them."""
    return [Sent(box.leg, box.address, box.recipient.role, State.UNDELIVERED) for box in routing.letterboxes]


def follows(scene: Scene, at: Standing, now: datetime, until: datetime, stopped: Stopped) -> Iterator[Line]:
    """A line for each step that may be taken from `now` on and before `until`, in time. `at.rung` is the next one."""
    for when, number, found in _climbs(at, now, until, stopped):
        assert at.picture is not None, "a climb has a record"
        date = date_of(scene.rule, at.picture.record)
        assert date is not None, "a climb has a date that it counts from"
        rung = scene.trigger.ladder.rungs[number]
        asked = date - rung.by
        way = Routing(letterboxes=[found.to]) if isinstance(found.to, Letterbox) else Routing(errands=[found.to])
        # The first alone: a status that comes with the action does not come again.
        yield lines(scene, End(when, Fate.FOLLOWS, _reason(scene, number, rung, asked)), way, max(asked, now))[0]


def _reason(scene: Scene, number: int, rung: Rung, asked: datetime) -> str:
    by = zones.at_local(scene.rule.zone, asked)
    return f"ladder step {number + 1}: unless {rung.unless.value} by {by:%Y-%m-%d %H:%M}"


def _climbs(at: Standing, now: datetime, until: datetime, stopped: Stopped) -> Iterator[tuple[datetime, int, Climb]]:
    rule, picture, number = at.rule, at.picture, at.rung
    date = date_of(rule, picture.record) if rule is not None and picture is not None else None
    if rule is None or picture is None or date is None:
        return
    sent, rungs = [_at_worst(one) for one in at.sent], rule.trigger.ladder.rungs
    while number < len(rungs):
        now, taken = _taken(replace(at, rung=number, sent=sent), max(date - rungs[number].by, now), until, stopped)
        if taken is None:
            return
        if isinstance(taken, Pass):
            number += 1
            continue
        yield now, number, taken
        if isinstance(taken.to, Letterbox):
            sent += written_to(Routing(letterboxes=[taken.to]))
        following = upcoming(rule, picture.record, now, after=number)
        if following is None:
            return
        number = following[0]


def _taken(at: Standing, now: datetime, until: datetime, stopped: Stopped) -> tuple[datetime, Climb | Pass | None]:
    """When a step is taken or passed, looked at again and again; None where neither comes before the end."""
    for _ in range(MOST_LOOKS):
        if now > until:
            return now, None
        match step(at, now, stopped):
            case Climb() | Pass() as taken:
                return now, taken
            case Done() | Look(barred=True):
                return now, None
            case Look(until=later):
                now = max(later, now + LEAST_STEP)
    return now, None


def _at_worst(one: Sent) -> Sent:
    """What is not settled yet comes to nothing; of a mail that was taken nothing more will be heard."""
    settled = one.state is State.DELIVERED or one.state in NOT_ARRIVED
    taken = one.leg is Leg.EMAIL and one.state is State.ACCEPTED
    return one if settled or taken else replace(one, state=State.UNDELIVERED)
