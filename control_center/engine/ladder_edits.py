"""The ladder of a trigger is edited: what was released already goes on at the step that is next by what it says now."""

from __future__ import annotations

from datetime import datetime

from control_center.domain import zones
from control_center.domain.blackouts import Blackouts
from control_center.domain.ladder import next_after_edit
from control_center.domain.rules import Rules
from control_center.domain.studio import Studio
from control_center.domain.trigger import Trigger
from control_center.engine.trigger_changes import Edit
from control_center.store import db, ladders, records, triggers
from control_center.store.ladders import Place

PAGE = 500


async def follow(tx: db.Connection, house: Studio, edit: Edit, after: Trigger, now: datetime) -> None:
    """Find the next step of everything on the trigger's ladder anew, and look at it now. Before the edit says what is
    kept: what goes by a version of its own stays on the ladder of that.
    """
    if edit.before is None:
        return
    was, studio, trigger_id = edit.before.trigger, house.studio, after.trigger_id
    kept = {one.version: one for one in await triggers.kept(tx, studio) if one.trigger_id == trigger_id}
    if all(one.ladder.rungs == after.ladder.rungs for one in (was, *kept.values())):
        return
    stays = set() if edit.pending == "follow" else {*kept, *([was.version] if edit.pending == "keep" else [])}
    rule = Rules([after], zones.zone(house.timezone), Blackouts()).by_id[trigger_id]
    last = 0
    while page := await ladders.of_trigger(tx, studio, trigger_id, after=last, limit=PAGE):
        pictures = await records.get(tx, {one.due.key for one in page})
        moved = []
        for one in page:
            version, picture = one.due.action.trigger_version, pictures.get(one.due.key)
            if version not in stays and picture is not None:
                before = kept.get(version, was).ladder.rungs
                rung = next_after_edit(rule, picture.record, before, one.rung, now)
                moved.append(Place(studio, one.due.action.action_id, rung, now))
        if moved:
            await ladders.move(tx, moved)
        last = page[-1].due.action.action_id
