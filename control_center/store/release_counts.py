"""How many actions of each trigger went by themselves, by the hour: what is ordinary for it."""

from __future__ import annotations

from datetime import datetime, timedelta

from control_center.domain.blast import LEARNT_FROM
from control_center.store.db import Connection

# An hour that reaches into the last sixty minutes belongs to what is being judged, and must not excuse it.
_JUDGED = timedelta(hours=2)

BUSIEST = """
SELECT coalesce(max(released), 0) FROM release_counts
 WHERE studio_id = $1 AND trigger_id = $2 AND hour > $3 AND hour <= $4"""


async def busiest(tx: Connection, studio: str, trigger_id: int, now: datetime) -> int:
    """The most that went within one hour of the last 28 days, the last two hours left out."""
    number: int = await tx.fetchval(BUSIEST, studio, trigger_id, now - LEARNT_FROM, now - _JUDGED)
    return number


BUSIEST_OF_EACH = """
SELECT trigger_id, max(released) FROM release_counts
 WHERE studio_id = $1 AND hour > $2 AND hour <= $3 GROUP BY trigger_id"""


async def busiest_of_each(tx: Connection, studio: str, now: datetime) -> dict[int, int]:
    """The same for every trigger of a studio that released anything, by trigger."""
    rows = await tx.fetch(BUSIEST_OF_EACH, studio, now - LEARNT_FROM, now - _JUDGED)
    return {row[0]: row[1] for row in rows}
