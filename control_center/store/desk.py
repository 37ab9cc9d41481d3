"""What a person does with messages: read, link, hand on, settle. Each verb names what it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control_center.store.db import Connection
from control_center.store.halves import BOTH


@dataclass(frozen=True, slots=True)
class Piece:
    """A message as a person finds it, locked. `address` is theirs and `ours` the studio's, whichever way it went."""

    message_id: int
    origin: str
    state: str
    reason: str
    purpose: str
    channel: str
    address: str
    ours: str
    account: str
    recipient: str
    kind: str | None
    record_id: str | None
    client_id: str | None
    subject: str | None
    body: str | None
    meaning: str | None
    attention: str | None
    provider_id: str | None
    segments: int | None
    assigned_to: str | None
    task: str | None
    created_at: datetime

    @property
    def record(self) -> tuple[str, str] | None:
        return (self.kind, self.record_id) if self.kind is not None and self.record_id is not None else None

    @property
    def subject_of_commands(self) -> str:
        """The record of the CRM that a command about this message is about."""
        if self.record is not None:
            return "/".join(self.record)
        return f"client/{self.client_id}" if self.client_id is not None else f"message/m-{self.message_id}"


LOCK_PIECE = """
SELECT message_id, origin, state, reason, purpose, channel, address, sender, account, recipient, kind, record_id,
       client_id, subject, body, meaning, attention, provider_id, segments, assigned_to, task, created_at
  FROM messages WHERE studio_id = $1 AND message_id = $2 FOR UPDATE"""


async def lock(tx: Connection, studio: str, message_id: int) -> Piece | None:
    row = await tx.fetchrow(LOCK_PIECE, studio, message_id)
    return row and Piece(*row)


READ = """
UPDATE messages SET read_at = CASE WHEN $3 THEN coalesce(read_at, clock_timestamp()) END
 WHERE studio_id = $1 AND message_id = ANY ($2::bigint[]) AND state = 'received'
RETURNING message_id"""


async def read(tx: Connection, studio: str, numbers: Sequence[int], *, is_read: bool) -> list[int]:
    """Say of incoming messages whether somebody has read them; returns those there are."""
    return [row[0] for row in await tx.fetch(READ, studio, list(numbers), is_read)]


# Of a number that nobody was known to have, what has passed: incoming, what it was answered, what a person sent freely.
EARLIER = f"""
SELECT message_id FROM {BOTH} AS messages
 WHERE studio_id = $1 AND channel = $2 AND lower(address) = lower($3) AND client_id IS NULL
   AND origin IN ('client', 'person', 'answer') AND message_id <> $4
 ORDER BY message_id LIMIT 1000"""


async def earlier(tx: Connection, studio: str, piece: Piece) -> list[int]:
    """Other messages with this address that are linked to nobody, oldest first; at most a thousand."""
    rows = await tx.fetch(EARLIER, studio, piece.channel, piece.address, piece.message_id)
    return [row[0] for row in rows]


# What was about a record of whose it is no longer is about none; what a trigger or a bulk sent remains about its own.
LINK = """
UPDATE messages
   SET client_id = $3, kind = CASE WHEN stays THEN kind END, record_id = CASE WHEN stays THEN record_id END
  FROM (SELECT message_id AS same, origin IN ('trigger', 'bulk') OR client_id IS NOT DISTINCT FROM $3 AS stays
          FROM messages WHERE studio_id = $1 AND message_id = ANY ($2::bigint[])) AS before
 WHERE studio_id = $1 AND message_id = same"""
LINK_RECORD = "UPDATE messages SET kind = $3, record_id = $4 WHERE studio_id = $1 AND message_id = $2"
# Later ones follow: of every number of ours that they may write to. Without a client the number decides again.
LINK_CONVERSATIONS = """
INSERT INTO conversations (studio_id, channel, ours, theirs, client_id, linked_by)
SELECT $1, $2, ours, $4, $5, $6
  FROM (SELECT $3::text AS ours
         UNION
        SELECT ours FROM conversations WHERE studio_id = $1 AND channel = $2 AND theirs = $4) AS pairs
    ON CONFLICT (studio_id, channel, theirs, ours) DO UPDATE
   SET client_id = excluded.client_id, linked_by = excluded.linked_by"""


