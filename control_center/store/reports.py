"""What the reports to the CRM say of a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from control_center.store.db import Connection


@dataclass(frozen=True, slots=True)
class About:
    """A message as a report names it; `event_id` is the event that led to it."""

    studio: str
    message_id: int
    channel: str
    address: str
    reason: str
    kind: str
    record_id: str
    action_id: int
    event_id: str | None


ABOUT = """
SELECT messages.studio_id, message_id, channel, address, messages.reason, messages.kind, messages.record_id,
       messages.action_id, event_id
  FROM unnest($1::text[], $2::bigint[]) AS wanted (studio_id, message_id)
  JOIN messages USING (studio_id, message_id)
  LEFT JOIN actions ON actions.studio_id = messages.studio_id AND actions.action_id = messages.action_id"""


async def about(tx: Connection, messages: Sequence[tuple[str, int]]) -> dict[tuple[str, int], About]:
    """These messages, each with its studio, as they are now in this transaction."""
    rows = await tx.fetch(ABOUT, [studio for studio, _ in messages], [number for _, number in messages])
    return {(row[0], row[1]): About(*row) for row in rows}
