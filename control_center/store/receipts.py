"""Receipts: what providers said afterwards, each stored once, and what it makes of its message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control_center.domain.message import State
from control_center.domain.outcome import Fate, Receipt
from control_center.domain.wire.smpp_ids import spellings
from control_center.store.db import Connection
from control_center.store.halves import BOTH

SANDBOX = "sandbox"  # the account of receipts that the carrier of the sandbox brings, for messages of any account


@dataclass(frozen=True, slots=True)
class Named:
    """A message that a receipt names, locked."""

    studio: str
    message_id: int
    state: State
    reason: str
    channel: str
    address: str
    account: str
    asked: int
    provider_id: str | None
    forgotten: str | None = None
    erased: bool = False


# In one order, so that two batches of receipts wait for each other instead of blocking each other. An account that a
# message was moved away from may have taken it after all, and says so by our reference. What came in has an id of its
# provider's, too, and no receipt is about it.
FIND = """
WITH named AS (
     SELECT studio_id, message_id FROM messages
      WHERE message_id = ANY ($1::bigint[]) AND ($3 = 'sandbox' OR account = $3 OR $3 = ANY (moved_from))
      UNION
     SELECT studio_id, message_id FROM messages
      WHERE account = $3 AND provider_id = ANY ($2::text[]) AND state <> 'received')
SELECT messages.studio_id, messages.message_id, state, reason, channel, address, account, asked, provider_id, forgotten,
       erased_at IS NOT NULL
  FROM messages JOIN named USING (studio_id, message_id)
 ORDER BY messages.studio_id, messages.message_id
   FOR UPDATE OF messages"""


async def find(tx: Connection, account: str, message_ids: Sequence[int], provider_ids: Sequence[str]) -> list[Named]:
    """The messages that this account has, or had, with one of these numbers or its own ids; locked until the end."""
    rows = await tx.fetch(FIND, list(message_ids), list(provider_ids), account)
    return [Named(row[0], row[1], State(row[2]), *row[3:]) for row in rows]


@dataclass(frozen=True, slots=True)
class Came:
    """A receipt as it came. `received_at` None is now; `dedupe_key` is what a repeat is known by."""

    dedupe_key: str
    receipt: Receipt
    body: str
    received_at: datetime | None = None


ADD = """
INSERT INTO receipts (studio_id, account, dedupe_key, key, provider_id, fate, code, reason, opted_out, dead, body,
                      message_id, received_at, numbers, spellings)
SELECT coalesce(came.studio_id, ''), $1, came.dedupe_key, came.key, came.provider_id, came.fate, came.code,
       came.reason, came.opted_out, came.dead, came.body, came.message_id,
       coalesce(came.received_at, clock_timestamp()), string_to_array(numbers, ' '), string_to_array(spellings, ' ')
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::boolean[],
              $10::boolean[], $11::text[], $12::bigint[], $13::timestamptz[], $14::text[], $15::text[])
       AS came (studio_id, dedupe_key, key, provider_id, fate, code, reason, opted_out, dead, body, message_id,
                received_at, numbers, spellings)
    ON CONFLICT DO NOTHING
RETURNING dedupe_key"""


async def add(tx: Connection, account: str, came: Sequence[tuple[Came, Named | None]]) -> set[str]:
    """Store receipts, each with the message it names if we know it; returns the dedupe keys of the new ones."""
    rows = await tx.fetch(
        ADD,
        account,
        [named and named.studio for _, named in came],
        [one.dedupe_key for one, _ in came],
        [one.receipt.reference for one, _ in came],
        [one.receipt.provider_id for one, _ in came],
        [one.receipt.fate.value for one, _ in came],
        [one.receipt.code for one, _ in came],
        [one.receipt.reason for one, _ in came],
        [one.receipt.opted_out for one, _ in came],
        [one.receipt.dead for one, _ in came],
        [one.body for one, _ in came],
        [named and named.message_id for _, named in came],
        [one.received_at for one, _ in came],
        [" ".join(one.receipt.numbers) or None for one, _ in came],
        [_spellings(one.receipt) if named is None else None for one, named in came],
    )
    return {row[0] for row in rows}


def _spellings(receipt: Receipt) -> str | None:
    """How else its id may be spelled, where there is a number to hold a text so found against."""
    return " ".join(spellings(receipt.provider_id)) or None if receipt.numbers and receipt.provider_id else None


@dataclass(frozen=True, slots=True)
class Folded:
    """What receipts make of a message: `state` may be the one it has, when only the provider's id is new."""

    named: Named
    state: State
    reason: str
    provider_id: str | None


FOLD = """
UPDATE messages
   SET state = folded.state, reason = folded.reason,
       provider_id = coalesce(messages.provider_id, folded.provider_id),
       sent_at = CASE WHEN folded.state IN ('accepted', 'delivered', 'undelivered')
                      THEN coalesce(sent_at, clock_timestamp()) ELSE sent_at END,
       ended_at = CASE WHEN folded.state = folded.leaves THEN ended_at
                       WHEN folded.state = 'accepted' THEN NULL ELSE clock_timestamp() END,
       lease_owner = CASE WHEN folded.state = folded.leaves THEN lease_owner END,
       lease_until = CASE WHEN folded.state = folded.leaves THEN lease_until END
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
       AS folded (studio_id, message_id, leaves, state, reason, provider_id)
 WHERE messages.studio_id = folded.studio_id AND messages.message_id = folded.message_id
   AND messages.state = folded.leaves"""


async def fold(tx: Connection, folded: Sequence[Folded]) -> None:
    """Move messages to what receipts prove. A worker that is still at it finds them out of its hands."""
    if folded:
        await tx.execute(
            FOLD,
            [one.named.studio for one in folded],
            [one.named.message_id for one in folded],
            [one.named.state.value for one in folded],
            [one.state.value for one in folded],
            [one.reason for one in folded],
            [one.provider_id for one in folded],
        )


