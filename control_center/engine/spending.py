"""Texts that wait because the day's money is spent: let go tomorrow, when there is more, or when a person says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import structlog

from control_center.domain.errors import NotFound, Refused
from control_center.domain.studio import Studio
from control_center.store import audit, db, messages, spending, studios

log = structlog.get_logger(__name__)

AT_ONCE = 500  # texts that a person's word queues by itself; the next rounds bring the others


async def let_go(pool: db.Pool, now: datetime, *, limit: int) -> bool:
    """Queue what waited for money, of each studio whose day has some again; whether there may be more at once.

    It has some when the day has turned, or the limit was raised or lifted.
    """

    async def work(tx: db.Connection) -> dict[str, int]:
        known = await studios.get(tx, await spending.holding(tx))
        days = await spending.lock(tx, known)
        freed = {}
        for studio, house in sorted(known.items()):
            most = house.sms_limits.money_per_day
            day = days[studio].on(house.sms_limits.day(house.timezone, now))
            if most is None or day.has_room(most):
                await spending.save(tx, {studio: day.opened()})
                freed[studio] = await spending.let_go(tx, studio, limit=limit)
        if any(freed.values()):
            await db.notify(tx, messages.WORK_CHANNEL)
        return freed

    freed = await db.retried(pool, work)
    for studio, number in freed.items():
        log.info("money.returned", studio=studio, messages=number)
    return any(number >= limit for number in freed.values())


@dataclass(frozen=True, slots=True)
class Given:
    """A day that got its money once more: how much there is now in all, and how many texts waited for it."""

    day: date
    there_is: Decimal
    messages: int


async def overspend(pool: db.Pool, clock: Callable[[], datetime], studio: str, *, day: date, by: str) -> Given:
    """Give a day its money once more, as `by` decided, and let go what waits.

    Raises NotFound where nothing waits for money on that day, which is today's by the studio's calendar, and Refused
    where it has some again: who asks twice, or asks too late, does not give twice.
    """

    async def work(tx: db.Connection) -> Given:
        house = (await studios.get(tx, [studio])).get(studio)
        most = None if house is None else house.sms_limits.money_per_day
        before = (await spending.lock(tx, [studio]))[studio]
        waiting = await spending.shut(tx, studio)
        if house is None or most is None or not waiting or not before.day == day == _today(house, clock()):
            raise NotFound(f"no texts of {day} are held because its money is spent")
        if before.has_room(most):
            raise Refused(f"{day} has its money again; what still waits goes by itself")
        after = before.once_more()
        await spending.save(tx, {studio: after})
        await spending.let_go(tx, studio, limit=AT_ONCE)
        was = {"there_is": format(before.there_is(most), "f"), "spent": format(before.spent, "f")}
        became = {"there_is": format(after.there_is(most), "f"), "messages": waiting[0].held}
        await audit.write(tx, by, audit.Entry(studio, "release", f"spending/{day}", was, became))
        await db.notify(tx, messages.WORK_CHANNEL)
        return Given(day, after.there_is(most), waiting[0].held)

    given = await db.retried(pool, work)
    log.info("money.returned", studio=studio, by=by, messages=given.messages)
    return given


def _today(house: Studio, now: datetime) -> date:
    return house.sms_limits.day(house.timezone, now)
