"""What a window, a calendar and several calendars together promise."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain.blackouts import Blackout, Blackouts
from control_center.domain.errors import Malformed
from control_center.domain.windows import (
    HORIZON,
    Calendar,
    Closed,
    Closure,
    Never,
    Window,
    closing,
    is_open,
    is_open_all,
    next_open,
    next_open_all,
    next_open_epoch,
    why_closed,
)
from control_center.domain.zones import at_local, zone
from tests.support import brute_force_calendar as slow

CHICAGO = zone("America/Chicago")
SATURDAY, SUNDAY = 5, 6
EVERY_DAY = frozenset(range(7))

ZONES = st.sampled_from(
    ["UTC", "America/Chicago", "America/Los_Angeles", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
).map(zone)
MINUTES = st.integers(0, 1439)
WINDOWS = st.none() | st.tuples(MINUTES, MINUTES).filter(lambda pair: pair[0] != pair[1]).map(
    lambda pair: Window(*pair)
)
DATES = st.dates(date(2026, 1, 1), date(2027, 12, 31))
BLACKOUTS = st.one_of(
    DATES.map(lambda day: Blackout.on("day", day)),
    st.tuples(DATES, st.integers(0, 40)).map(
        lambda run: Blackout.between("run", run[0], run[0] + timedelta(days=run[1]))
    ),
    DATES.map(lambda day: Blackout.every_year("yearly", f"{day:%m-%d}")),
)
CALENDARS = st.builds(
    Calendar,
    ZONES,
    WINDOWS,
    st.frozensets(st.integers(0, 6), max_size=6),
    st.lists(BLACKOUTS, max_size=5).map(lambda entries: Blackouts(tuple(entries))),
)
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
LAW = settings(deadline=None)


def chicago(text: str) -> datetime:
    """A wall-clock time of Chicago in winter."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone(timedelta(hours=-6))).astimezone(UTC)


def opening(calendar: Calendar, at: datetime) -> datetime:
    found = next_open(calendar, at)
    assert isinstance(found, datetime)
    return found


@pytest.mark.parametrize("text", ["09:00-18:00", "22:00-06:00", "00:00-24:00", "22:00-00:00", "23:59-00:01"])
def test_a_window_reads_and_writes_the_same_text(text: str) -> None:
    assert str(Window.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "09:00", "9:00-18:00", "09:00-18:00\n", "09:00 - 18:00", "09:00-24:01", "24:00-09:00", "25:00-09:00",
     "09:60-10:00", "09:00-09:00", "00:00-00:00", "\u0660\u0669:00-18:00"],
)  # fmt: skip
def test_what_is_no_window_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(Malformed) as refusal:
        Window.parse(text, "trigger.processing.window")

    assert refusal.value.field == "trigger.processing.window"


def test_a_window_of_no_length_cannot_be_made() -> None:
    with pytest.raises(Malformed):
        Window(540, 540)


def test_the_start_is_in_the_window_and_the_end_is_not() -> None:
    calendar = Calendar(CHICAGO, Window.parse("09:00-18:00"))

    assert not is_open(calendar, chicago("2026-11-23T08:59:59.999999"))
    assert is_open(calendar, chicago("2026-11-23T09:00"))
    assert is_open(calendar, chicago("2026-11-23T17:59:59.999999"))
    assert not is_open(calendar, chicago("2026-11-23T18:00"))


def test_an_open_instant_is_its_own_opening_in_utc() -> None:
    at = datetime(2026, 11, 23, 10, 30, 0, 123456, timezone(timedelta(hours=-6)))

    opens = next_open(Calendar(CHICAGO, Window.parse("09:00-18:00")), at)

    assert opens == at
    assert isinstance(opens, datetime)
    assert opens.tzinfo is UTC


def test_the_tail_of_a_night_window_is_closed_on_a_closed_day() -> None:
    nights = Calendar(CHICAGO, Window.parse("22:00-06:00"), frozenset({SATURDAY}))

    assert is_open(nights, chicago("2026-11-27T23:00"))
    assert not is_open(nights, chicago("2026-11-28T00:00"))
    assert closing(nights, chicago("2026-11-27T23:00")) == chicago("2026-11-28T00:00")
    assert next_open(nights, chicago("2026-11-28T00:00")) == chicago("2026-11-29T00:00")


