"""What a template would say to a real client: the very words, what they cost, and what they lack. Nothing is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from control_center.domain import imprint, sms, template_samples, text_plan, words
from control_center.domain.errors import Malformed, NotFound
from control_center.domain.number import region_of
from control_center.domain.people import Recipient
from control_center.domain.reach import reach
from control_center.domain.record import Picture
from control_center.domain.sms_letters import Letter, letters
from control_center.domain.studio import Studio
from control_center.domain.template import Template, Unrenderable, needed
from control_center.domain.template_advice import advise, is_absent
from control_center.domain.template_fields import KINDS
from control_center.domain.text_advice import Advice
from control_center.engine.templates import frame_of, get, parse
from control_center.store import db, firsts, records, studios, usage

PARTS = ("sms", "subject", "text", "html")


@dataclass(frozen=True, slots=True)
class Text:
    """An SMS as it would leave. `units` are septets or UTF-16 units; `cost` is by the studio's price, if it has one."""

    text: str
    encoding: str
    units: int
    segments: int
    parts: tuple[str, ...]
    letters: tuple[Letter, ...]
    cost: str | None


@dataclass(frozen=True, slots=True)
class Mail:
    """An email as it would leave; `bytes` is the size of its HTML."""

    subject: str
    text: str
    html: str | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Lack:
    """A part that cannot be written, and the field without a value, or another reason."""

    part: str
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Left:
    """What this month has left of the studio's plan, in texts; None where it has no limit."""

    texts_per_month: int | None
    used: int
    left: int | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would go out. `record` is None where it was made up; a part that cannot be written is in `missing`."""

    record: str | None
    client: str | None
    sms: Text | None
    email: Mail | None
    missing: tuple[Lack, ...]
    warnings: tuple[Advice, ...]
    plan: Left


async def of_saved(pool: db.Pool, now: datetime, studio: str, name: str, *, record: str | None, base: str) -> Preview:
    """Look at a saved template. `record` is as `session/4711`, None for a made-up one; `base` begins our links.

    Raises NotFound, Malformed where the template is for another kind of record.
    """
    stored = await get(pool, studio, name)
    return await of_body(pool, now, studio, name, stored.body, record=record, base=base)


async def of_body(
    pool: db.Pool, now: datetime, studio: str, name: str, body: Mapping[str, Any], *, record: str | None, base: str
) -> Preview:
    """Look at a template that need not be saved; raises as `of_saved`, and Malformed for a wrong one."""
    template = parse(name, body)
    async with db.session(pool) as connection:
        house = (await studios.get(connection, [studio])).get(studio)
        if house is None:
            raise NotFound(f"there is no studio {studio!r}")
        about = await _about(connection, studio, template, record) if record is not None else None
        first = await _is_first(connection, house, about)
        month = text_plan.month_of(now, house.timezone)
        used = (await usage.spent(connection, [(studio, month)])).get((studio, month), 0)
    seen = _seen(house, template, about, now, base)
    link = template_samples.links(base)["unsubscribe_link"]
    return _preview(template, house, seen, about, used, link=link, first=first)


async def _about(
    connection: db.Connection, studio: str, template: Template, record: str
) -> tuple[Picture, Picture | None]:
    """The record and its client as they are now."""
    kind, slash, record_id = record.partition("/")
    if kind not in KINDS or not slash or not record_id:
        raise Malformed("record", f"{record[:60]!r}; a kind and an id are needed, such as session/4711")
    if template.kind not in ("any", kind):
        raise Malformed("record", f"{record[:60]!r}; the template is for {template.kind} records")
    picture = (await records.get(connection, [(studio, kind, record_id)])).get((studio, kind, record_id))
    if picture is None:
        raise NotFound(f"there is no {record} in studio {studio!r}")
    key = (studio, "client", picture.client_id or "")
    return picture, (await records.get(connection, [key])).get(key)


async def _is_first(connection: db.Connection, house: Studio, about: tuple[Picture, Picture | None] | None) -> bool:
    """Whether a text would be the first to a number of the client, as it would be to somebody who is made up."""
    if about is None:
        return True
    record, client = about
    client = record if record.kind == "client" else client
    theirs = [one for one in reach(client.record, house.country) if "@" not in one] if client is not None else []
    had = await firsts.had(connection, [(house.studio, one, 0) for one in theirs])
    return len(had) < len(theirs)


def _seen(
    house: Studio, template: Template, about: tuple[Picture, Picture | None] | None, now: datetime, base: str
) -> Mapping[str, Any]:
    if about is None:
        return template_samples.seen(template.kind, house)
    record, client = about
    who = msgspec.json.decode((record if record.kind == "client" else client or record).body)
    names = {key: str(who[key]) for key in ("first_name", "last_name") if who.get(key)}
    recipient = msgspec.to_builtins(Recipient("client", **names))
    return words.fields(
        house, record, client, recipient, now, links=template_samples.links(base), sender=template_samples.SENDER
    )


def _preview(
    template: Template,
    house: Studio,
    seen: Mapping[str, Any],
    about: tuple[Picture, Picture | None] | None,
    used: int,
    *,
    link: str,
    first: bool,
) -> Preview:
    frame = frame_of(template)
    parts = {part: getattr(template, part) for part in PARTS} | {"frame": frame}
    missing = _missing(parts, seen)
    text = mail = None
    warnings = advise(template, house, frame)
    try:
        country = _country(house, about)
        text = _text(parts, seen, house, country, first=first) if template.sms or not _only_mail(template) else None
    except Unrenderable as error:
        missing += _also(missing, "sms", error)
    try:
        mail = _mail(template, parts, seen, house, link) if template.text or frame else None
    except Unrenderable as error:
        missing += _also(missing, "text", error)
    limit = house.plan.texts_per_month
    record, client = about or (None, None)
    return Preview(
        record=f"{record.kind}/{record.record_id}" if record else None,
        client=client.record_id if client else None,
        sms=text,
        email=mail,
        missing=tuple(missing),
        warnings=tuple(warnings),
        plan=Left(limit, used, None if limit is None else max(limit - used, 0)),
    )


def _only_mail(template: Template) -> bool:
    return any((template.subject, template.html, template.layout))


def _country(house: Studio, about: tuple[Picture, Picture | None] | None) -> str:
    """Where a text would go: the country of the client's first number, or the studio's own for who is made up."""
    record, client = about or (None, None)
    client = record if record is not None and record.kind == "client" else client
    theirs = reach(client.record, house.country) if client is not None else []
    known = (region_of(one) for one in theirs if "@" not in one)
    return next((one for one in known if one is not None), house.country)


def _text(parts: words.Source, seen: Mapping[str, Any], house: Studio, country: str, *, first: bool) -> Text:
    written = words.text_message(parts, seen, house, first=first)
    found = sms.segments(written.text)
    return Text(
        text=written.text,
        encoding=found.encoding,
        units=found.units,
        segments=found.count,
        parts=found.parts,
        letters=letters(words.text_as_filled_in(parts, seen, house, first=first)),
        cost=house.plan.cost({country: found.count}),
    )


def _mail(template: Template, parts: words.Source, seen: Mapping[str, Any], house: Studio, link: str) -> Mail:
    written = words.mail(parts, seen)
    if template.purpose == "marketing":
        lacking = imprint.lacking(house)
        if lacking is not None:
            raise Unrenderable("", lacking)
        written = imprint.signed_off(written, house, link)
    return Mail(written.subject or "", written.text, written.html, len((written.html or "").encode()))


def _missing(parts: Mapping[str, Any], seen: Mapping[str, Any]) -> list[Lack]:
    """Every field that has to have a value and has none, not only the first."""
    return [
        Lack(part, fields[0], f"{' and '.join(fields)} {'has' if len(fields) == 1 else 'have'} no value")
        for part in PARTS
        for fields in sorted(needed(parts[part] or ""))
        if all(is_absent(field, seen) for field in fields)
    ]


def _also(known: list[Lack], part: str, error: Unrenderable) -> list[Lack]:
    """What else keeps a part from being written."""
    if error.field and any(one.field == error.field for one in known):
        return []
    return [Lack(part, error.field, error.reason.removeprefix("template: "))]
