"""`fence`: whether anything may be sent, and the decision that it may again."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from control_center.cli.aim import Aim, person, show
from control_center.cli.tables import as_json
from control_center.cli.verbs import group, verb

PURPOSE = "Whether anything may be sent: not after a failover or a restore, until a person has looked."


class Held(StrEnum):
    SEND = "send"
    DOUBT = "doubt"


HowHeld = Annotated[
    Held | None,
    typer.Option(
        "--held",
        help="What was due before the fence closed: send (it has not gone out) or doubt (each for a person).",
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why this is the database to send from.", metavar="TEXT")]


def add_to(app: typer.Typer) -> None:
    fence = group(app, "fence", PURPOSE)
    verb(fence, "show", example="fence show", but=("studio",))(show_fence)
    verb(fence, "arm", example='fence arm --held doubt --reason "restored the backup of Monday"', but=("studio",))(arm)


async def show_fence(aim: Aim) -> int:
    """Show whether anything may be sent, and what waits because it may have gone out. Exits 1 while nothing may."""
    from control_center.store import db, fences

    async with aim.database() as here, db.session(here.pool) as connection:
        fence = await fences.look(connection)
        may = await fences.is_open(connection)
        waiting = await fences.held(connection)
    if aim.json:
        as_json(
            {
                "open": may,
                "closed_at": fence.closed_at,
                "reason": fence.reason,
                "lost": {"from": fence.lost_from, "until": fence.lost_until},
                "held": {"messages": waiting.messages, "actions": waiting.actions, "bulks": waiting.bulks},
                "armed": {"times": fence.home.arming, "at": fence.armed_at, "by": fence.armed_by},
            }
        )
        return 0 if may else 1
    if may:
        show("open: messages go out")
    elif fence.closed_at is None:
        show("closed: this is not the database that sending was armed on; the next look of a process says why")
    else:
        show(f"closed since {fence.closed_at:%Y-%m-%d %H:%M:%S} UTC: {fence.reason}")
    if fence.lost_from and fence.lost_until:
        show(f"the database may have forgotten {fence.lost_from:%Y-%m-%d %H:%M:%S} to {fence.lost_until:%H:%M:%S} UTC")
    show(
        f"held, because it may have gone out: {waiting.messages} messages, {waiting.actions} actions, "
        f"{waiting.bulks} bulks"
    )
    return 0 if may else 1


async def arm(aim: Aim, *, reason: Reason, held: HowHeld = None) -> None:
    """Send from this database again, and say what becomes of what may have gone out already."""
    from control_center.engine import arming

    async with aim.database() as here:
        done = await arming.arm(here.pool, held.value if held else None, by=person(), reason=reason)
    if aim.json:
        as_json({"messages": done.messages, "actions": done.actions, "bulks": done.bulks})
        return
    became = {None: "", Held.SEND: "; they go", Held.DOUBT: "; each is for a person now"}[held]
    show(f"armed; {done.messages} messages and {done.actions} actions may have gone out{became}")
    if done.bulks:
        show(f"{done.bulks} bulks are paused: look at what they have sent, then: control-center bulk resume")
