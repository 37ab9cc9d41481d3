"""What the CRM is told of messages that came to something without their worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from control_center.domain.command import Command
from control_center.domain.message import State
from control_center.domain.telling import told
from control_center.store import commands, db, reports


@dataclass(frozen=True, slots=True)
class Step:
    """A message reached a state; each is told once, by whoever comes to it first."""

    studio: str
    message_id: int
    state: State


async def tell(tx: db.Connection, steps: Sequence[Step]) -> None:
    """Write the reports of these steps, in their order, in the transaction that makes them."""
    if not steps:
        return
    known = await reports.about(tx, list({(step.studio, step.message_id) for step in steps}))
    made: list[Command] = []
    for step in steps:
        about, reason = known[step.studio, step.message_id]
        made += told(about, step.state, reason)
    await commands.enqueue(tx, made)
