"""`messages spending|overspend`: texts that wait because what a day's texts may cost is spent."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from control_center.cli.aim import Aim, person, show
from control_center.cli.tables import as_json, listed, local
from control_center.cli.verbs import verb
from control_center.domain.errors import Malformed


def add_to(noun: typer.Typer) -> None:
    verb(noun, "spending", example="messages spending")(spending)
    verb(noun, "overspend", example="messages overspend 2026-11-23")(overspend)


async def spending(aim: Aim) -> None:
    """Show the day whose texts would have cost more than they may: what did not fit is held."""
    from control_center.store import db
    from control_center.store import spending as store

    async with aim.database() as here, db.session(here.pool) as connection:
        zone = await here.zone()
        found = await store.shut(connection, here.studio)
    listed(
        found,
        lambda one: {
            "day": one.day,
            "spent": one.spent,
            "held": one.held,
            "since": local(zone, one.since),
            "reason": one.reason,
        },
        json=aim.json,
        none="no texts are held because of what they cost",
    )


async def overspend(
    aim: Aim,
    *,
    day: Annotated[str, typer.Argument(metavar="DAY", help="As `messages spending` shows it.")],
) -> None:
    """Give a day its money once more: what waits goes, as far as that reaches."""
    from control_center.engine import spending as engine
    from control_center.service import now

    try:
        chosen = date.fromisoformat(day)
    except ValueError:
        raise Malformed("day", f"{day[:40]!r}; a day such as 2027-06-12 is needed") from None
    async with aim.database() as here:
        given = await engine.overspend(here.pool, now, here.studio, day=chosen, by=person())
    if aim.json:
        as_json({"day": given.day, "there_is": given.there_is, "messages": given.messages})
    else:
        show(f"{given.day} may cost {given.there_is:f} in all; {given.messages:,} waited for it")
