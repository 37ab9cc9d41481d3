"""`events`: what came in, and what could not be understood."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_center.cli.aim import Aim, person, show
from control_center.cli.narrowing import record_of
from control_center.cli.tables import as_json, columns, local, pairs
from control_center.cli.verbs import group, verb
from control_center.domain.errors import ConfigurationError, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from control_center.crm import dead_letters


def add_to(app: typer.Typer) -> None:
    noun = group(app, "events", "What came in from the CRM, and what could not be understood.")
    verb(noun, "list", example="events list --record session/4711")(list_)
    verb(noun, "show", example="events show 01JD0000")(show_one)
    verb(noun, "dead", example="events dead", but=("studio",))(dead)
    verb(noun, "collect", example="events collect", but=("studio",))(collect)
    verb(noun, "gaps", example="events gaps")(gaps)
    verb(noun, "replay", example="events replay --all", but=("studio",))(replay)
    verb(noun, "discard", example='events discard 7 --reason "sent again"', but=("studio",))(discard)


async def list_(
    aim: Aim,
    *,
    record: Annotated[str, typer.Option(help="Only this record, such as session/4711.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str, typer.Option(help="Where the page before ended.")] = "",
) -> None:
    """List the events of a studio, newest first."""
    from control_center.store import db, views_events

    async with aim.database() as here, db.session(here.pool) as connection:
        zone = await here.zone()
        if record:
            record_of(record)  # or what is no record's name would look like one of which nothing came
        page = await views_events.events(
            connection, here.studio, subject=record or None, cursor=cursor or None, limit=limit
        )
    if aim.json:
        as_json({"items": page.items, "next_cursor": page.next_cursor})
        return
    columns(
        [
            {
                "received": local(zone, one.received_at),
                "type": one.type,
                "record": one.subject,
                "verdict": one.verdict,
                "id": one.id,
            }
            for one in page.items
        ],
        none="no event has come in" + (f" about {record}" if record else ""),
    )


async def show_one(aim: Aim, *, event_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show one event with its body."""
    import msgspec

    from control_center.store import db, views_events

    async with aim.database() as here, db.session(here.pool) as connection:
        found = await views_events.by_id(connection, here.studio, event_id)
    if not found:
        raise NotFound(f"there is no event {event_id!r} in studio {here.studio!r}")
    if aim.json:
        as_json([{**msgspec.to_builtins(event), "body": msgspec.Raw(body.encode())} for event, body in found])
        return
    for event, body in found:
        pairs(msgspec.to_builtins(event))
        show(msgspec.json.format(body, indent=2))


async def dead(aim: Aim, *, limit: Annotated[int, typer.Option(min=1, max=200)] = 50) -> None:
    """List the bodies that could not be understood and wait to be mended and replayed."""
    from control_center.store import db, views_events

    async with aim.database() as here, db.session(here.pool) as connection:
        page = await views_events.dead(connection, limit=limit)
    if aim.json:
        as_json({"items": page.items, "next_cursor": page.next_cursor})
        return
    columns(
        [
            {"id": one.id, "received": one.received_at, "field": one.field, "reason": one.reason, "body": one.body[:80]}
            for one in page.items
        ],
        none="nothing is set aside: everything that came was understood",
    )


async def collect(aim: Aim) -> None:
    """Bring over what the broker itself has set aside: `events dead` lists it then, `events replay` takes it in."""
    from control_center.cli.emitting import broker_of
    from control_center.crm import dead_letters
    from control_center.engine import dead_queue
    from control_center.store import db, events

    settings = aim.quiet()
    url = broker_of(aim, settings)
    if not url:
        raise ConfigurationError("there is no broker here: events come over HTTP, which sets nothing aside")
    async with aim.database() as here:
        async with db.transaction(here.pool) as tx:
            begun = await dead_queue.collecting(tx)

        async def keep(letters: Sequence[dead_letters.Letter]) -> None:
            async with db.transaction(here.pool) as tx:
                await dead_queue.collecting(tx)
                await events.bury(tx, [events.Dead(one.body, "", one.reason) for one in letters], by_broker=True)

        found = await dead_letters.collect(url, keep)
        await dead_queue.collected(here.pool, begun, found.copies)
    if aim.json:
        as_json({"collected": found.letters})
    elif not found.letters:
        show("the broker has set nothing aside")
    else:
        show(f"{found.letters} event{'' if found.letters == 1 else 's'} brought over; look: events dead, events replay")


