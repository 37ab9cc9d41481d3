"""The hours in which a text may arrive: open on every clock it may be read by, and within the rules of the place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain import arrival, number, quiet_hours, regions, zones
from control_center.domain.arrival import Addressee
from control_center.domain.errors import Malformed
from control_center.domain.quiet_hours import Hours, hours, presets, read
from control_center.domain.recipient_zone import Place, place
from control_center.domain.week import Week
from control_center.domain.windows import Calendar, Window
from tests.support.brute_force_calendar import rules
from tests.support.values import a_studio

SUNDAY = datetime(2026, 11, 22, 18, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
EVERY_DAY = Week((Window(540, 1200),) * 7)  # 09:00 to 20:00
ANYWHERE = ["America/Chicago", "America/Los_Angeles", "Pacific/Honolulu", "Europe/Berlin", "Asia/Kolkata"]
# Clocks that change at midnight, by half an hour, by two hours, or twice about a month of fasting.
ODD = ["America/Havana", "Asia/Beirut", "Africa/Cairo", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca"]
# Springs forward or falls back within a week of each of these.
CHANGES = [
    datetime(2026, 11, 1, 7, tzinfo=UTC),
    datetime(2027, 3, 14, 8, tzinfo=UTC),
    datetime(2027, 3, 28, 1, tzinfo=UTC),
    datetime(2027, 3, 14, 5, tzinfo=UTC),  # Havana has no midnight
    datetime(2027, 4, 3, 15, tzinfo=UTC),  # Lord Howe goes back by half an hour
    datetime(2027, 1, 1, tzinfo=UTC),
]


def in_place(*regions: str, at: Sequence[str] = ("America/Chicago",)) -> Place:
    return Place(tuple(at), "address", regions)


def marketing(where: Place, now: datetime = SUNDAY, *, own: Week | None = None) -> Hours:
    found = hours(where, "marketing", own, None, now)
    assert found is not None
    return found


def local(day: str, clock: str, zone: str = "America/Chicago") -> datetime:
    return zones.local_datetime(zones.zone(zone), datetime.fromisoformat(f"{day}T{clock}"))


# The usual hours ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (local("2026-11-23", "10:00"), None),
        (local("2026-11-23", "09:59"), "outside 10:00-18:00"),
        (local("2026-11-23", "18:00"), "outside 10:00-18:00"),
        (local("2026-11-28", "16:59"), None),
        (local("2026-11-28", "17:00"), "outside 10:00-17:00"),
        (local("2026-11-29", "12:00"), "Sunday"),
        (local("2026-11-26", "12:00"), "Thanksgiving Day"),
    ],
)
def test_marketing_goes_on_workdays_from_10_to_18_on_saturdays_to_17_and_never_on_sundays_or_holidays(
    at: datetime, said: str | None
) -> None:
    closed = marketing(in_place("US", "US-IL"), at).closed(at)

    assert closed == (said and f"quiet hours: {said} (zone from the postal address: America/Chicago)")


def test_a_reminder_has_hours_only_where_the_studio_sets_some() -> None:
    where = in_place("US")

    assert hours(where, "transactional", None, None, SUNDAY) is None
    usual = hours(where, "transactional", None, presets().transactional, SUNDAY)
    assert usual is not None
    assert usual.is_open(local("2026-11-22", "09:00"))
    assert not usual.is_open(local("2026-11-22", "20:00"))


def test_a_studio_widens_its_hours_within_the_rule_of_the_recipients_state_only() -> None:
    late = Week((Window(0, 1440),) * 7)

    def opens(*states: str) -> tuple[bool, bool, bool]:
        found = marketing(in_place("US", *states), own=late)
        return tuple(found.is_open(at) for at in asked)  # type: ignore[return-value]  # as many as are asked

    asked = (local("2026-11-23", "20:30"), local("2026-11-23", "08:30"), local("2026-11-29", "11:00"))
    assert opens() == (True, True, True)
    assert opens("US-FL") == (False, True, True)
    assert opens("US-TX") == (True, False, False)
    assert opens("US-AL") == (False, True, False)
    assert opens("US-FL", "US-TX") == (False, False, False), "of two states that it may be, both must allow it"


def test_a_rule_counts_from_its_day_on_and_the_newest_that_has_begun() -> None:
    table: dict[str, Any] = {
        "default": {
            "from": date(2026, 1, 1),
            "marketing": {"days": "10:00-18:00"},
            "transactional": {"days": "09:00-20:00"},
        },
        "rule": [
            {"region": "US-XX", "from": date(2027, 1, 1), "days": "08:00-21:00", "source": "the new one"},
            {"region": "US-XX", "from": date(2026, 1, 1), "days": "09:00-20:00", "source": "the old one"},
        ],
    }
    known = read(table, "here")

    def source(day: date) -> str | None:
        law = known.in_force("US-XX", day)
        return law.source if law is not None else None

    assert [source(date(year, 12, 31)) for year in (2025, 2026, 2027)] == [None, "the old one", "the new one"]


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"region": "US", "days": "08:00-21:00", "source": "x"}, "rule[0].from"),
        ({"region": "US", "from": date(2026, 1, 1), "days": "21:00-08:00", "source": "x"}, "rule[0].days"),
        ({"region": "US", "from": date(2026, 1, 1), "days": "08:00-21:00"}, "rule[0].source"),
        ({"from": date(2026, 1, 1), "days": "08:00-21:00", "source": "x"}, "rule[0].region"),
        ({"region": "US", "from": date(2026, 1, 1), "days": "08:00-21:00", "source": "x", "sunday": False}, "sunday"),
    ],
)
def test_a_preset_that_is_wrong_is_refused_by_name(rule: dict[str, Any], field: str) -> None:
    week = {"days": "09:00-20:00"}
    with pytest.raises(Malformed) as refused:
        read({"default": {"marketing": week, "transactional": week}, "rule": [rule]}, "here")

    assert field in str(refused.value)


def test_every_preset_that_comes_along_is_of_a_place_that_is_known_and_says_where_it_is_from() -> None:
    states = {one.code for one in regions.shipped().regions}

    territories = {code[3:] for code in states if number.is_country(code[3:])}
    assert {law.region for law in presets().laws} <= states | set(regions.COUNTRIES) | territories
    assert all(law.source for law in presets().laws)


# Several clocks -------------------------------------------------------------------------------------------

windows = st.tuples(st.integers(0, 94), st.integers(1, 96)).filter(lambda one: one[0] < one[1])
weeks = st.lists(st.one_of(st.none(), windows), min_size=7, max_size=7).filter(any)


def is_open(week: Week, names: Sequence[str], at: datetime) -> bool:
    """The rule itself, by the wall clocks that Python shows."""
    walls = [at.astimezone(rules(name)) for name in names]
    kept = [(week.windows[wall.weekday()], wall.hour * 60 + wall.minute) for wall in walls]
    return all(window is not None and window.start <= minute < window.end for window, minute in kept)


@given(
    weeks.map(lambda days: Week(tuple(None if one is None else Window(one[0] * 15, one[1] * 15) for one in days))),
    st.sets(st.sampled_from(ANYWHERE + ODD), min_size=1, max_size=3),
    st.sampled_from(CHANGES),
    st.integers(-300, 300),
)
def test_the_first_moment_that_is_found_is_open_on_every_clock_and_none_before_it_is(
    week: Week, names: set[str], change: datetime, quarters: int
) -> None:
    at = change + quarters * QUARTER
    found = Hours(
        tuple(Calendar(zones.zone(name), weekly=week.windows) for name in sorted(names)), in_place(at=sorted(names))
    )

    opening = found.opening(at)

    within = [at + n * QUARTER for n in range(10 * 96)]
    first = next((one for one in within if is_open(week, sorted(names), one)), None)
    assert first == (opening if opening is not None and opening <= within[-1] else None)
    assert found.is_open(at) == is_open(week, sorted(names), at) == (found.closed(at) is None)
    if first is not None:
        ends = found.until(first)
        after = [first + n * QUARTER for n in range(10 * 96)]
        closes = next((one for one in after if not is_open(week, sorted(names), one)), None)
        assert closes == (ends if ends is not None and ends <= after[-1] else None)


@settings(deadline=None)  # the first to ask builds the public holidays of some years
@given(st.sets(st.sampled_from(ANYWHERE), min_size=1, max_size=3), st.sampled_from(CHANGES), st.integers(-300, 300))
def test_one_more_zone_that_somebody_may_be_in_never_makes_a_text_go_sooner(
    names: set[str], change: datetime, quarters: int
) -> None:
    at = change + quarters * QUARTER

    def opening(where: Sequence[str]) -> datetime:
        return marketing(in_place("US", at=where), at).opening(at) or datetime.max.replace(tzinfo=UTC)

    assert max(opening([one]) for one in names) <= opening(sorted(names))


@given(
    st.sets(st.sampled_from(ANYWHERE + ODD), min_size=1, max_size=3), st.sampled_from(CHANGES), st.integers(-200, 200)
)
def test_what_waits_for_another_day_goes_at_the_first_moment_that_is_another_day_on_every_clock_and_open_on_all(
    names: set[str], change: datetime, quarters: int
) -> None:
    at = change + quarters * QUARTER
    where = sorted(names)
    found = Hours(tuple(Calendar(zones.zone(name), weekly=EVERY_DAY.windows) for name in where), in_place(at=where))

    later = quiet_hours.next_day(found, at)

    def another(one: datetime) -> bool:
        return all(one.astimezone(rules(name)).date() > at.astimezone(rules(name)).date() for name in where)

    within = [at + n * QUARTER for n in range(1, 5 * 96)]
    first = next((one for one in within if another(one) and is_open(EVERY_DAY, where, one)), None)
    assert first == (later if later is not None and later <= within[-1] else None)


def test_a_bulk_that_is_no_marketing_keeps_to_the_usual_hours_where_a_studio_sets_none() -> None:
    jo, night, noon = Addressee("+13125550188"), local("2026-11-23", "20:00"), local("2026-11-22", "12:00")

    def late(at: datetime, *, bulk: bool) -> str | None:
        found = arrival.later(a_studio(), jo, "transactional", at, bulk=bulk)
        return found.reason if found is not None else None

    assert late(night, bulk=True) == "quiet hours: outside 09:00-20:00 (zone from the number: America/Chicago)"
    assert late(noon, bulk=True) is None, "on Sundays, too"
    assert late(night, bulk=False) is None


@given(st.sampled_from(["09:00-18:00", "20:00-23:00", "16:00-20:00"]), st.integers(0, 2000))
def test_with_a_triggers_own_window_it_goes_at_the_first_moment_that_is_open_in_both(window: str, hour: int) -> None:
    at = CHANGES[0] + timedelta(hours=hour)
    own = Calendar(zones.zone("America/New_York"), Window.parse(window))
    kept = hours(in_place("US", at=("America/Los_Angeles",)), "transactional", None, EVERY_DAY, at)
    assert kept is not None

    opening = kept.opening(at, own)

    assert opening is not None
    days = Week((own.window,) * 7)
    within = (at + n * QUARTER for n in range(4 * 96))
    first = next(
        one
        for one in within
        if is_open(days, ["America/New_York"], one) and is_open(EVERY_DAY, ["America/Los_Angeles"], one)
    )
    assert opening == first


# Where somebody is ----------------------------------------------------------------------------------------


def zone_of(number: str = "+13125550188", **client: Any) -> tuple[str, tuple[str, ...]]:
    found = place(number, "America/Denver", "US", json.dumps(client))
    return found.source, found.zones


def test_the_clients_own_zone_comes_first_then_the_address_then_the_number_then_the_studio() -> None:
    address = {"state": "TX", "postal_code": "78701"}

    assert zone_of(timezone="Europe/Berlin", address=address) == ("client", ("Europe/Berlin",))
    assert zone_of("+12125550188", address=address) == ("address", ("America/Chicago",))
    assert zone_of("+12125550188") == ("number", ("America/New_York",))
    assert zone_of("+447700900123") == ("studio", ("America/Denver",))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"address": {"state": "Illinois"}}, ("America/Chicago",)),
        ({"address": {"state": "tn"}}, ("America/Chicago", "America/New_York")),
        ({"address": {"state": "TN", "postal_code": "37402"}}, ("America/New_York",)),
        ({"address": {"zip": "79901-1234"}}, ("America/Denver",)),
        ({"address": {"zip_code": "37302"}}, ("America/Chicago", "America/New_York")),
        ({"postal_address": {"province": "BC", "postal_code": "V5K 0A1"}}, ("America/Vancouver",)),
        ({"address": {"country": "Canada", "postal_code": "m5v 2t6"}}, ("America/Toronto",)),
        ({"address": {"country": "JP"}}, ("Asia/Tokyo",)),
        ({"fields": {"state": "HI"}}, ("Pacific/Honolulu",)),
        ({"state": "HI"}, ("Pacific/Honolulu",)),
    ],
)
def test_an_address_leads_to_every_clock_that_may_be_kept_there(
    said: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert zone_of("+442079460018", **said) == ("address", expected)


@pytest.mark.parametrize(
    "said",
    [
        {"timezone": "Chicago"},
        {"timezone": 5},
        {"address": "12 Lake Street"},
        {"address": {"state": 7}},
        {"address": {"state": "Bavaria"}},
        {"address": {"country": "Neverland"}},
        {"address": {"country": "RU"}},  # eleven clocks
        {"address": {"zip": "00000"}},
        {"fields": []},
    ],
)
def test_what_cannot_be_understood_of_an_address_is_passed_over(said: dict[str, Any]) -> None:
    assert zone_of("+12125550188", **said) == ("number", ("America/New_York",))


def test_the_rules_are_those_of_the_address_and_else_of_the_place_that_the_number_was_given_out_in() -> None:
    lives = json.dumps({"timezone": "Europe/Berlin", "address": {"state": "FL", "zip": "33101"}})

    assert place("+12145550188", "America/Chicago", "US", lives).regions == ("US", "US-FL")
    assert place("+12145550188", "America/Chicago", "US").regions == ("US", "US-TX")


def test_every_state_that_comes_along_has_zones_that_exist_and_is_found_by_its_postal_codes() -> None:
    atlas = regions.shipped()

    for one in atlas.regions:
        assert set(one.zones) <= zones.names()
        assert {zone for _, zone in one.clocks} <= set(one.zones)
        assert one.area_codes
        for start in one.postal:
            assert atlas.at(one.country, "", start) == one
    assert len(atlas.regions) == 51 + 5 + 13


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("+18763550188", "US", ("number", ("America/Jamaica",))),  # by its prefix it might be half the world's
        ("+77013550188", "KZ", ("number", ())),
        ("+79161234567", "RU", ("studio", ("America/Denver",))),  # from Kaliningrad to Kamchatka: it says nothing
    ],
)
def test_a_number_that_may_be_on_clocks_with_no_hour_in_common_is_narrowed_to_its_country_or_says_nothing(
    number: str, country: str, expected: tuple[str, tuple[str, ...]]
) -> None:
    found = place(number, "America/Denver", country)

    offsets = {zones.zone(name).offset(1_800_000_000) for name in found.zones}
    assert found.source == expected[0]
    assert found.zones == expected[1] or (not expected[1] and len(offsets) == 1)
    assert hours(found, "marketing", None, None, SUNDAY).opening(SUNDAY) is not None  # type: ignore[union-attr]


def test_holidays_are_those_of_the_country_and_of_the_state_where_its_rule_asks() -> None:
    assert quiet_hours.public_holidays("US", 2026).name_of(date(2026, 7, 3)) == "Independence Day (observed)"
    assert quiet_hours.public_holidays("US-AL", 2026).name_of(date(2026, 4, 27)) is not None
    assert quiet_hours.public_holidays("US", 2026).name_of(date(2026, 4, 27)) is None
    assert quiet_hours.public_holidays("XX", 2026).entries == ()
