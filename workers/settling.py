"""What became of a message: as the store writes it, and as the log tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from control_center.domain.message import Settlement, State, settle
from control_center.domain.outcome import Outcome
from control_center.domain.telling import told
from control_center.domain.text_plan import month_of
from control_center.store import db, failovers, messages
from control_center.store.cases import Case
from control_center.store.submissions import Ready, Settled

log = structlog.get_logger(__name__)

HANDED_ON = 100  # messages at once


@dataclass(frozen=True, slots=True)
class Answered:
    """A message with what its provider answered, and when."""

    ready: Ready
    outcome: Outcome
    at: datetime


def settlement_of(one: Answered, *, failover: bool) -> Settlement:
    """What the answer makes of it; with `failover` another account takes over what this one is out of tries for."""
    case = one.ready.case
    key = f"m-{case.message_id}"
    return settle(one.outcome, key=key, tries=case.tries, use_by=case.use_by, now=one.at, failover=failover)


def written(one: Answered, settlement: Settlement) -> Settled:
    """What is written of it, with what the CRM is told."""
    case = one.ready.case
    return Settled(
        studio=case.studio.studio,
        message_id=case.message_id,
        token=case.token,
        number=case.asked + 1,
        address=case.address,
        channel=case.channel,
        settlement=settlement,
        told=told(case.about, settlement.state, settlement.reason),
        month=month_of(one.at, case.studio.timezone),
        shares=one.ready.shares,
    )


def tell(case: Case, state: State, reason: str, *, due_at: datetime | None = None, key: str | None = None) -> None:
    """Log what a message has come to, with every id that leads to its cause."""
    log.info(
        _EVENTS[state],
        studio=case.studio.studio,
        trigger=case.about.trigger,
        message=f"m-{case.message_id}",
        action=case.about.cause.action,
        record=case.about.record,
        event_id=case.event_id,
        attempt=key,
        reason=reason or None,
        due_at=due_at.isoformat() if due_at else None,
    )


_EVENTS = {state: f"message.{state.value}" for state in State}


async def hand_on(connection: db.Connection, account: str, other: str, *, sender: str | None) -> None:
    """Let another account take over what this one will not send; what goes out from there has its `sender`."""
    moved = await failovers.move(connection, account, other, sender=sender, limit=HANDED_ON)
    if moved:
        await db.notify(connection, messages.WORK_CHANNEL)
    for one in moved:
        log.warning("message.moved", studio=one.studio, message=f"m-{one.message_id}", account=other, reason=one.reason)
