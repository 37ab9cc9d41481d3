"""What is to happen, and when: the one place that decides.

`plan` says which occurrences a record has under a studio's rules; `reconcile` compares them with the actions that
exist; `decide` says what becomes of one of them now. Intake, release, the worker's last check and `explain` all
come here, so the reason shown to a person is the reason that acted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias

from control_center.domain import zones
from control_center.domain.action import (
    BEFORE_TRIGGER,
    BEFORE_US,
    HANDLED,
    PENDING,
    Action,
    Add,
    Change,
    Plan,
    State,
)
from control_center.domain.blackouts import Blackouts
from control_center.domain.catalogue import Source
from control_center.domain.record import Facts, Picture, Record, moment
from control_center.domain.trigger import DEFAULT_USE_BY, Processing, Trigger
from control_center.domain.windows import Calendar, Never, closing, next_open, why_closed
from control_center.domain.zones import Zone


@dataclass(frozen=True, slots=True)
class Rule:
    """A trigger together with the calendar it keeps to."""

    trigger: Trigger
    calendar: Calendar
    by_hand: Calendar  # without window and weekdays, which belong to automatic running

    @property
    def zone(self) -> Zone:
        return self.calendar.zone


class Rules:
    """A studio's enabled triggers, indexed by what they filter on, so that matching does not grow with their number."""

    def __init__(self, triggers: Iterable[Trigger], zone: Zone, blackouts: Blackouts) -> None:
        calendars: dict[Processing, Calendar] = {}  # shared, since each works out its open days once
        self.by_id: dict[int, Rule] = {}
        for trigger in triggers:
            processing = replace(trigger.processing, automatic=True)
            by_hand = Processing(
                automatic=True,
                window=None,
                closed_weekdays=frozenset(),
                blackouts=processing.blackouts,
            )
            for one in (processing, by_hand):
                if one not in calendars:
                    closed = blackouts if one.blackouts else Blackouts()
                    calendars[one] = Calendar(zone, one.window, one.closed_weekdays, closed)
            self.by_id[trigger.trigger_id] = Rule(trigger, calendars[processing], calendars[by_hand])
        self._by_filter: dict[tuple[str, str | None, str | None], list[Rule]] = {}
        for rule in self.by_id.values():
            trigger = rule.trigger
            key = (trigger.kind.name, trigger.status, trigger.type)
            self._by_filter.setdefault(key, []).append(rule)

    def matching(self, kind: str, record: Record) -> Iterator[Rule]:
        """The rules whose kind, status and type filters a record passes."""
        status, kind_of = record.status, record.type
        # In this order, so that the same record makes the same actions in the same order everywhere.
        for key in dict.fromkeys(((status, kind_of), (status, None), (None, kind_of), (None, None))):
            yield from self._by_filter.get((kind, *key), ())


# Activations ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Activation:
    """When one rule becomes active for one record, and what makes that activation different from the last."""

    occurrence: str
    day: date
    at: datetime
    use_by: datetime


def activation(rule: Rule, facts: Record | Facts) -> Activation | None:
    """The activation of a rule for a record in the studio's zone; None where its base date is empty.

    Offsets are whole local days: any offset but zero, and every date that can lie ahead, activates at the start
    of the local day; a past event without offset activates at its own instant.
    """
    base = rule.trigger.activate.on
    if base.source is Source.DATE:
        dates = facts.dates if isinstance(facts, Record) else dict(facts.dates)
        text = dates.get(base.key)
        entry = text
    else:
        changed = facts.status_changed_at
        text = changed if base.source is Source.STATUS_CHANGED else facts.status_due_date
        entry = changed
    if text is None or entry is None:
        return None
    key = canonical(entry)
    occurrence = key if base.source is Source.DATE else f"{facts.status}@{key}"
    return _timed(rule, occurrence, text)


def _timed(rule: Rule, occurrence: str, text: str) -> Activation:
    trigger, zone = rule.trigger, rule.zone
    days = trigger.activate.days
    base = moment(text, zone.name)
    day = base.day + timedelta(days=days)
    if trigger.activate.on.past and not days and base.instant is not None:
        at = base.instant
    else:
        at = zones.start_of_day(zone, day)
    if trigger.use_by is not None:
        use_by = at + trigger.use_by
    elif days < 0:
        use_by = base.instant or zones.end_of_day(zone, base.day)
    else:
        use_by = at + DEFAULT_USE_BY
    return Activation(occurrence, day, at, use_by)


@lru_cache(maxsize=16384)
def canonical(text: str) -> str:
    """One spelling for each date or instant, so that another spelling of it is not another occurrence."""
    if len(text) == len("2026-11-22"):
        return text
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo is None else at.astimezone(UTC)).isoformat()


# Planning -------------------------------------------------------------------------------------------------


