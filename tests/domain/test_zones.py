from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain import zones
from control_center.domain.errors import Malformed
from control_center.domain.zones import (
    Zone,
    at_local,
    end_of_day,
    local_date,
    local_datetime,
    start_of_day,
    zone,
)
from tests.support import brute_force_calendar as slow

SOME = [
    "UTC", "America/New_York", "America/St_Johns", "America/Havana", "Asia/Beirut", "Africa/Cairo", "Africa/Monrovia",
    "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kwajalein", "Antarctica/Troll", "Europe/Dublin",
    "Africa/Casablanca", "America/Juneau", "Asia/Manila", "EST5EDT", "America/Vancouver",
]  # fmt: skip
ZONES = st.sampled_from(SOME).map(zone)
INSTANTS = st.datetimes(datetime(1830, 1, 1), datetime(2099, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
WALLS = st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 1))  # noqa: DTZ001 - a wall clock has no offset
DAYS = st.dates(date(1970, 1, 2), date(2099, 12, 1))
LAW = settings(deadline=None)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def changes_agree(here: Zone) -> bool:
    """Whether the offset changes when the rules of the zone say so, to the second, and not at any other time."""
    rules = slow.rules(here.name)
    probes = [probe for change in here.changes[1:-1] for probe in (change - 1, change)]
    probes += [(one + other) // 2 for one, other in zip(here.changes[1:-1], here.changes[2:-1], strict=False)]
    return all(
        (zones.EPOCH + timedelta(seconds=probe)).astimezone(rules).utcoffset() == timedelta(seconds=here.offset(probe))
        for probe in probes
    )


def test_zones_come_from_the_package_not_from_the_system() -> None:
    # British Columbia stopped changing its clocks in 2026, which systems learn late.
    vancouver = zone("America/Vancouver")

    assert re.fullmatch("20[0-9]{2}[a-z]", zones.IANA_VERSION)
    assert at_local(vancouver, utc("2026-12-01T12:00")) == wall("2026-12-01T05:00")


@pytest.mark.parametrize("name", ["America/Chikago", "", "../../etc/passwd", "america/chicago", "Factory", "EST+5"])
def test_a_name_that_is_no_zone_is_refused_by_the_name_of_its_field(name: str) -> None:
    with pytest.raises(Malformed) as refusal:
        zone(name, "studio.timezone")

    assert refusal.value.field == "studio.timezone"


def test_a_misspelt_zone_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(Malformed, match="did you mean America/Chicago"):
        zone("America/Chikago")


def test_a_zone_is_loaded_once() -> None:
    assert zone("America/Chicago") is zone("America/Chicago")


@pytest.mark.parametrize("name", SOME)
def test_the_segments_of_a_zone_are_its_rules(name: str) -> None:
    assert changes_agree(zone(name))


@pytest.mark.long
def test_the_segments_of_every_zone_are_its_rules_at_every_change_and_every_day_until_2100() -> None:
    days = [zones.instant(seconds) for seconds in range(0, zones.KNOWN_UNTIL, zones.DAY)]
    for name in sorted(zones.names()):
        here, rules = zone(name), slow.rules(name)

        assert changes_agree(here), name
        for at in days:
            assert at.astimezone(rules).replace(tzinfo=None) == at_local(here, at), (name, at)


@pytest.mark.long
def test_every_zone_of_the_package_can_be_named() -> None:
    known = set(zoneinfo.available_timezones())

    assert zones.names() >= known - {"Factory", "localtime", "posixrules"} - {
        name for name in known if name.startswith(("posix/", "right/"))
    }


@LAW
@given(ZONES, INSTANTS)
def test_local_time_is_what_the_rules_say(here: Zone, at: datetime) -> None:
    local = at.astimezone(slow.rules(here.name)).replace(tzinfo=None, fold=0)

    assert at_local(here, at) == local
    assert local_date(here, at) == local.date()


@LAW
@given(ZONES, WALLS)
def test_a_wall_clock_time_is_the_first_instant_that_shows_it_or_more(here: Zone, shown: datetime) -> None:
    found = local_datetime(here, shown)

    assert at_local(here, found) >= shown
    assert at_local(here, found - timedelta(microseconds=1)) < shown
    rules = slow.rules(here.name)
    as_rules_say = shown.replace(tzinfo=rules, fold=0).astimezone(UTC)
    if as_rules_say.astimezone(rules).replace(tzinfo=None) == shown:  # it exists, fold 0 being the first pass
        assert found == as_rules_say


@LAW
@given(ZONES, DAYS)
def test_a_day_lasts_from_its_start_to_its_end(here: Zone, day: date) -> None:
    start, end, tick = start_of_day(here, day), end_of_day(here, day), timedelta(microseconds=1)

    assert start <= end <= start + timedelta(hours=49)
    assert local_date(here, start - tick) < day
    assert local_date(here, end) > day
    if start < end:
        assert local_date(here, start) == day == local_date(here, end - tick)
    assert end >= start_of_day(here, day + timedelta(days=1))


@pytest.mark.parametrize(
    ("name", "day", "start", "end"),
    [
        ("America/Havana", date(2026, 3, 8), "2026-03-08T05:00", "2026-03-09T04:00"),
        ("Asia/Beirut", date(2026, 3, 29), "2026-03-28T22:00", "2026-03-29T21:00"),
        ("Africa/Cairo", date(2026, 4, 24), "2026-04-23T22:00", "2026-04-24T21:00"),
        ("America/New_York", date(2026, 11, 1), "2026-11-01T04:00", "2026-11-02T05:00"),
        ("America/Havana", date(2025, 11, 1), "2025-11-01T04:00", "2025-11-02T04:00"),  # the next shows 00:00 twice
        ("America/Sao_Paulo", date(2018, 2, 17), "2018-02-17T02:00", "2018-02-18T03:00"),  # 23:00 to 24:00 twice
        ("America/Sao_Paulo", date(2018, 2, 18), "2018-02-18T03:00", "2018-02-19T03:00"),
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00", "2011-12-30T10:00"),  # skipped as a whole
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00", "2011-12-31T10:00"),
    ],
)
def test_a_day_starts_at_its_first_existing_instant(name: str, day: date, start: str, end: str) -> None:
    assert (start_of_day(zone(name), day), end_of_day(zone(name), day)) == (utc(start), utc(end))


def test_a_day_that_comes_back_after_midnight_ends_after_the_next_has_begun() -> None:
    # In 2006 Newfoundland put its clocks back at 00:01, to 23:01 of the day before.
    here, day = zone("America/St_Johns"), date(2006, 10, 28)

    assert start_of_day(here, date(2006, 10, 29)) == utc("2006-10-29T02:30")
    assert end_of_day(here, day) == utc("2006-10-29T03:30")


def test_a_wall_clock_time_that_is_skipped_is_the_moment_of_the_skip() -> None:
    skipped = wall("2026-03-08T02:30:15.5")

    assert local_datetime(zone("America/New_York"), skipped) == utc("2026-03-08T07:00")


def test_a_wall_clock_time_that_comes_twice_is_the_first() -> None:
    new_york = zone("America/New_York")

    assert local_datetime(new_york, wall("2026-11-01T01:30")) == utc("2026-11-01T05:30")
    assert local_datetime(new_york, wall("2026-11-01T02:00")) == utc("2026-11-01T07:00")  # comes once


def test_an_aware_time_is_not_taken_for_a_wall_clock() -> None:
    with pytest.raises(AssertionError):
        local_datetime(zone("UTC"), utc("2026-11-01T01:30"))


@pytest.mark.parametrize("name", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_ends_of_time_are_cut_off_not_refused(name: str, day: date) -> None:
    here = zone(name)

    assert datetime.min.replace(tzinfo=UTC) <= start_of_day(here, day) <= end_of_day(here, day)
    assert end_of_day(here, day) <= datetime.max.replace(tzinfo=UTC)
    assert abs(local_date(here, start_of_day(here, day)) - day) <= timedelta(days=1)
