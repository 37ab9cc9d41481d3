"""How fast a sender number takes texts: budgets in segments, by the second and by the day.

A number has a budget and so has the campaign it is registered under, which all numbers of the studio share. A budget
remembers until when its pace is taken and what its day has used; taking from it is a pure step, so that several
workers may do it under one lock and a test may do it a thousand times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from control_center.domain import zones
from control_center.domain.prefixes import LEAST
from control_center.domain.table import Table, shown
from control_center.domain.text_plan import amount

AHEAD: Final = timedelta(seconds=1)  # what may go at once: workers look once a second, and would fall behind otherwise
BULK_PERCENT: Final = 80
MOST_A_DAY: Final = Decimal(10_000_000)  # in whatever currency
CAMPAIGN: Final = "*"  # stands for all numbers of a studio
KEPT: Final = timedelta(minutes=1)  # for how long a place that was kept for a text is good
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pace:
    """What one number, or the campaign, may carry, in segments; None is as much as comes."""

    per_second: float | None = None
    per_day: int | None = None

    def said(self) -> dict[str, Any]:
        both = {"per_second": self.per_second, "per_day": self.per_day}
        return {key: value for key, value in both.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Limits:
    """`sms.limits` of a studio. Bulk takes at most `bulk_percent` of a day, so that the day's reminders find room.

    `zone` is where a day of the carriers begins; by default it is the studio's own. `per_prefix` is about the
    recipients: of each thousand neighbouring numbers so many within an hour, and None is as many as come.
    `money_per_day` is what all texts of a day may cost, by the prices of the plan, and None is whatever they do.
    """

    number: Pace = Pace()
    campaign: Pace = Pace()
    bulk_percent: int = BULK_PERCENT
    zone: str | None = None
    per_prefix: int | None = None
    money_per_day: Decimal | None = None

    def day(self, timezone: str, now: datetime) -> date:
        """The day that it is for these limits, in a studio of this zone."""
        return zones.local_date(zones.zone(self.zone or timezone), now)

    @property
    def none(self) -> bool:
        """Whether its numbers carry whatever comes."""
        return self.number == self.campaign == Pace()

    def said(self) -> dict[str, Any]:
        """As the studio resource spells it."""
        paces = {"number": self.number.said(), "campaign": self.campaign.said()}
        found: dict[str, Any] = {key: value for key, value in paces.items() if value}
        if self.money_per_day is not None:
            found["money_per_day"] = format(self.money_per_day, "f")
        if found and self.bulk_percent != BULK_PERCENT:
            found["bulk_percent"] = self.bulk_percent
        if found and self.zone is not None:
            found["zone"] = self.zone
        return found if self.per_prefix is None else {**found, "per_prefix": self.per_prefix}


UNLIMITED: Final = Limits()


def parse(table: Table) -> Limits:
    """Understand `sms.limits`. Raises Malformed naming field, value and what is allowed."""
    zone = table.optional("zone")
    if zone is not None:
        zones.zone(zone, f"{table.where}, {table.path}zone")
    found = Limits(
        number=_pace(table.table("number")),
        campaign=_pace(table.table("campaign")),
        bulk_percent=table.whole("bulk_percent", 1, 100, BULK_PERCENT),
        zone=zone,
        per_prefix=None if table.take("per_prefix") is None else table.whole("per_prefix", LEAST, 1000),
        money_per_day=amount(table, "money_per_day", MOST_A_DAY),
    )
    table.refuse_the_rest()
    return found


def _pace(table: Table) -> Pace:
    per_second = table.take("per_second")
    numeric = isinstance(per_second, int | float) and not isinstance(per_second, bool)
    if per_second is not None and not (numeric and 0.01 <= per_second <= 1000):
        raise table.wrong("per_second", f"{shown(per_second)}; allowed: a number from 0.01 to 1000")
    per_day = table.whole("per_day", 1, 10_000_000) if table.take("per_day") is not None else None
    table.refuse_the_rest()
    return Pace(per_second, per_day)


@dataclass(frozen=True, slots=True)
class Budget:
    """What is taken: the pace until `free_at`, and `used` segments of `day`."""

    free_at: datetime = BEGINNING
    day: date = date.min
    used: int = 0


Budgets = Mapping[str, Budget]  # by number, and CAMPAIGN


@dataclass(frozen=True, slots=True)
class Place:
    """When a text may go, and why not before. `kept`: it was taken from the budgets, and need not be again."""

    at: datetime
    kept: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Meter:
    """A studio's limits with the zone that their days are counted in."""

    limits: Limits
    zone: zones.Zone

    def take(
        self, budgets: Budgets, number: str, segments: int, now: datetime, *, bulk: bool = False, urgent: bool = False
    ) -> tuple[Budgets, Place]:
        """The budgets after a text of so many segments, and its place in them.

        A place is kept for a reminder however far ahead it is. For bulk none is: it looks again when its number is
        free, and whatever comes in between goes first. What is `urgent`, a person's text or the answer to a STOP, goes
        at once and is counted.
        """
        today = zones.local_date(self.zone, now)
        own = [(name, pace, _today(budgets.get(name, Budget()), today)) for name, pace in self._paces(number)]
        at = max((max(budget.free_at, now) for _, pace, budget in own if pace.per_second), default=now)
        full = next((name for name, pace, budget in own if self._full(pace, budget, segments, bulk=bulk)), None)
        if not urgent and full is not None:
            return budgets, Place(zones.start_of_day(self.zone, today + timedelta(days=1)), reason=_full(full))
        if bulk and at > now + AHEAD:
            return budgets, Place(at, reason=_busy(number))
        taken = {name: _spent(budget, pace, segments, now) for name, pace, budget in own}
        late = not urgent and at > now + AHEAD
        return {**budgets, **taken}, Place(at if late else now, kept=True, reason=_busy(number) if late else "")

    def room(self, budgets: Budgets, number: str, now: datetime, *, lead: timedelta, most: int) -> tuple[int, Place]:
        """How many segments of bulk the number takes within `lead`, at most `most`; if none, from when it may."""
        today, found, place = zones.local_date(self.zone, now), most, Place(now)
        for name, pace in self._paces(number):
            budget = _today(budgets.get(name, Budget()), today)
            if pace.per_second:
                free = (now + lead - max(budget.free_at, now)).total_seconds()
                found = min(found, max(0, int(free * pace.per_second) or int(free > 0 and budget.free_at <= now)))
                if found == 0 and budget.free_at > place.at:
                    place = Place(budget.free_at, reason=_busy(number))
            if pace.per_day:
                found = min(found, max(0, pace.per_day * self.limits.bulk_percent // 100 - budget.used))
                if self._full(pace, budget, 1, bulk=True):
                    tomorrow = zones.start_of_day(self.zone, today + timedelta(days=1))
                    place = Place(tomorrow, reason=_full(name))
        return found, place

    def _paces(self, number: str) -> Sequence[tuple[str, Pace]]:
        both = ((number, self.limits.number), (CAMPAIGN, self.limits.campaign))
        return [(name, pace) for name, pace in both if pace != Pace()]

    def _full(self, pace: Pace, budget: Budget, segments: int, *, bulk: bool) -> bool:
        if pace.per_day is None:
            return False
        most = pace.per_day * self.limits.bulk_percent // 100 if bulk else pace.per_day
        # One that is longer than a whole day goes first thing in the morning: it would wait for ever otherwise.
        return budget.used > 0 and budget.used + segments > most


def meter(limits: Limits, timezone: str) -> Meter:
    return Meter(limits, zones.zone(limits.zone or timezone))


def _today(budget: Budget, today: date) -> Budget:
    return budget if budget.day == today else replace(budget, day=today, used=0)


def _spent(budget: Budget, pace: Pace, segments: int, now: datetime) -> Budget:
    cost = timedelta(seconds=segments / pace.per_second) if pace.per_second else timedelta(0)
    return Budget(max(budget.free_at, now) + cost, budget.day, budget.used + segments)


def _full(name: str) -> str:
    return f"limit: the day of {'the campaign' if name == CAMPAIGN else name} is full"


def _busy(number: str) -> str:
    return f"limit: {number} takes no more at once"
