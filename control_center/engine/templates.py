"""Saving templates: checked first, and in force at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control_center.domain.errors import NotFound, Refused
from control_center.domain.table import Table
from control_center.domain.template import Template, check_template
from control_center.store import db, studios, templates, triggers

_PARTS = ("sms", "subject", "text", "html")


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


async def put(pool: db.Pool, studio: str, name: str, body: Mapping[str, Any]) -> None:
    """Save a template. Messages not yet submitted are written with it. Raises Malformed, NotFound."""
    template = parse(name, body)
    kept = {"kind": template.kind, "purpose": template.purpose}
    words = {part: getattr(template, part) for part in _PARTS if getattr(template, part) is not None}
    async with db.transaction(pool) as tx:
        if await studios.bump(tx, studio) is None:
            raise NotFound(f"there is no studio {studio!r}")
        await templates.put(tx, studio, name, {**kept, **words})


async def drop(pool: db.Pool, studio: str, name: str) -> None:
    """Delete a template that no trigger uses. Raises Refused naming the triggers, NotFound."""
    async with db.transaction(pool) as tx:
        await studios.bump(tx, studio)
        using = [saved.name for saved in await triggers.every(tx, studio) if saved.definition.get("template") == name]
        if using:
            raise Refused(f"template {name!r} is used by the trigger {', '.join(map(repr, using))}")
        if not await templates.drop(tx, studio, name):
            raise NotFound(f"there is no template {name!r}")