def test_the_reason_given_is_the_blackout_before_the_weekday_before_the_window() -> None:
    christmas = Blackouts((Blackout.every_year("Christmas", "12-25"),))
    calendar = Calendar(CHICAGO, Window.parse("09:00-18:00"), frozenset({4, SATURDAY}), christmas)

    assert why_closed(calendar, chicago("2026-12-25T03:00")) == Closed(Closure.BLACKOUT, "Christmas")
    assert why_closed(calendar, chicago("2026-12-26T03:00")) == Closed(Closure.WEEKDAY, "Saturday")
    assert why_closed(calendar, chicago("2026-12-27T03:00")) == Closed(Closure.WINDOW, "09:00-18:00")
    assert why_closed(calendar, chicago("2026-12-27T09:00")) is None
    assert str(why_closed(calendar, chicago("2026-12-25T03:00"))) == "blackout day (Christmas)"
    assert str(why_closed(calendar, chicago("2026-12-26T03:00"))) == "excluded weekday (Saturday)"
    assert str(why_closed(calendar, chicago("2026-12-27T03:00"))) == "outside the window 09:00-18:00"


def test_a_calendar_that_excludes_every_weekday_never_opens() -> None:
    opens = next_open(Calendar(CHICAGO, None, EVERY_DAY), chicago("2026-11-23T09:00"))

    assert opens == Never("all seven weekdays are excluded")


def test_a_calendar_blacked_out_for_ten_years_never_opens_and_says_by_what() -> None:
    forever = Blackouts((Blackout.between("closed down", date(2026, 1, 1), date(9999, 12, 31)),))

    opens = next_open(Calendar(CHICAGO, None, frozenset(), forever), chicago("2026-11-23T09:00"))

    assert opens == Never("nothing opens within ten years: blackout day (closed down)")


def test_a_long_absence_is_waited_for() -> None:
    away = Blackouts((Blackout.between("world tour", date(2026, 1, 1), date(2033, 12, 31)),))

    opens = next_open(Calendar(CHICAGO, None, frozenset(), away), chicago("2026-11-23T09:00"))

    assert opens == chicago("2034-01-01T00:00")


def test_a_calendar_without_limits_never_closes() -> None:
    at = chicago("2026-11-23T09:00")

    assert closing(Calendar(CHICAGO), at) is None
    assert closing(Calendar(CHICAGO, Window.parse("00:00-24:00")), at) is None


def test_a_day_that_is_open_all_day_closes_at_the_next_blackout_day_however_far() -> None:
    leap_day = Blackouts((Blackout.every_year("leap day", "02-29"),))

    closes = closing(Calendar(CHICAGO, None, frozenset(), leap_day), chicago("2028-03-01T00:00"))

    assert closes == chicago("2032-02-29T00:00")


def test_a_weekday_outside_the_week_is_refused() -> None:
    with pytest.raises(Malformed):
        Calendar(CHICAGO, None, frozenset({7}))


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(TypeError):
        next_open(Calendar(CHICAGO), datetime(2026, 11, 23))  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize("at", [datetime.min, datetime.max])  # noqa: DTZ901 - made aware below
def test_the_ends_of_time_do_not_fail(at: datetime) -> None:
    for name in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        calendar = Calendar(zone(name), Window.parse("09:00-18:00"), frozenset({SUNDAY}))
        aware = at.replace(tzinfo=UTC)

        next_open(calendar, aware)
        closing(calendar, aware)
        why_closed(calendar, aware)


def test_calendars_that_say_the_same_are_equal() -> None:
    one, other = (Calendar(CHICAGO, Window(540, 1080), frozenset({6}), Blackouts()) for _ in "12")
    next_open(one, chicago("2026-11-23T09:00"))

    assert one == other
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == other


def test_several_calendars_open_together_each_by_its_own_clock() -> None:
    studio = Calendar(zone("America/New_York"), Window.parse("09:00-18:00"))
    recipient = Calendar(zone("America/Los_Angeles"), Window.parse("08:00-21:00"))
    early = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)  # 09:00 in New York, 06:00 in Los Angeles

    assert not is_open_all([studio, recipient], early)
    assert next_open_all([studio, recipient], early) == early + timedelta(hours=2)
    assert is_open_all([studio, recipient], early + timedelta(hours=2))