def plan(rule: Rule, picture: Picture, now: datetime, *, baseline: str | None = None) -> Plan | None:
    """The occurrence that a matching rule has for a record as it is now; None where its base date is empty.

    With `baseline`, a reason, whatever is due today or earlier is history: it is set aside and never sends.
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
    elif trigger.late == "skip" and active.day < today:
        state, reason = State.EXPIRED, f"late: its activation, {active.day}, was already past"
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
        found, wanted = _recurrence(rule, wanted, earlier)
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


def _recurrence(rule: Rule, wanted: Plan, earlier: Sequence[Action]) -> tuple[Action | None, Plan]:
    """The action this occurrence already has, and the plan under the occurrence's full name.

    A date that was handled, left for another about which a message went out, and come back to, is a new occurrence:
    the same date with `#2`. Under `moved = "nothing"` a date other than one that was sent is set aside.
    """
    if rule.trigger.activate.on.source is not Source.DATE:
        same = [action for action in earlier if action.occurrence == wanted.occurrence]
        return (same[0] if same else None), wanted
    same = [action for action in earlier if _base(action.occurrence) == wanted.occurrence]
    others = [action for action in earlier if action.released_at is not None and action not in same]
    last = max(same, key=lambda action: action.action_id, default=None)
    if last is not None:
        if not (last.state in HANDLED and any(_sent_since(last, other) for other in others)):
            wanted = replace(wanted, occurrence=last.occurrence)
        else:
            wanted, last = replace(wanted, occurrence=f"{wanted.occurrence}#{len(same) + 1}"), None
    if others and rule.trigger.moved == "nothing" and (last is None or last.state is State.LAPSED):
        wanted = _settled(wanted, State.BASELINED, "moved: a message about an earlier date went out")
    return last, wanted


def _base(occurrence: str) -> str:
    """An occurrence without its `#2`. Names of statuses may hold a # of their own, but never at the end of a key."""
    base, mark, number = occurrence.rpartition("#")
    return base if mark and number.isdecimal() else occurrence


def _sent_since(handled: Action, other: Action) -> bool:
    """Whether `other` was sent after `handled` was dealt with; where it sent nothing, which was planned later."""
    assert other.released_at is not None
    if handled.released_at is None:
        return other.action_id > handled.action_id
    return other.released_at > handled.released_at


def _adjust(rule: Rule, found: Action, wanted: Plan, picture: Picture, now: datetime) -> Change | None:
    match found.state:
        case State.PLANNED | State.REVIEW | State.HELD:
            # What waits was planned in time: later it is neither too late nor loaded, unless its time moves.
            if wanted.times == found.times and wanted.reason not in (BEFORE_TRIGGER, BEFORE_US):
                return None
            # Too late for now; the date may be put right again.
            return Change(found, replace(wanted, state=State.LAPSED) if wanted.state is State.EXPIRED else wanted)
        case State.LAPSED:
            # Exclusions count from when it is due: until then, what is on hold keeps its reminder.
            stopped = now >= wanted.activation_at and _excluded(rule, picture, now) is not None
            back = wanted.state is State.PLANNED and now < wanted.use_by and not stopped
            return Change(found, wanted) if back else None
        case State.BASELINED:
            wrongly = found.reason == BEFORE_US and wanted.state is State.PLANNED
            return Change(found, wanted) if wrongly else None
        case State.RELEASED | State.EXPIRED | State.DELETED:
            return None


def _settled(wanted: Plan, state: State, reason: str) -> Plan:
    return replace(wanted, state=state, reason=reason, due_at=wanted.activation_at)


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
    found = _unmatched(rule, picture)
    if found is not None:
        return found
    current = activation(rule, picture.record)
    if current is None:
        return f"date: the {picture.kind} has no {rule.trigger.activate.on.name} any more"
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
    found = _unmatched(rule, picture)
    if found is not None:
        return Lapse(found)
    active = activation(rule, picture.record)
    if active is None:
        return Lapse(f"date: the {picture.kind} has no {rule.trigger.activate.on.name}")
    if _base(occurrence) != active.occurrence:
        return Lapse(f"moved: the {rule.trigger.activate.on.name} is now {active.occurrence}")
    excluded = _excluded(rule, picture, now)
    if excluded is not None:
        return Lapse(excluded)
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


def _unmatched(rule: Rule, picture: Picture) -> str | None:
    """Why the rule's filters do not let the record through."""
    trigger, record = rule.trigger, picture.record
    if picture.deleted:
        return f"deleted: the {picture.kind} no longer exists"
    if trigger.status is not None and record.status != trigger.status:
        return f"status: it is {record.status!r}, the trigger wants {trigger.status!r}"
    if trigger.type is not None and record.type != trigger.type:
        return f"type: it is {record.type!r}, the trigger wants {trigger.type!r}"
    return None


def _excluded(rule: Rule, picture: Picture, now: datetime) -> str | None:
    """The first exclusion that is true of the record now."""
    exclude, flags = rule.trigger.exclude, picture.record.flags
    if exclude.on_hold and flags.on_hold:
        return f"on hold: the {picture.kind} is on hold"
    if exclude.confirmed and flags.confirmed:
        return f"confirmed: the {picture.kind} is already confirmed"
    if exclude.canceled and flags.canceled:
        return f"canceled: the {picture.kind} is canceled"
    if exclude.past_date:
        active = activation(rule, picture.record)
        if active is not None and zones.local_date(rule.zone, now) > active.day:
            return f"past date: its activation, {active.day}, is over"
    return None
