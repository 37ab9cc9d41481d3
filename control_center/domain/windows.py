"""When something may go out: processing windows, excluded weekdays, blackout days.

A calendar is open at an instant when the local date is neither an excluded weekday nor a blackout day and the
local clock stands in the window. All else follows from that sentence: an hour shown twice counts twice, an
hour that is skipped never comes, a closed day closes the tail of a window that began the evening before.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from functools import partial
from typing import TypeAlias

from control_center.domain.blackouts import Blackouts
from control_center.domain.errors import Malformed
from control_center.domain.zones import DAY, EPOCH_DAY, FOREVER, Zone, epoch, instant, local_date

MINUTES = 1_440  # of a local day
WHOLE_DAY = ((0, DAY),)
FIRST_WEEKDAY = 3  # 1970-01-01 was a Thursday
HORIZON_DAYS = 3_653  # ten years: who opens later than that is said never to open
HORIZON = HORIZON_DAYS * DAY
FIRST_DAY, LAST_DAY = date.min.toordinal() - EPOCH_DAY, date.max.toordinal() - EPOCH_DAY
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the local day, in minutes since midnight: from `start`, before `end`.

    A start later than the end goes past midnight. 24:00 may end a window: 00:00-24:00 is the whole day.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if wrong := _wrong(self.start, self.end):
            raise Malformed("window", wrong)

    @classmethod
    def parse(cls, text: str, field: str = "window") -> Window:
        """From HH:MM-HH:MM; Malformed, naming `field`, when it is not that."""
        times = re.fullmatch(r"([0-9]{2}):([0-5][0-9])-([0-9]{2}):([0-5][0-9])", text)
        if times is None:
            raise Malformed(field, f"{text!r} is not a window; write HH:MM-HH:MM, as in 09:00-18:00")
        hour, minute, end_hour, end_minute = map(int, times.groups())
        start, end = hour * 60 + minute, end_hour * 60 + end_minute
        if wrong := _wrong(start, end):
            raise Malformed(field, f"{text!r} {wrong}")
        return cls(start, end)

    def hours(self) -> tuple[tuple[int, int], ...]:
        """Stretches of one local day that are open, in seconds."""
        start, end = self.start * 60, self.end * 60
        if start < end:
            return ((start, end),)
        return ((0, end), (start, DAY)) if end else ((start, DAY),)

    def __str__(self) -> str:
        return "{:02}:{:02}-{:02}:{:02}".format(*divmod(self.start, 60), *divmod(self.end, 60))


def _wrong(start: int, end: int) -> str | None:
    if start == end:
        return "starts when it ends; leave the window out for the whole day"
    if not (0 <= start < MINUTES and 0 <= end <= MINUTES):
        return "is not within 00:00 to 24:00"
    return None


class Days(dict[float, int]):
    """For a local day, counted from 1970-01-01: the first such day not before it; FOREVER when there is none.

    Worked out by `find` when first asked for, then kept: most instants fall on few days.
    """

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[date], date | None]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, day: float) -> int:
        known = FIRST_DAY <= day <= LAST_DAY
        found = self._find(date.fromordinal(int(day) + EPOCH_DAY)) if known else None
        self[day] = FOREVER if found is None else found.toordinal() - EPOCH_DAY
        return self[day]


def _open_day(closed_weekdays: frozenset[int], blackouts: Blackouts, day: date) -> date | None:
    """First day, within ten years, that is neither an excluded weekday nor a blackout day."""
    last = min(day.toordinal() + HORIZON_DAYS, date.max.toordinal())
    days = map(date.fromordinal, range(day.toordinal(), last + 1))
    return next((day for day in days if day.weekday() not in closed_weekdays and blackouts.name_of(day) is None), None)


def _closed_day(closed_weekdays: frozenset[int], blackouts: Blackouts, day: date) -> date | None:
    """First day that is an excluded weekday or a blackout day."""
    last = min(day.toordinal() + len(WEEKDAYS), date.max.toordinal())
    week = map(date.fromordinal, range(day.toordinal(), last))
    weekday = next((day for day in week if day.weekday() in closed_weekdays), None)
    blackout = blackouts.next(day)
    return min((found for found in (weekday, blackout) if found is not None), default=None)


@dataclass(frozen=True, slots=True)
class Calendar:
    """When one party lets things happen: without a window, all day. Weekdays count from Monday, 0.

    `weekly`, where given, has a window for each weekday in place of the one for all, None where that day is closed.
    """

    zone: Zone
    window: Window | None = None
    closed_weekdays: frozenset[int] = frozenset()
    blackouts: Blackouts = field(default_factory=Blackouts)
    weekly: tuple[Window | None, ...] = ()
    hours: tuple[tuple[tuple[int, int], ...], ...] = field(init=False, repr=False, compare=False)  # by weekday
    open_days: Days = field(init=False, repr=False, compare=False)
    closed_days: Days = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.closed_weekdays <= frozenset(range(7)):
            raise Malformed(
                "closed_weekdays", f"{sorted(self.closed_weekdays)} are not all of 0 (Monday) to 6 (Sunday)"
            )
        windows = self.weekly or (self.window,) * len(WEEKDAYS)
        object.__setattr__(self, "hours", tuple(window.hours() if window else WHOLE_DAY for window in windows))
        shut = {day for day, window in enumerate(self.weekly) if window is None}
        object.__setattr__(self, "closed_weekdays", self.closed_weekdays | shut)
        closed = (self.closed_weekdays, self.blackouts)
        object.__setattr__(self, "open_days", Days(partial(_open_day, *closed)))
        object.__setattr__(self, "closed_days", Days(partial(_closed_day, *closed)))

    @property
    def never_closes(self) -> bool:
        return self.all_day and not self.closed_weekdays and not self.blackouts.entries

    @property
    def all_day(self) -> bool:
        """Whether a day that is open at all is open from midnight to midnight."""
        return self.hours == (WHOLE_DAY,) * len(WEEKDAYS)


@dataclass(frozen=True, slots=True)
class Never:
    """Nothing opens within ten years. `reason` is a sentence for the person who set the calendar."""

    reason: str


Opening: TypeAlias = datetime | Never


class Closure(Enum):
    """What closes a calendar at an instant; the first that applies, in this order."""

    BLACKOUT = "blackout"
    WEEKDAY = "weekday"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class Closed:
    """Why nothing may go out at an instant. `detail`: the blackout's name, the weekday, or the window."""

    by: Closure
    detail: str

    def __str__(self) -> str:
        match self.by:
            case Closure.BLACKOUT:
                return f"blackout day ({self.detail})"
            case Closure.WEEKDAY:
                return f"excluded weekday ({self.detail})"
            case Closure.WINDOW:
                return f"outside the window {self.detail}"


