"""Sending domains that other mail servers have told to send less, beside what is taken of each number's limits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from control_center.domain.slowing import Slowed, domain_of
from control_center.store.budgets import Key
from control_center.store.db import Connection

SLOWED = """
SELECT studio_id, number, slowed, slowed_at
  FROM unnest($1::text[], $2::text[]) AS wanted (studio_id, number)
 CROSS JOIN LATERAL (
       SELECT slowed, slowed_at FROM senders
        WHERE senders.studio_id = wanted.studio_id AND senders.number = wanted.number AND slowed > 0 OFFSET 0)
       AS senders"""


async def read(tx: Connection, wanted: Iterable[Key]) -> dict[Key, Slowed]:
    """Those of these domains (each with its studio) that were ever told to send less."""
    keys = sorted(set(wanted))
    rows = await tx.fetch(SLOWED, [one[0] for one in keys], [one[1] for one in keys])
    return {(row[0], row[1]): Slowed(row[2], row[3]) for row in rows}


# Of two that are told at the same moment one counts: they left at the same pace.
SLOW = """
INSERT INTO senders (studio_id, number, slowed, slowed_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (studio_id, number) DO UPDATE SET slowed = excluded.slowed, slowed_at = excluded.slowed_at
 WHERE senders.slowed_at < excluded.slowed_at"""


async def tell(tx: Connection, studio: str, sender: str, now: datetime) -> Slowed | None:
    """Slow the domain of a sender's address down; how it stands then, None where it was told a moment ago."""
    key = (studio, domain_of(sender))
    before = (await read(tx, [key])).get(key, Slowed())
    after = before.told(now)
    if after == before:
        return None
    await tx.execute(SLOW, *key, after.level, after.at)
    return after
