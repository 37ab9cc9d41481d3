"""`studios catalog`: what a studio's CRM has, for one whose CRM does not tell it."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_center.cli.aim import Aim, person, show
from control_center.cli.tables import as_json
from control_center.cli.verbs import group, verb
from control_center.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from control_center.domain.studio_catalog import Catalog


def add_to(studios: typer.Typer) -> None:
    noun = group(studios, "catalog", "What a studio's CRM has: statuses, types, people, forms; triggers name no other.")
    verb(noun, "show", example="studios catalog show --studio main")(show_one)
    verb(noun, "apply", example="studios catalog apply catalog.toml")(apply)


async def show_one(aim: Aim) -> None:
    """Show a studio's catalogue as the file it could stand in."""
    from control_center.engine import catalogs

    async with aim.database() as here:
        found = await catalogs.read(here.pool, here.studio)
    if aim.json:
        as_json(found)
    else:
        show(_as_file(found) or "the catalogue is empty: neither has the CRM told it, nor has a record shown a name")


async def apply(
    aim: Aim,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML or JSON file with the sections to replace.")],
) -> None:
    """Replace the sections that a file names; the others stay. Says which saved triggers no longer fit."""
    from control_center.domain.studio_catalog import parse
    from control_center.engine import catalogs
    from control_center.store import db

    catalog = parse(_read(file), field=f"{file.name}, ")
    async with aim.database() as here:
        await catalogs.replace(here.pool, here.studio, catalog, by=person())
        async with db.session(here.pool) as connection:
            complaints = await catalogs.complaints(connection, here.studio)
    sizes = {section: len(entries) for section, entries in catalog.named.items()}
    doubts = [{"trigger": name, "field": one.field, "reason": one.says} for name, one in complaints]
    if aim.json:
        as_json({"replaced": sizes, "warnings": doubts})
        return
    show("replaced: " + (", ".join(f"{name} ({size})" for name, size in sizes.items()) or "nothing"))
    for doubt in doubts:
        show(f"! trigger {doubt['trigger']!r}, {doubt['field']}: {doubt['reason']}")


def _read(file: Path) -> dict[str, Any]:
    """The table in a file. Raises ConfigurationError where it cannot be read."""
    try:
        text = file.read_text("utf-8-sig")
        found = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file}: {error}") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{file}: a table of sections is needed")
    return found


def _as_file(catalog: Catalog) -> str:
    """The sections that hold anything: lists of names first, since TOML puts them before tables."""
    import msgspec

    from control_center.cli.toml import table
    from control_center.domain.studio_catalog import PLAIN

    named = {section: entries for section, entries in catalog.named.items() if entries}
    lists = [f"{section} = {_names(named[section])}\n" for section in named if section in PLAIN]
    tables = [
        table(section, msgspec.json.decode(msgspec.json.encode(entry)))
        for section, entries in named.items()
        if section not in PLAIN
        for entry in entries
    ]
    return "\n".join(["".join(lists), *tables] if lists else tables)


def _names(names: tuple[str, ...]) -> str:
    return "[\n" + "".join(f"  {json.dumps(name, ensure_ascii=False)},\n" for name in names) + "]"
