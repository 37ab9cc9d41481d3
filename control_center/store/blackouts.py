"""Blackout days of a studio."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from control_center.domain.blackouts import Blackout
from control_center.store.db import Connection


@dataclass(frozen=True, slots=True)
class Stored:
    blackout_id: int
    blackout: Blackout


OF_STUDIO = """
SELECT blackout_id, name, first_day, last_day, yearly FROM blackouts WHERE studio_id = $1 ORDER BY blackout_id"""


async def of_studio(tx: Connection, studio: str) -> list[Stored]:
    return [_stored(row) for row in await tx.fetch(OF_STUDIO, studio)]


ADD = """
INSERT INTO blackouts (studio_id, name, first_day, last_day, yearly) VALUES ($1, $2, $3, $4, $5)
RETURNING blackout_id"""


async def add(tx: Connection, studio: str, blackout: Blackout) -> int:
    """Returns the new id."""
    if blackout.yearly:
        days: tuple[date | None, date | None, str | None] = (None, None, f"{blackout.first:%m-%d}")
    else:
        days = (blackout.first, blackout.last, None)
    blackout_id: int = await tx.fetchval(ADD, studio, blackout.name, *days)
    return blackout_id


REMOVE = """
DELETE FROM blackouts WHERE studio_id = $1 AND blackout_id = $2
RETURNING blackout_id, name, first_day, last_day, yearly"""


async def remove(tx: Connection, studio: str, blackout_id: int) -> Stored | None:
    """Returns what was removed; None where there was nothing."""
    row = await tx.fetchrow(REMOVE, studio, blackout_id)
    return row and _stored(row)


def _stored(row: Any) -> Stored:
    blackout_id, name, first, last, yearly = row
    if yearly is not None:
        return Stored(blackout_id, Blackout.every_year(name, yearly))
    return Stored(blackout_id, Blackout.between(name, first, last))
