"""Time zones: exact, fast, and the same on every machine.

Zones come from the tzdata package alone, never from the system, whose copy may be years behind. A zone is
kept as a row of segments of constant offset. Inside a segment local time is plain arithmetic, so nothing here
or in `windows` treats daylight saving as special: what crosses a change starts again in the next segment.

Seconds are seconds since 1970-01-01T00:00Z; local seconds are the same plus the offset of that moment.
Instants before year 1 or after year 9999 (a record dated 9999-12-31, west of Greenwich) are cut off there.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]  # one string is read from it

from control_center.domain.errors import Malformed

IANA_VERSION: str = tzdata.IANA_VERSION

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = EPOCH.toordinal()
DAY = 86_400
FOREVER = 1 << 62  # seconds; an int, because a tuple of one type is searched faster

# Before any clock kept standard time, with room for the offset itself.
EARLIEST = datetime(1, 1, 3, tzinfo=UTC)
# Changes by rule are laid out up to here; later instants keep the last offset.
KNOWN_UNTIL = 4_102_444_800  # 2100-01-01T00:00Z
# A closing rule changes the clock twice a year, months apart: two probes never enclose both changes.
PROBE = 28 * DAY
FARTHEST_OFFSET = 26 * 3_600  # no clock was ever set further from UTC; the record is under 16 hours


@dataclass(frozen=True, slots=True)
class Zone:
    """From `changes[i]`, before `changes[i + 1]`, local clocks are `offsets[i]` seconds ahead of UTC."""

    name: str
    changes: tuple[int, ...] = field(repr=False, compare=False)
    offsets: tuple[int, ...] = field(repr=False, compare=False)

    def offset(self, seconds: float) -> int:
        return self.offsets[bisect_right(self.changes, seconds) - 1]


@cache
def names() -> frozenset[str]:
    """Every zone that may be named, aliases included."""
    # "Factory" is the database's own way of saying that no zone was chosen.
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split()) - {"Factory"}


def zone(name: str, field: str = "timezone") -> Zone:
    """Zone of this IANA name, spelt exactly; Malformed, with the nearest names, when there is none."""
    if name not in names():
        near = ", ".join(get_close_matches(name, names()))
        raise Malformed(
            field,
            f"{name!r} is not a time zone of the IANA database {IANA_VERSION}; "
            + (f"did you mean {near}?" if near else "give a name such as America/Chicago"),
        )
    return _load(name)


@cache
def _load(name: str) -> Zone:
    data = files("tzdata").joinpath("zoneinfo").joinpath(*name.split("/")).read_bytes()
    rules = ZoneInfo.from_file(io.BytesIO(data), name)
    changes, offsets = [-FOREVER], [_offset(rules, -FOREVER)]
    for change in _changes(data, rules):
        offset = _offset(rules, change)
        if offset != offsets[-1]:  # else only the abbreviation changed
            changes.append(change)
            offsets.append(offset)
    return Zone(name, (*changes, FOREVER), tuple(offsets))


def _changes(data: bytes, rules: ZoneInfo) -> Iterator[int]:
    """Find the instants at which the offset may change: those listed, then those the closing rule makes."""
    listed = _listed(data)
    yield from listed
    closing_rule = data.rsplit(b"\n", 2)[1]
    if b"," in closing_rule:  # a comma introduces the dates of summer time
        first = listed[-1] if listed else 0
        for before, after in pairwise(range(first, KNOWN_UNTIL + PROBE, PROBE)):
            if _offset(rules, before) != _offset(rules, after):
                yield _change_between(rules, before, after)


def _listed(data: bytes) -> tuple[int, ...]:
    """Read the transition times of a TZif file's second, 64-bit block (RFC 9636)."""
    is_utc, is_standard, leaps, times, types, letters = struct.unpack_from(">6l", data, 20)
    block = 44 + times * 5 + types * 6 + letters + leaps * 8 + is_standard + is_utc
    (times,) = struct.unpack_from(">l", data, block + 32)
    return struct.unpack_from(f">{times}q", data, block + 44)


def _change_between(rules: ZoneInfo, before: int, after: int) -> int:
    """Find the first second of the offset that holds at `after`, given one change in between."""
    offset = _offset(rules, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(rules, middle) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(rules: ZoneInfo, seconds: int) -> int:
    moment = max(instant(seconds), EARLIEST)
    offset = moment.astimezone(rules).utcoffset()
    assert offset is not None, "a ZoneInfo always knows its offset"
    return offset // timedelta(seconds=1)


def epoch(at: datetime) -> int:
    """Whole seconds since 1970, rounded down: nothing in a calendar begins or ends within a second.

    A naive datetime raises TypeError.
    """
    since = at - EPOCH
    return since.days * DAY + since.seconds


def instant(seconds: int) -> datetime:
    """UTC instant of these seconds since 1970."""
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if seconds > 0 else datetime.min.replace(tzinfo=UTC)


def at_local(zone: Zone, at: datetime) -> datetime:
    """Say what a wall clock in this zone shows: a naive datetime, for people to read, not to compute with."""
    utc = at.astimezone(UTC).replace(tzinfo=None)
    try:
        return utc + timedelta(seconds=zone.offset(epoch(at)))
    except OverflowError:
        return utc


def local_date(zone: Zone, at: datetime) -> date:
    """Calendar day that it is in this zone."""
    return at_local(zone, at).date()


def local_datetime(zone: Zone, wall: datetime) -> datetime:
    """Find the UTC instant at which a wall clock in this zone shows `wall`, which is naive.

    A time that the clock shows twice is the first of the two; one that it skips is the moment of the skip.
    """
    assert wall.tzinfo is None, "a wall clock shows no offset"
    local = wall.replace(tzinfo=UTC, microsecond=0)
    found = _first(zone, epoch(local))
    shown = found + zone.offset(found) == epoch(local)
    return instant(found) + timedelta(microseconds=wall.microsecond if shown else 0)


def start_of_day(zone: Zone, day: date) -> datetime:
    """First instant of a local day, midnight or not; of a day that was skipped, the moment of the skip."""
    return instant(_first(zone, _midnight(day)))


def end_of_day(zone: Zone, day: date) -> datetime:
    """Instant at which a local day is over and does not come back; that instant is not of the day.

    A day that was skipped ends when it starts. The end may be later than the start of the next day: clocks
    that go back from 00:01 to 23:01 show a minute of tomorrow first.
    """
    return instant(_last(zone, _midnight(day) + DAY))


def _midnight(day: date) -> int:
    return (day.toordinal() - EPOCH_DAY) * DAY


def _first(zone: Zone, local: int) -> int:
    """First second at which local clocks show `local` or more."""
    segment = bisect_right(zone.changes, local - FARTHEST_OFFSET) - 1
    while zone.changes[segment + 1] + zone.offsets[segment] <= local:
        segment += 1
    return max(zone.changes[segment], local - zone.offsets[segment])


def _last(zone: Zone, local: int) -> int:
    """Second after the last at which local clocks show less than `local`."""
    segment = bisect_right(zone.changes, local + FARTHEST_OFFSET) - 1
    while zone.changes[segment] + zone.offsets[segment] >= local:
        segment -= 1
    return min(zone.changes[segment + 1], local - zone.offsets[segment])
