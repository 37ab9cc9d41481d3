"""How often somebody has texted us of late."""

from __future__ import annotations

from datetime import datetime

from control_center.store.conversations import Pair
from control_center.store.db import Connection
from control_center.store.halves import GONE

TEXTED = f"""
SELECT count(*) FILTER (WHERE created_at > $5), count(*) FROM (
       SELECT created_at FROM messages
        WHERE studio_id = $1 AND lower(address) = lower($3) AND channel = $2 AND sender = $4 AND origin = 'client'
          AND {GONE} AND created_at > $6
        ORDER BY message_id DESC LIMIT $7) AS of_late"""


async def texted(tx: Connection, pair: Pair, hour: datetime, day: datetime, *, most: int) -> tuple[int, int]:
    """How many texts came from this number since each of the two instants; counted no further than `most`."""
    row = await tx.fetchrow(TEXTED, pair.studio, pair.channel, pair.theirs, pair.ours, hour, day, most)
    return row[0], row[1]
