"""Messages that may have been taken: what asking the provider about them needs, and what it said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from control_center.store.consents import MAY_GO
from control_center.store.db import Connection
from control_center.store.fences import STANDS
from control_center.store.halves import BOTH
from control_center.store.submissions import Ready


@dataclass(frozen=True, slots=True)
class Doubt:
    """The last attempt of an unknown message, as it left; `known` are provider ids that belong to other messages.

    `lost` says that no answer came at all: one that came and was not understood may have been an error.
    """

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
    lost: bool
    known: tuple[str, ...]


# The other texts are those that the provider may list for the same pair of numbers: of this studio, and of those that
# write from the same number. Address by address: an account has sent millions.
UNDECIDED = f"""
SELECT messages.studio_id AS studio, messages.message_id, channel, address, sender, attempts.key, attempts.subject,
       attempts.body, attempts.started_at, use_by, messages.reason LIKE 'sent: %' AS lost,
       ARRAY (SELECT other.provider_id
                FROM (SELECT messages.studio_id UNION
                      SELECT studio_id FROM studios WHERE numbers @> ARRAY[messages.sender]) AS sharing (studio_id)
               CROSS JOIN LATERAL (
                     SELECT account, provider_id FROM {BOTH} AS sent
                      WHERE sent.studio_id = sharing.studio_id AND lower(sent.address) = lower(messages.address)
                     OFFSET 0) AS other
               WHERE other.account = messages.account AND other.provider_id IS NOT NULL) AS known
  FROM messages
  JOIN attempts ON attempts.studio_id = messages.studio_id AND attempts.message_id = messages.message_id
   AND attempts.number = messages.asked
 WHERE account = $1 AND state = 'unknown' AND messages.message_id <> ALL ($2::bigint[]) AND erased_at IS NULL
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


async def found(tx: Connection, account: str, doubt: Doubt, *, provider_id: str | None, fate: str) -> None:
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


# The point of no return once more, for the same attempt under the same key: where the provider has it, it answers as it
# did then, and where it has not, the text goes out now. So everything that lets a text go must let this one, as decided
# and as STEP has it. Meanwhile the message is nobody else's: neither a person nor another worker settles it.
REPEAT = f"""
UPDATE messages
   SET state = 'submitting', lease_token = lease_token + 1, lease_owner = $3, lease_until = clock_timestamp() + $4
 WHERE studio_id = $1 AND message_id = $2 AND state = 'unknown' AND reason LIKE 'sent: %'
   AND (SELECT started_at FROM attempts
         WHERE attempts.studio_id = $1 AND attempts.message_id = $2 AND number = asked AND key = $5 AND body = $6)
       > clock_timestamp() - $7::interval
   AND $8::timestamptz > clock_timestamp()
   AND (SELECT revision FROM studios WHERE studios.studio_id = $1 AND enabled) = $9
   AND ($10::bigint IS NULL
        OR (SELECT version FROM records WHERE records.studio_id = $1 AND records.kind = messages.kind
               AND records.record_id = messages.record_id) = $10)
   AND ($11::bigint IS NULL
        OR (SELECT version FROM records WHERE records.studio_id = $1 AND records.kind = 'client'
               AND records.record_id = messages.client_id) = $11)
   AND {MAY_GO} AND {STANDS}
RETURNING lease_token"""


async def repeat(
    tx: Connection, doubt: Doubt, ready: Ready, *, owner: UUID, lease: timedelta, within: timedelta
) -> int | None:
    """Mark a message whose answer was lost as being submitted again; the token of that, or None where it may not be.

    `ready` is the message decided and written anew, `within` how long after the attempt the provider knows its key.
    """
    case = ready.case
    token: int | None = await tx.fetchval(
        REPEAT,
        doubt.studio,
        doubt.message_id,
        owner,
        lease,
        doubt.key,
        ready.body,
        within,
        ready.until,
        case.studio.revision,
        case.record.version if case.record else None,
        case.client.version if case.client else None,
    )
    return token


# A receipt that came meanwhile has settled it, and stays.
REPEATED = """
UPDATE messages
   SET state = 'unknown', reason = coalesce($5, reason), lease_owner = NULL, lease_until = NULL
 WHERE studio_id = $1 AND message_id = $2 AND state = 'submitting' AND lease_token = $3 AND lease_owner = $4"""


async def repeated(tx: Connection, doubt: Doubt, *, token: int, owner: UUID, reason: str | None = None) -> None:
    """Unknown again, as before the repeat, with what that one was answered where it was; `found` settles it."""
    await tx.execute(REPEATED, doubt.studio, doubt.message_id, token, owner, reason)
