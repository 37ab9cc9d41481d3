"""`actions`: what waits, and what a person does with it."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import Annotated

import typer

from control_center.cli.aim import Aim
from control_center.cli.deciding import delete, process, release, skip
from control_center.cli.narrowing import DueBefore, DueFrom, OfRecord, OfTrigger, States, filter_of, number_of
from control_center.cli.reviewing import review
from control_center.cli.tables import as_json, columns, local, pairs
from control_center.cli.verbs import group, verb
from control_center.domain.errors import NotFound


def add_to(app: typer.Typer) -> None:
    noun = group(app, "actions", "What triggers have planned: waiting, for review, and what became of it.")
    verb(noun, "list", example="actions list --state review")(list_)
    verb(noun, "show", example="actions show a-12")(show_one)
    verb(noun, "review", example="actions review --state held")(review)
    verb(noun, "release", example='actions release --trigger "Reminder" --expect 4500')(release)
    verb(noun, "process", example='actions process --trigger "Gallery ready" --expect 12')(process)
    verb(noun, "skip", example="actions skip a-12")(skip)
    verb(noun, "delete", example="actions delete a-12")(delete)


async def list_(
    aim: Aim,
    *,
    state: States = None,
    trigger: OfTrigger = None,
    record: OfRecord = None,
    due_from: DueFrom = None,
    due_before: DueBefore = None,
    by_due: Annotated[bool, typer.Option("--by-due", help="Soonest first, instead of newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str, typer.Option(help="Where the page before ended.")] = "",
) -> None:
    """List actions: what waits until when and why, and what became of the others."""
    from control_center.store import db, views_actions

    read = views_actions.by_due if by_due else views_actions.actions
    async with aim.database() as here, db.session(here.pool) as connection:
        zone = await here.zone()
        wanted = filter_of(state, trigger, record, due=(due_from, due_before), zone=zone)
        page = await read(connection, here.studio, wanted, cursor=cursor or None, limit=limit)
    if aim.json:
        as_json({"items": page.items, "next_cursor": page.next_cursor})
        return
    columns(
        [
            {
                "id": one.id,
                "state": one.state,
                "due": local(zone, one.due_at),
                "record": one.record,
                "trigger": one.trigger,
                "reason": one.reason,
            }
            for one in page.items
        ],
        none="no such action",
    )


async def show_one(aim: Aim, *, action: Annotated[str, typer.Argument(metavar="ID", help="Such as a-12.")]) -> None:
    """Show one action."""
    import msgspec

    from control_center.store import db, views_actions

    async with aim.database() as here, db.session(here.pool) as connection:
        found = await views_actions.action(connection, here.studio, number_of(action))
    if found is None:
        raise NotFound(f"there is no action {action!r} in studio {here.studio!r}")
    if aim.json:
        as_json(found)
    else:
        pairs(msgspec.structs.asdict(found))
