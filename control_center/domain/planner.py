"""What is to happen, and when: the one place that decides.

`plan` says which occurrences a record has under a studio's rules; `reconcile` compares them with the actions that
exist; `decide` says what becomes of one of them now. Intake, release, the worker's last check and `explain` all
come here, so the reason shown to a person is the reason that acted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from control_center.domain import zones
from control_center.domain.action import (
    BEFORE_TRIGGER,
    BEFORE_US,
    PENDING,
    Action,
    Add,
    Change,
    Plan,
    State,
)
from control_center.domain.record import Picture
from control_center.domain.recurrence import recurrence, without_number
from control_center.domain.rules import Activation, Rule, Rules, activation, dateless, excluded, unmatched
from control_center.domain.windows import Never, closing, next_open, why_closed

LATE = "late:"  # how the reason of an action begins whose activation was past when it was first known

# Planning -------------------------------------------------------------------------------------------------


def plan(
    rule: Rule, picture: Picture, now: datetime, *, baseline: str | None = None, in_time: bool = False
) -> Plan | None:
    """The occurrence that a matching rule has for a record as it is now; None where its base date is empty.

    With `baseline`, a reason, whatever is due today or earlier is history: it is set aside and never sends. `in_time`
    says that it was known before its activation: then it is not late, however long ago that was.
    """
    active = activation(rule, picture.record)
    if active is None:
        return None
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
    return _opening(rule, active.at, active.use_by)


def _opening(rule: Rule, start: datetime, use_by: datetime) -> tuple[datetime, str]:
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
        return replace(_with(action, action.state, ""), due_at=action.activation_at)
    due_at, reason = _opening(rule, max(action.activation_at, now), action.use_by)
    return replace(_with(action, action.state, reason), due_at=due_at)


def _is_history(rule: Rule, active: Activation, picture: Picture) -> bool:
    """Whether the record already had this activation, already past, when we first heard of it."""
    since = picture.known_since
    if picture.first_facts is None or since is None or active.at >= since:
        return False
    first = activation(rule, picture.first_facts)
    # A due date that lay ahead then and was moved back since is news, although its status entry is not.
    return first is not None and first.occurrence == active.occurrence and first.at < since


def reconcile(
    picture: Picture, rules: Rules, actions: Sequence[Action], now: datetime, *, baseline: str | None = None
) -> list[Add | Change]:
    """What must change so that a record's actions say what its newest version says.

    New occurrences are added; pending ones move, or lapse where they no longer exist; lapsed ones return while
    their use-by lies ahead and nothing excludes them. What was handled stays handled.
    """
    changes: list[Add | Change] = []
    kept: set[int] = set()
    mine: dict[int, list[Action]] = {}
    for action in actions:
        mine.setdefault(action.trigger_id, []).append(action)
    matching = () if picture.deleted else rules.matching(picture.kind, picture.record)
    for rule in matching:
        wanted = plan(rule, picture, now, baseline=baseline)
        if wanted is None:
            continue
        earlier = mine.get(rule.trigger.trigger_id, ())
        found, wanted = recurrence(rule, wanted, earlier)
        if found is None:
            changes.append(Add(wanted))
            continue
        kept.add(found.action_id)
        change = _adjust(rule, found, wanted, picture, now)
        if change is not None:
            changes.append(change)
    for action in actions:
        if action.state in PENDING and action.action_id not in kept:
            reason = _why_gone(rules.by_id.get(action.trigger_id), picture)
            changes.append(Change(action, _with(action, State.LAPSED, reason)))
    return changes


def _adjust(rule: Rule, found: Action, wanted: Plan, picture: Picture, now: datetime) -> Change | None:
    match found.state:
        case State.PLANNED | State.REVIEW | State.HELD:
            # What waits was planned in time: later it is neither too late nor loaded, unless its time moves.
            if wanted.times == found.times and wanted.reason not in (BEFORE_TRIGGER, BEFORE_US):
                return None
            return Change(found, wanted)
        case State.LAPSED:
            in_time = wanted.times == found.times and not found.reason.startswith(LATE)
            if in_time and wanted.reason.startswith(LATE):
                wanted = replace(plan(rule, picture, now, in_time=True) or wanted, occurrence=found.occurrence)
            # Exclusions count from when it is due: until then, what is on hold keeps its reminder.
            stopped = now >= wanted.activation_at and excluded(rule, picture, now) is not None
            back = wanted.state is State.PLANNED and now < wanted.use_by and not stopped
            return Change(found, wanted) if back else None
        case State.BASELINED:
            wrongly = found.reason == BEFORE_US and wanted.state is State.PLANNED
            return Change(found, wanted) if wrongly else None
        case State.RELEASED | State.EXPIRED | State.DELETED:
            return None


def _with(action: Action, state: State, reason: str) -> Plan:
    """The same action in another state, its times untouched."""
    return Plan(
        trigger_id=action.trigger_id,
        trigger_version=action.trigger_version,
        occurrence=action.occurrence,
        state=state,
        activation_at=action.activation_at,
        due_at=action.due_at,
        use_by=action.use_by,
        reason=reason,
    )


def _why_gone(rule: Rule | None, picture: Picture) -> str:
    if rule is None:
        return "trigger: it is switched off"
    found = unmatched(rule, picture)
    if found is not None:
        return found
    current = activation(rule, picture.record)
    if current is None:
        return f"{dateless(rule, picture)} any more"
    return f"moved: the {rule.trigger.activate.on.name} is now {current.occurrence}"


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
    rule: Rule | None, picture: Picture | None, occurrence: str, now: datetime, *, by_hand: bool = False
) -> Decision:
    """What becomes of one occurrence at this instant.

    `occurrence` is the action's key. `by_hand` means that a person processed it: window and weekdays, which
    belong to automatic running, do not apply then; blackout days and every exclusion do. The first reason that
    stops it is returned, in the order: gone, filters, date, exclusions, use-by, person, calendar.
    """
    if rule is None:
        return Lapse("trigger: it is switched off")
    if picture is None:
        return Lapse("record: it is not known")
    found = unmatched(rule, picture)
    if found is not None:
        return Lapse(found)
    active = activation(rule, picture.record)
    if active is None:
        return Lapse(dateless(rule, picture))
    if without_number(occurrence) != active.occurrence:
        return Lapse(f"moved: the {rule.trigger.activate.on.name} is now {active.occurrence}")
    stopped = excluded(rule, picture, now)
    if stopped is not None:
        return Lapse(stopped)
    if now >= active.use_by:
        return Expire(f"use-by: it was of use until {active.use_by.isoformat()}")
    person = by_hand or not rule.trigger.processing.automatic
    if now < active.at:
        until = active.at if person else _first_open(rule, active)[0]
        return Wait(until, f"date: its activation is {active.day}")
    if person and not by_hand:
        return Review("manual: the trigger waits for a person")
    return _by_calendar(rule, active, now, by_hand=by_hand)


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
