"""`blackouts`: days on which a studio sends nothing by itself."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from control_center.cli.aim import Aim, show
from control_center.cli.tables import as_json, columns
from control_center.cli.verbs import group, verb
from control_center.domain.errors import Malformed


def add_to(app: typer.Typer) -> None:
    noun = group(app, "blackouts", "Days on which a studio sends nothing by itself.")
    verb(noun, "list", example="blackouts list")(list_)
    verb(noun, "add", example='blackouts add "Christmas" --yearly 12-25')(add)
    verb(noun, "remove", example="blackouts remove 3")(remove)


async def list_(aim: Aim) -> None:
    """List the blackout days of a studio."""
    from control_center.store import blackouts, db

    async with aim.database() as here, db.session(here.pool) as connection:
        found = await blackouts.of_studio(connection, here.studio)
    rows = [
        {
            "id": one.blackout_id,
            "name": one.blackout.name,
            "from": None if one.blackout.yearly else one.blackout.first.isoformat(),
            "to": None if one.blackout.yearly else one.blackout.last.isoformat(),
            "yearly": f"{one.blackout.first:%m-%d}" if one.blackout.yearly else None,
        }
        for one in found
    ]
    if aim.json:
        as_json({"items": rows, "next_cursor": None})
    else:
        columns(rows, none="there are no blackout days")


async def add(
    aim: Aim,
    *,
    name: Annotated[str, typer.Argument(help="What people will see as the reason.")],
    on: Annotated[str, typer.Option("--date", help="One day, YYYY-MM-DD.")] = "",
    first: Annotated[str, typer.Option("--from", help="The first of several days.")] = "",
    last: Annotated[str, typer.Option("--to", help="The last of them.")] = "",
    yearly: Annotated[str, typer.Option(help="A day of every year, MM-DD.")] = "",
) -> None:
    """Close a day or days; what waits for a time on them gets its next one."""
    from control_center.domain.blackouts import Blackout
    from control_center.engine import blackouts
    from control_center.service import now

    if (bool(on), bool(first and last), bool(yearly)).count(True) != 1 or bool(first) != bool(last):
        raise typer.BadParameter("give --date, or --from and --to, or --yearly")
    if on:
        closed = Blackout.on(name, _day("date", on))
    elif yearly:
        closed = Blackout.every_year(name, yearly)
    else:
        closed = Blackout.between(name, _day("from", first), _day("to", last))
    async with aim.database() as here:
        made = await blackouts.add(here.pool, now, here.studio, closed)
    if aim.json:
        as_json({"id": made})
    else:
        show(f"blackout {made}: {closed}")


async def remove(aim: Aim, *, blackout: Annotated[int, typer.Argument(metavar="ID")]) -> None:
    """Open the days again; what waited because of them is due at once."""
    from control_center.engine import blackouts
    from control_center.service import now

    async with aim.database() as here:
        await blackouts.remove(here.pool, now, here.studio, blackout)
    if aim.json:
        as_json({"id": blackout})
    else:
        show(f"blackout {blackout} is removed")


def _day(field: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise Malformed(field, f"{value!r} is not a day; write YYYY-MM-DD, such as 2026-12-24") from None
