"""`clients`: what a studio knows of one, taken away at their wish."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import Annotated

import typer

from control_center.cli.aim import Aim, note, person
from control_center.cli.tables import as_json, columns
from control_center.cli.verbs import group, verb


def add_to(app: typer.Typer) -> None:
    noun = group(app, "clients", "What is known here of a client of the CRM.")
    verb(noun, "erase", example='clients erase c-12 --reason "letter of 3 May" --yes')(erase)


async def erase(
    aim: Aim,
    *,
    client: Annotated[str, typer.Argument(metavar="ID", help="The client's id in the CRM, such as c-12.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail, so name nobody in it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without it nothing is changed.")] = False,
) -> None:
    """Take a client and their family out of everything this studio has stored. Without --yes only count it."""
    from control_center.engine import erasure

    async with aim.database() as here:
        if yes:
            done = await erasure.erase(here.pool, here.studio, client, reason=reason, by=person())
        else:
            done = await erasure.preview(here.pool, here.studio, client, by=person())
    cancelled = {"actions": done.cancelled_actions, "messages": done.cancelled_messages}
    if aim.json:
        as_json({"client": client, "done": yes, "erased": done.counts, "cancelled": cancelled})
        return
    rows = [{"what": kind, "rows": number} for kind, number in done.counts.items() if number]
    rows += [{"what": f"{kind} cancelled", "rows": number} for kind, number in cancelled.items() if number]
    columns(rows, none=f"nothing is left of {client}")
    if not yes and rows:
        note("nothing was changed; it cannot be taken back, and --yes does it")
