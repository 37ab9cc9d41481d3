"""Pages of what waits, locked, for whoever gives it other times."""

from __future__ import annotations

from datetime import datetime

from control_center.store.actions import DUE, Due, due_of
from control_center.store.db import Connection

# Actions that a blackout day pushed, or will push: their time lies on one of these days or was moved across them.
TOUCHED_BY_DAYS = f"""
SELECT {DUE}
  FROM actions
 WHERE studio_id = $1 AND state = 'planned' AND due_at >= $2 AND activation_at < $3 AND action_id > $4
 ORDER BY action_id
 LIMIT $5
   FOR UPDATE"""


async def touched_by_days(
    tx: Connection, studio: str, first: datetime, last: datetime, *, after: int, limit: int
) -> list[Due]:
    """A page of the planned actions whose waiting covers any instant from `first` to before `last`."""
    return [due_of(row) for row in await tx.fetch(TOUCHED_BY_DAYS, studio, first, last, after, limit)]


OF_STUDIO = f"""
SELECT {DUE}
  FROM actions
 WHERE studio_id = $1 AND state IN ('planned', 'review', 'held') AND action_id > $2
 ORDER BY action_id
 LIMIT $3
   FOR UPDATE"""


async def of_studio(tx: Connection, studio: str, *, after: int, limit: int) -> list[Due]:
    """A page of all that waits in a studio, also for a person."""
    return [due_of(row) for row in await tx.fetch(OF_STUDIO, studio, after, limit)]
