"""Messages that may have been taken: what asking the provider about them needs, and what it said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control_center.store.db import Connection


@dataclass(frozen=True, slots=True)
class Doubt:
    """The last attempt of an unknown message, as it left; `known` are provider ids that belong to other messages."""

    studio: str
    message_id: int
    channel: str
    address: str
    sender: str
    key: str
    subject: str | None
    body: str
    started_at: datetime
    use_by: datetime
    known: tuple[str, ...]


UNDECIDED = """
SELECT messages.studio_id AS studio, messages.message_id, channel, address, sender, attempts.key, attempts.subject,
       attempts.body, attempts.started_at, use_by,
       ARRAY (SELECT other.provider_id FROM messages AS other
               WHERE other.account = messages.account AND other.address = messages.address
                 AND other.provider_id IS NOT NULL) AS known
  FROM messages
  JOIN attempts ON attempts.studio_id = messages.studio_id AND attempts.message_id = messages.message_id
   AND attempts.number = messages.asked
 WHERE account = $1 AND state = 'unknown' AND messages.message_id <> ALL ($2::bigint[])
   AND attempts.started_at BETWEEN statement_timestamp() - $4::interval AND statement_timestamp() - $3::interval
 ORDER BY messages.message_id LIMIT $5"""


async def undecided(
    tx: Connection, account: str, *, without: Sequence[int], youngest: timedelta, oldest: timedelta, limit: int
) -> list[Doubt]:
    """Unknown messages of an account whose last attempt is between these ages, but for `without`."""
    rows = await tx.fetch(UNDECIDED, account, list(without), youngest, oldest, limit)
    return [Doubt(**{**row, "known": tuple(row["known"])}) for row in rows]


# Without its message, like a receipt that came too early: the engine finds that, and folds it, on its next round.
FOUND = """
INSERT INTO receipts (studio_id, account, dedupe_key, key, provider_id, fate, body)
VALUES ('', $1, $2, $3, $4, $5, 'found by asking the provider') ON CONFLICT DO NOTHING"""


async def found(tx: Connection, account: str, doubt: Doubt, *, provider_id: str, fate: str) -> None:
    """The provider has it: written down as a receipt, which the engine folds like any other."""
    dedupe = f"lookup {doubt.key} {fate}"
    await tx.execute(FOUND, account, dedupe, doubt.key, provider_id, fate)


# Evidence for the person who has to decide, and not a licence to send again.
MISSING = """
UPDATE messages SET reason = reason || '; the provider does not find it'
 WHERE studio_id = $1 AND message_id = $2 AND state = 'unknown' AND reason NOT LIKE '%does not find it'"""


async def missing(tx: Connection, doubt: Doubt) -> None:
    """A complete list of the provider's does not have it."""
    await tx.execute(MISSING, doubt.studio, doubt.message_id)
