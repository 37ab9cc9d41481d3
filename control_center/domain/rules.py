"""A studio's rules: which records they are about, when they become active for one, and what excludes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from control_center.domain import zones
from control_center.domain.blackouts import Blackouts
from control_center.domain.catalogue import Source
from control_center.domain.record import Facts, Flags, Picture, Record, moment
from control_center.domain.trigger import DEFAULT_USE_BY, Processing, Trigger
from control_center.domain.windows import Calendar
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


def dateless(rule: Rule, picture: Picture) -> str:
    """Why a rule has no activation for a record: the name of what the record lacks."""
    base, record = rule.trigger.activate.on, picture.record
    if base.source is not Source.DATE and record.status_changed_at is None:
        return f"date: the {picture.kind} has no status_changed_at"
    return f"date: the {picture.kind} has no {base.name}"


# Qualification --------------------------------------------------------------------------------------------


def unmatched(rule: Rule, picture: Picture) -> str | None:
    """Why the rule's filters do not let the record through."""
    trigger, record = rule.trigger, picture.record
    if picture.deleted:
        return f"deleted: the {picture.kind} no longer exists"
    if trigger.status is not None and record.status != trigger.status:
        return f"status: it is {record.status!r}, the trigger wants {trigger.status!r}"
    if trigger.type is not None and record.type != trigger.type:
        return f"type: it is {record.type!r}, the trigger wants {trigger.type!r}"
    return None


def excluded(rule: Rule, picture: Picture, now: datetime) -> str | None:
    """The first exclusion that is true of the record now."""
    exclude, flags = rule.trigger.exclude, picture.record.flags or Flags()
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