# Whatever else a receipt says, it proves that this attempt was taken.
PROVE = """
UPDATE attempts
   SET outcome = 'accepted', ended_at = coalesce(attempts.ended_at, clock_timestamp()),
       reason = CASE WHEN outcome = 'accepted' THEN attempts.reason
                     ELSE concat_ws('; ', 'a receipt came: ' || proof.fate, nullif(attempts.reason, '')) END,
       provider_id = coalesce(attempts.provider_id, proof.provider_id)
  FROM unnest($1::text[], $2::bigint[], $3::integer[], $4::text[], $5::text[])
       AS proof (studio_id, message_id, number, provider_id, fate)
 WHERE attempts.studio_id = proof.studio_id AND attempts.message_id = proof.message_id
   AND attempts.number = proof.number
   AND (outcome IS DISTINCT FROM 'accepted' OR (attempts.provider_id IS NULL AND proof.provider_id IS NOT NULL))"""


async def prove(tx: Connection, proofs: Sequence[tuple[Named, int, Receipt]]) -> None:
    """Note on the attempts, each with its number, what their receipts prove."""
    await tx.execute(
        PROVE,
        [named.studio for named, _, _ in proofs],
        [named.message_id for named, _, _ in proofs],
        [number for _, number, _ in proofs],
        [receipt.provider_id for _, _, receipt in proofs],
        [receipt.fate.value for _, _, receipt in proofs],
    )


# Which text a receipt means by another spelling of its id: the only one that was sent to one of its numbers at about
# that time. A wrong text would be worse than none: a small number may be any part's or any lost answer's, and means a
# text only where nothing else was sent to its recipient, by this studio or by another on its number.
_ANOTHER_SPELLING = f"""
SELECT CASE WHEN count(*) = 1 THEN min(messages.provider_id) END
  FROM messages
 WHERE messages.account = receipts.account AND messages.provider_id = ANY (receipts.spellings)
   AND messages.state <> 'received'
   AND EXISTS (SELECT FROM unnest(receipts.numbers) AS digits WHERE right(messages.address, length(digits)) = digits)
   AND coalesce(messages.sent_at, messages.created_at) BETWEEN receipts.received_at - interval '8 days'
                                                           AND receipts.received_at + interval '1 hour'
   AND (length(ltrim(receipts.provider_id, '0')) >= 6
        OR NOT EXISTS (
           SELECT FROM (SELECT messages.studio_id UNION
                        SELECT studio_id FROM studios WHERE numbers @> ARRAY[messages.sender]) AS sharing (studio_id)
             JOIN {BOTH} AS other ON other.studio_id = sharing.studio_id
              AND lower(other.address) = lower(messages.address) AND other.message_id <> messages.message_id
            WHERE other.account = messages.account AND other.asked > 0 AND other.state <> 'failed'
              AND other.created_at > receipts.received_at - interval '8 days'))"""
# … and whether its very id is that of a text to one of its numbers, which goes before.
_VERY_ID = """
SELECT FROM messages
 WHERE messages.account = receipts.account AND messages.provider_id = receipts.provider_id
   AND messages.state <> 'received'
   AND EXISTS (SELECT FROM unnest(receipts.numbers) AS digits WHERE right(messages.address, length(digits)) = digits)"""

# Taken out to be brought in again, by the same way as any other: there they find their message, by the id that it has.
# One of an attempt that was never made, as far as anybody knows, stays where it is.
TAKE_OUT = f"""
WITH known AS MATERIALIZED (
     SELECT receipts.studio_id, receipt_id, meant.provider_id
       FROM receipts
      CROSS JOIN LATERAL (
            SELECT CASE WHEN receipts.spellings IS NOT NULL
                         AND receipts.received_at > statement_timestamp() - interval '3 days'  -- later none is sent
                         AND NOT EXISTS ({_VERY_ID})
                        THEN ({_ANOTHER_SPELLING}) END AS provider_id) AS meant
      WHERE receipts.message_id IS NULL
        AND (meant.provider_id IS NOT NULL
             OR EXISTS (SELECT FROM messages WHERE messages.account = receipts.account AND messages.state <> 'received'
                           AND messages.provider_id = receipts.provider_id)
             OR EXISTS (SELECT FROM messages WHERE messages.account = receipts.account
                           AND messages.message_id = substring(receipts.key FROM '^m-([0-9]{{1,18}})[.]')::bigint
                           AND (asked >= substring(receipts.key FROM '[.]([0-9]{{1,9}})$')::integer
                                OR forgotten IS NOT NULL)))
      ORDER BY receipt_id LIMIT $1 FOR UPDATE OF receipts SKIP LOCKED)
DELETE FROM receipts USING known
 WHERE receipts.studio_id = known.studio_id AND receipts.receipt_id = known.receipt_id
RETURNING receipts.receipt_id, account, dedupe_key, fate, key, coalesce(known.provider_id, receipts.provider_id), code,
          reason, opted_out, dead, body, received_at"""


async def take_out(tx: Connection, *, limit: int) -> dict[str, list[Came]]:
    """Remove receipts that named nobody when they came and do now, by account, in the order they came."""
    found: dict[str, list[Came]] = {}
    for row in sorted(await tx.fetch(TAKE_OUT, limit), key=lambda row: row[0]):
        found.setdefault(row[1], []).append(_came(row))
    return found


def _came(row: Any) -> Came:
    _, _, dedupe_key, fate, key, provider_id, code, reason, opted_out, dead, body, received_at = row
    receipt = Receipt(Fate(fate), key, provider_id, code, reason, opted_out, dead=dead)
    return Came(dedupe_key, receipt, body, received_at)
