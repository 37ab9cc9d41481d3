"""Saving templates: checked first, and in force at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from control_center.domain.errors import NotFound, Outdated, Refused
from control_center.domain.table import Table
from control_center.domain.template import Template, check_template
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
    template = Template(
        name=name,
        kind=table.text("kind", default="any"),
        purpose=table.choice("purpose", ("marketing", "transactional"), "marketing"),
        sms=parts["sms"],
        subject=parts["subject"],
        text=parts["text"],
        html=parts["html"],
    )
    table.take("name")
    table.refuse_the_rest(later={"attachments"})
    check_template(template)
    return template


async def put(pool: db.Pool, studio: str, name: str, body: Mapping[str, Any], *, by: str) -> None:
    """Save a template. Messages not yet submitted are written with it. Raises Malformed, NotFound."""
    template = parse(name, body)
    async with db.transaction(pool) as tx:
        before = await _locked(tx, studio)
        await _save(tx, studio, template, before.get(name), by=by)


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
        using = [saved.name for saved in await triggers.every(tx, studio) if _uses(saved.definition, name)]
        if using:
            raise Refused(f"template {name!r} is used by the trigger {', '.join(map(repr, using))}")
        if not await templates.drop(tx, studio, name):
            raise NotFound(f"there is no template {name!r}")
        await audit.write(tx, by, audit.Entry(studio, "delete", f"template/{name}", before[name]))


def _uses(definition: Mapping[str, Any], name: str) -> bool:
    """Whether a trigger names the template, alone or for one of its channels."""
    named = definition.get("template")
    return name in (named.values() if isinstance(named, Mapping) else [named])


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
    body = {**kept, **words}
    version = await templates.put(tx, studio, template.name, body)
    verb = "create" if before is None else "change"
    await audit.write(tx, by, audit.Entry(studio, verb, f"template/{template.name}", before, body))
    return Stored(template.name, body, version)
