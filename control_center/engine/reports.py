"""What the CRM is told of messages that came to something without their worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from control_center.domain.command import Cause, Command, command
from control_center.domain.message import State
from control_center.store import commands, db, reports
from control_center.store.reports import About

# In the order in which they are told: what arrived was sent before.
_VERBS = {
    State.ACCEPTED: "message.sent",
    State.UNKNOWN: "message.unknown",
    State.DELIVERED: "message.delivered",
    State.UNDELIVERED: "message.failed",
    State.FAILED: "message.failed",
    State.EXPIRED: "message.failed",
}


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
    await commands.enqueue(tx, list(_reports(steps, known)))


def _reports(steps: Iterable[Step], known: dict[tuple[str, int], About]) -> Iterable[Command]:
    for step in steps:
        one = known[step.studio, step.message_id]
        message = f"m-{one.message_id}"
        yield command(
            one.studio,
            f"{one.kind}/{one.record_id}",
            _VERBS[step.state],
            {
                "message": message,
                "channel": one.channel,
                "to": one.address,
                "state": step.state.value,
                "reason": one.reason,
            },
            cause=Cause(None, None, f"a-{one.action_id}", one.event_id),
            of=f"{message} {step.state.value}",
        )
