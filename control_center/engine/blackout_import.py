"""Changing one blackout, and adding many at once: each in one transaction, in force at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import structlog

from control_center.domain.blackouts import Blackout
from control_center.domain.errors import NotFound
from control_center.engine.blackouts import bump, check_read, entry, place_anew
from control_center.store import audit, blackout_changes, blackouts, db
from control_center.store.blackouts import Stored

log = structlog.get_logger(__name__)


async def change(
    pool: db.Pool,
    clock: Callable[[], datetime],
    studio: str,
    blackout_id: int,
    blackout: Blackout,
    *,
    by: str,
    read: Collection[str] | None = None,
) -> Stored:
    """Replace what a blackout says, under the same id. Raises NotFound.

    `read` are the editions from which it was written: Outdated where it says something else by now.
    """

    async def work(tx: db.Connection) -> int:
        await bump(tx, studio)
        earlier = await blackout_changes.change(tx, studio, blackout_id, blackout)
        if earlier is None:
            raise NotFound(f"there is no blackout {blackout_id}")
        check_read(blackout_id, earlier, read)
        await audit.write(tx, by, entry(studio, "change", blackout_id, earlier, blackout))
        now = clock()
        return sum([await place_anew(tx, studio, days, now) for days in (earlier, blackout)])

    moved = await db.retried(pool, work)
    log.info("blackout.changed", studio=studio, blackout=blackout_id, days=str(blackout), moved=moved)
    return Stored(blackout_id, blackout)


async def add_all(
    pool: db.Pool, clock: Callable[[], datetime], studio: str, wanted: Sequence[Blackout], *, by: str
) -> list[Stored]:
    """Add all of them or none; one that is there already, with the same name and days, is not added again."""

    async def work(tx: db.Connection) -> tuple[list[Stored], int]:
        await bump(tx, studio)
        have = {stored.blackout: stored for stored in await blackouts.of_studio(tx, studio)}
        missing = [blackout for blackout in dict.fromkeys(wanted) if blackout not in have]
        for blackout in missing:
            have[blackout] = Stored(await blackouts.add(tx, studio, blackout), blackout)
        made = [entry(studio, "create", have[blackout].blackout_id, None, blackout) for blackout in missing]
        await audit.write(tx, by, *made)
        now = clock()
        moved = sum([await place_anew(tx, studio, days, now) for days in _spans(missing)])
        return [have[blackout] for blackout in dict.fromkeys(wanted)], moved

    stored, moved = await db.retried(pool, work)
    log.info("blackout.imported", studio=studio, days=len(stored), moved=moved)
    return stored


def _spans(wanted: Sequence[Blackout]) -> list[Blackout]:
    """As few spans of days as cover them, since every action is looked at once a span: yearly ones, and the rest."""
    yearly = [one for one in wanted if one.yearly][:1]
    dated = [one for one in wanted if not one.yearly]
    if not dated:
        return yearly
    whole = Blackout.between("all of them", min(one.first for one in dated), max(one.last for one in dated))
    return [whole, *yearly]
