"""`templates fields` and `templates preview`: what a template may use, and what it would say."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_center.cli.aim import Aim, show
from control_center.cli.tables import as_json, columns
from control_center.cli.verbs import verb

if TYPE_CHECKING:
    from control_center.engine.previews import Left, Preview, Text

EVERYTHING = "any"


def add_to(noun: typer.Typer) -> None:
    verb(noun, "fields", example="templates fields session")(fields)
    verb(noun, "preview", example="templates preview session-reminder --record session/4711")(preview)


async def fields(
    aim: Aim, *, kind: Annotated[str, typer.Argument(metavar="KIND", help="A kind of record, or any.")] = EVERYTHING
) -> None:
    """List what a template of a kind may use: each field with a sentence and an example."""
    from control_center.domain.errors import Malformed
    from control_center.domain.template_fields import KINDS
    from control_center.engine import templates

    if kind != EVERYTHING and kind not in KINDS:
        raise Malformed("KIND", f"{kind[:40]!r}; allowed: any, {', '.join(KINDS)}")
    async with aim.database() as here:
        found = await templates.fields_of_kind(here.pool, here.studio, kind)
    if aim.json:
        as_json({"items": [asdict(one) for one in found], "next_cursor": None})
    else:
        rows = [{"write": one.insert, "it is": one.sentence, "for example": one.example} for one in found]
        columns(rows, none="there are no fields")


async def preview(
    aim: Aim,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A template, or a file NAME.toml that is not saved.")],
    record: Annotated[str, typer.Option(help="Show it with this one, such as session/4711.", metavar="KIND/ID")] = "",
) -> int:
    """Show the very words of a template, what they cost and what has no value; 1 where a part cannot be written."""
    from control_center.engine import previews

    now, base, about = datetime.now(UTC), aim.settings().links_base, record or None  # noqa: TID251 - an entry point
    drafts = _drafts(name)
    async with aim.database() as here:
        for draft, body in drafts.items():
            found = await previews.of_body(here.pool, now, here.studio, draft, body, record=about, base=base)
        if not drafts:
            found = await previews.of_saved(here.pool, now, here.studio, name, record=about, base=base)
    if aim.json:
        as_json(asdict(found))
    else:
        show("\n".join(_lines(found)))
    return int(bool(found.missing))


def _drafts(name: str) -> dict[str, dict[str, Any]]:
    """The template that a file holds; none where a saved one is named."""
    from control_center.cli.templates import read_files

    path = Path(name)  # what looks like a file is one, or is told to be none
    return read_files([path]) if path.suffix == ".toml" else {}


def _lines(found: Preview) -> Iterator[str]:
    yield f"with {found.record}" if found.record else "with a made-up record; --record KIND/ID takes a real one"
    if found.sms is not None:
        yield from ("", "sms", _indented(found.sms.text), "", *_cost(found.sms, found.plan))
        yield from (f"  {letter}" for letter in found.sms.letters)
    if found.email is not None:
        yield from ("", f"email: {found.email.subject}", _indented(found.email.text))
        if found.email.html is not None:
            yield from ("", f"  and {found.email.bytes} bytes of HTML; --json shows them")
    if found.missing:
        yield from ("", *(f"cannot be written: {one.part}: {one.reason}" for one in found.missing))
    if found.warnings:
        yield from ("", *(f"warning: {one}" for one in found.warnings))


def _cost(text: Text, plan: Left) -> Iterator[str]:
    name = "of the 7-bit alphabet" if text.encoding == "gsm7" else "of UCS-2"
    price = f", {text.cost}" if text.cost else ""
    yield f"  {text.segments} {'part' if text.segments == 1 else 'parts'}, {text.units} units {name}{price}"
    if plan.texts_per_month is not None:
        yield f"  {plan.left} of this month's {plan.texts_per_month} texts are left"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip("\n").split("\n"))
