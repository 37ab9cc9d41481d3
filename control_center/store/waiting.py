"""What waits: pages of it, locked, for whoever gives it other times; and what a client is not to get there any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from control_center.store.actions import DUE, Due, due_of
from control_center.store.db import Connection
from control_center.store.fences import KEPT
from control_center.store.halves import WAITS
from control_center.store.records import Key

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


# What a person wrote goes all the same, and so does what is being said in another text already.
_WITHDRAW = f"""
UPDATE messages
   SET state = 'cancelled', reason = $5 || {KEPT}, lease_owner = NULL, lease_until = NULL,
       ended_at = clock_timestamp()
 WHERE studio_id = $1 AND client_id = $2 AND %s
   AND {WAITS} AND origin IN ('trigger', 'bulk') AND rides_with IS NULL
   AND split_part(recipient::jsonb ->> 'role', ':', 1) IN ('client', 'family')
RETURNING message_id, action_id"""

WITHDRAW = _WITHDRAW % "channel = $3 AND lower(address) = ANY ($4::text[])"


Ended: TypeAlias = tuple[int, int | None]  # a message, and its action where it has one


async def withdraw(tx: Connection, client: Key, channel: str, addresses: Sequence[str], reason: str) -> list[Ended]:
    """End what would go by itself to addresses that a client and their family have no more."""
    studio, _, client_id = client
    rows = await tx.fetch(WITHDRAW, studio, client_id, channel, list(addresses), reason)
    return [(row[0], row[1]) for row in rows]


HAND_OVER = _WITHDRAW % "kind = $3 AND record_id = $4"

# What a worker has in hand was written for the one before.
TAKE_OVER = f"""
UPDATE messages
   SET client_id = $5, recipient = $6, state = CASE state WHEN 'held' THEN state ELSE 'queued' END,
       lease_owner = NULL, lease_until = NULL
 WHERE studio_id = $1 AND kind = $2 AND record_id = $3 AND client_id = $4
   AND channel || ' ' || lower(address) = ANY ($7::text[])
   AND {WAITS} AND origin = 'trigger' AND rides_with IS NULL
   AND recipient::jsonb ->> 'role' = 'client'"""


@dataclass(frozen=True, slots=True)
class Heir:
    """Whose a record is now: how a message names them, and each (channel, address) they are written to at."""

    client_id: str
    recipient: str
    ways: Collection[tuple[str, str]]


async def hand_over(tx: Connection, record: Key, client_id: str, reason: str, *, heir: Heir | None) -> list[Ended]:
    """End what would go by itself about a record to a client whose it is no more, and to their family.

    What would reach its new client where the one before was reached is theirs now, and goes: an action has one message
    for an address.
    """
    studio, kind, record_id = record
    if heir is not None and heir.ways:
        ways = [f"{channel} {address}" for channel, address in heir.ways]
        await tx.execute(TAKE_OVER, studio, kind, record_id, client_id, heir.client_id, heir.recipient, ways)
    return [(row[0], row[1]) for row in await tx.fetch(HAND_OVER, studio, client_id, kind, record_id, reason)]


REPURPOSE = """
UPDATE messages SET purpose = $3
 WHERE studio_id = $1 AND trigger_id = $2 AND state IN ('queued', 'held', 'claimed') AND origin = 'trigger'
   AND purpose <> $3"""


async def repurpose(tx: Connection, studio: str, trigger_id: int, purpose: str) -> None:
    """Let what is in the queue keep to the hours and the leave that its trigger's purpose asks for by now."""
    await tx.execute(REPURPOSE, studio, trigger_id, purpose)


# What a person processed is theirs already. A text of which another is out already is its worker's to end.
RECALL = f"""
UPDATE messages
   SET state = 'cancelled', reason = $3 || {KEPT}, lease_owner = NULL, lease_until = NULL,
       ended_at = clock_timestamp()
  FROM actions
 WHERE messages.studio_id = $1 AND messages.trigger_id = $2 AND messages.state IN ('queued', 'held', 'claimed')
   AND messages.origin = 'trigger' AND asked = 0 AND rides_with IS NULL AND forgotten IS NULL
   AND actions.studio_id = messages.studio_id AND actions.action_id = messages.action_id
   AND actions.released_by IS NULL
RETURNING messages.message_id"""


async def recall(tx: Connection, studio: str, trigger_id: int, reason: str) -> list[int]:
    """End what a trigger let go by itself and nobody was asked to take yet."""
    return [row[0] for row in await tx.fetch(RECALL, studio, trigger_id, reason)]
