"""Saving templates: checked first, and in force at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from control_center.domain.errors import Malformed, NotFound, Outdated, Refused
from control_center.domain.table import Table
from control_center.domain.template import Template, check_template
from control_center.domain.trigger import Trigger
from control_center.domain.trigger_action import attachments
from control_center.domain.trigger_words import misfit
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
        attachments=along,
    )
    table.take("name")
    table.refuse_the_rest()
    check_template(template)
    return template


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
    pool: db.Pool, studio: str, name: str, body: Mapping[str, Any], *, versions: Collection[int] | None, by: str
) -> Stored:
    """Save a template anew, where its version is one of `versions`. Raises Malformed, NotFound, Outdated."""
    template = parse(name, body)
    async with db.transaction(pool) as tx:
        before = await _locked(tx, studio)
        if name not in before:
            raise NotFound(f"there is no template {name!r}")
        check_version((await templates.versions(tx, studio))[name], versions, f"template {name!r}")
        return await _save(tx, studio, template, before[name], by=by)


def check_version(current: int, versions: Collection[int] | None, what: str) -> None:
    """Raises Outdated where an edit was made from other versions than the current one; None is from any."""
    if versions is not None and current not in versions:
        raise Outdated(f"{what} has version {current} by now; look at that one, and edit it")


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


async def drop(pool: db.Pool, studio: str, name: str, *, by: str) -> None:
    """Delete a template that no trigger uses. Raises Refused naming the triggers, NotFound."""
    async with db.transaction(pool) as tx:
        before = await _locked(tx, studio)
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
    along = {"attachments": list(template.attachments)} if template.attachments else {}
    body = {**kept, **words, **along}
    for trigger in await _using(tx, studio, template.name):
        wrong = misfit(template.name, body, trigger.kind.name)
        if wrong is not None:
            field = f'template "{template.name}", kind'
            raise Malformed(field, f"{wrong}, and the trigger {trigger.name!r} uses it for {trigger.kind.name}")
    version = await templates.put(tx, studio, template.name, body)
    verb = "create" if before is None else "change"
    await audit.write(tx, by, audit.Entry(studio, verb, f"template/{template.name}", before, body))
    return Stored(template.name, body, version)
