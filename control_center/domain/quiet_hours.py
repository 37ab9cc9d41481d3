"""When a text may arrive, by the recipient's clock: the studio's hours, within what the rules of the place allow.

Hours are calendars that must be open all at once: the studio's week and each rule's, in every zone that the recipient
may be in. So doubt only ever narrows them, and the moment that is found is right wherever they are.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from typing import Any, Final

from control_center.domain import week, zones
from control_center.domain.blackouts import Blackout, Blackouts
from control_center.domain.errors import Malformed
from control_center.domain.message import Origin
from control_center.domain.recipient_zone import Place
from control_center.domain.regions import text_of
from control_center.domain.table import Table, shown
from control_center.domain.week import Week
from control_center.domain.windows import (
    Calendar,
    Closed,
    Closure,
    Never,
    closing,
    is_open_all,
    next_open_all,
    why_closed,
)

YEARS_AHEAD: Final = 3  # of public holidays that are looked up
QUIET: Final = "quiet hours:"  # how the reason of a message begins that waits for its hours


@dataclass(frozen=True, slots=True)
class Law:
    """What one place allows from a day on; nothing lets a studio go beyond it."""

    region: str
    since: date
    week: Week
    source: str


@dataclass(frozen=True, slots=True)
class Presets:
    """The usual weeks, and the rules of each place, oldest first."""

    marketing: Week
    transactional: Week
    laws: tuple[Law, ...]

    def in_force(self, region: str, day: date) -> Law | None:
        """The rule of one place on this day: its newest that has begun."""
        return next((one for one in reversed(self.laws) if one.region == region and one.since <= day), None)


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of one text: calendars that must all be open, and where its recipient is taken to be."""

    calendars: tuple[Calendar, ...]
    place: Place

    def closed(self, at: datetime) -> str | None:
        """Why it may not arrive at this instant; None where it may."""
        shut = next((found for one in self.calendars if (found := why_closed(one, at)) is not None), None)
        return None if shut is None else f"{QUIET} {_said(shut)} ({self.place})"

    def opening(self, at: datetime, *others: Calendar) -> datetime | None:
        """The first instant not before `at` at which it may arrive and these are open; None: not within ten years."""
        found = next_open_all((*others, *self.calendars), at)
        return None if isinstance(found, Never) else found

    def until(self, at: datetime) -> datetime | None:
        """When the hours end that are open at `at`; None where they never do."""
        return min((end for one in self.calendars if (end := closing(one, at)) is not None), default=None)

    def is_open(self, at: datetime) -> bool:
        return is_open_all(self.calendars, at)

    def day(self, at: datetime) -> date:
        """The recipient's local day."""
        return zones.local_date(self.calendars[0].zone, at)


def keeps(origin: Origin, channel: str) -> bool:
    """Whether a message waits for the recipient's hours: texts of triggers, processed by hand or not, and of bulk."""
    return channel == "sms" and origin in (Origin.TRIGGER, Origin.BULK)


def hours(
    where: Place, purpose: str, marketing: Week | None, transactional: Week | None, now: datetime
) -> Hours | None:
    """The hours of a text; None where it may arrive at any time. The weeks are the studio's own, None for none.

    Marketing always has hours; a reminder only where the studio sets some. Rules are those in force at `now`.
    """
    if purpose != "marketing" and transactional is None:
        return None
    day = zones.local_date(zones.zone(where.zones[0]), now)
    return _hours(where, marketing if purpose == "marketing" else transactional, purpose == "marketing", day)


@lru_cache(maxsize=4096)
def _hours(where: Place, own: Week | None, marketing: bool, day: date) -> Hours:  # noqa: FBT001 - a key of the cache
    known = presets()
    country = next(iter(where.regions), "")
    weeks = [(own or known.marketing, country)]
    if marketing:
        laws = (known.in_force(region, day) for region in where.regions)
        weeks += [(law.week, law.region) for law in laws if law is not None]
    return Hours(tuple(_calendars(where.zones, dict.fromkeys(weeks), day.year)), where)


def _calendars(names: Sequence[str], weeks: Mapping[tuple[Week, str], None], year: int) -> Iterator[Calendar]:
    for name in names:
        for one, region in weeks:
            yield _calendar(name, one, "" if one.holidays else region, year)


@lru_cache(maxsize=4096)
def _calendar(zone: str, one: Week, region: str, year: int) -> Calendar:
    return Calendar(zones.zone(zone), blackouts=public_holidays(region, year), weekly=one.windows)


@lru_cache(maxsize=512)
def public_holidays(region: str, year: int) -> Blackouts:
    """The public holidays of a country or state around this year; none of a place that is not known."""
    if not region:
        return Blackouts()
    import holidays  # noqa: PLC0415 - heavy, and only needed where somebody keeps them

    country, _, state = region.partition("-")
    years = range(year - 1, year + YEARS_AHEAD)
    try:
        days = holidays.country_holidays(country, subdiv=state or None, years=years)
    except NotImplementedError:  # how it says that it does not know the place
        return Blackouts()
    return Blackouts(tuple(Blackout.on(name, day) for day, name in sorted(days.items())))


def next_day(found: Hours, at: datetime, *others: Calendar) -> datetime | None:
    """The first instant of a later local day of the recipient at which it may arrive and these are open."""
    later = (zones.end_of_day(one.zone, zones.local_date(one.zone, at)) for one in found.calendars)
    return found.opening(max(later, default=at + timedelta(days=1)), *others)


def _said(shut: Closed) -> str:
    return f"outside {shut.detail}" if shut.by is Closure.WINDOW else shut.detail


# The data that comes with the program -----------------------------------------------------------------------------


_ADOPTED: Final[list[Presets]] = []  # an administrator's, in place of those that come along


def presets() -> Presets:
    """The presets of the administrator's own `quiet_hours.toml`, else of the one that comes along."""
    return _ADOPTED[-1] if _ADOPTED else _shipped()


@cache
def _shipped() -> Presets:
    return read(tomllib.loads(text_of("quiet_hours.toml")), "quiet_hours.toml")


def adopt(own: Presets | None) -> None:
    """Go by these from now on, or by those that come along: said by an entry point, before anything is decided."""
    _ADOPTED[:] = [] if own is None else [own]
    _hours.cache_clear()


def read(values: Mapping[str, Any], where: str) -> Presets:
    """Understand a file of presets. Raises Malformed naming file, place, value and what is allowed."""
    top = Table(values, where, "")
    usual, found = top.table("default"), []
    usual.take("from")
    rules = top.take("rule") or []
    for n, values_of_rule in enumerate(rules):
        found += _laws(Table(values_of_rule, where, f"rule[{n}]."))
    made = Presets(
        week.read(usual.table("marketing")),
        week.read(usual.table("transactional")),
        tuple(sorted(found, key=lambda law: law.since)),
    )
    usual.refuse_the_rest()
    top.refuse_the_rest()
    return made


def _laws(table: Table) -> list[Law]:
    since, listed = table.take("from"), table.take("regions")
    if not isinstance(since, date) or isinstance(since, datetime):
        raise table.wrong("from", f"{shown(since)}; a date such as 2026-11-22 is needed")
    named = listed if listed is not None else [table.take("region")]
    if not isinstance(named, list) or not named or not all(isinstance(one, str) for one in named):
        raise Malformed(f"{table.where}, {table.path}region", f"{shown(named)}; a region such as US or US-TX is needed")
    source = table.text("source", limit=500)
    kept = week.read(table, besides={"from", "region", "regions", "source"})
    return [Law(one, since, kept, source) for one in named]
