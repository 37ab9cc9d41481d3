"""Duties that one process at a time has: rows with an owner and a time limit, on the database's clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from control_center.store.db import Connection

LEASE_HOLD = """
WITH free AS (
     SELECT name FROM leases
      WHERE name = ANY ($1::text[]) AND (owner = $2 OR lease_until < clock_timestamp())
      ORDER BY name FOR UPDATE SKIP LOCKED)
UPDATE leases SET owner = $2, lease_until = clock_timestamp() + $3
  FROM free WHERE leases.name = free.name
RETURNING leases.name"""


async def hold(tx: Connection, names: Sequence[str], owner: UUID, *, lease: timedelta) -> set[str]:
    """Take or renew whatever of these is free or ours; returns what is ours until `lease` from now."""
    return {row[0] for row in await tx.fetch(LEASE_HOLD, list(names), owner, lease)}


LEASE_DROP = "UPDATE leases SET owner = NULL, lease_until = '-infinity' WHERE owner = $1"


async def drop(tx: Connection, owner: UUID) -> None:
    """Give everything back at once, at a graceful stop."""
    await tx.execute(LEASE_DROP, owner)
