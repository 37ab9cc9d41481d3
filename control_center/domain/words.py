"""From a trigger, its record and a recipient to the words of one message or one note."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec

from control_center.domain import mail_html, sms, zones
from control_center.domain.catalogue_actions import Leg
from control_center.domain.errors import Malformed
from control_center.domain.identity import with_how_to_stop, with_sender
from control_center.domain.record import Picture, as_mapping
from control_center.domain.studio import Studio
from control_center.domain.template import Unrenderable, context, render, render_subject
from control_center.domain.trigger import Trigger
from control_center.domain.trigger_action import Task

Source = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """The exact words of one message. Only an email has a subject, and perhaps HTML."""

    text: str
    subject: str | None = None
    html: str | None = None


def source(trigger: Trigger, templates: Mapping[str, Source], leg: Leg | None = None, *, moved: bool = False) -> Source:
    """The parts that a trigger's words for a leg are made of; with `moved`, those that tell of a new date.

    Raises Unrenderable where its template is gone.
    """
    words = trigger.words
    moved = moved and words.moved is not None  # else an edit has taken them away since: then it is a reminder
    if words.text is not None and not moved and leg not in dict(words.ladder):
        return {"sms": words.text, "text": words.text}
    name = words.moved if moved else words.template if leg is None else words.template_of(leg)
    found = templates.get(name or "")
    if found is None:
        raise Unrenderable("", f"there is no template {name!r}")
    return found


def fields(
    studio: Studio,
    record: Picture,
    client: Picture | None,
    recipient: Mapping[str, Any],
    now: datetime,
    *,
    links: Mapping[str, str] = MappingProxyType({}),
    sender: Mapping[str, str] = MappingProxyType({}),
) -> Mapping[str, Any]:
    """What a template sees: the record as it is now, its client, the studio, whom it is written to and by whom, and
    what links there are for them (`confirm_link`, `unsubscribe_link`, `nps_bar`).
    """
    zone = zones.zone(studio.timezone)
    body = _read(record)
    about = body if record.kind == "client" else _read(client) if client else None
    today = zones.local_date(zone, now)
    kind = record.kind
    return context(
        body, about, studio.fields(), recipient, kind=kind, today=today, zone=zone, links=links, sender=sender
    )


def _read(picture: Picture) -> Mapping[str, Any]:
    """The whole body of a record. Deciding reads only what it needs, so that a part of it may be beyond reading."""
    try:
        return as_mapping(picture.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unrenderable("", f"the {picture.kind} cannot be read: {error}") from None


def sources(parts: Source, leg: Leg) -> list[str]:
    """What is filled in for a text, or for an email or letter. Raises Unrenderable where there are no words for it."""
    if leg is Leg.SMS:
        return [_part(parts, "sms")]
    return [_part(parts, "text"), *(str(parts[part]) for part in ("subject", "html") if parts.get(part))]


def text_message(parts: Source, seen: Mapping[str, Any], studio: Studio | None = None, *, first: bool = False) -> Words:
    """The words of an SMS, in letters that phones have where that is possible. Raises Unrenderable.

    With a `studio` that wishes so, its name is put in front of words that do not begin with it; and behind the `first`
    that goes to a number by itself, how to stop.
    """
    text = sms.plain(text_as_filled_in(parts, seen, studio, first=first))
    refused = sms.refusal(text)
    if refused is not None:
        raise Unrenderable("", refused)
    return Words(text)


def text_as_filled_in(
    parts: Source, seen: Mapping[str, Any], studio: Studio | None = None, *, first: bool = False
) -> str:
    """The words of an SMS before its letters are looked at. Raises Unrenderable."""
    filled_in = render(_part(parts, "sms"), seen)
    if studio is None or not studio.sms_identify:
        return filled_in
    named = with_sender(filled_in, studio.name)
    return with_how_to_stop(named) if first else named


def mail(parts: Source, seen: Mapping[str, Any]) -> Words:
    """The words of an email; in HTML those of its text, too, where it has a layout (`frame`). Raises Unrenderable."""
    text, html = render(_part(parts, "text"), seen), parts.get("html")
    page = _page(render(html, seen, html=True)) if html else None
    frame = parts.get("frame")
    if frame:
        inside = page or mail_html.Page(mail_html.paragraphs(text))
        return Words(text, _subject(parts, seen), mail_html.framed(render(frame, seen, html=True), inside))
    return Words(text, _subject(parts, seen), None if page is None else str(page))


def _page(html: str) -> mail_html.Page:
    try:
        return mail_html.page(html)
    except Malformed as error:
        raise Unrenderable("", str(error)) from None


def letter(parts: Source, seen: Mapping[str, Any]) -> Words:
    """The words of a letter: as an email's, without its layout. Raises Unrenderable."""
    return mail({**parts, "frame": None}, seen)


def _subject(parts: Source, seen: Mapping[str, Any]) -> str:
    return render_subject(parts.get("subject") or "{{ studio.name }}", seen)


def task(task: Task, seen: Mapping[str, Any]) -> tuple[str, str | None]:
    """The subject and the description of a task. Raises Unrenderable."""
    return render_subject(task.subject, seen), render(task.description, seen) if task.description else None


def note(parts: Source, seen: Mapping[str, Any]) -> str:
    """The words of a call's note. Raises Unrenderable."""
    return render(_part(parts, "text"), seen)


def _part(parts: Source, wanted: str) -> str:
    """The part for a channel; a template may leave one out and give the other."""
    found = parts.get(wanted) or parts.get("text") or parts.get("sms")
    if not found:
        raise Unrenderable("", f"the template has no {wanted}")
    return str(found)
