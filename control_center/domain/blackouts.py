"""Blackout days: the local days on which a studio sends nothing by itself."""

from __future__ import annotations

import re
from calendar import isleap
from dataclasses import dataclass, field
from datetime import MAXYEAR, date

from control_center.domain.errors import Malformed

LEAP_YEAR = 2000  # stands for every year, so that 29 February can be written down
LONGEST_WITHOUT_LEAP_DAY = 8  # years, around 2100


@dataclass(frozen=True, slots=True)
class Blackout:
    """One day, a run of days (both ends included), or one day of every year; built by its class methods.

    29 February of every year is only ever that day: common years have none, and 28 February stays open.
    """

    name: str
    first: date
    last: date
    yearly: bool = False

    @classmethod
    def on(cls, name: str, day: date) -> Blackout:
        return cls(name, day, day)

    @classmethod
    def between(cls, name: str, first: date, last: date, field: str = "to") -> Blackout:
        if last < first:
            raise Malformed(field, f"{last} is before the first day, {first}")
        return cls(name, first, last)

    @classmethod
    def every_year(cls, name: str, month_day: str, field: str = "yearly") -> Blackout:
        """From MM-DD."""
        if not re.fullmatch("[0-9]{2}-[0-9]{2}", month_day):
            raise Malformed(field, f"{month_day!r} is not a day of the year; write MM-DD, as in 12-25")
        try:
            day = date.fromisoformat(f"{LEAP_YEAR}-{month_day}")
        except ValueError as wrong:
            raise Malformed(field, f"{month_day!r} is not a day of the year: {wrong}") from None
        return cls(name, day, day, yearly=True)

    def covers(self, day: date) -> bool:
        if self.yearly:
            return (day.month, day.day) == (self.first.month, self.first.day)
        return self.first <= day <= self.last

    def next(self, day: date) -> date | None:
        """First day not before `day` that it covers."""
        if not self.yearly:
            return max(day, self.first) if day <= self.last else None
        years = range(day.year, min(day.year + LONGEST_WITHOUT_LEAP_DAY, MAXYEAR) + 1)
        days = (self.first.replace(year=year) for year in years if self._exists_in(year))
        return next((found for found in days if found >= day), None)

    def _exists_in(self, year: int) -> bool:
        return isleap(year) or (self.first.month, self.first.day) != (2, 29)

    def __str__(self) -> str:
        if self.yearly:
            return f"{self.name} (every {self.first:%m-%d})"
        return (
            f"{self.name} ({self.first})" if self.first == self.last else f"{self.name} ({self.first} to {self.last})"
        )


@dataclass(frozen=True, slots=True)
class Blackouts:
    """A studio's blackout days, arranged for looking up.

    Where several cover a day, a single date names it before a yearly day, and that before a run of days.
    """

    entries: tuple[Blackout, ...] = ()
    _dates: dict[date, str] = field(init=False, repr=False, compare=False)
    _yearly: dict[tuple[int, int], str] = field(init=False, repr=False, compare=False)
    _runs: tuple[Blackout, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        single = [entry for entry in self.entries if entry.first == entry.last]
        dates = {entry.first: entry.name for entry in reversed(single) if not entry.yearly}
        yearly = {(entry.first.month, entry.first.day): entry.name for entry in reversed(single) if entry.yearly}
        object.__setattr__(self, "_dates", dates)
        object.__setattr__(self, "_yearly", yearly)
        object.__setattr__(self, "_runs", tuple(entry for entry in self.entries if entry.first != entry.last))

    def name_of(self, day: date) -> str | None:
        """Name of the blackout that covers this day, if any does."""
        if day in self._dates:
            return self._dates[day]
        if (day.month, day.day) in self._yearly:
            return self._yearly[day.month, day.day]
        return next((run.name for run in self._runs if run.covers(day)), None)

    def next(self, day: date) -> date | None:
        """First day not before `day` that any of them covers."""
        return min((found for entry in self.entries if (found := entry.next(day)) is not None), default=None)
