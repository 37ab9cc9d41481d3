"""Which studios have to do with a person: whose an answer is, where the number that it came to does not say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from control_center.store.db import Connection
from control_center.store.halves import BOTH

# A number that was given up, or is another studio's by now, still brings the answers to what was sent from it.
WROTE_FROM = """
SELECT studio_id FROM studios
 WHERE EXISTS (SELECT FROM messages
                WHERE messages.studio_id = studios.studio_id AND lower(address) = lower($3) AND channel = 'sms'
                  AND sender = $1 AND account = $2
                  AND state IN ('submitting', 'accepted', 'delivered', 'undelivered', 'unknown'))
 ORDER BY studio_id"""


async def wrote_from(tx: Connection, number: str, account: str, theirs: str) -> list[str]:
    """The studios of which this person has a text from this number by this account, whoever has the number now."""
    return [row[0] for row in await tx.fetch(WROTE_FROM, number, account, theirs)]


# A text on a number that several studios use belongs to the one that wrote to its sender last, within so long. Two
# that wrote in the same instant are a tie, which nobody may guess. What never left was written to nobody.
LAST_STUDIO = """
SELECT studio_id FROM (
       SELECT wanted.studio_id, max(coalesce(messages.sent_at, messages.created_at)) AS at
         FROM unnest($1::text[]) AS wanted (studio_id)
         JOIN messages ON messages.studio_id = wanted.studio_id AND lower(messages.address) = lower($3)
        WHERE messages.channel = 'sms' AND messages.sender = $2 AND messages.created_at > $4
          AND messages.state IN ('submitting', 'accepted', 'delivered', 'undelivered', 'unknown')
        GROUP BY wanted.studio_id) AS last
 ORDER BY at DESC
 FETCH FIRST 1 ROW WITH TIES"""


async def last_studio(tx: Connection, studios: Sequence[str], ours: str, theirs: str, since: datetime) -> str | None:
    """Of several studios on one number, the one that wrote to this person last; None where none did, or it is a tie."""
    rows = await tx.fetch(LAST_STUDIO, list(studios), ours, theirs, since)
    return rows[0][0] if len(rows) == 1 else None


# Whoever ever wrote or is about to write to this person, from whatever number, or has them or their family as a client.
KNOWN_TO = f"""
SELECT studio_id FROM unnest($1::text[]) AS wanted (studio_id)
 WHERE EXISTS (SELECT FROM {BOTH} AS messages
                WHERE messages.studio_id = wanted.studio_id AND lower(address) = lower($2) AND channel = 'sms'
                  AND state <> 'received')
    OR EXISTS (SELECT FROM records
                WHERE records.studio_id = wanted.studio_id AND kind = 'client' AND reach @> ARRAY[$2] AND NOT deleted)
 ORDER BY studio_id"""


async def known_to(tx: Connection, studios: Sequence[str], theirs: str) -> list[str]:
    """Of these studios, those whose client the person with this number may be."""
    return [row[0] for row in await tx.fetch(KNOWN_TO, list(studios), theirs)]
