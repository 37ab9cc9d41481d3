"""Saving templates: checked first, and in force at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from control_center.domain import template_picker, wording
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.studio import Studio
from control_center.domain.table import Table
from control_center.domain.template import Template, check_template
from control_center.domain.template_advice import advise
from control_center.domain.template_picker import Field
from control_center.domain.text_advice import Advice
from control_center.domain.trigger import Trigger
from control_center.domain.trigger_action import attachments
from control_center.domain.trigger_words import misfit
from control_center.engine import layouts
from control_center.engine.editions import check_version
from control_center.store import audit, db, studios, templates, triggers

_PARTS = ("sms", "subject", "text", "html")


@dataclass(frozen=True, slots=True)
class Stored:
    """A template as it is kept: kind, purpose and its parts, and how often it was saved."""

    name: str
    body: dict[str, Any]
    version: int


def parse(name: str, body: Mapping[str, Any]) -> Template:
    """Understand a template resource of contract part 5. Raises Malformed naming part, line and field."""
    template = _understood(name, body)
    check_template(template)
    wording.refuse({part: getattr(template, part) for part in _PARTS}, "template.")
    frame_of(template)
    return template


def _understood(name: str, body: Mapping[str, Any]) -> Template:
    table = Table(body, f'template "{name}"', "")
    parts = {part: table.optional(part, limit=100_000) for part in _PARTS}
    kind = table.text("kind", default="any")
    along = attachments(table, "attachments", kind) if table.take("attachments") else ()
    template = Template(
        name=name,
        kind=kind,
        purpose=table.choice("purpose", ("marketing", "transactional"), "marketing"),
        sms=parts["sms"],
        subject=parts["subject"],
        text=parts["text"],
        html=parts["html"],
        layout=table.optional("layout", limit=40),
        attachments=along,
    )
    table.take("name")
    table.refuse_the_rest()
    return template


def frame_of(template: Template) -> str | None:
    """The layout of its mails as HTML with fields. Raises Malformed where there is no such layout for its kind."""
    if template.layout is None:
        return None
    return layouts.frame(template.layout, template.kind, field="template.layout")


async def advised(pool: db.Pool, studio: str, stored: Stored) -> list[Advice]:
    """What somebody should think over before this template goes to many; nothing of it keeps it from being saved."""
    template = _understood(stored.name, stored.body)
    return advise(template, await _house(pool, studio), frame_of(template))


async def fields_of_kind(pool: db.Pool, studio: str, kind: str) -> list[Field]:
    """What a template for a kind of record, or for any, may use, in this studio's way of writing."""
    return template_picker.fields(kind, await _house(pool, studio))


async def _house(pool: db.Pool, studio: str) -> Studio:
    async with db.session(pool) as connection:
        house = (await studios.get(connection, [studio])).get(studio)
    if house is None:
        raise NotFound(f"there is no studio {studio!r}")
    return house


async def put(pool: db.Pool, studio: str, name: str, body: Mapping[str, Any], *, by: str) -> None:
    """Save a template. Messages not yet submitted are written with it. Raises Malformed, NotFound."""
    await put_all(pool, studio, {name: body}, by=by)


async def put_all(pool: db.Pool, studio: str, bodies: Mapping[str, Mapping[str, Any]], *, by: str) -> None:
    """Save templates by their names, all or none. Raises Malformed, NotFound."""
    parsed = [parse(name, body) for name, body in bodies.items()]
    async with db.transaction(pool) as tx:
        before = await _locked(tx, studio)
        for template in parsed:
            await _save(tx, studio, template, before.get(template.name), by=by)


async def create(pool: db.Pool, studio: str, name: str, body: Mapping[str, Any], *, by: str) -> Stored:
    """Save a new template. Raises Malformed, NotFound, Refused where there is one of that name."""
    template = parse(name, body)
    async with db.transaction(pool) as tx:
        before = await _locked(tx, studio)
        if name in before:
            raise Refused(f"there is a template {name!r} already")
        return await _save(tx, studio, template, None, by=by)


