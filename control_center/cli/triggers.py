"""`triggers`: rules as files: shown, compared, applied, exported."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_center.cli.aim import Aim, note, person, show
from control_center.cli.tables import as_json, columns
from control_center.cli.verbs import group, verb
from control_center.domain.errors import NotFound, Refused

if TYPE_CHECKING:
    from control_center.engine.triggers import Difference

Paths = Annotated[list[Path], typer.Argument(metavar="PATH", help="Trigger files, or folders of them.")]


def add_to(app: typer.Typer) -> None:
    noun = group(app, "triggers", "Saved rules: what a change in the CRM makes happen, and when.")
    verb(noun, "list", example="triggers list")(list_)
    verb(noun, "show", example='triggers show "Session reminder"')(show_one)
    verb(noun, "diff", example="triggers diff config/triggers")(diff)
    verb(noun, "apply", example="triggers apply config/triggers --yes")(apply)
    verb(noun, "export", example="triggers export > triggers.toml")(export)


async def list_(aim: Aim) -> None:
    """List the triggers of a studio."""
    from control_center.store import db, triggers

    async with aim.database() as here, db.session(here.pool) as connection:
        found = await triggers.every(connection, here.studio)
    rows = [
        {
            "id": one.trigger_id,
            "name": one.name,
            "version": one.version,
            "enabled": one.enabled,
            "record": one.definition["record"],
            "action": one.definition["action"],
            "saved_at": one.saved_at,
            "saved_by": one.saved_by,
        }
        for one in found
    ]
    if aim.json:
        as_json({"items": rows, "next_cursor": None})
    else:
        columns(rows, none="there are no triggers yet; begin with: control-center triggers apply PATH")


async def show_one(aim: Aim, *, name: Annotated[str, typer.Argument()]) -> None:
    """Show one trigger as the file it could stand in."""
    from control_center.cli.toml import table
    from control_center.store import db, triggers

    async with aim.database() as here, db.session(here.pool) as connection:
        found = await triggers.by_name(connection, here.studio, name)
        if found is None:
            names = ", ".join(repr(one.name) for one in await triggers.every(connection, here.studio))
            raise NotFound(f"there is no trigger {name!r} in studio {here.studio!r}; there are: {names or 'none'}")
    if aim.json:
        as_json({"id": found.trigger_id, "version": found.version, "enabled": found.enabled, **found.definition})
    else:
        show(table("trigger", found.definition))


async def diff(aim: Aim, *, paths: Paths) -> None:
    """Show what applying these files would change, and what waits under the triggers they change."""
    from control_center.engine import triggers

    async with aim.database() as here:
        found = await triggers.diff(here.pool, here.studio, triggers.read_files(paths))
    if aim.json:
        as_json({"items": found})
    else:
        _print(found)


async def apply(
    aim: Aim, *, paths: Paths, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Save the triggers of these files, all or none, after showing what that changes."""
    from control_center.engine import triggers
    from control_center.service import now

    tables = triggers.read_files(paths)
    async with aim.database() as here:
        found = await triggers.diff(here.pool, here.studio, tables)
        changes = [one for one in found if one.kind != "same"]
        if not aim.json:
            _print(found)
        if changes and not yes:
            _ask(len(changes))
        saved = await triggers.apply(here.pool, now, here.studio, tables, by=person()) if changes else []
    if aim.json:
        as_json({"items": found, "saved": [{"name": one.name, "version": one.version} for one in saved]})
    else:
        show(f"saved: {len(changes)}" if changes else "nothing to change")


async def export(aim: Aim) -> None:
    """Print every trigger of a studio as one file."""
    from control_center.cli.toml import table
    from control_center.engine import triggers

    async with aim.database() as here:
        found = await triggers.export(here.pool, here.studio)
    if aim.json:
        as_json({"trigger": found})
    else:
        show("\n".join(table("trigger", one) for one in found))


def _ask(changes: int) -> None:
    if not sys.stdin.isatty():
        raise Refused("nobody is here to be asked; say --yes to apply without asking")
    note(f"Save {changes} trigger{'' if changes == 1 else 's'}? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("nothing was changed")


def _print(found: list[Difference]) -> None:
    marks: dict[str, Any] = {"new": "+", "changed": "~", "same": " "}
    for one in found:
        waiting = f"  ({one.pending} waiting)" if one.pending else ""
        show(f"{marks[one.kind]} {one.name}{waiting}")
        for line in one.lines:
            show(f"    {line}")
