"""Around each change of a clock, the calendar agrees with one that looks at every minute."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import pytest

from control_center.domain.blackouts import Blackout, Blackouts
from control_center.domain.windows import (
    Calendar,
    Never,
    Window,
    closing,
    is_open,
    next_open,
    next_open_epoch,
    why_closed,
)
from control_center.domain.zones import names, zone
from tests.support import brute_force_calendar as slow

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
BEFORE, AFTER = timedelta(hours=3), timedelta(hours=30)
WINDOWS = ("09:00-18:00", "22:00-06:00", "01:30-02:30", "02:15-02:45", "00:00-00:30", "23:30-00:00", "23:45-00:15")

# Changes by an hour, half an hour and two hours, at midnight and not, backwards for a month, by negative summer
# time, by odd offsets, and a day that was skipped.
SAMPLES = (
    ("America/New_York", 2026), ("Europe/London", 2027), ("Europe/Dublin", 2028), ("America/Havana", 2026),
    ("Asia/Beirut", 2026), ("Africa/Cairo", 2026), ("Africa/Casablanca", 2020), ("Australia/Lord_Howe", 2026),
    ("Antarctica/Troll", 2026), ("Pacific/Chatham", 2030), ("America/St_Johns", 2006), ("America/Santiago", 2031),
    ("America/Nuuk", 2026), ("Asia/Gaza", 2033), ("Pacific/Easter", 2034), ("America/Vancouver", 2026),
    ("Pacific/Apia", 2011), ("Asia/Kathmandu", 1985), ("Asia/Pyongyang", 2018),
)  # fmt: skip


def calendars_around(name: str, change: datetime) -> list[Calendar]:
    """Calendars that have an edge near a change: in their window, their weekdays or their blackout days."""
    here, day = zone(name), change.astimezone(slow.rules(name)).date()
    eve, next_day = Blackout.on("eve", day - DAY), Blackout.every_year("after", f"{day + DAY:%m-%d}")
    run = Blackout.between("run", day - DAY, day)
    return [
        *(Calendar(here, Window.parse(window)) for window in WINDOWS),
        Calendar(here),
        Calendar(here, None, frozenset({day.weekday()})),
        Calendar(here, None, frozenset({(day - DAY).weekday(), (day + DAY).weekday()})),
        Calendar(here, Window.parse("22:00-06:00"), frozenset({day.weekday()})),
        Calendar(here, Window.parse("23:00-02:30"), frozenset(), Blackouts((eve, next_day))),
        Calendar(here, Window.parse("00:00-24:00"), frozenset(), Blackouts((run,))),
    ]


def check_around(name: str, change: datetime, calendars: list[Calendar], every: int) -> int:
    """Compare all that a calendar says, at each `every`th minute around a change and at each beside it."""
    start = change.replace(second=0) - BEFORE
    end = change + AFTER
    minutes = list(slow.steps(start, end))
    local = [at.astimezone(slow.rules(name)) for at in minutes]
    beside = range(int(BEFORE / MINUTE) - 2, int(BEFORE / MINUTE) + 4)
    positions = sorted({*range(0, len(minutes), every), *beside})
    checks = 0
    for calendar in calendars:
        states = [slow.open_at(calendar, wall) for wall in local]
        opens, closes = slow.first_with(states, True), slow.first_with(states, False)
        for position in positions:
            at, story = minutes[position], (calendar, minutes[position])
            assert is_open(calendar, at) is states[position], story
            assert (why_closed(calendar, at) is None) is states[position], story
            assert_instant(next_open(calendar, at), opens[position], minutes, story)
            assert_instant(closing(calendar, at), closes[position], minutes, story)
            checks += 1
    return checks


def assert_instant(
    found: datetime | Never | None, expected: int | None, minutes: list[datetime], story: object
) -> None:
    """`expected` is a position in `minutes`; where none was seen, what was found must lie beyond them."""
    if expected is not None:
        assert found == minutes[expected], story
    elif isinstance(found, datetime):
        assert found > minutes[-1], story


@pytest.mark.parametrize(("name", "year"), SAMPLES)
def test_around_a_clock_change_every_minute_is_as_the_wall_clock_says(name: str, year: int) -> None:
    changes = slow.clock_changes(name, datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))

    assert changes
    for half, change in enumerate(changes[:2]):
        check_around(name, change, calendars_around(name, change)[half::2], every=97)


@pytest.mark.long
def test_around_every_clock_change_of_every_zone_until_2036() -> None:
    seen: set[bytes] = set()
    checks = 0
    for name in sorted(names()):
        data = files("tzdata").joinpath("zoneinfo").joinpath(*name.split("/")).read_bytes()
        if data in seen:  # an alias, or a zone that went the same way
            continue
        seen.add(data)
        for change in slow.clock_changes(name, datetime(2024, 1, 1, tzinfo=UTC), datetime(2037, 1, 1, tzinfo=UTC)):
            checks += check_around(name, change, calendars_around(name, change), every=5)
    sys.stdout.write(f"{checks} instants compared\n")
    assert checks > 1_000_000


def test_offsets_of_history_carry_seconds() -> None:
    # Liberia kept 44 minutes and 30 seconds behind Greenwich until 7 January 1972.
    monrovia = Calendar(zone("Africa/Monrovia"), Window.parse("09:00-18:00"))
    early = datetime(1971, 6, 1, 3, 0, tzinfo=UTC)

    states = slow.walk(monrovia, early, early + timedelta(hours=8), timedelta(seconds=1))
    expected = early + timedelta(seconds=states.index(True))

    assert expected == datetime(1971, 6, 1, 9, 44, 30, tzinfo=UTC)
    assert next_open(monrovia, early) == expected


@pytest.mark.parametrize(
    ("name", "day", "first"),
    [
        ("America/Havana", date(2026, 3, 8), "2026-03-08T05:00"),
        ("Asia/Beirut", date(2026, 3, 29), "2026-03-28T22:00"),
        ("Africa/Cairo", date(2026, 4, 24), "2026-04-23T22:00"),
    ],
)
def test_a_window_from_midnight_opens_at_one_on_a_day_without_midnight(name: str, day: date, first: str) -> None:
    calendar = Calendar(zone(name), Window.parse("00:00-06:00"))
    evening = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=6)

    opens = next_open(calendar, evening)

    assert opens == datetime.fromisoformat(first).replace(tzinfo=UTC)


def test_a_window_that_the_gap_swallows_does_not_open_that_day() -> None:
    calendar = Calendar(zone("America/New_York"), Window.parse("02:15-02:45"))

    opens = next_open(calendar, datetime(2026, 3, 7, 12, tzinfo=UTC))

    assert opens == datetime(2026, 3, 9, 6, 15, tzinfo=UTC)  # the 8th has no such time


def test_a_window_in_the_repeated_hour_opens_twice() -> None:
    calendar = Calendar(zone("America/New_York"), Window.parse("01:15-01:45"))
    first, second = datetime(2026, 11, 1, 5, 15, tzinfo=UTC), datetime(2026, 11, 1, 6, 15, tzinfo=UTC)

    assert next_open(calendar, first - MINUTE) == first
    assert closing(calendar, first) == first + 30 * MINUTE
    assert next_open(calendar, first + 30 * MINUTE) == second


def test_a_day_that_was_skipped_is_no_blackout_day() -> None:
    # Samoa went from 29 to 31 December 2011.
    skipped = Blackouts((Blackout.on("skipped", date(2011, 12, 30)),))
    before = datetime(2011, 12, 30, 9, 59, tzinfo=UTC)

    calendar = Calendar(zone("Pacific/Apia"), None, frozenset(), skipped)

    assert is_open(calendar, before)
    assert is_open(calendar, before + MINUTE)
    assert closing(calendar, before) is None


def test_seconds_with_fractions_are_kept_exactly() -> None:
    calendar = Calendar(zone("Europe/Paris"), Window.parse("09:00-18:00"))
    opening = datetime(2090, 6, 1, 7, 0, tzinfo=UTC)
    late = opening + timedelta(hours=9) - timedelta(microseconds=1)

    assert next_open(calendar, opening - timedelta(microseconds=1)) == opening
    assert next_open(calendar, late) == late
    assert next_open(calendar, late + timedelta(microseconds=1)) == opening + DAY
    assert next_open_epoch(calendar, opening.timestamp() - 0.25) == opening.timestamp()
    assert next_open_epoch(calendar, opening.timestamp() + 0.25) == opening.timestamp() + 0.25
