"""What is to happen, and when: the one place that decides.

`plan` says which occurrences a record has under a studio's rules; `reconcile` compares them with the actions that
exist; `decide` says what becomes of one of them now. Intake, release, the worker's last check and `explain` all
come here, so the reason shown to a person is the reason that acted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from control_center.domain import zones
from control_center.domain.action import (
    BEFORE_US,
    PAUSED,
    Action,
    Plan,
    State,
)
from control_center.domain.activations import Activation, activation_of, activations, dateless, until_its_date
from control_center.domain.chains import OF_A_STATUS
from control_center.domain.qualification import excluded, unmatched
from control_center.domain.record import Picture
from control_center.domain.recurrence import tells_at_once, without_number
from control_center.domain.rules import Rule
from control_center.domain.windows import Never, closing, next_open, why_closed

PAUSED_LOOK = timedelta(hours=1)  # how often a message is looked at whose trigger was switched off meanwhile
LATE = "late:"  # how the reason of an action begins whose activation was past when it was first known

# Planning -------------------------------------------------------------------------------------------------


def plans(rule: Rule, picture: Picture, now: datetime, *, baseline: str | None = None) -> list[Plan]:
    """The occurrences that a matching rule has for a record as it is now; none where its base is empty.

    With `baseline`, a reason, whatever is due today or earlier is history: it is set aside and never sends.
    """
    return [plan_of(rule, active, picture, now, baseline=baseline) for active in activations(rule, picture.record, now)]


def plan_of(
    rule: Rule,
    active: Activation,
    picture: Picture,
    now: datetime,
    *,
    baseline: str | None = None,
    in_time: bool = False,
) -> Plan:
    """One occurrence. `in_time`: it was known before its activation, so it is not late, however long ago that was."""
    trigger = rule.trigger
    state, reason, due_at = State.PLANNED, "", active.at
    today = zones.local_date(rule.zone, now)
    if _is_history(rule, active, picture):
        state, reason = State.BASELINED, BEFORE_US
    elif baseline is not None and active.day <= today:
        state, reason = State.BASELINED, baseline
    elif trigger.late == "skip" and not in_time and active.day < today:
        state, reason = State.LAPSED, f"{LATE} its activation, {active.day}, was already past"
    elif trigger.processing.automatic:
        due_at, reason = _first_open(rule, active)
    return Plan(
        trigger_id=trigger.trigger_id,
        trigger_version=trigger.version,
        occurrence=active.occurrence,
        state=state,
        activation_at=active.at,
        due_at=due_at,
        use_by=active.use_by,
        reason=reason,
    )


def _first_open(rule: Rule, active: Activation) -> tuple[datetime, str]:
    return opening(rule, active.at, active.use_by)


def opening(rule: Rule, start: datetime, use_by: datetime) -> tuple[datetime, str]:
    """Where to look next from `start` on, and what is closed until then; the use-by where that comes first."""
    opening = next_open(rule.calendar, start)
    if isinstance(opening, Never):
        return use_by, opening.reason
    closed = why_closed(rule.calendar, start)
    return min(opening, max(start, use_by)), str(closed) if closed else ""


def due(rule: Rule, action: Action, now: datetime) -> Plan:
    """A waiting action with the time that its calendar gives it as it is now, after a blackout day changed.

    A person's action keeps its activation: window and weekdays belong to automatic running.
    """
    if not rule.trigger.processing.automatic:
        return replace(action.turned(action.state, ""), due_at=action.activation_at)
    due_at, reason = opening(rule, max(action.activation_at, now), action.use_by)
    return replace(action.turned(action.state, reason), due_at=due_at)


def relocated(rule: Rule, picture: Picture, action: Action, now: datetime) -> Plan:
    """A waiting action with the times that its rule's zone gives it, after its studio's zone changed.

    It was planned in time and stays what it is. What its record no longer has keeps its time: `decide` says its end.
    """
    active = activation_of(rule, picture.record, without_number(action.occurrence), now)
    if active is None:
        return action.turned(action.state, action.reason)
    if tells_at_once(rule, action.occurrence):
        active = replace(until_its_date(rule, picture.record, active), at=action.activation_at)
    plan = due(rule, replace(action, activation_at=active.at, use_by=active.use_by), now)
    return plan if action.state is State.PLANNED else replace(plan, reason=action.reason)


def _is_history(rule: Rule, active: Activation, picture: Picture) -> bool:
    """Whether the record already had this activation, already past, when we first heard of it."""
    since = picture.known_since
    if picture.first_facts is None or since is None or active.at >= since:
        return False
    first = activation_of(rule, picture.first_facts, active.occurrence, since)
    # A due date that lay ahead then and was moved back since is news, although its status entry is not.
    return first is not None and first.at < since


# Deciding -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """It may go now, and until `until` if nothing changes before."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now; look again at `until`. Costs no attempt."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Review:
    """A person decides."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lapse:
    """It no longer qualifies; it may again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Expire:
    """It can no longer be of use."""

    reason: str


