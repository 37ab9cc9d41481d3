"""Dates and times as a studio writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import Enum

from control_center.domain import zones

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

# The United States and its territories, where the month comes first and a day has two halves.
_MONTH_FIRST = frozenset({"US", "AS", "GU", "MP", "PR", "UM", "VI"})


@dataclass(frozen=True, slots=True)
class Format:
    """How a studio writes: "Saturday, June 12" and "2:00 PM", or "Saturday, 12 June" and "14:00"."""

    month_first: bool
    twelve_hours: bool

    def date(self, day: date) -> str:
        weekday, month = WEEKDAYS[day.weekday()], MONTHS[day.month - 1]
        return f"{weekday}, {month} {day.day}" if self.month_first else f"{weekday}, {day.day} {month}"

    def time(self, clock: time) -> str:
        if not self.twelve_hours:
            return f"{clock.hour:02}:{clock.minute:02}"
        return f"{clock.hour % 12 or 12}:{clock.minute:02} {_half(clock)}"


_AMERICAN = Format(month_first=True, twelve_hours=True)
_ELSEWHERE = Format(month_first=False, twelve_hours=False)


def format_of(country: str | None) -> Format:
    """The way of writing in a studio's country, given as two letters."""
    return _AMERICAN if country in _MONTH_FIRST else _ELSEWHERE


class Face(Enum):
    """What of a moment is shown where a template names it plainly."""

    DATE = "date"
    TIME = "time"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class When:
    """A local date, with a time of day where it is known. `str` of it is what a client reads."""

    day: date
    clock: time | None
    format: Format
    face: Face = Face.BOTH

    def __str__(self) -> str:
        """As the studio writes it."""
        if self.clock is None or self.face is Face.DATE:
            return self.format.date(self.day)
        if self.face is Face.TIME:
            return self.format.time(self.clock)
        return f"{self.format.date(self.day)}, {self.format.time(self.clock)}"

    def __liquid__(self) -> str:
        """What conditions compare: text that sorts as time does."""
        return self.day.isoformat() + (f"T{self.clock:%H:%M}" if self.clock else "")


def read(text: object, form: Format, zone: zones.Zone | None, face: Face = Face.BOTH) -> When | None:
    """Read an ISO 8601 date, local time or instant; None where it is none of them.

    An instant is shown as `zone` shows it; without a zone, as it was written. Of a bare date there is no TIME.
    """
    if not isinstance(text, str):
        return None
    try:
        if len(text) == len("2026-11-22"):
            return None if face is Face.TIME else When(date.fromisoformat(text), None, form, face)
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    local = at if at.tzinfo is None or zone is None else zones.at_local(zone, at)
    clock = None if face is Face.DATE else local.time()
    return When(local.date(), clock, form, face)


def _half(clock: time) -> str:
    return "AM" if clock.hour < 12 else "PM"


_DAY: dict[str, Callable[[date], str]] = {
    "a": lambda day: WEEKDAYS[day.weekday()][:3],
    "A": lambda day: WEEKDAYS[day.weekday()],
    "b": lambda day: MONTHS[day.month - 1][:3],
    "B": lambda day: MONTHS[day.month - 1],
    "d": lambda day: f"{day.day:02}",
    "e": lambda day: f"{day.day:2}",
    "F": lambda day: day.isoformat(),
    "j": lambda day: f"{day.timetuple().tm_yday:03}",
    "m": lambda day: f"{day.month:02}",
    "y": lambda day: f"{day.year % 100:02}",
    "Y": lambda day: f"{day.year}",
}
_CLOCK: dict[str, Callable[[time], str]] = {
    "H": lambda clock: f"{clock.hour:02}",
    "I": lambda clock: f"{clock.hour % 12 or 12:02}",
    "k": lambda clock: f"{clock.hour:2}",
    "l": lambda clock: f"{clock.hour % 12 or 12:2}",
    "M": lambda clock: f"{clock.minute:02}",
    "p": _half,
    "P": lambda clock: _half(clock).lower(),
    "R": lambda clock: f"{clock.hour:02}:{clock.minute:02}",
    "S": lambda clock: f"{clock.second:02}",
}
_DIRECTIVE = re.compile(r"%(-?)(.?)", re.DOTALL)


def unknown_directive(form: str) -> str | None:
    """The first directive of a format such as "%A, %-d %B" that is not one of ours."""
    for found in _DIRECTIVE.finditer(form):
        if found[2] not in _DAY and found[2] not in _CLOCK and found[0] != "%%":
            return found[0]
    return None


def write(when: When, form: str) -> str:
    """Write a moment by a format of `%` directives; `%-d` leaves out the leading zero.

    Not by the machine's own strftime, which knows other directives on every system and any language. Raises
    ValueError for a directive that is not ours, and for one that asks a bare date for its time.
    """

    def directive(found: re.Match[str]) -> str:
        letter = found[2]
        if found[0] == "%%":
            return "%"
        if letter in _DAY:
            text = _DAY[letter](when.day)
        elif letter not in _CLOCK:
            raise ValueError(f"{found[0]!r} is no part of a date")
        elif when.clock is None:
            raise ValueError(f"{when.day} has no time of day for {found[0]!r}")
        else:
            text = _CLOCK[letter](when.clock)
        return text.lstrip("0 ") or "0" if found[1] else text

    return _DIRECTIVE.sub(directive, form)
