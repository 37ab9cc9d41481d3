"""What became of a message: as the store writes it, and as the log tells it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from control_center.domain import bounce
from control_center.domain.bounce import Verdict
from control_center.domain.message import Settlement, State, settle
from control_center.domain.number import region_of
from control_center.domain.outcome import Outcome
from control_center.domain.retry import MAIL_ATTEMPTS, MAX_ATTEMPTS
from control_center.domain.slowing import domain_of
from control_center.domain.telling import told
from control_center.domain.text_plan import month_of
from control_center.store import db, failovers, heard, messages, slowdowns
from control_center.store.cases import Case
from control_center.store.heard import Refusal
from control_center.store.submissions import Ready, Settled

log = structlog.get_logger(__name__)

HANDED_ON = 100  # messages at once


@dataclass(frozen=True, slots=True)
class Answered:
    """A message with what its provider answered, and when."""

    ready: Ready
    outcome: Outcome
    at: datetime


def settlement_of(one: Answered, *, failover: bool, sender: str | None = None) -> Settlement:
    """What the answer makes of it; with `failover` another account takes over what this one is out of tries for.

    `sender` is the number that it leaves from there: one that is not of this studio takes nothing over for it.
    """
    case = one.ready.case
    failover = failover and (sender is None or sender in case.studio.every_number)
    key = f"m-{case.message_id}"
    most = MAIL_ATTEMPTS if case.channel == "email" and not failover else MAX_ATTEMPTS
    return settle(one.outcome, key=key, tries=case.tries, use_by=case.use_by, now=one.at, failover=failover, most=most)


def settlements(
    answered: Iterable[Answered], *, failover: bool, sender: str | None
) -> list[tuple[Answered, Settlement]]:
    """The same of each of them."""
    return [(one, settlement_of(one, failover=failover, sender=sender)) for one in answered]


def doubts_in_a_row(before: int, answered: Sequence[tuple[Answered, Settlement]]) -> int:
    """How many answers in a row proved nothing, the last of these included; `before` are those up to now."""
    for _, settlement in answered:
        before = before + 1 if settlement.state is State.UNKNOWN else 0
    return before


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
        country=(region_of(case.address, case.studio.country) or "") if case.channel == "sms" else "",
        shares=one.ready.shares,
    )


async def note(connection: db.Connection, account: str, answered: Sequence[tuple[Answered, Settlement]]) -> None:
    """What relays and providers said of addresses and of us, beside the message itself.

    An address that did not take a mail in the end is judged by the engine, as by a bounce; so is what follows for
    others from a STOP that a provider knew of, or from a number that takes no texts. A domain that is told to send
    less does.
    """
    said = [(one, settlement) for one, settlement in answered if one.ready.case.channel == "email" and settlement.code]
    refused = [
        (one.ready.case.address, Refusal(one.ready.key, settlement.code or "", settlement.reason))
        for one, settlement in said
        if settlement.state is State.FAILED
    ]
    refused += [
        (one.ready.case.address, Refusal(one.ready.key, settlement.code or "", settlement.reason, settlement.dead))
        for one, settlement in answered
        if one.ready.case.channel == "sms" and (settlement.opted_out or settlement.dead)
    ]
    if refused:
        await heard.keep_refusals(connection, account, refused)
    for one, settlement in said:
        code = bounce.code_of("", settlement.code or "") or ""
        if bounce.verdict(code) is Verdict.SLOW:
            case = one.ready.case
            if await slowdowns.tell(connection, case.studio.studio, case.sender, one.at):
                domain = domain_of(case.sender)[1:]
                log.warning("sender.slowed", studio=case.studio.studio, domain=domain, reason=settlement.reason)


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
