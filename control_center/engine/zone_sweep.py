"""Other clocks: a studio that has moved to another zone, or a release of the time zones that says otherwise.

What waits there is given the times that those clocks show.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from control_center.domain import zones
from control_center.domain.action import Change
from control_center.domain.planner import relocated
from control_center.domain.studio import Studio
from control_center.engine.lines import RELEASE_CHANNEL
from control_center.store import actions, db, ladders, messages, records, studios, waiting
from control_center.store.rulebooks import read

log = structlog.get_logger(__name__)

PAGE = 1000


async def follow_release(pool: db.Pool, now: datetime, *, release: str = zones.IANA_VERSION) -> None:
    """Place anew what was placed by another release of the time zones. Any number of processes may do so at once."""
    async with db.session(pool) as connection:
        behind = await studios.placed_before(connection, release)
    for studio in behind:
        async with db.transaction(pool) as tx:
            house = (await studios.get(tx, [studio])).get(studio) if await studios.placed(tx, studio, release) else None
            moved = await place_anew(tx, house, now) if house is not None else 0
        if moved:
            log.info("zones.followed", studio=studio, actions=moved, reason=f"release {release} of the time zones")


async def place_anew(tx: db.Connection, house: Studio, now: datetime) -> int:
    """Give what waits the times of its studio's zone; returns how many actions have others now.

    The studio's row is locked, so no event plans by the old zone meanwhile. Days are the same days as before, and so
    nothing is planned, set aside or skipped by this: whatever waits goes on waiting for its own hour.
    """
    rules = (await read(tx, house)).rules
    after, moved = 0, 0
    while page := await waiting.of_studio(tx, house.studio, after=after, limit=PAGE):
        pictures = await records.get(tx, {one.key for one in page})
        changes = []
        for one in page:
            rule, picture = rules.of(one.action.trigger_id, one.action.trigger_version), pictures.get(one.key)
            plan = None if rule is None or picture is None else relocated(rule, picture, one.action, now)
            if plan is not None and (plan.due_at, *plan.times) != (one.action.due_at, *one.action.times):
                changes.append((one.studio, Change(one.action, plan)))
        if changes:
            await actions.change(tx, changes)
        moved += len(changes)
        after = page[-1].action.action_id
    await ladders.look_again(tx, house.studio, now)
    await messages.look_again(tx, house.studio)
    await db.notify(tx, RELEASE_CHANNEL)
    await db.notify(tx, messages.WORK_CHANNEL)
    return moved
