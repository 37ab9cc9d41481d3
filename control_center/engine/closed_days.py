"""Closed days out of a calendar file (.ics), as plain dates.

Files come from anybody, and a rule in one may ask for an event every second since 1970. So they are read in a child
process that has little time and little memory, and only its dates come back.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import sys
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import msgspec

from control_center.domain.blackouts import Blackout
from control_center.domain.errors import Malformed

SIZE = 1024 * 1024  # bytes of a file
EVENTS = 2000  # events in it
DAYS = 1000  # closed days that it may make
YEARS = 2  # from today on
SECONDS = 10.0

_FIELD = "file"
_MEMORY = 1024 * 1024 * 1024
_AT_ONCE = asyncio.Semaphore(2)  # children: files from many at once wait for each other, and not for memory
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OFTEN_ENOUGH = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})


async def read(ics: bytes, *, today: date, seconds: float = SECONDS) -> list[Blackout]:
    """The whole days that a calendar's events fill, for two years from today; in a row under one name they are a run.

    Events that are cancelled or fill no whole day close nothing. Raises Malformed for a file that is too
    large, repeats too often, cannot be read in time, or closes no day.
    """
    if len(ics) > SIZE:
        raise Malformed(_FIELD, f"{len(ics)} bytes; a calendar file may have {SIZE}")
    until = today + timedelta(days=365 * YEARS)
    async with _AT_ONCE:
        answer = await _asked_of_a_child(ics, today, until, seconds)
    found = [(name, date.fromisoformat(day)) for name, day in msgspec.json.decode(answer, type=list[tuple[str, str]])]
    if not found:
        raise Malformed(_FIELD, f"holds no whole-day event from {today} to {until}")
    return sorted(runs(found), key=lambda run: (run.first, run.name))


async def _asked_of_a_child(ics: bytes, today: date, until: date, seconds: float) -> bytes:
    """What the child says of the days. Raises Malformed with its complaint, or where it takes too long."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        today.isoformat(),
        until.isoformat(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},  # and none of our secrets
    )
    try:
        async with asyncio.timeout(seconds):
            answer, complaint = await child.communicate(ics)
    except TimeoutError:
        raise Malformed(_FIELD, f"not read within {seconds:g} seconds; does an event repeat too often?") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        lines = complaint.decode(errors="replace").strip().splitlines()
        raise Malformed(_FIELD, lines[-1][:300] if lines else "could not be read")
    return answer


def runs(days: Iterable[tuple[str, date]]) -> Iterator[Blackout]:
    """Named days as blackouts: those in a row under one name become one."""
    first: dict[str, date] = {}
    last: dict[str, date] = {}
    for name, day in sorted(set(days)):
        if name in first and day == last[name] + timedelta(days=1):
            last[name] = day
            continue
        if name in first:
            yield Blackout.between(name, first[name], last[name])
        first[name] = last[name] = day
    yield from (Blackout.between(name, first[name], last[name]) for name in first)


# In the child ---------------------------------------------------------------------------------------------


def _whole_days(ics: bytes, first: date, last: date) -> list[tuple[str, str]]:
    import icalendar  # noqa: PLC0415 - heavy, and needed in the child alone
    import recurring_ical_events  # noqa: PLC0415

    try:
        calendar = icalendar.Calendar.from_ical(ics)
    except (ValueError, IndexError, KeyError) as error:
        raise Malformed(_FIELD, f"is not a calendar file: {str(error)[:200]}") from None
    events = calendar.walk("VEVENT")
    if len(events) > EVENTS:
        raise Malformed(_FIELD, f"holds {len(events)} events; allowed are {EVENTS}")
    for event in events:
        _check_rule(event)
    days: set[tuple[str, str]] = set()
    for event in recurring_ical_events.of(calendar).between(first, last):
        if str(event.get("STATUS", "")).upper() != "CANCELLED":
            name = _name(event, "Closed")
            days.update((name, day.isoformat()) for day in _days(event.start, event.end) if first <= day < last)
        if len(days) > DAYS:
            raise Malformed(_FIELD, f"closes more than {DAYS} days")
    return sorted(days)


def _name(event: Any, unnamed: str) -> str:
    """What an event is called, on one line; of several names the first."""
    given = event.get("SUMMARY", "")
    first = given[0] if isinstance(given, list) else given
    return " ".join(_CONTROL.sub(" ", str(first)).split())[:200] or unnamed


def _check_rule(event: Any) -> None:
    rules = event.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        often = {str(freq).upper() for freq in rule.get("FREQ", [])}
        # One that names none is read by the libraries as they please, even as every second.
        if not often or not often <= _OFTEN_ENOUGH:
            repeats = ", ".join(sorted(often - _OFTEN_ENOUGH))[:40] or "and does not say how often"
            raise Malformed(_FIELD, f"{_name(event, 'an event')!r} repeats {repeats}; at most daily is allowed")


def _days(start: date, end: date) -> Iterator[date]:
    """The local days that an event fills from midnight to midnight; a bare day that ends as it begins is that day."""
    if isinstance(start, datetime) and isinstance(end, datetime):
        begun = start.time() != time.min
        day, end = start.date() + timedelta(days=begun), end.date()
    else:
        day, end = start, max(end, start + timedelta(days=1))
    while day < end:
        yield day
        day += timedelta(days=1)


def _main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS)))
    first, last = (date.fromisoformat(text) for text in sys.argv[1:3])
    try:
        days = _whole_days(sys.stdin.buffer.read(), first, last)
    except Malformed as error:
        sys.stderr.write(error.reason)
        return 1
    except Exception as error:  # noqa: BLE001 - whatever the libraries make of what anybody may send
        sys.stderr.write("holds an event that cannot be read: " + " ".join(str(error).split()))
        return 1
    sys.stdout.write(msgspec.json.encode(days).decode())
    return 0


if __name__ == "__main__":
    sys.exit(_main())
