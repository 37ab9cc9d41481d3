"""Whether a text is the first that goes to a number by itself: that one says how to stop."""

from __future__ import annotations

from collections.abc import Collection

from control_center.store.db import Connection

Asked = tuple[str, str, int]  # studio, number, and the message that is not to be counted itself

# What may have arrived. What a person wrote is left as they wrote it, so that it has told nobody how to stop.
HAD = """
SELECT DISTINCT asked.studio_id, asked.number
  FROM unnest($1::text[], $2::text[], $3::bigint[]) AS asked (studio_id, number, message_id)
 WHERE EXISTS (SELECT FROM messages
                WHERE messages.studio_id = asked.studio_id AND lower(messages.address) = lower(asked.number)
                  AND channel = 'sms' AND origin IN ('trigger', 'bulk')
                  AND state IN ('submitting', 'accepted', 'delivered', 'unknown')
                  AND messages.message_id <> asked.message_id)"""


async def had(tx: Connection, asked: Collection[Asked]) -> set[tuple[str, str]]:
    """Those of these numbers that a studio has texted by itself before, with the studio."""
    if not asked:
        return set()
    rows = await tx.fetch(HAD, *([one[n] for one in asked] for n in range(3)))
    return {(row[0], row[1]) for row in rows}
