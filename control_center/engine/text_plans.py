"""A studio's plan of texts: warned of at its marks, what waited let go when there is room again, and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import structlog

from control_center.domain.command import Cause, Command, command
from control_center.domain.studio import Studio
from control_center.domain.text_plan import month_before, month_of
from control_center.store import clock, commands, db, messages, studios, usage
from control_center.store.usage import Source, Spent

log = structlog.get_logger(__name__)

NOT_ENABLED = "You have not enabled SMS text messaging."
FARTHEST = timedelta(days=1)  # that a zone's calendar is behind the one of UTC, and more


_EVENTS = {False: "plan.nearly_used_up", True: "plan.used_up"}


@dataclass(frozen=True, slots=True)
class _Mark:
    """A studio has come to a mark of its plan."""

    spent: Spent
    mark: int
    texts_per_month: int
    held: bool  # whether what goes by itself is held from now on


async def warn(pool: db.Pool, now: datetime) -> None:
    """Tell of each studio that has come to a mark of its plan: once a month, in the log and to the CRM."""

    async def work(tx: db.Connection) -> list[_Mark]:
        found = await usage.to_warn(tx, (now - FARTHEST).date().replace(day=1))
        known = await studios.get(tx, {one.studio for one in found}) if found else {}
        marks = [mark for one in found if (mark := _mark(one, known.get(one.studio), now)) is not None]
        new = await usage.warn(tx, [((one.spent.studio, one.spent.month), one.mark) for one in marks]) if marks else ()
        told = [one for one in marks if (one.spent.studio, one.spent.month) in new]
        await commands.enqueue(tx, [_report(one) for one in told])
        return told

    for one in await db.retried(pool, work):
        log.warning(
            _EVENTS[one.mark >= 100],
            studio=one.spent.studio,
            texts=one.spent.texts,
            texts_per_month=one.texts_per_month,
            reason=_words(one),
        )


def _mark(spent: Spent, studio: Studio | None, now: datetime) -> _Mark | None:
    """The mark that a studio is to be told of; None where it has been, or the month is over."""
    if studio is None or studio.plan.texts_per_month is None or spent.month != month_of(now, studio.timezone):
        return None
    mark = studio.plan.mark(spent.texts)
    if mark <= spent.warned:
        return None
    return _Mark(spent, mark, studio.plan.texts_per_month, mark >= 100 and studio.plan.limit is not None)


def _words(one: _Mark) -> str:
    words = f"{one.spent.texts} of this month's {one.texts_per_month} texts are used up"
    return f"{words}: what goes by itself is held" if one.held else words


def _report(one: _Mark) -> Command:
    spent = one.spent
    data: dict[str, Any] = {
        "month": f"{spent.month:%Y-%m}",
        "percent": one.mark,
        "texts": spent.texts,
        "texts_per_month": one.texts_per_month,
        "held": one.held,
        "text": _words(one),
    }
    of = f"{spent.month:%Y-%m} {one.mark}"
    return command(
        spent.studio, f"studio/{spent.studio}", "plan.warned", data, cause=Cause(None, None, None, None), of=of
    )


async def count(tx: db.Connection, studio: str, message_id: int) -> None:
    """Count a text of which a person found out that it was handed over; an email counts for nothing."""
    known = (await studios.get(tx, [studio])).get(studio)
    if known is not None:
        await usage.handed_over(tx, [(studio, message_id, month_of(await clock.read(tx), known.timezone))])


async def let_go(pool: db.Pool, now: datetime, *, limit: int) -> bool:
    """Queue what waited for a plan, as much as it has room for now; whether there may be more at once.

    There is room when the month has turned, or the plan was raised, lifted, or may be overrun.
    """

    async def work(tx: db.Connection) -> list[str]:
        known = await studios.get(tx, await usage.holding(tx))
        months = {name: (name, month_of(now, one.timezone)) for name, one in known.items()}
        spent = await usage.spent(tx, months.values())
        room = [(name, _room(one, spent.get(months[name], 0), limit)) for name, one in sorted(known.items())]
        free = await usage.let_go(tx, [(name, number) for name, number in room if number > 0])
        if free:
            await db.notify(tx, messages.WORK_CHANNEL)
        return free

    free = await db.retried(pool, work)
    for studio in sorted(set(free)):
        log.info("plan.returned", studio=studio, messages=free.count(studio))
    return any(free.count(studio) >= limit for studio in set(free))


def _room(studio: Studio, spent: int, most: int) -> int:
    return most if studio.plan.limit is None else min(most, studio.plan.limit - spent)


async def report(tx: db.Connection, studio: Studio, now: datetime, *, texting: bool) -> dict[str, Any]:
    """What a studio has used, this month and last by its own calendar; `texting` says that it has an account."""
    if not texting:
        return {"enabled": False, "text": NOT_ENABLED}
    month = month_of(now, studio.timezone)
    before = month_before(month)
    found = await usage.sources(tx, studio.studio, [month, before])
    this = _month(studio, month, found)
    limit = studio.plan.texts_per_month
    waiting = await usage.waiting(tx, studio.studio)
    return {
        "enabled": True,
        "studio": studio.studio,
        "plan": studio.plan.settings() or None,
        "used_percent": this["sent"] * 100 // limit if limit else None,
        "warning": _warning(studio, this["sent"], waiting),
        "held": waiting,
        "this_month": this,
        "last_month": _month(studio, before, found),
    }


def _warning(studio: Studio, sent: int, waiting: int) -> str | None:
    limit, mark = studio.plan.texts_per_month, studio.plan.mark(sent)
    if not mark:
        return None
    words = f"{sent} of this month's {limit} texts are used up"
    held = f": {waiting} wait for the month to turn or the plan to be raised" if waiting else ""
    return f"{words}{held}"


def _month(studio: Studio, month: date, found: Sequence[Source]) -> dict[str, Any]:
    of_month = [one for one in found if one.month == month]
    sent = [one for one in of_month if one.origin != "client"]
    received = [one for one in of_month if one.origin == "client"]
    segments = sum(one.segments for one in sent)
    return {
        "month": f"{month:%Y-%m}",
        "sent": sum(one.texts for one in sent),
        "received": sum(one.texts for one in received),
        "segments_sent": segments,
        "segments_received": sum(one.segments for one in received),
        "cost": studio.plan.cost(segments),
        "by_trigger": [
            {"origin": one.origin, "trigger": one.trigger, "texts": one.texts, "segments": one.segments} for one in sent
        ],
    }