def test_calendars_that_never_meet_never_open() -> None:
    mornings, evenings = Calendar(CHICAGO, Window(480, 720)), Calendar(CHICAGO, Window(1020, 1200))

    opens = next_open_all([mornings, evenings], chicago("2026-11-23T09:00"))

    assert opens == Never("within ten years there is no moment at which all calendars are open")


def test_calendars_may_meet_on_a_single_night_of_the_year() -> None:
    # 01:00 to 02:00 in New York is 06:00 UTC in winter only; on this window's Sundays, only as the clocks go back.
    new_york = Calendar(zone("America/New_York"), Window.parse("01:00-02:00"), EVERY_DAY - {SUNDAY})
    utc = Calendar(zone("UTC"), Window.parse("05:00-06:00"))
    november = Blackouts((Blackout.between("summer", date(2026, 3, 1), date(2026, 10, 31)),))
    new_york = Calendar(new_york.zone, new_york.window, new_york.closed_weekdays, november)

    opens = next_open_all([new_york, utc], datetime(2026, 1, 1, tzinfo=UTC))

    assert opens == datetime(2026, 11, 1, 5, 0, tzinfo=UTC)


def test_no_calendar_at_all_is_always_open() -> None:
    at = chicago("2026-11-23T03:00")

    assert is_open_all([], at)
    assert next_open_all([], at) == at


@LAW
@given(CALENDARS, INSTANTS)
def test_nothing_is_open_between_an_instant_and_its_opening(calendar: Calendar, at: datetime) -> None:
    opens = opening(calendar, at)

    assert opens >= at
    assert slow.is_open(calendar, opens)
    assert is_open(calendar, opens)
    assert next_open(calendar, opens) == opens
    wait = opens - at
    for part in range(24):
        between = at + wait * part / 24
        assert between == opens or not slow.is_open(calendar, between)
    assert wait == timedelta(0) or not slow.is_open(calendar, opens - timedelta(microseconds=1))


@LAW
@given(CALENDARS, INSTANTS)
def test_everything_is_open_from_an_opening_to_its_closing(calendar: Calendar, at: datetime) -> None:
    opens = opening(calendar, at)
    closes = closing(calendar, opens)

    if closes is None:
        return
    assert closes > opens
    assert not slow.is_open(calendar, closes)
    assert closing(calendar, closes) == closes
    for part in range(24):
        assert slow.is_open(calendar, opens + (closes - opens) * part / 24)
    assert slow.is_open(calendar, closes - timedelta(microseconds=1))


@LAW
@given(CALENDARS, INSTANTS, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_a_later_instant_never_opens_earlier(calendar: Calendar, at: datetime, later: timedelta) -> None:
    assert opening(calendar, at + later) >= opening(calendar, at)


@LAW
@given(CALENDARS, INSTANTS)
def test_no_opening_falls_on_an_excluded_weekday_or_a_blackout_day(calendar: Calendar, at: datetime) -> None:
    day = at_local(calendar.zone, opening(calendar, at)).date()

    assert day.weekday() not in calendar.closed_weekdays
    assert not any(blackout.covers(day) for blackout in calendar.blackouts.entries)


@LAW
@given(CALENDARS, INSTANTS)
def test_there_is_a_reason_exactly_when_it_is_closed(calendar: Calendar, at: datetime) -> None:
    assert (why_closed(calendar, at) is None) == is_open(calendar, at) == slow.is_open(calendar, at)


@LAW
@given(CALENDARS, INSTANTS)
def test_seconds_and_datetimes_give_the_same_opening(calendar: Calendar, at: datetime) -> None:
    opens = next_open_epoch(calendar, at.timestamp())

    assert opens == opening(calendar, at).timestamp()
    assert opens is not None
    assert opens < at.timestamp() + HORIZON


@LAW
@given(st.lists(CALENDARS, max_size=3), INSTANTS)
def test_several_calendars_open_at_the_first_moment_common_to_all(calendars: list[Calendar], at: datetime) -> None:
    opens = next_open_all(calendars, at)

    if isinstance(opens, Never):
        return
    assert opens >= at
    assert all(slow.is_open(calendar, opens) for calendar in calendars)
    for part in range(24):
        between = at + (opens - at) * part / 24
        assert between == opens or not all(slow.is_open(calendar, between) for calendar in calendars)
