"""A number that takes no texts: what a provider says of it takes effect at once, and what it does itself takes it back.

What waits for it ends, and each action that lost a text by it takes its other leg, as after a STOP. But nobody said
anything: no line goes into the ledger of consents, and none to the CRM.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from control_center.domain.dead_number import ENOUGH, WITHIN, told
from control_center.domain.message import State, message_of
from control_center.domain.number import mask_phone
from control_center.engine import consenting, reports
from control_center.engine.reports import Step
from control_center.store import actions, consents, db, dead_numbers, followed, heard
from control_center.store.actions import Due
from control_center.store.dead_numbers import Number
from control_center.store.heard import Refusal

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Found:
    """A number that takes no texts, and what came of that: to be told once it is committed."""

    number: Number
    message_id: int
    reason: str
    new: bool = True
    suppressed: list[int] = field(default_factory=list)
    otherwise: list[tuple[Due, str]] = field(default_factory=list)  # actions that went another way, or ended


async def refused(pool: db.Pool, account: str, known_by: str, came: Refusal, now: datetime) -> None:
    """Do what follows where a provider took no text because of its number. Raises one of `db.AWAY`."""

    async def work(tx: db.Connection) -> Found | None:
        attempt = message_of(came.key)
        known = await followed.of_numbers(tx, [attempt[0]] if attempt else [])
        if not await heard.take(tx, account, [known_by]) or attempt is None or attempt[0] not in known:
            return None
        one = known[attempt[0]]
        if one.erased:
            return None
        reason = came.reason.removeprefix("recipient: ")
        found = Found((one.studio, one.address), one.message_id, reason)
        # The worker may not have written down yet that the text failed.
        return await _mark(tx, found, now, action=one.action_id, refused=one.address)

    found = await db.retried(pool, work)
    if found is not None:
        tell(found)


async def reported(tx: db.Connection, said: Sequence[tuple[int, str]], now: datetime) -> list[Found]:
    """Receipts say of these texts, each with the reason, that their numbers take none: enough of that counts."""
    reasons = dict(said)
    known = await followed.of_numbers(tx, list(reasons))
    texts = [one for one in known.values() if one.channel == "sms"]
    done: list[Found] = []
    for one in sorted(texts, key=lambda one: (one.studio, one.address, one.message_id)):
        found = Found((one.studio, one.address), one.message_id, reasons[one.message_id])
        await _lock(tx, found.number)
        before = await dead_numbers.of_number(tx, *found.number)
        if before is not None and before.lifted_at is None:
            if before.message_id != one.message_id:  # else it is told once more
                done.append(await _mark(tx, found, now, action=one.action_id))
        elif await dead_numbers.times(tx, found.number, since=now - WITHIN) >= ENOUGH:
            done.append(await _mark(tx, found, now, action=one.action_id))
    return done


async def _mark(
    tx: db.Connection, found: Found, now: datetime, *, action: int | None, refused: str | None = None
) -> Found:
    """Write it down and let it take effect; the action of the text that showed it goes another way, too."""
    studio, why = found.number[0], told(found.reason)
    await _lock(tx, found.number)
    found.new = await dead_numbers.mark(tx, found.number, found.reason, found.message_id, now)
    ended = await dead_numbers.suppress(tx, found.number, why)
    found.suppressed = [one.message_id for one in ended]
    await reports.tell(tx, [Step(studio, number, State.SUPPRESSED) for number in found.suppressed])
    lost = {one.action_id for one in ended if one.action_id is not None}
    if action is not None:
        lost.add(action)
    if lost:
        due = [one for one in await actions.pick(tx, studio, sorted(lost)) if one.action.released_at is not None]
        found.otherwise = await consenting.otherwise(tx, due, studio, why, now, refused=refused)
    return found


async def _lock(tx: db.Connection, number: Number) -> None:
    await consents.lock(tx, (number[0], "sms", number[1]))


def tell(found: Found) -> None:
    """Log what a committed finding did."""
    studio, number = found.number
    if found.new:
        log.warning(
            "number.dead",
            studio=studio,
            address=mask_phone(number),
            message=f"m-{found.message_id}",
            reason=found.reason,
            suppressed=len(found.suppressed) or None,
        )
    for message_id in found.suppressed:
        log.info("message.suppressed", studio=studio, message=f"m-{message_id}", reason=told(found.reason))
    consenting.tell_otherwise(found.otherwise)


def tell_lifted(lifted: Collection[Number], by: str) -> None:
    """Log which numbers take texts after all."""
    for studio, number in lifted:
        log.info("number.alive", studio=studio, address=mask_phone(number), reason=by)
