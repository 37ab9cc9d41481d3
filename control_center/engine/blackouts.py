"""Blackout days: in force at once, also for what is already waiting."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import structlog

from control_center.domain import zones
from control_center.domain.action import Change
from control_center.domain.blackouts import Blackout
from control_center.domain.errors import NotFound
from control_center.domain.planner import due
from control_center.domain.rules import Rules
from control_center.engine.editions import check_edition, edition
from control_center.engine.lines import RELEASE_CHANNEL
from control_center.store import actions, audit, blackouts, db, messages, studios, waiting
from control_center.store.rulebooks import read

log = structlog.get_logger(__name__)

PAGE = 1000
_ALWAYS = timedelta(days=11 * 366)  # as far as a calendar looks ahead, for days of every year


async def add(pool: db.Pool, clock: Callable[[], datetime], studio: str, blackout: Blackout, *, by: str) -> int:
    """Close a day or days; returns the blackout's id. What waits for a time on them gets its next one."""

    async def work(tx: db.Connection) -> tuple[int, int]:
        await bump(tx, studio)
        blackout_id = await blackouts.add(tx, studio, blackout)
        await audit.write(tx, by, entry(studio, "create", blackout_id, None, blackout))
        return blackout_id, await place_anew(tx, studio, blackout, clock())

    blackout_id, moved = await db.retried(pool, work)
    log.info("blackout.added", studio=studio, blackout=blackout_id, days=str(blackout), moved=moved)
    return blackout_id


async def remove(
    pool: db.Pool,
    clock: Callable[[], datetime],
    studio: str,
    blackout_id: int,
    *,
    by: str,
    read: Collection[str] | None = None,
) -> None:
    """Open the days again. What waited because of them is due at once. Raises NotFound.

    And Outdated where these are other days than in the editions `read`.
    """

    async def work(tx: db.Connection) -> tuple[Blackout, int]:
        await bump(tx, studio)
        removed = await blackouts.remove(tx, studio, blackout_id)
        if removed is None:
            raise NotFound(f"there is no blackout {blackout_id}")
        check_read(blackout_id, removed.blackout, read)
        await audit.write(tx, by, entry(studio, "delete", blackout_id, removed.blackout, None))
        return removed.blackout, await place_anew(tx, studio, removed.blackout, clock())

    removed, moved = await db.retried(pool, work)
    log.info("blackout.removed", studio=studio, blackout=blackout_id, days=str(removed), moved=moved)


def edition_of(blackout: Blackout) -> str:
    """What tells these days, under this name, from others."""
    return edition(_shown(blackout))


def check_read(blackout_id: int, blackout: Blackout, read: Collection[str] | None) -> None:
    """Raises Outdated where these are other days than in the editions `read`; None is whatever was read."""
    check_edition(_shown(blackout), read, f"blackout {blackout_id}")


def entry(studio: str, verb: str, blackout_id: int, before: Blackout | None, after: Blackout | None) -> audit.Entry:
    """What the audit trail says of a blackout."""
    return audit.Entry(studio, verb, f"blackout/{blackout_id}", _shown(before), _shown(after))


def _shown(blackout: Blackout | None) -> dict[str, str] | None:
    if blackout is None:
        return None
    if blackout.yearly:
        return {"name": blackout.name, "yearly": f"{blackout.first:%m-%d}"}
    return {"name": blackout.name, "from": str(blackout.first), "to": str(blackout.last)}


async def bump(tx: db.Connection, studio: str) -> None:
    if await studios.bump(tx, studio) is None:
        raise NotFound(f"there is no studio {studio!r}")


async def place_anew(tx: db.Connection, studio: str, blackout: Blackout, now: datetime) -> int:
    """Give what waits on or across these days the time that the calendar gives it now; returns how many moved.

    The check at the moment of sending is the authority; this keeps the times that people are shown true, and
    wakes at once what no longer needs to wait.
    """
    house = (await studios.get(tx, [studio]))[studio]
    rules = (await read(tx, house)).rules
    zone = zones.zone(house.timezone)
    if blackout.yearly:
        first, last = now - timedelta(days=1), now + _ALWAYS
    else:
        first, last = zones.start_of_day(zone, blackout.first), zones.end_of_day(zone, blackout.last)
    after, moved = 0, 0
    while page := await waiting.touched_by_days(tx, studio, first, last, after=after, limit=PAGE):
        changes = _changes(rules, page, now)
        await actions.change(tx, changes)
        moved += len(changes)
        after = page[-1].action.action_id
    await messages.look_again(tx, studio)
    await db.notify(tx, RELEASE_CHANNEL)
    await db.notify(tx, messages.WORK_CHANNEL)
    return moved


def _changes(rules: Rules, page: list[actions.Due], now: datetime) -> list[tuple[str, Change]]:
    changes = []
    for one in page:
        rule = rules.of(one.action.trigger_id, one.action.trigger_version)
        if rule is None:
            continue
        placed = due(rule, one.action, now)
        if placed.due_at != one.action.due_at:
            changes.append((one.studio, Change(one.action, placed)))
    return changes
