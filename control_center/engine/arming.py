"""Arming the fence: a person says that this is the database to send from, and what becomes of what may have gone."""

from __future__ import annotations

from typing import Literal, TypeAlias

import structlog

from control_center.domain.errors import Refused
from control_center.domain.message import State
from control_center.engine import reports
from control_center.engine.lines import RELEASE_CHANNEL
from control_center.engine.reports import Step
from control_center.store import audit, db, fences, messages
from control_center.store.bulks import Bulk
from control_center.store.fences import Closed

log = structlog.get_logger(__name__)

Held: TypeAlias = Literal["send", "doubt"]


async def arm(pool: db.Pool, held: Held | None, *, by: str, reason: str) -> Closed:
    """Open the fence. `held` decides about what was due before it closed, and is needed where there is any.

    `send`: it has not gone out, and goes. `doubt`: its messages are unknown, each for a person to resolve, and its
    actions stay held, each for a person to process or skip. Bulks stay paused until somebody resumes them. Returns
    what it was about. Raises Refused where the fence is not closed, or nobody decided.
    """

    async def work(tx: db.Connection) -> tuple[Closed, list[tuple[str, int]]]:
        fence = await fences.look(tx)
        waiting = await fences.held(tx)
        if held is None and (waiting.messages or waiting.actions):
            raise Refused(
                f"{waiting.messages} messages and {waiting.actions} actions may have gone out already: compare with "
                "the provider's list, and say --held send (they have not, and go) or --held doubt (each for a person)"
            )
        if not await fences.arm(tx, by):
            raise Refused("the fence is not closed: there is nothing to arm")
        doubtful: list[tuple[str, int]] = []
        if held == "send":
            await fences.let_go(tx, by)
        elif held == "doubt":
            doubtful = await fences.call_unknown(tx)
            await reports.tell(tx, [Step(studio, message, State.UNKNOWN) for studio, message in doubtful])
        before = {"closed_at": fence.closed_at, "reason": fence.reason}
        after = {"reason": reason, "held": held, "messages": waiting.messages, "actions": waiting.actions}
        await audit.write(tx, by, audit.Entry(audit.INSTALLATION, "arm", "fence", before, after))
        await db.notify(tx, messages.WORK_CHANNEL)
        await db.notify(tx, RELEASE_CHANNEL)
        return waiting, doubtful

    waiting, doubtful = await db.retried(pool, work)
    log.warning("fence.armed", by=by, reason=reason, messages=waiting.messages, actions=waiting.actions)
    for studio, message in doubtful:
        log.warning("message.unknown", studio=studio, message=f"m-{message}", reason="it may have gone out")
    return waiting


async def refuse_forgotten(tx: db.Connection, one: Bulk) -> None:
    """Raise Refused for a list that waits for its review and may have had it in a time that the database forgot."""
    gap = await fences.gap(tx)
    if gap is not None and one.made_at <= gap:
        named = f"b-{one.bulk_id}"
        raise Refused(
            f"{named} was made before the database lost its newest rows, and may have gone out in the time that it"
            f" forgot: look into the provider's log; if it has not, make it anew, and end this one: control-center bulk"
            f" cancel {named}"
        )
