"""Which of a studio's numbers somebody is written to from."""

from __future__ import annotations

from collections.abc import Sequence

from control_center.store.db import Connection
from control_center.store.halves import BOTH

# The number that was used with them last, as far as it still is the studio's; of a studio with one number, nothing.
# The last of its numbers are those of a second account, which alone sends from them.
LAST = f"""
SELECT wanted.studio_id, wanted.address, own.numbers, last.sender
  FROM unnest($1::text[], $2::text[]) AS wanted (studio_id, address)
  JOIN studios ON studios.studio_id = wanted.studio_id AND cardinality(numbers) > 1
  JOIN LATERAL (
       SELECT studios.numbers[
                  1:cardinality(studios.numbers)
                    - coalesce(jsonb_array_length(settings::jsonb #> '{{sms,failover_numbers}}'), 0)] AS numbers
       ) AS own ON cardinality(own.numbers) > 1
  LEFT JOIN LATERAL (
       SELECT sender FROM {BOTH} AS messages
        WHERE messages.studio_id = wanted.studio_id AND lower(messages.address) = lower(wanted.address)
          AND channel = 'sms' AND sender = ANY (own.numbers)
        ORDER BY message_id DESC LIMIT 1) AS last ON true"""


async def last(
    tx: Connection, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], tuple[list[str], str | None]]:
    """By studio and their number: the studio's numbers, and which of them was used last; of several numbers alone."""
    rows = await tx.fetch(LAST, [studio for studio, _ in wanted], [address for _, address in wanted])
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}
