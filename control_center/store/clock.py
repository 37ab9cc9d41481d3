"""What time the database thinks it is: leases run on that clock, so it must agree with ours."""

from __future__ import annotations

from datetime import datetime

from control_center.store.db import Connection

CLOCK = "SELECT clock_timestamp()"


async def read(tx: Connection) -> datetime:
    """The database's clock, now."""
    found: datetime = await tx.fetchval(CLOCK)
    return found
