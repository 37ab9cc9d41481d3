"""What goes along with an email: a session for the recipient's calendar, and the way to an invoice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from typing import Any

import msgspec
from icalendar import Calendar, Event, vCalAddress

from control_center.domain.catalogue import KINDS
from control_center.domain.outcome import Attachment
from control_center.domain.record import Picture, as_mapping, moment
from control_center.domain.studio import Studio
from control_center.domain.template import Unrenderable
from control_center.domain.trigger import Trigger
from control_center.domain.words import Source, Words

FILE = "confirmation.ics"
TYPE = "text/calendar; method=PUBLISH; charset=utf-8"
_LARGEST_SEQUENCE = 2**31 - 1

_URL = re.compile(r"https?://[^\s\x00-\x1f\"'<>]{1,2000}", re.IGNORECASE)
# Where a CRM may have put the address of an invoice; a bare number in `links` is its id and leads nowhere.
_INVOICE_LINKS = (("links", "invoice"), ("links", "url"), ("fields", "invoice_link"), ("fields", "link"))


def attached(trigger: Trigger, parts: Source) -> frozenset[str]:
    """What goes along with a mail made of these parts: what its trigger says and what its template says."""
    return frozenset(trigger.attach).union(parts.get("attachments", ()))


def enclosed(
    wanted: frozenset[str], written: Words, picture: Picture, studio: Studio, now: datetime
) -> tuple[Words, bool]:
    """A mail with what is to go along with it, and whether its record does, for calendars. Raises Unrenderable."""
    if "confirmation" in wanted:
        calendar_file(picture, studio, now)  # what cannot be made must show before the point of no return
    if "invoice" in wanted:
        written = with_invoice_link(written, picture)
    return written, "confirmation" in wanted


def calendar_file(picture: Picture, studio: Studio, at: datetime) -> Attachment:
    """The record's date as a file that calendars take in, written `at` this instant: the same values, the same bytes.

    The UID follows from the record and the sequence from its version, so that a later one moves the same entry.
    Raises Unrenderable where the record has no date.
    """
    record = picture.record
    date = record.dates.get(KINDS[picture.kind].primary)
    if date is None:
        raise Unrenderable("", f"the {picture.kind} has no date to confirm")
    when = moment(date, studio.timezone)
    entry = Event()
    entry.add("uid", f"{_digest(picture)}@control-center")
    entry.add("dtstamp", at.astimezone(UTC).replace(microsecond=0))
    entry.add("sequence", min(picture.version, _LARGEST_SEQUENCE))
    entry.add("dtstart", when.day if when.instant is None else when.instant)
    entry.add("summary", f"{record.type or picture.kind.capitalize()}, {studio.name}")
    entry.add("status", "CANCELLED" if record.flags and record.flags.canceled else "CONFIRMED")
    location = _inside(_body(picture), "fields", "location")
    if location:
        entry.add("location", location)
    if studio.email_sender:
        organizer = vCalAddress(f"mailto:{studio.email_sender}")
        organizer.params["CN"] = studio.name.replace('"', "'")
        entry["organizer"] = organizer
    calendar = Calendar()
    calendar.add("prodid", "-//control-center//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(entry)
    return Attachment(FILE, TYPE, calendar.to_ical())


def with_invoice_link(written: Words, picture: Picture) -> Words:
    """The words with the address of the invoice at their end, where the CRM gave one."""
    body = _body(picture)
    link = next((found for place in _INVOICE_LINKS if _URL.fullmatch(found := _inside(body, *place))), None)
    if link is None:
        return written
    text = f"{written.text.rstrip()}\n\nInvoice: {link}\n"
    if written.html is None:
        return replace(written, text=text)
    line = f'<p><a href="{escape(link)}">Invoice</a></p>'
    before, end, after = written.html.rpartition("</body>")
    return replace(written, text=text, html=f"{before}{line}{end}{after}" if end else f"{written.html}{line}")


def _digest(picture: Picture) -> str:
    return sha256("\n".join(picture.key).encode()).hexdigest()[:32]


def _body(picture: Picture) -> Mapping[str, Any]:
    try:
        return as_mapping(picture.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unrenderable("", f"the {picture.kind} cannot be read: {error}") from None


def _inside(body: Mapping[str, Any], group: str, name: str) -> str:
    """A text of the record; what stands beside the known names counts as one of its `fields`."""
    inner = body.get(group)
    found = inner.get(name) if isinstance(inner, dict) else None
    if found is None and group == "fields":
        found = body.get(name)
    return found if isinstance(found, str) else ""
