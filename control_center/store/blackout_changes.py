"""Changing what a blackout says, under its id."""

from __future__ import annotations

from datetime import date

from control_center.domain.blackouts import Blackout
from control_center.store.db import Connection

CHANGE_BLACKOUT = """
UPDATE blackouts SET name = $3, first_day = $4, last_day = $5, yearly = $6
  FROM (SELECT * FROM blackouts WHERE studio_id = $1 AND blackout_id = $2 FOR UPDATE) AS earlier
 WHERE blackouts.studio_id = earlier.studio_id AND blackouts.blackout_id = earlier.blackout_id
RETURNING earlier.name, earlier.first_day, earlier.last_day, earlier.yearly"""


async def change(tx: Connection, studio: str, blackout_id: int, blackout: Blackout) -> Blackout | None:
    """Returns what it said before; None where there is no such blackout."""
    days: tuple[date | None, date | None, str | None] = (blackout.first, blackout.last, None)
    if blackout.yearly:
        days = (None, None, f"{blackout.first:%m-%d}")
    row = await tx.fetchrow(CHANGE_BLACKOUT, studio, blackout_id, blackout.name, *days)
    if row is None:
        return None
    name, first, last, yearly = row
    return Blackout.every_year(name, yearly) if yearly is not None else Blackout.between(name, first, last)