async def link(
    tx: Connection, studio: str, piece: Piece, numbers: Sequence[int], *, client_id: str | None, by: str
) -> None:
    """Link these messages of one address to a client, or to nobody, and its conversations with them."""
    await tx.execute(LINK, studio, list(numbers), client_id)
    linked_by = by if client_id is not None else None
    await tx.execute(LINK_CONVERSATIONS, studio, piece.channel, piece.ours, piece.address, client_id, linked_by)


async def link_record(tx: Connection, studio: str, message_id: int, record: tuple[str, str]) -> None:
    """Say what record a message is about."""
    await tx.execute(LINK_RECORD, studio, message_id, *record)


ASSIGN = "UPDATE messages SET assigned_to = $3 WHERE studio_id = $1 AND message_id = $2"
TASK = "UPDATE messages SET task = $3 WHERE studio_id = $1 AND message_id = $2"


async def assign(tx: Connection, studio: str, message_id: int, user: str | None) -> None:
    await tx.execute(ASSIGN, studio, message_id, user)


async def set_task(tx: Connection, studio: str, message_id: int, command_id: str) -> None:
    await tx.execute(TASK, studio, message_id, command_id)


REPLACE = "UPDATE messages SET parent_id = $3 WHERE studio_id = $1 AND message_id = $2"
REPLACED_BY = "SELECT message_id FROM messages WHERE studio_id = $1 AND parent_id = $2 LIMIT 1"


async def replace(tx: Connection, studio: str, message_id: int, parent: int) -> None:
    """Say that a message was written instead of another."""
    await tx.execute(REPLACE, studio, message_id, parent)


async def replaced_by(tx: Connection, studio: str, parent: int) -> int | None:
    """The message that was written instead of this one."""
    found: int | None = await tx.fetchval(REPLACED_BY, studio, parent)
    return found


# Guarded: a receipt or the provider's answer may have settled it a moment ago, and what they prove stands. One whose
# attempt a failover has forgotten went when it was due, if it went.
RESOLVE = """
UPDATE messages
   SET state = $3, reason = $4, resolved_by = $5, ended_at = CASE WHEN $3 = 'failed' THEN clock_timestamp() END,
       forgotten = CASE WHEN forgotten IS NOT NULL AND $3 = 'failed' THEN 'denied' ELSE forgotten END,
       sent_at = CASE WHEN $3 = 'failed' THEN sent_at ELSE coalesce(sent_at,
           (SELECT max(started_at) FROM attempts WHERE attempts.studio_id = $1 AND attempts.message_id = $2),
           due_at) END
 WHERE studio_id = $1 AND message_id = $2 AND state = 'unknown'
RETURNING message_id"""


async def resolve(tx: Connection, studio: str, message_id: int, *, state: str, reason: str, by: str) -> bool:
    """Settle a message that may have been taken, as a person found out; False where it is settled already."""
    return await tx.fetchval(RESOLVE, studio, message_id, state, reason, by) is not None


SETTLE_DOUBT = """
UPDATE messages
   SET meaning = $3, attention = $4, resolved_by = $5, read_at = coalesce(read_at, clock_timestamp())
 WHERE studio_id = $1 AND message_id = $2 AND state = 'received'"""


async def settle_doubt(
    tx: Connection, studio: str, message_id: int, *, meaning: str, attention: str | None, by: str
) -> None:
    """Say what a person took an incoming message for."""
    await tx.execute(SETTLE_DOUBT, studio, message_id, meaning, attention, by)


# What went there and what a stop kept back, for the page that proves what an address said.
PASSED = f"""
SELECT count(*) FILTER (WHERE state IN ('accepted', 'delivered', 'undelivered', 'unknown', 'submitting')),
       count(*) FILTER (WHERE state = 'suppressed'), count(*) FILTER (WHERE state = 'received'),
       max(sent_at), max(created_at) FILTER (WHERE state = 'received'), array_agg(DISTINCT client_id)
  FROM {BOTH} AS messages WHERE studio_id = $1 AND channel = $2 AND lower(address) = lower($3)"""


async def passed(tx: Connection, studio: str, channel: str, address: str) -> Any:
    """Sent, suppressed, received; when last sent and received; whose they were."""
    return await tx.fetchrow(PASSED, studio, channel, address)
