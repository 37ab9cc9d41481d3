"""A studio's net promoter score: as a whole, by month, and by the trigger that asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from control_center.domain import zones
from control_center.domain.errors import Malformed, NotFound
from control_center.domain.net_promoter import Promoters, count
from control_center.store import db, studios, triggers, views_scores
from control_center.store.views_scores import Given

MOST: Final = 120  # months of one report
LATEST: Final = 2200  # year


@dataclass(frozen=True, slots=True)
class Line:
    """What the answers of one month, or to one trigger's question, come to."""

    name: str
    counted: Promoters


@dataclass(frozen=True, slots=True)
class Report:
    """From the first day to the last, both of them included, on the studio's calendar; the months oldest first."""

    studio: str
    since: date
    until: date
    total: Promoters
    months: list[Line]
    asked_by: list[Line]


async def report(
    pool: db.Pool,
    now: datetime,
    studio: str,
    *,
    since: date | None = None,
    until: date | None = None,
    trigger: str | None = None,
) -> Report:
    """The score of what was answered between two days; by default of this month and the eleven before.

    With `trigger` only of what that one asked. Raises NotFound, and Malformed for days in the wrong order.
    """
    async with db.session(pool) as tx:
        house = (await studios.get(tx, [studio])).get(studio)
        if house is None:
            raise NotFound(f"there is no studio {studio!r}")
        if trigger is not None and await triggers.by_name(tx, studio, trigger) is None:
            raise NotFound(f"there is no trigger {trigger!r}")
        zone = zones.zone(house.timezone)
        last = until or zones.local_date(zone, now)
        if not 1970 <= last.year <= LATEST:
            raise Malformed("until", f"{last}; a day from 1970 to {LATEST} is needed")
        first = since or date(last.year - (last.month < 12), last.month % 12 + 1, 1)
        months = _months(first, last)
        spans = [
            (zones.start_of_day(zone, begins), zones.start_of_day(zone, ends + timedelta(days=1)))
            for begins, ends in months
        ]
        given = await views_scores.given(tx, studio, spans)
    given = [one for one in given if trigger is None or (one.trigger and one.asked_by == trigger)]
    return Report(
        studio=studio,
        since=first,
        until=last,
        total=_counted(given),
        months=[
            Line(f"{begins:%Y-%m}", _counted(one for one in given if one.span == n))
            for n, (begins, _) in enumerate(months)
        ],
        asked_by=[
            Line(name, _counted(one for one in given if one.asked_by == name))
            for name in sorted({one.asked_by for one in given})
        ],
    )


def _counted(given: Iterable[Given]) -> Promoters:
    return count((one.score, one.times) for one in given)


def _months(first: date, last: date) -> list[tuple[date, date]]:
    """The months between two days, the first and the last of them as far as they are meant. Raises Malformed."""
    if first > last:
        raise Malformed("since", f"{first} is after {last}")
    if (last.year - first.year) * 12 + last.month - first.month >= MOST:
        raise Malformed("since", f"{first} is more than {MOST} months before {last}")
    found = []
    while first <= last:
        following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        found.append((first, min(last, following - timedelta(days=1))))
        first = following
    return found
