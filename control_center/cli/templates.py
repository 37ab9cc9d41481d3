"""`templates`: words with fields, as files."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from control_center.cli import template_previews
from control_center.cli.aim import Aim, note, person, show
from control_center.cli.tables import as_json, columns
from control_center.cli.verbs import group, verb
from control_center.domain.errors import ConfigurationError, Malformed


def add_to(app: typer.Typer) -> None:
    noun = group(app, "templates", "Words with fields, for texts and emails.")
    verb(noun, "list", example="templates list")(list_)
    verb(noun, "show", example="templates show session-reminder")(show_one)
    verb(noun, "apply", example="templates apply config/templates")(apply)
    template_previews.add_to(noun)
    verb(noun, "remove", example="templates remove session-reminder")(remove)


async def list_(aim: Aim) -> None:
    """List the templates of a studio."""
    from control_center.store import db, templates

    async with aim.database() as here, db.session(here.pool) as connection:
        found = await templates.of_studio(connection, here.studio)
    if aim.json:
        as_json({"items": [{"name": name, **body} for name, body in found.items()], "next_cursor": None})
        return
    parts = ("sms", "subject", "text", "html")
    columns(
        [
            {
                "name": name,
                "kind": body.get("kind", "any"),
                "purpose": body.get("purpose"),
                "parts": ", ".join(part for part in parts if part in body),
            }
            for name, body in found.items()
        ],
        none="there are no templates yet; begin with: control-center templates apply PATH",
    )


async def show_one(aim: Aim, *, name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Show one template as the file it could stand in."""
    from control_center.cli.toml import document
    from control_center.engine import templates

    async with aim.database() as here:
        found = await templates.get(here.pool, here.studio, name)
    if aim.json:
        as_json({"name": found.name, "version": found.version, **found.body})
    else:
        show(document(found.body))


async def apply(
    aim: Aim,
    *,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="NAME.toml files, or folders of them.")],
) -> None:
    """Save the templates of these files; one that is wrong is named, and then none is saved."""
    from control_center.engine import templates

    bodies = read_files(paths)
    for name, body in bodies.items():
        try:
            templates.parse(name, body)
        except Malformed as error:
            raise Malformed(f"{name}.toml, {error.field}", error.reason) from None
    async with aim.database() as here:
        await templates.put_all(here.pool, here.studio, bodies, by=person())
        stored = [await templates.get(here.pool, here.studio, name) for name in bodies]
        warnings = {one.name: await templates.advised(here.pool, here.studio, one) for one in stored}
    if aim.json:
        told = {name: [str(one) for one in found] for name, found in warnings.items() if found}
        as_json({"saved": list(bodies), "warnings": told})
        return
    show(f"saved: {', '.join(bodies) or 'nothing, there are no files'}")
    for name, found in warnings.items():
        for one in found:
            note(f"warning: {name}, {one}")


async def remove(aim: Aim, *, name: Annotated[str, typer.Argument()]) -> None:
    """Delete a template that no trigger uses."""
    from control_center.engine import templates

    async with aim.database() as here:
        await templates.drop(here.pool, here.studio, name, by=person())
    if aim.json:
        as_json({"name": name})
    else:
        show(f"template {name} is removed")


def read_files(paths: list[Path]) -> dict[str, dict[str, Any]]:
    """Template files by their name without `.toml`. Raises Malformed naming the file."""
    found = {}
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"{path}: there is no such file or folder")
        for file in sorted(path.glob("*.toml")) if path.is_dir() else [path]:
            try:
                found[file.stem] = tomllib.loads(file.read_text("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                raise Malformed(file.name, f"not TOML: {error}") from None
    return found
