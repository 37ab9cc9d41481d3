"""`messages prefixes|release`: texts that wait because many would go to neighbouring numbers within an hour."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import Annotated

import typer

from control_center.cli.aim import Aim, person, show
from control_center.cli.tables import as_json, listed, local
from control_center.cli.verbs import verb


def add_to(noun: typer.Typer) -> None:
    verb(noun, "prefixes", example="messages prefixes")(prefixes)
    verb(noun, "release", example="messages release +13125550")(release)


async def prefixes(aim: Aim) -> None:
    """List the neighbouring numbers to which many texts were about to go: what else would go there is held."""
    from control_center.store import db
    from control_center.store import prefixes as store

    async with aim.database() as here, db.session(here.pool) as connection:
        zone = await here.zone()
        found = await store.shut(connection, here.studio)
    listed(
        found,
        lambda one: {"prefix": one.prefix, "held": one.held, "since": local(zone, one.since), "reason": one.reason},
        json=aim.json,
        none="no texts are held for being many to neighbouring numbers",
    )


async def release(
    aim: Aim,
    *,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="As `messages prefixes` lists it.")],
) -> None:
    """Let go what is held of neighbouring numbers: they are who was meant. For a day nothing more is held there."""
    from control_center.engine import prefixes as engine
    from control_center.service import now

    async with aim.database() as here:
        freed = await engine.let_go(here.pool, now, here.studio, prefix, by=person())
    if aim.json:
        as_json({"prefix": prefix, "messages": freed})
    else:
        show(f"{freed:,} text{'' if freed == 1 else 's'} to {prefix} let go")
