"""What goes along with an email: a session for the calendar, and the way to an invoice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from icalendar import Calendar, Event

from control_center.domain.confirmation import attached, calendar_file, with_invoice_link
from control_center.domain.record import Picture
from control_center.domain.template import Unrenderable
from control_center.domain.words import Words
from tests.support.values import NOW, a_picture, a_studio, a_trigger

STUDIO = a_studio(email={"from": "ada@studio.example"})
LINK = "https://pay.example/i/9001?a=1&b=2"


def test_what_trigger_and_template_say_goes_along_and_each_once() -> None:
    trigger = a_trigger(action="email", attach=["confirmation"])

    assert attached(trigger, {"text": "Hi"}) == {"confirmation"}
    assert attached(trigger, {"text": "Hi", "attachments": ["confirmation"]}) == {"confirmation"}
    assert attached(a_trigger(action="email"), {"attachments": ["invoice"]}) == {"invoice"}
    assert attached(a_trigger(action="email"), {"text": "Hi"}) == frozenset()


def the_entry(picture: Picture) -> Event:
    calendar = Calendar.from_ical(calendar_file(picture, STUDIO, NOW).content)
    (entry,) = calendar.walk("VEVENT")
    assert isinstance(entry, Event)
    return entry


def test_a_session_is_an_entry_at_its_time_with_its_place_and_the_studio() -> None:
    entry = the_entry(a_picture(fields={"location": "Lakeside; north, pier"}))

    assert entry.start.isoformat() == "2027-06-12T19:00:00+00:00"
    assert entry["SUMMARY"] == "Wedding, Ada Park Photography"
    assert entry["LOCATION"] == "Lakeside; north, pier"
    assert entry["ORGANIZER"] == "mailto:ada@studio.example"
    assert entry["STATUS"] == "CONFIRMED"


def test_a_session_without_a_time_is_an_entry_of_a_whole_day() -> None:
    entry = the_entry(a_picture(dates={"session": "2027-06-12"}))

    assert entry.start.isoformat() == "2027-06-12"


def test_an_appointment_is_an_entry_at_its_own_date() -> None:
    entry = the_entry(a_picture("appointment", dates={"appointment": "2027-01-05T10:30"}, type="Viewing"))

    assert (entry.start.isoformat(), entry["SUMMARY"]) == (
        "2027-01-05T16:30:00+00:00",
        "Viewing, Ada Park Photography",
    )


def test_a_later_version_moves_the_same_entry() -> None:
    first, moved = (the_entry(a_picture(version=number)) for number in (3, 4))

    assert first["UID"] == moved["UID"]
    assert (first["SEQUENCE"], moved["SEQUENCE"]) == (3, 4)


def test_two_records_are_two_entries() -> None:
    assert the_entry(a_picture(id="1"))["UID"] != the_entry(a_picture(id="2"))["UID"]


def test_the_same_record_and_time_make_the_same_bytes() -> None:
    picture = a_picture()

    assert calendar_file(picture, STUDIO, NOW) == calendar_file(picture, STUDIO, NOW)
    assert the_entry(picture).decoded("DTSTAMP") == NOW
    assert calendar_file(picture, STUDIO, NOW) != calendar_file(picture, STUDIO, NOW + timedelta(seconds=1))


def test_a_canceled_session_is_a_canceled_entry() -> None:
    assert the_entry(a_picture(flags={"canceled": True}))["STATUS"] == "CANCELLED"


def test_whatever_a_record_says_stays_inside_its_value() -> None:
    evil = "x\r\nATTENDEE:mailto:all@studio.example\nEND:VEVENT"

    entry = the_entry(a_picture(type=evil, fields={"location": evil}))

    assert set(entry) == {
        "UID", "DTSTAMP", "SEQUENCE", "DTSTART", "SUMMARY", "STATUS", "LOCATION", "ORGANIZER",
    }  # fmt: skip


def test_a_record_without_a_date_has_nothing_to_confirm() -> None:
    with pytest.raises(Unrenderable, match="the session has no date to confirm"):
        calendar_file(a_picture(dates={}), STUDIO, NOW)


@pytest.mark.parametrize(
    "keys",
    [
        {"links": {"invoice": LINK}},
        {"links": {"url": LINK}},
        {"fields": {"invoice_link": LINK}},
        {"links": {"invoice": "9001"}, "fields": {"link": LINK}},
        {"invoice_link": LINK},
    ],
)
def test_the_address_of_an_invoice_is_added_to_text_and_html(keys: dict[str, Any]) -> None:
    written = Words("Please pay.\n", "Invoice", "<html><body><p>Please pay.</p></body></html>")

    found = with_invoice_link(written, a_picture("invoice", **keys))

    assert found.text == f"Please pay.\n\nInvoice: {LINK}\n"
    assert found.html == (
        '<html><body><p>Please pay.</p><p><a href="https://pay.example/i/9001?a=1&amp;b=2">Invoice</a></p></body></html>'
    )


@pytest.mark.parametrize(
    "keys",
    [{}, {"links": {"invoice": "9001"}}, {"links": {"invoice": "javascript:alert(1)"}}, {"fields": {"link": 5}}],
)
def test_an_invoice_without_an_address_goes_without_one(keys: dict[str, Any]) -> None:
    written = Words("Please pay.", "Invoice")

    assert with_invoice_link(written, a_picture("invoice", **keys)) == written