def why_closed(calendar: Calendar, at: datetime) -> Closed | None:
    """Say why nothing may go out at this instant; None when it may."""
    seconds = epoch(at)
    local = seconds + calendar.zone.offset(seconds)
    day = local_date(calendar.zone, at)
    if (name := calendar.blackouts.name_of(day)) is not None:
        return Closed(Closure.BLACKOUT, name)
    if day.weekday() in calendar.closed_weekdays:
        return Closed(Closure.WEEKDAY, WEEKDAYS[day.weekday()])
    if not any(start <= local % DAY < end for start, end in calendar.hours[day.weekday()]):
        return Closed(Closure.WINDOW, str(calendar.weekly[day.weekday()] if calendar.weekly else calendar.window))
    return None


def is_open(calendar: Calendar, at: datetime) -> bool:
    seconds = epoch(at)
    local = seconds + calendar.zone.offset(seconds)
    return _opens(calendar, local) == local


def next_open(calendar: Calendar, at: datetime) -> Opening:
    """First open instant not before `at`, in UTC; `at` itself when that is open."""
    seconds = epoch(at)
    opens = next_open_epoch(calendar, seconds)
    if opens == seconds:
        return at if at.tzinfo is UTC else at.astimezone(UTC)
    return _never((calendar,), at) if opens is None else instant(int(opens))


def next_open_epoch(calendar: Calendar, seconds: float) -> float | None:
    """Do the same on seconds since 1970, for forecasts and backtests; None for never."""
    changes, offsets = calendar.zone.changes, calendar.zone.offsets
    segment = bisect_right(changes, seconds) - 1
    moment = seconds
    while True:
        offset = offsets[segment]
        opens = _opens(calendar, moment + offset) - offset
        segment += 1
        if opens < changes[segment]:
            break
        moment = changes[segment]
        if moment >= seconds + HORIZON:
            return None
    return opens if opens < seconds + HORIZON else None


def closing(calendar: Calendar, at: datetime) -> datetime | None:
    """First closed instant not before `at`, in UTC: `at` itself when closed, None if not within ten years."""
    if calendar.never_closes:
        return None
    seconds = epoch(at)
    changes, offsets = calendar.zone.changes, calendar.zone.offsets
    segment = bisect_right(changes, seconds) - 1
    moment = seconds
    while moment < seconds + HORIZON:
        offset = offsets[segment]
        segment += 1
        until = min(changes[segment], seconds + HORIZON)
        closes = _closes(calendar, moment + offset, until + offset) - offset
        if closes < until:
            return at.astimezone(UTC) if closes == seconds else instant(closes)
        moment = until
    return None


def is_open_all(calendars: Sequence[Calendar], at: datetime) -> bool:
    return all(is_open(calendar, at) for calendar in calendars)


def next_open_all(calendars: Sequence[Calendar], at: datetime) -> Opening:
    """First instant not before `at`, in UTC, at which all calendars are open, each by its own clock."""
    seconds = epoch(at)
    moment: float = seconds
    agreed = False
    while not agreed:
        agreed = True
        for calendar in calendars:
            opens = next_open_epoch(calendar, moment)
            if opens is None or opens >= seconds + HORIZON:
                return _never(calendars, at)
            agreed = agreed and opens == moment
            moment = opens
    return at.astimezone(UTC) if moment == seconds else instant(int(moment))


def _opens(calendar: Calendar, local: float) -> float:
    """First open second not before `local`, as if the clock that stands at `local` were never changed."""
    day, second = divmod(local, DAY)
    open_day = calendar.open_days[day]
    if open_day == day:
        for start, end in calendar.hours[int(day + FIRST_WEEKDAY) % 7]:
            if second < end:
                return local if second >= start else day * DAY + start
        open_day = calendar.open_days[day + 1]
    return open_day * DAY + calendar.hours[(open_day + FIRST_WEEKDAY) % 7][0][0]


def _closes(calendar: Calendar, local: int, until: int) -> int:
    """First closed second not before `local`, on such a clock; `until` or later if none is before that."""
    if calendar.all_day:
        return max(local, calendar.closed_days[local // DAY] * DAY)
    while local < until and _opens(calendar, local) == local:
        day, second = divmod(local, DAY)
        hours = calendar.hours[(day + FIRST_WEEKDAY) % 7]
        local = day * DAY + next(end for _, end in hours if second < end)
    return local


def _never(calendars: Sequence[Calendar], at: datetime) -> Never:
    for calendar in calendars:
        if len(calendar.closed_weekdays) == len(WEEKDAYS):
            return Never("all seven weekdays are excluded")
        if next_open_epoch(calendar, epoch(at)) is None:
            return Never(f"nothing opens within ten years: {why_closed(calendar, at)}")
    return Never("within ten years there is no moment at which all calendars are open")
