"""What each address said: append-only, the newest row counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from control_center.store.db import Connection

STOPPED = """
SELECT DISTINCT ON (consents.studio_id, consents.channel, consents.address)
       consents.studio_id, consents.channel, consents.address, allowed
  FROM consents JOIN unnest($1::text[], $2::text[], $3::text[]) AS asked (studio_id, channel, address)
 USING (studio_id, channel, address)
 ORDER BY consents.studio_id, consents.channel, consents.address, consent_id DESC"""


async def stopped(tx: Connection, asked: Sequence[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Of these (studio, channel, address), the ones that said STOP and have not come back."""
    if not asked:
        return set()
    rows = await tx.fetch(STOPPED, *([one[n] for one in asked] for n in range(3)))
    return {(row[0], row[1], row[2]) for row in rows if not row[3]}


RECORD = """
INSERT INTO consents (studio_id, channel, address, allowed, source, evidence)
VALUES ($1, $2, $3, $4, $5, $6)"""

# A stop also stops what waits; what is being submitted is past recall, and its order shows in the times.
SUPPRESS = """
UPDATE messages
   SET state = 'suppressed', reason = $4, lease_owner = NULL, lease_until = NULL, ended_at = clock_timestamp()
 WHERE studio_id = $1 AND channel = $2 AND address = $3 AND state IN ('queued', 'held', 'claimed')"""


async def record(
    tx: Connection, studio: str, channel: str, address: str, *, allowed: bool, source: str, evidence: str
) -> None:
    """Write down what an address said, and suppress what waits for it when that was STOP."""
    await tx.execute(RECORD, studio, channel, address, allowed, source, evidence)
    if not allowed:
        await tx.execute(SUPPRESS, studio, channel, address, f"opted out: {source}")


HISTORY = """
SELECT allowed, source, evidence, at FROM consents
 WHERE studio_id = $1 AND channel = $2 AND address = $3 ORDER BY consent_id"""


@dataclass(frozen=True, slots=True)
class Consent:
    allowed: bool
    source: str
    evidence: str
    at: datetime


async def history(tx: Connection, studio: str, channel: str, address: str) -> list[Consent]:
    """Everything an address ever said, oldest first."""
    return [Consent(*row) for row in await tx.fetch(HISTORY, studio, channel, address)]
