"""`blackouts`: days on which a studio sends nothing by itself."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from control_center.cli.aim import Aim, person, show
from control_center.cli.tables import as_json, columns, listed
from control_center.cli.verbs import group, verb
from control_center.domain.errors import ConfigurationError, Malformed

if TYPE_CHECKING:
    from control_center.cli.aim import Database


def add_to(app: typer.Typer) -> None:
    noun = group(app, "blackouts", "Days on which a studio sends nothing by itself.")
    verb(noun, "list", example="blackouts list")(list_)
    verb(noun, "add", example='blackouts add "Christmas" --yearly 12-25')(add)
    verb(noun, "remove", example="blackouts remove 3")(remove)
    verb(noun, "holidays", example="blackouts holidays --country US --subdivision IL --tick 2026-12-25")(holidays)
    verb(noun, "import", example="blackouts import closed.ics")(import_)


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
    listed(rows, dict, json=aim.json, none="there are no blackout days")


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
    if not name.strip():
        raise Malformed("name", "is empty; it is what people will see as the reason")
    async with aim.database() as here:
        made = await blackouts.add(here.pool, now, here.studio, closed, by=person())
    if aim.json:
        as_json({"id": made})
    else:
        show(f"blackout {made}: {closed}")


async def remove(aim: Aim, *, blackout: Annotated[int, typer.Argument(metavar="ID")]) -> None:
    """Open the days again; what waited because of them is due at once."""
    from control_center.engine import blackouts
    from control_center.service import now

    async with aim.database() as here:
        await blackouts.remove(here.pool, now, here.studio, blackout, by=person())
    if aim.json:
        as_json({"id": blackout})
    else:
        show(f"blackout {blackout} is removed")


async def holidays(
    aim: Aim,
    *,
    country: Annotated[str, typer.Option(help="ISO 3166, such as US; by default the studio's.")] = "",
    subdivision: Annotated[str, typer.Option(help="A part of it, such as IL.")] = "",
    year: Annotated[
        list[int] | None, typer.Option(min=2000, max=2100, help="By default this one and the next.")
    ] = None,
    tick: Annotated[list[str] | None, typer.Option(help="Close on this one, YYYY-MM-DD; may be repeated.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Close on all of them.")] = False,
) -> None:
    """List the public holidays of a country, or close on those that are ticked."""
    from control_center.engine import blackout_import, public_holidays
    from control_center.service import now
    from control_center.store import db, studios

    if tick and every:
        raise typer.BadParameter("give --tick or --all, not both")
    async with aim.database() as here:
        today = await _today(here)
        async with db.session(here.pool) as connection:
            house = (await studios.get(connection, [here.studio]))[here.studio]
        found = public_holidays.of(country or house.country, subdivision or None, year or [today.year, today.year + 1])
        if tick or every:
            found = public_holidays.ticked(found, None if every else [_day("tick", one) for one in tick or ()])
            await blackout_import.add_all(here.pool, now, here.studio, found, by=person())
    rows = [{"date": one.first.isoformat(), "name": one.name} for one in found]
    listed(rows, dict, json=aim.json, none="there are none")


async def import_(
    aim: Aim, *, file: Annotated[Path, typer.Argument(metavar="FILE", help="A calendar file, .ics.")]
) -> None:
    """Close on the whole-day events of a calendar file, for two years from today."""
    from control_center.engine import blackout_import, closed_days
    from control_center.service import now

    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror or error}") from None
    async with aim.database() as here:
        days = await closed_days.read(content, today=await _today(here))
        stored = await blackout_import.add_all(here.pool, now, here.studio, days, by=person())
    if aim.json:
        as_json({"items": [{"id": one.blackout_id, "name": one.blackout.name} for one in stored], "next_cursor": None})
    else:
        columns([{"id": one.blackout_id, "closed": str(one.blackout)} for one in stored], none="nothing")


async def _today(here: Database) -> date:
    from control_center.domain import zones
    from control_center.service import now

    return zones.local_date(await here.zone(), now())


def _day(field: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise Malformed(field, f"{value!r} is not a day; write YYYY-MM-DD, such as 2026-12-24") from None
