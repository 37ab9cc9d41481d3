"""Texts that would cost more than their studio's day may: they wait, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import structlog

from control_center.domain.message import Origin, State
from control_center.domain.number import region_of
from control_center.domain.sms import segments
from control_center.domain.spending import Day, Wish, admit
from control_center.store import db, messages
from control_center.store import spending as store
from control_center.store.cases import Case
from control_center.store.messages import Return
from control_center.store.spending import Text
from control_center.store.submissions import Ready
from workers.settling import tell

log = structlog.get_logger(__name__)


async def afford(
    connection: db.Connection, ready: Sequence[Ready], now: datetime, *, paying: bool = True
) -> list[Ready]:
    """What of these there is money for; the rest is held. Not `paying`, each is looked at alone, and nothing is spent.

    One transaction for all, and none where no studio has such a limit. The answers to STOP and HELP go in any case.
    """
    asking = [one for one in ready if _limited(one.case)]
    if not asking:
        return list(ready)
    held: list[tuple[Ready, Return]] = []
    async with connection.transaction():
        before = await store.lock(connection, {one.case.studio.studio for one in asking})
        paid = await store.charged(connection, [_text(one.case, now) for one in asking])
        new = [one for one in asking if (one.case.studio.studio, one.case.message_id) not in paid]
        after = {studio: _admitted(day, studio, new, held, now, paying=paying) for studio, day in before.items()}
        stopped = {one.case.message_id for one, _ in held}
        await store.save(connection, {studio: day for studio, day in after.items() if day != before[studio]})
        let = [one for one in new if paying and one.case.message_id not in stopped]
        await store.charge(connection, [_text(one.case, now) for one in let])
        await messages.put_back(connection, [back for _, back in held])
    for studio, day in after.items():
        if day.held_since is not None and day.held_since != before[studio].held_since:
            log.warning("money.spent", studio=studio, reason=day.reason)
    for one, back in held:
        tell(one.case, back.state, back.reason)
    return [one for one in ready if one.case.message_id not in stopped]


def cost(one: Ready) -> Decimal:
    """What a text costs by the prices of its studio's plan."""
    house = one.case.studio
    price = house.plan.price_to(region_of(one.case.address, house.country) or "")
    return (price or Decimal(0)) * max(1, segments(one.body).count)


def _wish(one: Ready) -> Wish:
    origin = one.case.origin
    percent = one.case.studio.sms_limits.bulk_percent if origin is Origin.BULK else 100
    return Wish(cost(one), always=origin is Origin.ANSWER, percent=percent)


def _limited(case: Case) -> bool:
    return case.channel == "sms" and case.studio.sms_limits.money_per_day is not None


def _text(case: Case, now: datetime) -> Text:
    day = case.studio.sms_limits.day(case.studio.timezone, now)
    return case.studio.studio, case.message_id, case.token, day


def _admitted(
    before: Day,
    studio: str,
    new: Sequence[Ready],
    held: list[tuple[Ready, Return]],
    now: datetime,
    *,
    paying: bool,
) -> Day:
    """A studio's day afterwards; what does not go is added to `held`."""
    those = [one for one in new if one.case.studio.studio == studio]
    if not those:
        return before
    house = those[0].case.studio
    limit = house.sms_limits.money_per_day
    assert limit is not None, "only studios with a limit ask"
    wishes = [_wish(one) for one in those]
    today = before.on(house.sms_limits.day(house.timezone, now))
    found = admit(today, wishes, limit, now, currency=house.plan.currency, paying=paying)
    for one, goes in zip(those, found.goes, strict=True):
        if not goes:
            back = Return(studio, one.case.message_id, one.case.token, State.HELD, found.day.reason)
            held.append((one, back))
    return found.day
