"""Texts that are ready pass the budgets of their numbers: what there is no room for waits, and costs no attempt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import structlog

from control_center.domain.message import Origin
from control_center.domain.pacing import CAMPAIGN, KEPT, Budget, Meter, meter
from control_center.domain.sms import segments
from control_center.store import budgets as store
from control_center.store import db
from control_center.store.budgets import Key, Postponed
from control_center.store.cases import Case
from control_center.store.submissions import Ready

log = structlog.get_logger(__name__)

_URGENT = frozenset({Origin.PERSON, Origin.ANSWER})  # few, and somebody waits for each: counted, not delayed


async def pace(
    connection: db.Connection, ready: Sequence[Ready], now: datetime, *, placed: Collection[int] = ()
) -> list[Ready]:
    """What may go now; what its number takes later is given back with the reason.

    One transaction for all, and none where no studio has limits. Reminders are asked before bulk. `placed` are the ids
    of messages that have passed here already.
    """
    limited = [one for one in ready if one.case.message_id not in placed and _is_limited(one.case, now)]
    if not limited:
        return list(ready)
    meters: dict[str, Meter] = {}
    for one in limited:
        studio = one.case.studio
        meters[studio.studio] = meter(studio.sms_limits, studio.timezone)
    keys: set[Key] = {(one.case.studio.studio, one.case.sender) for one in limited}
    async with connection.transaction():
        budgets = await store.lock(connection, keys | {(studio, CAMPAIGN) for studio, _ in keys})
        late = _take(limited, meters, budgets, now)
        await store.spend(connection, budgets)
        if late:
            await store.postpone(connection, [one for _, one in late])
    for one, back in late:
        _tell(one.case, back)
    delayed = {back.message_id for _, back in late}
    return [one for one in ready if one.case.message_id not in delayed]


def _take(
    limited: Sequence[Ready], meters: dict[str, Meter], budgets: dict[Key, Budget], now: datetime
) -> list[tuple[Ready, Postponed]]:
    """Take from `budgets` for each text in its turn; those whose turn is later."""
    late = []
    for one in sorted(limited, key=lambda one: one.case.origin is Origin.BULK):
        case = one.case
        studio, number = case.studio.studio, case.sender
        own = {name: budgets[studio, name] for name in (number, CAMPAIGN)}
        bulk, urgent = case.origin is Origin.BULK, case.origin in _URGENT
        count = max(1, segments(one.body).count)
        after, place = meters[studio].take(own, number, count, now, bulk=bulk, urgent=urgent)
        budgets |= {(studio, name): budget for name, budget in after.items()}
        if place.at > now:
            back = Postponed(studio, case.message_id, case.token, place.at, place.kept, place.reason)
            late.append((one, back))
    return late


def _tell(case: Case, back: Postponed) -> None:
    log.info(
        "message.queued",
        studio=back.studio,
        trigger=case.about.trigger,
        message=f"m-{back.message_id}",
        record=case.about.record,
        reason=back.reason,
        due_at=back.due_at.isoformat(),
    )


def _is_limited(case: Case, now: datetime) -> bool:
    """Whether a text needs a place on its number. One that was tried since needs another one than it had."""
    if case.channel != "sms" or case.studio.sms_limits.none:
        return False
    return case.slot_at is None or not (case.slot_at <= now < case.slot_at + KEPT)
