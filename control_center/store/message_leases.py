"""Leases of messages, on the database's clock: kept while they are prepared, settled where their worker was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from control_center.domain.message import State
from control_center.store.db import Connection

LEASE_RENEW = """
UPDATE messages SET lease_until = clock_timestamp() + $2
 WHERE lease_owner = $1 AND state = 'claimed' AND lease_until IS NOT NULL"""


async def renew_leases(tx: Connection, owner: UUID, *, lease: timedelta) -> None:
    """Keep what we prepare. What is being submitted is never renewed: its lease is the limit of our doubt."""
    await tx.execute(LEASE_RENEW, owner, lease)


# One statement with the whole condition: what finished meanwhile is not touched. A claimed message has not left, so
# it goes back to the end of the queue; a submitting one may have, so nobody sends it again.
RESCUE_EXPIRED_LEASES = """
WITH lost AS MATERIALIZED (
     SELECT studio_id, message_id FROM messages
      WHERE lease_until < statement_timestamp() AND state IN ('claimed', 'submitting')
      LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE messages
   SET state = CASE WHEN state = 'submitting' THEN 'unknown' WHEN claims >= $2 THEN 'failed' ELSE 'queued' END,
       reason = CASE WHEN state = 'submitting' THEN 'sent: the worker was lost while it was sending'
                     WHEN claims >= $2 THEN 'poison: lost with its worker each time it was prepared'
                     ELSE 'the worker that prepared it was lost' END,
       due_at = clock_timestamp(), lease_owner = NULL, lease_until = NULL,
       ended_at = CASE WHEN state = 'claimed' AND claims >= $2 THEN clock_timestamp() END
  FROM lost
 WHERE messages.studio_id = lost.studio_id AND messages.message_id = lost.message_id
RETURNING messages.studio_id, messages.message_id, messages.state, kind, record_id, action_id, trigger_id"""


@dataclass(frozen=True, slots=True)
class Rescued:
    studio: str
    message_id: int
    state: State
    kind: str
    record_id: str
    action_id: int | None
    trigger_id: int | None


async def rescue_expired_leases(tx: Connection, *, poison: int, limit: int) -> list[Rescued]:
    """Settle what lost workers left; returns each with the state it has now."""
    rows = await tx.fetch(RESCUE_EXPIRED_LEASES, limit, poison)
    return [Rescued(row[0], row[1], State(row[2]), *row[3:]) for row in rows]


DROP_CLAIMS = """
UPDATE messages
   SET state = 'queued', claims = claims - 1, due_at = clock_timestamp(), lease_owner = NULL, lease_until = NULL
 WHERE lease_owner = $1 AND state = 'claimed' AND message_id <> ALL ($2::bigint[]) AND lease_until IS NOT NULL"""


async def drop_claims(tx: Connection, owner: UUID, *, but: Sequence[int] = ()) -> None:
    """Give back everything claimed and not begun, save for what is still at hand."""
    await tx.execute(DROP_CLAIMS, owner, list(but))
