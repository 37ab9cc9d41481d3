"""What is ready passes the budgets of its number, or of a domain that was told to send less.

What there is no room for waits, and costs no attempt.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import structlog

from control_center.domain.message import Origin
from control_center.domain.pacing import CAMPAIGN, KEPT, Budget, Limits, Meter, Pace, meter
from control_center.domain.slowing import domain_of
from control_center.domain.sms import segments
from control_center.store import budgets as store
from control_center.store import db, slowdowns
from control_center.store.budgets import Key, Postponed
from control_center.store.cases import Case
from control_center.store.submissions import Ready

log = structlog.get_logger(__name__)

_URGENT = frozenset({Origin.PERSON, Origin.ANSWER})  # few, and somebody waits for each: counted, not delayed


async def pace(
    connection: db.Connection, ready: Sequence[Ready], now: datetime, *, placed: Collection[int] = ()
) -> list[Ready]:
    """What may go now; what its number or sending domain takes later is given back with the reason.

    One transaction for all, and none where no studio has limits. Reminders are asked before bulk. `placed` are the ids
    of messages that have passed here already.
    """
    asking = [one for one in ready if one.case.message_id not in placed and not _has_place(one.case, now)]
    meters = await _meters(connection, asking, now)
    limited = [one for one in asking if _key(one.case) in meters]
    if not limited:
        return list(ready)
    keys = {_key(one.case) for one in limited}
    campaigns = {(one.case.studio.studio, CAMPAIGN) for one in limited if one.case.channel == "sms"}
    async with connection.transaction():
        budgets = await store.lock(connection, keys | campaigns)
        late = _take(limited, meters, budgets, now)
        await store.spend(connection, budgets)
        if late:
            await store.postpone(connection, [one for _, one in late])
    for one, back in late:
        _tell(one.case, back)
    delayed = {back.message_id for _, back in late}
    return [one for one in ready if one.case.message_id not in delayed]


async def _meters(connection: db.Connection, asking: Sequence[Ready], now: datetime) -> dict[Key, Meter]:
    """The numbers that have limits, and the domains that were told to send less."""
    cases = [one.case for one in asking]
    texts = [case for case in cases if case.channel == "sms" and not case.studio.sms_limits.none]
    meters = {_key(case): meter(case.studio.sms_limits, case.studio.timezone) for case in texts}
    mails = {_key(case): case.studio.timezone for case in cases if case.channel == "email"}
    for key, slowed in (await slowdowns.read(connection, mails) if mails else {}).items():
        if apart := slowed.interval(now):
            meters[key] = meter(Limits(number=Pace(per_second=1 / apart.total_seconds())), mails[key])
    return meters


def _key(case: Case) -> Key:
    """What a message's place is kept on: the number that it is from, or the domain."""
    return case.studio.studio, case.sender if case.channel == "sms" else domain_of(case.sender)


def _take(
    limited: Sequence[Ready], meters: dict[Key, Meter], budgets: dict[Key, Budget], now: datetime
) -> list[tuple[Ready, Postponed]]:
    """Take from `budgets` for each message in its turn; those whose turn is later."""
    late = []
    for one in sorted(limited, key=lambda one: one.case.origin is Origin.BULK):
        case = one.case
        studio, number = key = _key(case)
        own = {name: budgets[studio, name] for name in (number, CAMPAIGN) if (studio, name) in budgets}
        bulk, urgent = case.origin is Origin.BULK, case.origin in _URGENT
        count = max(1, segments(one.body).count) if case.channel == "sms" else 1
        after, place = meters[key].take(own, number, count, now, bulk=bulk, urgent=urgent)
        budgets |= {(studio, name): budget for name, budget in after.items()}
        if place.at > now:
            reason = place.reason if case.channel == "sms" else f"slowed: {number[1:]} was told to send less"
            late.append((one, Postponed(studio, case.message_id, case.token, place.at, place.kept, reason)))
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


def _has_place(case: Case, now: datetime) -> bool:
    """Whether a place was kept for it that is good now. What was tried since needs another one than it had."""
    return case.slot_at is not None and case.slot_at <= now < case.slot_at + KEPT
