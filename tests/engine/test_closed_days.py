"""A calendar file from anybody becomes plain dates, or is refused within seconds."""

from __future__ import annotations

import time
from datetime import date

import pytest

from control_center.domain.blackouts import Blackout
from control_center.domain.errors import Malformed
from control_center.engine import closed_days, public_holidays

TODAY = date(2027, 6, 1)
DAILY = "DTSTART;VALUE=DATE:20270601|RRULE:FREQ=DAILY"


def a_calendar(*events: str) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//a studio//EN"]
    for number, event in enumerate(events):
        lines += ["BEGIN:VEVENT", f"UID:{number}", *event.split("|"), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


async def test_only_what_fills_whole_days_closes_them() -> None:
    ics = a_calendar(
        "SUMMARY:One day|DTSTART;VALUE=DATE:20270704",
        "SUMMARY:Midnight to midnight|DTSTART:20270710T000000|DTEND:20270712T000000",
        "SUMMARY:An hour|DTSTART:20270713T100000|DTEND:20270713T110000",
        "SUMMARY:Past|DTSTART;VALUE=DATE:20270101",
        "DTSTART;VALUE=DATE:20270801",
    )
    assert await closed_days.read(ics, today=TODAY) == [
        Blackout.on("One day", date(2027, 7, 4)),
        Blackout.between("Midnight to midnight", date(2027, 7, 10), date(2027, 7, 11)),
        Blackout.on("Closed", date(2027, 8, 1)),
    ]


async def test_of_an_event_over_several_days_those_are_closed_that_it_fills() -> None:
    ics = a_calendar(
        "SUMMARY:Friday evening to Monday morning|DTSTART:20270702T180000|DTEND:20270705T090000",
        "SUMMARY:From midnight in one zone to midnight in another"
        "|DTSTART;TZID=America/Chicago:20270710T000000|DTEND:20270712T000000Z",
        "SUMMARY:No end of its own|DTSTART;VALUE=DATE:20270720|DTEND;VALUE=DATE:20270720",
    )
    assert await closed_days.read(ics, today=TODAY) == [
        Blackout.between("Friday evening to Monday morning", date(2027, 7, 3), date(2027, 7, 4)),
        Blackout.on("From midnight in one zone to midnight in another", date(2027, 7, 10)),
        Blackout.on("No end of its own", date(2027, 7, 20)),
    ]


@pytest.mark.parametrize(
    ("summary", "name"), [("a\x00b", "a b"), ("a\x01\x1b[31mb\\nc", "a [31mb c"), ("\x07", "Closed")]
)
async def test_a_name_holds_only_what_can_be_stored_and_shown(summary: str, name: str) -> None:
    ics = a_calendar(f"SUMMARY:{summary}|DTSTART;VALUE=DATE:20270704")
    assert await closed_days.read(ics, today=TODAY) == [Blackout.on(name, date(2027, 7, 4))]


async def test_a_cancelled_day_of_a_series_stays_open() -> None:
    ics = a_calendar(
        "SUMMARY:Mondays|DTSTART;VALUE=DATE:20270607|RRULE:FREQ=WEEKLY;COUNT=3",
    ).replace(
        b"END:VCALENDAR",
        b"BEGIN:VEVENT\r\nUID:0\r\nRECURRENCE-ID;VALUE=DATE:20270614\r\nSTATUS:CANCELLED\r\n"
        b"SUMMARY:Mondays\r\nDTSTART;VALUE=DATE:20270614\r\nEND:VEVENT\r\nEND:VCALENDAR",
    )
    days = await closed_days.read(ics, today=TODAY)
    assert [one.first for one in days] == [date(2027, 6, 7), date(2027, 6, 21)]


@pytest.mark.parametrize("often", ["SECONDLY", "MINUTELY", "HOURLY"])
async def test_what_repeats_more_than_daily_is_refused(often: str) -> None:
    ics = a_calendar(f"SUMMARY:Ticking|DTSTART;VALUE=DATE:19700101|RRULE:FREQ={often}")
    with pytest.raises(Malformed, match=f"'Ticking' repeats {often}"):
        await closed_days.read(ics, today=TODAY)


async def test_what_cannot_be_read_in_time_is_given_up() -> None:
    with pytest.raises(Malformed, match=r"not read within 0\.01 seconds"):
        await closed_days.read(a_calendar("DTSTART;VALUE=DATE:20270704"), today=TODAY, seconds=0.01)


@pytest.mark.parametrize(
    ("ics", "says"),
    [
        (b"", "calendar|read"),
        (b"\xff\xfe\x00", "calendar|read"),
        (b"<html>", "calendar|read"),
        (a_calendar("DTSTART;VALUE=DATE:20200101"), "no whole-day event from 2027-06-01"),
        (a_calendar("DTSTART:nonsense"), "calendar|read"),
        (a_calendar(*["DTSTART;VALUE=DATE:20270704"] * 2001), "holds 2001 events"),
        (
            a_calendar(
                "DTSTART;VALUE=DATE:20270601|RRULE:FREQ=DAILY", "SUMMARY:B|DTSTART;VALUE=DATE:20270601|RRULE:FREQ=DAILY"
            ),
            "closes more than 1000 days",
        ),
        (b" " * (1024 * 1024 + 1), "may have 1048576"),
        (
            a_calendar("DTSTART;VALUE=DATE:00010101|DTEND;VALUE=DATE:99991231"),
            "cannot be read: date value out of range",
        ),
        (a_calendar("SUMMARY:No start"), "cannot be read: 'DTSTART'"),
        (a_calendar("DTSTART;VALUE=DATE:20270704|RRULE:FREQ=DAILY;COUNT=99999999999999"), "outside the RFC 5545 range"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "is not a calendar file"),
    ],
)
async def test_what_is_no_such_calendar_is_refused_in_words(ics: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says) as refused:
        await closed_days.read(ics, today=TODAY)
    assert refused.value.field == "file"
    assert "Traceback" not in refused.value.reason
    assert "Error" not in refused.value.reason  # the name of a class of ours, or of a library's


async def test_a_rule_without_end_is_given_up_and_its_child_ended() -> None:
    began = time.monotonic()
    with pytest.raises(Malformed, match=r"not read within 1 seconds"):
        await closed_days.read(a_calendar(f"{DAILY};INTERVAL=0"), today=TODAY, seconds=1.0)
    assert time.monotonic() - began < 10


def test_holidays_of_a_place_are_single_days_with_names() -> None:
    days = public_holidays.of("US", "IL", [2027])
    assert Blackout.on("Memorial Day", date(2027, 5, 31)) in days
    assert all(one.first.year == 2027 for one in days)


def test_an_unknown_place_is_answered_with_near_ones() -> None:
    with pytest.raises(Malformed, match="did you mean") as refused:
        public_holidays.of("UX", None, [2027])
    assert refused.value.field == "country"


@pytest.mark.parametrize("rule", ["RRULE:FREQ=SECONDLY", "COUNT=3", "FREQ=OFTEN"])
async def test_a_rule_that_does_not_say_how_often_is_refused(rule: str) -> None:
    """The libraries would go through every second since the year one."""
    with pytest.raises(Malformed):
        await closed_days.read(a_calendar(f"SUMMARY:Odd|DTSTART;VALUE=DATE:20270601|RRULE:{rule}"), today=TODAY)


async def test_of_several_names_the_first_counts() -> None:
    ics = a_calendar("SUMMARY:Away|SUMMARY:Gone|DTSTART;VALUE=DATE:20270704")
    assert await closed_days.read(ics, today=TODAY) == [Blackout.on("Away", date(2027, 7, 4))]
