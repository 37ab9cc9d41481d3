"""The messages that links, bounces and replies lead back to, by their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from control_center.store.db import Connection
from control_center.store.halves import BOTH


@dataclass(frozen=True, slots=True)
class Followed:
    """A message of ours that somebody has come back from. `answered` is what its question was answered with so far."""

    studio: str
    message_id: int
    channel: str
    address: str
    sender: str
    account: str
    kind: str | None
    record_id: str | None
    client_id: str | None
    nonce: str
    asked: int
    sent_at: datetime
    answered: Sequence[str]
    answered_at: datetime | None
    action_id: int | None = None
    erased: bool = False


# A link in it proves that it has left, whatever we know of it.
OF_NUMBERS = """
SELECT studio_id, message_id, channel, address, sender, account, kind, record_id, client_id,
       replace(nonce::text, '-', ''), asked, coalesce(sent_at, created_at),
       ARRAY(SELECT meaning FROM answers
              WHERE answers.studio_id = messages.studio_id AND answers.message_id = messages.message_id
              ORDER BY answer_id),
       (SELECT max(at) FROM answers
         WHERE answers.studio_id = messages.studio_id AND answers.message_id = messages.message_id), action_id,
       erased_at IS NOT NULL
  FROM messages
 WHERE message_id = ANY ($1::bigint[]) AND origin <> 'client'"""


async def of_numbers(tx: Connection, numbers: Sequence[int]) -> dict[int, Followed]:
    """The messages with these numbers that went out."""
    rows = await tx.fetch(OF_NUMBERS, list(numbers))
    return {row[1]: Followed(*row) for row in rows}


LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(chr(31), 'answer', $1::text, $2::bigint), 0))"


async def lock(tx: Connection, studio: str, message_id: int) -> None:
    """Make whoever else answers the question of this message wait until the transaction ends."""
    await tx.execute(LOCK, studio, message_id)


# The mails to an address that came to nothing: by their last bounce, or by what their relay said at last.
CAME_BACK = f"""
SELECT DISTINCT ON (message_id) code, coalesce(reason, ''), at
  FROM (SELECT messages.message_id, receipts.code, receipts.reason, receipts.received_at
          FROM {BOTH} AS messages JOIN receipts USING (studio_id, message_id)
         WHERE messages.studio_id = $1 AND lower(messages.address) = lower($2) AND messages.channel = 'email'
           AND receipts.fate = 'undelivered'
         UNION ALL
        SELECT messages.message_id, attempts.code, attempts.reason, attempts.ended_at
          FROM {BOTH} AS messages JOIN attempts USING (studio_id, message_id)
         WHERE messages.studio_id = $1 AND lower(messages.address) = lower($2) AND messages.channel = 'email'
           AND messages.state = 'failed' AND attempts.number = messages.asked)
       AS came (message_id, code, reason, at)
 WHERE code IS NOT NULL AND at > $3
 ORDER BY message_id, at DESC"""


@dataclass(frozen=True, slots=True)
class CameBack:
    """Why one mail came back, and when."""

    code: str
    reason: str
    at: datetime


async def came_back(tx: Connection, studio: str, address: str, *, since: datetime) -> list[CameBack]:
    """The mails to this address that came back since then, or that no relay took."""
    return [CameBack(*row) for row in await tx.fetch(CAME_BACK, studio, address, since)]


# Few studios, and a mail that answers none of ours is rare: no index is worth its upkeep.
STUDIOS_OF = """
SELECT studio_id FROM studios
 WHERE coalesce(settings::jsonb #>> '{email,account}', 'default') = $2
   AND (lower(settings::jsonb #>> '{email,from}') = ANY ($1::text[])
        OR lower(settings::jsonb #>> '{email,reply_to}') = ANY ($1::text[]))
 ORDER BY studio_id"""


async def studios_of(tx: Connection, addresses: Sequence[str], account: str) -> list[str]:
    """The studios that mail from one of these addresses, or want replies there, over this account (without email/)."""
    return [row[0] for row in await tx.fetch(STUDIOS_OF, [one.lower() for one in addresses], account)]
