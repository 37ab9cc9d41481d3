"""Calendars worked out the slow and obvious way, straight from the definition, as an oracle for the fast one.

Nothing here is shared with the product but the values that describe a calendar: local time comes from `ZoneInfo`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from control_center.domain.windows import Calendar

MINUTE = timedelta(minutes=1)


@cache
def rules(name: str) -> ZoneInfo:
    """The zone as the tzdata package has it: the system's copy may differ."""
    with files("tzdata").joinpath("zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, name)


def open_at(calendar: Calendar, local: datetime) -> bool:
    """Whether a calendar is open while its wall clock shows `local`."""
    if local.weekday() in calendar.closed_weekdays:
        return False
    if any(blackout.covers(local.date()) for blackout in calendar.blackouts.entries):
        return False
    if calendar.window is None:
        return True
    minute = local.hour * 60 + local.minute
    if calendar.window.start < calendar.window.end:
        return calendar.window.start <= minute < calendar.window.end
    return minute >= calendar.window.start or minute < calendar.window.end


def is_open(calendar: Calendar, at: datetime) -> bool:
    return open_at(calendar, at.astimezone(rules(calendar.zone.name)))


def walk(calendar: Calendar, start: datetime, end: datetime, step: timedelta = MINUTE) -> list[bool]:
    """Whether a calendar is open at `start` and each step after it, before `end`."""
    zone = rules(calendar.zone.name)
    return [open_at(calendar, at.astimezone(zone)) for at in steps(start, end, step)]


def steps(start: datetime, end: datetime, step: timedelta = MINUTE) -> Iterator[datetime]:
    at = start
    while at < end:
        yield at
        at += step


def first_with(states: list[bool], wanted: bool) -> list[int | None]:  # noqa: FBT001 - the state looked for
    """For each position: the first position not before it in the wanted state."""
    found: list[int | None] = [None] * len(states)
    following: int | None = None
    for position in reversed(range(len(states))):
        if states[position] is wanted:
            following = position
        found[position] = following
    return found


def clock_changes(name: str, start: datetime, end: datetime) -> list[datetime]:
    """The instants in [start, end) at which the clocks of a zone are changed, found by looking at each day."""
    zone = rules(name)
    return [
        _change_within(zone, day)
        for day in steps(start, end, timedelta(days=1))
        if _offset(zone, day) != _offset(zone, day + timedelta(days=1))
    ]


def _change_within(zone: ZoneInfo, day: datetime) -> datetime:
    before, after = 0, 86_400
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, day + timedelta(seconds=middle)) == _offset(zone, day):
            before = middle
        else:
            after = middle
    return day + timedelta(seconds=after)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta | None:
    return at.astimezone(zone).utcoffset()
