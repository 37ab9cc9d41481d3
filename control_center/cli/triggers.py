"""`triggers`: rules as files: shown, compared, applied, exported."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from control_center.cli import forecasting, trigger_plans, trigger_turns
from control_center.cli.aim import Aim, show
from control_center.cli.tables import as_json, listed
from control_center.cli.verbs import group, verb
from control_center.domain.errors import Refused


def add_to(app: typer.Typer) -> None:
    noun = group(app, "triggers", "Saved rules: what a change in the CRM makes happen, and when.")
    verb(noun, "list", example="triggers list")(list_)
    verb(noun, "show", example='triggers show "Session reminder"')(show_one)
    verb(noun, "diff", example="triggers diff config/triggers")(trigger_plans.diff)
    verb(noun, "apply", example="triggers apply config/triggers --yes")(trigger_plans.apply)
    verb(noun, "export", example="triggers export --to triggers")(export)
    verb(noun, "enable", example='triggers enable "Session reminder"')(trigger_turns.enable)
    verb(noun, "disable", example='triggers disable "Session reminder" --pending hold')(trigger_turns.disable)
    verb(noun, "copy", example='triggers copy "Session reminder" "Portrait reminder"')(trigger_turns.copy)
    verb(noun, "remove", example='triggers remove "Session reminder"')(trigger_turns.remove)
    verb(noun, "versions", example='triggers versions "Session reminder"')(trigger_turns.versions)
    verb(noun, "rollback", example='triggers rollback "Session reminder" 3')(trigger_turns.rollback)
    verb(noun, "forecast", example="triggers forecast --days 14 --closed 2026-12-24")(forecasting.forecast)
    verb(noun, "backtest", example="triggers backtest draft.toml --days 90")(forecasting.backtest)
    verb(noun, "test", example='triggers test "Session reminder"')(trigger_turns.run_tests)


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
    listed(rows, dict, json=aim.json, none="there are no triggers yet; begin with: control-center triggers apply PATH")


async def show_one(aim: Aim, *, name: Annotated[str, typer.Argument()]) -> None:
    """Show one trigger as the file it could stand in."""
    from control_center.cli.toml import table
    from control_center.engine import triggers
    from control_center.store import db

    async with aim.database() as here, db.session(here.pool) as connection:
        found = await triggers.named(connection, here.studio, name)
    if aim.json:
        as_json({"id": found.trigger_id, "version": found.version, "enabled": found.enabled, **found.definition})
    else:
        show(table("trigger", found.definition))


async def export(
    aim: Aim,
    *,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Write a file for each kind of record.")
    ] = None,
) -> None:
    """Print every trigger of a studio as one file, or write them into a folder, a file for each kind of record."""
    from control_center.cli.toml import table
    from control_center.engine import triggers

    async with aim.database() as here:
        found = await triggers.export(here.pool, here.studio)
    if to is not None:
        files = _files(found)
        write_all(to, {name: "\n".join(table("trigger", one) for one in tables) for name, tables in files.items()})
        written = {"written": [str(to / name) for name in files]}
        as_json(written) if aim.json else show("\n".join(written["written"]) or "there are no triggers yet")
    elif aim.json:
        as_json({"trigger": found})
    else:
        show("\n".join(table("trigger", one) for one in found))


def _files(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    files: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        files.setdefault(f"{one['record']}.toml", []).append(one)
    return files


def write_all(folder: Path, files: dict[str, str]) -> None:
    """Write these files. Raises Refused where one of them is there already: it may say something else."""
    there = [str(folder / name) for name in files if (folder / name).exists()]
    if there:
        raise Refused(f"{', '.join(there)}: is there already; name another folder, or remove it first")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
