"""A studio that is in another time zone: what waits there is given the times that the new one's clocks show."""

from __future__ import annotations

from datetime import datetime

from control_center.domain.action import Change
from control_center.domain.planner import relocated
from control_center.domain.studio import Studio
from control_center.engine.lines import RELEASE_CHANNEL
from control_center.store import actions, db, ladders, messages, records, waiting
from control_center.store.rulebooks import read

PAGE = 1000


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
