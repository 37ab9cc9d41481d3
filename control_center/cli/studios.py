"""`studios` and `commands`: who we send for, and what their CRM is asked to do."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from control_center.cli import catalog
from control_center.cli.aim import Aim, person, show
from control_center.cli.tables import as_json, columns, pairs
from control_center.cli.verbs import group, verb
from control_center.domain.errors import ConfigurationError, NotFound


def add_to(app: typer.Typer) -> None:
    noun = group(app, "studios", "The studios that this installation serves.")
    verb(noun, "list", example="studios list", but=("studio",))(list_)
    verb(noun, "show", example="studios show main", but=("studio",))(show_one)
    verb(noun, "put", example="studios put studio.toml", but=("studio",))(put)
    verb(noun, "remove", example="studios remove north", but=("studio",))(remove)
    catalog.add_to(noun)
    asked = group(app, "commands", "What the CRM is asked to do, and is told.")
    verb(asked, "list", example="commands list")(commands)


async def list_(aim: Aim) -> None:
    """List the studios."""
    from control_center.engine.studios import resource
    from control_center.store import db, studios

    async with aim.database() as here, db.session(here.pool) as connection:
        found = await studios.every(connection)
    if aim.json:
        as_json({"items": [resource(one) for one in found], "next_cursor": None})
        return
    columns(
        [
            {
                "id": one.studio,
                "name": one.name,
                "timezone": one.timezone,
                "country": one.country,
                "enabled": one.enabled,
            }
            for one in found
        ],
        none="there is no studio yet",
    )


async def show_one(aim: Aim, *, studio: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show one studio."""
    from control_center.engine.studios import resource
    from control_center.store import db, studios

    async with aim.database() as here, db.session(here.pool) as connection:
        found = (await studios.get(connection, [studio])).get(studio)
    if found is None:
        raise NotFound(f"there is no studio {studio!r}")
    if aim.json:
        as_json(resource(found))
    else:
        pairs(resource(found))


async def put(
    aim: Aim, *, file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file with the studio's keys.")]
) -> None:
    """Create a studio, or replace what it says, from a file."""
    from control_center.domain.studio import parse
    from control_center.engine import studios
    from control_center.service import now

    studio = parse(read_file(file), where=file.name)
    async with aim.database() as here:
        await studios.put(here.pool, now, studio, by=person())
    if aim.json:
        as_json(studios.resource(studio))
    else:
        show(f"saved: {studio.studio}")


async def remove(aim: Aim, *, studio: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Delete a studio for which nothing waits, with its triggers, templates and blackout days."""
    from control_center.engine import studios

    async with aim.database() as here:
        await studios.drop(here.pool, studio, by=person())
    if aim.json:
        as_json({"id": studio})
    else:
        show(f"studio {studio} is removed")


def read_file(file: Path) -> dict[str, Any]:
    """A studio's file. Raises ConfigurationError where it cannot be read."""
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file}: not TOML: {error}") from None


async def commands(
    aim: Aim,
    *,
    after: Annotated[int, typer.Option(help="Only later ones than this sequence number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
) -> None:
    """List what waits to be published to the CRM, oldest first."""
    import msgspec

    from control_center.store import db, views_commands

    async with aim.database() as here, db.session(here.pool) as connection:
        found = await views_commands.waiting(connection, here.studio, after=after, limit=limit)
    if aim.json:
        as_json({"items": [{**msgspec.structs.asdict(one), "data": msgspec.Raw(one.data.encode())} for one in found]})
    else:
        rows = [{name: getattr(one, name) for name in one.__struct_fields__ if name != "data"} for one in found]
        columns(rows, none="nothing waits: the CRM has everything")