async def gaps(
    aim: Aim,
    *,
    accept: Annotated[bool, typer.Option("--accept", help="Wait for these no more; they will not come.")] = False,
) -> None:
    """List the events that never came, of sources that count theirs."""
    from control_center.store import audit, db, event_numbers

    async with aim.database() as here, db.transaction(here.pool) as tx:
        zone = await here.zone()
        found = await event_numbers.gaps(tx, here.studio)
        if accept and found:
            await event_numbers.accept(tx, here.studio)
            was = [{"source": one.source, "first": one.first, "last": one.last} for one in found]
            await audit.write(tx, person(), audit.Entry(here.studio, "accept", "event/missing", was, []))
    if aim.json:
        as_json({"items": found})
        return
    columns(
        [
            {"source": one.source, "first": one.first, "last": one.last, "since": local(zone, one.since)}
            for one in found
        ],
        none="every event that was counted has come",
    )


async def replay(
    aim: Aim,
    *,
    ids: Annotated[list[int] | None, typer.Argument(metavar="ID", help="As `events dead` lists them.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are set aside.")] = False,
) -> int:
    """Take in again what was set aside, once the cause is mended (a studio that did not exist, say)."""
    if bool(ids) == every:
        raise typer.BadParameter("give the ids, or --all")
    async with aim.database() as here:
        results = [await _replay(here.pool, one) for one in await _buried(here.pool, ids)]
    if aim.json:
        as_json({"items": results})
    else:
        columns(results, none="nothing is set aside")
    return 0 if all(one["result"] == "understood" for one in results) else 1


async def discard(
    aim: Aim,
    *,
    ids: Annotated[list[int], typer.Argument(metavar="ID", help="As `events dead` lists them.")],
    reason: Annotated[str, typer.Option(help="Why nobody needs it, for the audit trail.")],
) -> None:
    """Say that what was set aside is of no use to anybody: it is kept, and neither listed nor replayed any more."""
    from control_center.store import audit, db, events

    async with aim.database() as here:
        for one in await _buried(here.pool, ids):
            was = {"field": one.field, "reason": one.reason}
            after = {"result": "discarded", "reason": reason}
            async with db.transaction(here.pool) as tx:
                if await events.discard(tx, one.dead_id):
                    entry = audit.Entry(audit.INSTALLATION, "discard", f"dead_event/{one.dead_id}", was, after)
                    await audit.write(tx, person(), entry)
    results = [{"id": one, "result": "discarded"} for one in ids]
    if aim.json:
        as_json({"items": results})
    else:
        columns(results, none="")


async def _buried(pool: Any, ids: list[int] | None) -> list[Any]:
    from control_center.store import db, events

    async with db.session(pool) as connection:
        if ids is None:
            found, after = [], 0
            while page := await events.unburied(connection, after=after):
                found += page
                after = page[-1].dead_id
            return found
        found = [one for wanted in ids for one in await events.unburied(connection, dead_id=wanted)]
    missing = set(ids) - {one.dead_id for one in found}
    if missing:
        raise NotFound(f"nothing is set aside under {', '.join(map(str, sorted(missing)))}")
    return found


async def _replay(pool: Any, one: Any) -> dict[str, Any]:
    from control_center.engine.intake import Intake
    from control_center.service import now
    from control_center.store import audit, db, events

    taken = await Intake(pool, now).take_in([one.body], keep_dead=False)
    if taken.dead:
        return {
            "id": one.dead_id,
            "result": "not understood",
            "field": taken.dead[0].field,
            "reason": taken.dead[0].reason,
        }
    was = {"field": one.field, "reason": one.reason}
    replayed = audit.Entry(audit.INSTALLATION, "replay", f"dead_event/{one.dead_id}", was, {"result": "understood"})
    async with db.transaction(pool) as tx:
        await events.raise_dead(tx, one.dead_id)
        await audit.write(tx, person(), replayed)
    return {"id": one.dead_id, "result": "understood", "field": "", "reason": ""}