async def replace(
    pool: db.Pool, studio: str, name: str, body: Mapping[str, Any], *, versions: Collection[str] | None, by: str
) -> Stored:
    """Save a template anew, where its version is one of `versions`. Raises Malformed, NotFound, Outdated."""
    template = parse(name, body)
    async with db.transaction(pool) as tx:
        before = await _locked(tx, studio)
        if name not in before:
            raise NotFound(f"there is no template {name!r}")
        check_version((await templates.versions(tx, studio))[name], versions, f"template {name!r}")
        return await _save(tx, studio, template, before[name], by=by)


async def get(pool: db.Pool, studio: str, name: str) -> Stored:
    """One template. Raises NotFound."""
    async with db.session(pool) as connection:
        found = (await templates.of_studio(connection, studio)).get(name)
        if found is None:
            raise NotFound(f"there is no template {name!r}")
        return Stored(name, found, (await templates.versions(connection, studio))[name])


async def every(pool: db.Pool, studio: str) -> list[Stored]:
    """A studio's templates by name."""
    async with db.session(pool) as connection:
        versions = await templates.versions(connection, studio)
        found = await templates.of_studio(connection, studio)
        return [Stored(name, body, versions.get(name, 0)) for name, body in found.items()]


async def drop(pool: db.Pool, studio: str, name: str, *, versions: Collection[str] | None = None, by: str) -> None:
    """Delete a template that no trigger uses. Raises Refused naming the triggers, NotFound, Outdated as `replace`."""
    async with db.transaction(pool) as tx:
        before = await _locked(tx, studio)
        if name in before:
            check_version((await templates.versions(tx, studio))[name], versions, f"template {name!r}")
        using = await _using(tx, studio, name)
        if using:
            names = dict.fromkeys(repr(one.name) for one in using)
            raise Refused(f"template {name!r} is used by the trigger {', '.join(names)}")
        if not await templates.drop(tx, studio, name):
            raise NotFound(f"there is no template {name!r}")
        await audit.write(tx, by, audit.Entry(studio, "delete", f"template/{name}", before[name]))


async def _using(tx: db.Connection, studio: str, name: str) -> list[Trigger]:
    """The triggers that name the template anywhere, and earlier versions by which something still goes."""
    every = [*(saved.trigger for saved in await triggers.every(tx, studio)), *await triggers.kept(tx, studio)]
    return [one for one in every if any(name == named for _, named in one.words.templates)]


async def _locked(tx: db.Connection, studio: str) -> dict[str, dict[str, Any]]:
    """The templates as they are while nobody else changes any. Raises NotFound."""
    if await studios.bump(tx, studio) is None:
        raise NotFound(f"there is no studio {studio!r}")
    return await templates.of_studio(tx, studio)


async def _save(
    tx: db.Connection, studio: str, template: Template, before: dict[str, Any] | None, *, by: str
) -> Stored:
    kept = {"kind": template.kind, "purpose": template.purpose}
    words = {part: getattr(template, part) for part in _PARTS if getattr(template, part) is not None}
    along: dict[str, Any] = {"attachments": list(template.attachments)} if template.attachments else {}
    body = {**kept, **words, **({"layout": template.layout} if template.layout else {}), **along}
    for trigger in await _using(tx, studio, template.name):
        wrong = misfit(template.name, body, trigger.kind.name)
        if wrong is not None:
            field = f'template "{template.name}", kind'
            raise Malformed(field, f"{wrong}, and the trigger {trigger.name!r} uses it for {trigger.kind.name}")
    version = await templates.put(tx, studio, template.name, body, frame_of(template))
    verb = "create" if before is None else "change"
    await audit.write(tx, by, audit.Entry(studio, verb, f"template/{template.name}", before, body))
    return Stored(template.name, body, version)
