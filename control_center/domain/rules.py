"""A studio's rules: its enabled triggers, each with the calendar it keeps to, found by what they filter on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from control_center.domain.action import Action
from control_center.domain.blackouts import Blackouts
from control_center.domain.catalogue import KINDS, Slot
from control_center.domain.keyword import spoken
from control_center.domain.record import Record
from control_center.domain.trigger import Processing, Trigger
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

    def __init__(
        self, triggers: Iterable[Trigger], zone: Zone, blackouts: Blackouts, *, kept: Iterable[Trigger] = ()
    ) -> None:
        """`kept` are earlier versions of some of them, by which what is pending under them still goes."""
        calendars: dict[Processing, Calendar] = {}  # shared, since each works out its open days once

        def rule_of(trigger: Trigger) -> Rule:
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
            return Rule(trigger, calendars[processing], calendars[by_hand])

        self.house = Calendar(zone, blackouts=blackouts)  # what the studio's blackout days leave open
        self.by_id = {trigger.trigger_id: rule_of(trigger) for trigger in triggers}
        self.kept = {(trigger.trigger_id, trigger.version): rule_of(trigger) for trigger in kept}
        self.change_statuses = any(one.trigger.changes_status for one in (*self.by_id.values(), *self.kept.values()))
        # What an incoming text may say that some trigger waits for.
        self.keywords = frozenset(
            one.trigger.keyword.key for one in self.by_id.values() if one.trigger.keyword is not None
        )
        self._by_filter: dict[tuple[str, str | None, str | None], list[Rule]] = {}
        for rule in self.by_id.values():
            trigger = rule.trigger
            key = (trigger.kind.name, trigger.keyword.key if trigger.keyword else trigger.status, trigger.type)
            self._by_filter.setdefault(key, []).append(rule)

    def of(self, trigger_id: int, version: int) -> Rule | None:
        """The rule that an action or message of this version goes by: the newest, unless its own was kept for it."""
        return self.kept.get((trigger_id, version)) or self.by_id.get(trigger_id)

    def keep(self, action: Action) -> bool:
        """Whether it goes by the version that made it."""
        return (action.trigger_id, action.trigger_version) in self.kept

    def matching(self, kind: str, record: Record) -> Iterator[Rule]:
        """The rules whose kind and filters a record passes."""
        first, second = compared(kind, record)
        # In this order, so that the same record makes the same actions in the same order everywhere.
        pairs = [(one, two) for one in (*first, None) for two in (second, None)]
        for key in dict.fromkeys(pairs):
            yield from self._by_filter.get((kind, *key), ())


def compared(kind: str, record: Record) -> tuple[tuple[str, ...], str | None]:
    """What a record's filters are compared with: its status, or all that an incoming text may be a keyword for, and its
    type or form.
    """
    slots = KINDS[kind].filters.values()
    if Slot.KEYWORD in slots:
        return spoken(record.text or ""), None
    second = record.type
    if Slot.FORM in slots:
        second = record.form.name if record.form else None
    return () if record.status is None else (record.status,), second
