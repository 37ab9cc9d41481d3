"""`explain`: why something happened, or did not."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from control_center.cli.aim import Aim, show
from control_center.cli.tables import as_json, local
from control_center.cli.verbs import verb

if TYPE_CHECKING:
    from control_center.engine.explain_words import Step


def add_to(app: typer.Typer) -> None:
    verb(app, "explain", example='explain --trigger "Session reminder" --record session/4711')(explain)


async def explain(
    aim: Aim,
    *,
    wanted: Annotated[str, typer.Argument(metavar="ID", help="A message, an action, or an event's id")] = "",
    trigger: Annotated[str, typer.Option(help="With --record: why this trigger did or did not act.")] = "",
    record: Annotated[str, typer.Option(help="A record, such as session/4711.")] = "",
) -> None:
    """Say why a message, action or event did what it did, or why a trigger sent nothing about a record."""
    from control_center.engine.explain import explain as of_id
    from control_center.engine.explain import explain_pair
    from control_center.service import now

    if bool(wanted) == bool(trigger or record) or bool(trigger) != bool(record):
        raise typer.BadParameter("give an ID, or --trigger and --record")
    async with aim.database() as here:
        if wanted:
            told = await of_id(here.pool, now, here.studio, wanted)
        else:
            told = await explain_pair(here.pool, now, here.studio, trigger, record)
        zone = await here.zone()
    if aim.json:
        as_json(told)
        return
    show(told.sentence)
    for step in told.steps:
        show(f"  {local(zone, step.at)}  {step.text}{_ids(step)}")


def _ids(step: Step) -> str:
    """The ids that a step is about and does not name itself, to go on asking by."""
    unnamed = [one for one in step.ids if not re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", step.text)]
    return f"  [{', '.join(unnamed)}]" if unnamed else ""
