"""An event that comes again says what it said the first time; one that says something else is no copy."""

from __future__ import annotations

from collections.abc import Sequence

from control_center.domain.event import Event, says_the_same
from control_center.store import db, events
from control_center.store.events import Dead

FIELD = "id"
REASON = "an event with this source and id came before and says something else; the first one counts"


async def sort_out(
    tx: db.Connection, firsts: Sequence[Event], again: Sequence[Event]
) -> tuple[list[Event], list[Dead]]:
    """Tell copies from those that only bear the id of another event, and are set aside.

    `firsts` were stored by this transaction just now, `again` were not, since their keys are taken.
    """
    bodies = {event.key: event.body for event in firsts}
    if earlier := [event for event in again if event.key not in bodies]:
        bodies |= await events.unlike(tx, earlier)
    copies, conflicts = [], []
    for event in again:
        if says_the_same(event.body, bodies.get(event.key, event.body)):
            copies.append(event)
        else:
            conflicts.append(Dead(event.body.encode(), FIELD, REASON))
    return copies, conflicts
