"""`actions`: what waits, and what a person does with it."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_center.cli.aim import Aim, Database, person
from control_center.cli.tables import as_json, columns, local, pairs
from control_center.cli.verbs import group, verb
from control_center.domain.errors import Malformed, NotFound

if TYPE_CHECKING:
    from control_center.store.views_actions import Filter

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="An action, such as a-12.")]
OfTrigger = Annotated[str, typer.Option("--trigger", help="All that this trigger has for review.")]
Every = Annotated[bool, typer.Option("--all", help="The whole review list.")]


def add_to(app: typer.Typer) -> None:
    noun = group(app, "actions", "What triggers have planned: waiting, for review, and what became of it.")
    verb(noun, "list", example="actions list --state review")(list_)
    verb(noun, "show", example="actions show a-12")(show_one)
    verb(noun, "process", example='actions process --trigger "Gallery ready"')(process)
    verb(noun, "skip", example="actions skip a-12")(skip)
    verb(noun, "delete", example="actions delete a-12")(delete)


async def list_(
    aim: Aim,
    *,
    state: Annotated[list[str] | None, typer.Option(help="planned, review, released, ...; may be repeated.")] = None,
    trigger: Annotated[str, typer.Option(help="Only of this trigger.")] = "",
    record: Annotated[str, typer.Option(help="Only of this record, such as session/4711.")] = "",
    by_due: Annotated[bool, typer.Option("--by-due", help="Soonest first, instead of newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str, typer.Option(help="Where the page before ended.")] = "",
) -> None:
    """List actions: what waits until when and why, and what became of the others."""
    from control_center.store import db, views_actions

    wanted = filter_of(state, trigger, record)
    read = views_actions.by_due if by_due else views_actions.actions
    async with aim.database() as here, db.session(here.pool) as connection:
        zone = await here.zone()
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


async def process(aim: Aim, *, ids: Ids = None, trigger: OfTrigger = "", every: Every = False) -> None:
    """Run actions now: the window does not apply to what a person decides, everything else is checked again."""
    from control_center.engine import review
    from control_center.service import now

    async with aim.database() as here:
        chosen = await _chosen(here, ids, trigger, every=every)
        _tell(aim, await review.process(here.pool, now, here.studio, chosen, by=person()) if chosen else {})


async def skip(aim: Aim, *, ids: Ids = None, trigger: OfTrigger = "", every: Every = False) -> None:
    """Leave actions where they are: they come up again."""
    async with aim.database() as here:
        chosen = await _chosen(here, ids, trigger, every=every)
        found = await _read(here, chosen)
        _tell(aim, {one.number: (one.state, one.reason) for one in found})


async def delete(aim: Aim, *, ids: Ids = None, trigger: OfTrigger = "", every: Every = False) -> None:
    """Drop actions for good: the occurrence counts as handled, and sends nothing."""
    from control_center.engine import review
    from control_center.service import now

    async with aim.database() as here:
        chosen = await _chosen(here, ids, trigger, every=every)
        _tell(aim, await review.delete(here.pool, now, here.studio, chosen, by=person()) if chosen else {})


def filter_of(state: list[str] | None, trigger: str, record: str) -> Filter:
    """What a list is narrowed to. Raises Malformed for a state or a record that is none."""
    from control_center.domain.action import State
    from control_center.store.views_actions import Filter

    names = [one.value for one in State]
    for one in state or ():
        if one not in names:
            raise Malformed("state", f"{one!r}; allowed: {', '.join(names)}")
    return Filter(
        states=[State(one) for one in state] if state else None,
        trigger=trigger or None,
        record=record_of(record) if record else None,
    )


def record_of(record: str) -> tuple[str, str]:
    kind, slash, record_id = record.partition("/")
    if not (kind and slash and record_id):
        raise Malformed("record", f"{record!r}; write the kind and the id, such as session/4711")
    return kind, record_id


def number_of(name: str, letter: str = "a") -> int:
    """The number in `a-12`; the letter may be left out."""
    digits = name.removeprefix(f"{letter}-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise Malformed("id", f"{name!r}; write {letter}- and a number, such as {letter}-12")
    return int(digits)


async def _chosen(here: Database, ids: list[str] | None, trigger: str, *, every: bool) -> list[int]:
    """The actions meant: by id, or what waits for a person, of one trigger or of all."""
    if sum((bool(ids), bool(trigger), every)) != 1:
        raise typer.BadParameter("give ids, or --trigger, or --all")
    if ids:
        return [number_of(one) for one in ids]
    from control_center.store import db, views_actions

    chosen: list[int] = []
    cursor = None
    async with db.session(here.pool) as connection:
        while True:
            wanted = filter_of(["review", "held"], trigger, "")
            page = await views_actions.actions(connection, here.studio, wanted, cursor=cursor, limit=200)
            chosen += [one.number for one in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return chosen


async def _read(here: Database, numbers: list[int]) -> list[Any]:
    from control_center.store import db, views_actions

    async with db.session(here.pool) as connection:
        found = await views_actions.by_id(connection, here.studio, numbers)
    missing = set(numbers) - {one.number for one in found}
    if missing:
        raise NotFound(f"there is no action {', '.join(f'a-{one}' for one in sorted(missing))}")
    return found


def _tell(aim: Aim, after: dict[int, tuple[Any, str]]) -> None:
    rows = [
        {"id": f"a-{number}", "state": getattr(state, "value", state), "reason": reason}
        for number, (state, reason) in after.items()
    ]
    if aim.json:
        as_json({"items": rows})
    else:
        columns(rows, none="nothing waits for a person there")
