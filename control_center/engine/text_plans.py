"""A studio's plan of texts: warned of at its marks, what waited let go when there is room again, and reported."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import structlog

from control_center.domain.command import Cause, Command, command
from control_center.domain.number import region_of
from control_center.domain.studio import Studio
from control_center.domain.text_plan import MARKS, month_before, month_of
from control_center.store import clock, commands, db, messages, studios, usage
from control_center.store.usage import Mark, Source, Spent

log = structlog.get_logger(__name__)

NOT_ENABLED = "You have not enabled SMS text messaging."
FARTHEST = timedelta(days=1)  # that a zone's calendar is behind the one of UTC, and more


_EVENTS = {False: "plan.nearly_used_up", True: "plan.used_up"}


async def warn(pool: db.Pool, now: datetime) -> None:
    """Tell of each studio that has come to a mark of its plan: in the log and to the CRM, once for each plan and month.

    Whoever comes to two marks between two looks is told of the higher one.
    """

    async def work(tx: db.Connection) -> list[Mark]:
        found = await usage.at_a_mark(tx, (now - FARTHEST).date().replace(day=1), MARKS[0])
        known = await studios.get(tx, {one.studio for one in found}) if found else {}
        marks = [mark for one in found if (mark := _mark(one, known.get(one.studio), now)) is not None]
        new = await usage.warn(tx, marks) if marks else set()
        told = [one for one in marks if (one.studio, one.month) in new]
        await commands.enqueue(tx, [_report(one) for one in told])
        return told

    for one in await db.retried(pool, work):
        log.warning(
            _EVENTS[one.percent >= 100],
            studio=one.studio,
            texts=one.texts,
            texts_per_month=one.texts_per_month,
            reason=_words(one),
        )


def _mark(spent: Spent, studio: Studio | None, now: datetime) -> Mark | None:
    """The highest mark that a studio has come to; None where the month is over, or the plan was changed just now."""
    if studio is None or studio.plan.texts_per_month is None or spent.month != month_of(now, studio.timezone):
        return None
    percent, held = studio.plan.mark(spent.texts), studio.plan.limit is not None
    if not percent:
        return None
    return Mark(
        spent.studio, spent.month, spent.texts, studio.plan.texts_per_month, percent, held=held and percent >= 100
    )


def _words(one: Mark) -> str:
    words = f"{one.texts} of this month's {one.texts_per_month} texts are used up"
    return f"{words}: what goes by itself is held" if one.held else words


def _report(one: Mark) -> Command:
    data: dict[str, Any] = {
        "month": f"{one.month:%Y-%m}",
        "percent": one.percent,
        "texts": one.texts,
        "texts_per_month": one.texts_per_month,
        "held": one.held,
        "text": _words(one),
    }
    of = f"{one.month:%Y-%m} {one.percent} of {one.texts_per_month}"
    return command(one.studio, f"studio/{one.studio}", "plan.warned", data, cause=Cause(None, None, None, None), of=of)


async def count(tx: db.Connection, made: Sequence[tuple[str, int]]) -> None:
    """Count messages, each of a studio, of which somebody else than their worker found out that they were handed over.

    They count in the month in which that was, however late it is known; an email counts for nothing.
    """
    known, now = await studios.get(tx, {studio for studio, _ in made}), await clock.read(tx)
    asked = await usage.last_asked(tx, made)
    counted = [
        (studio, message, month_of(at or now, house.timezone), region_of(address, house.country) or "")
        for (studio, message), (address, at) in asked.items()
        if (house := known.get(studio)) is not None
    ]
    await usage.handed_over(tx, counted)


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
    by_country = _summed((one.country, one) for one in sent)
    by_trigger = _summed(((one.origin, one.trigger), one) for one in sent)
    return {
        "month": f"{month:%Y-%m}",
        "sent": sum(one.texts for one in sent),
        "received": sum(one.texts for one in received),
        "segments_sent": sum(one.segments for one in sent),
        "segments_received": sum(one.segments for one in received),
        "cost": studio.plan.cost({country: segments for country, (_, segments) in by_country.items()}),
        "by_trigger": [
            {"origin": origin, "trigger": trigger, "texts": texts, "segments": segments}
            for (origin, trigger), (texts, segments) in by_trigger.items()
        ],
        "by_country": [
            {
                "country": country or None,
                "texts": texts,
                "segments": segments,
                "cost": studio.plan.cost({country: segments}),
            }
            for country, (texts, segments) in by_country.items()
        ],
    }


_T = TypeVar("_T", bound=Hashable)


def _summed(found: Iterable[tuple[_T, Source]]) -> dict[_T, tuple[int, int]]:
    """Texts and segments of each, the most texts first."""
    sums: dict[_T, tuple[int, int]] = {}
    for key, one in found:
        texts, segments = sums.get(key, (0, 0))
        sums[key] = (texts + one.texts, segments + one.segments)
    return dict(sorted(sums.items(), key=lambda each: -each[1][0]))