Decision: TypeAlias = Send | Wait | Review | Lapse | Expire


def decide(
    rule: Rule | None,
    picture: Picture | None,
    occurrence: str,
    now: datetime,
    *,
    by_hand: bool = False,
    session: Picture | None = None,
    released: Activation | None = None,
) -> Decision:
    """What becomes of one occurrence at this instant.

    `occurrence` is the action's key. `by_hand` means that a person processed it: window and weekdays, which
    belong to automatic running, do not apply then; blackout days and every exclusion do. `session` is the one that an
    invoice is for, whose score counts. `released` is the activation of an action that is released already: the status
    that it gave its record besides does not stop its messages. The first reason that stops it is returned, in the
    order: gone, filters, date, exclusions, use-by, person, calendar.
    """
    if rule is None:
        return Lapse("trigger: it is switched off")
    if picture is None:
        return Lapse("record: it is not known")
    own = released if _has_our_status(rule, picture) else None
    found = unmatched(rule, picture, any_status=own is not None)
    if found is not None:
        return Lapse(found)
    by_status = rule.trigger.activate.on.source in OF_A_STATUS
    active = own if own is not None and by_status else _active(rule, picture, occurrence, now)
    if active is None:
        return Lapse(moved(rule, activations(rule, picture.record, now)) or dateless(rule, picture))
    stopped = excluded(rule, picture, active.day, now, session=session)
    if stopped is not None:
        return Lapse(stopped)
    if now >= active.use_by:
        return Expire(f"use-by: it was of use until {active.use_by.isoformat()}")
    if rule.trigger.paused == "hold":
        return Wait(min(now + PAUSED_LOOK, active.use_by), PAUSED)
    person = by_hand or not rule.trigger.processing.automatic
    if now < active.at:
        until = active.at if person else _first_open(rule, active)[0]
        return Wait(until, f"date: its activation is {active.day}")
    if person and not by_hand:
        return Review("manual: the trigger waits for a person")
    return _by_calendar(rule, active, now, by_hand=by_hand)


def _has_our_status(rule: Rule, picture: Picture) -> bool:
    """Whether the record has come to the status that the rule gives it besides."""
    given = rule.trigger.then_status
    return given is not None and picture.record.status == given


def _active(rule: Rule, picture: Picture, occurrence: str, now: datetime) -> Activation | None:
    """The activation that an occurrence stands for. A move is told of when it is seen, whatever the reminder's day."""
    active = activation_of(rule, picture.record, without_number(occurrence), now)
    if active is None or not tells_at_once(rule, occurrence):
        return active
    active = until_its_date(rule, picture.record, active)
    return replace(active, at=min(active.at, now), day=max(active.day, zones.local_date(rule.zone, now)))


def _by_calendar(rule: Rule, active: Activation, now: datetime, *, by_hand: bool) -> Decision:
    calendar = rule.by_hand if by_hand else rule.calendar
    closed = why_closed(calendar, now)
    if closed is not None:
        opening = next_open(calendar, now)
        until = active.use_by if isinstance(opening, Never) else min(opening, active.use_by)
        return Wait(until, str(closed))
    until = active.use_by
    closes = closing(calendar, now)
    if closes is not None:
        until = min(until, closes)
    if rule.trigger.exclude.past_date:
        until = min(until, zones.end_of_day(rule.zone, active.day))
    return Send(until)


def moved(rule: Rule, current: Sequence[Activation]) -> str | None:
    if not current:
        return None
    return f"moved: the {rule.trigger.activate.on.name} is now {', '.join(one.occurrence for one in current)}"
