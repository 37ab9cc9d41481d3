"""What triggers in shadow mode would have sent: messages that are written down and never queued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from control_center.store import messages
from control_center.store.db import Connection


@dataclass(frozen=True, slots=True)
class New:
    """A message that is only recorded: its words, or the reason why they could not be written."""

    message: messages.New
    subject: str | None
    body: str | None
    reason: str


# Neither question nor enrolment: nobody was asked anything, so that no reply may be taken for the answer.
ADD = """
INSERT INTO messages (studio_id, purpose, action_id, channel, address, account, sender, recipient, kind, record_id,
                      client_id, trigger_id, trigger_version, use_by, subject, body, reason, origin, state, due_at,
                      ended_at)
SELECT made.*, 'trigger', 'shadow', clock_timestamp(), clock_timestamp()
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::text[], $10::text[], $11::text[], $12::bigint[], $13::integer[], $14::timestamptz[], $15::text[],
              $16::text[], $17::text[]) AS made
    ON CONFLICT (studio_id, action_id, channel, address) DO NOTHING"""


async def add(tx: Connection, made: Sequence[New]) -> None:
    """Write down what would have been sent; no worker ever looks at it."""
    plain = [one.message for one in made]
    await tx.execute(
        ADD,
        [one.studio for one in plain],
        [one.purpose for one in plain],
        [one.action_id for one in plain],
        [one.channel for one in plain],
        [one.address for one in plain],
        [one.account for one in plain],
        [one.sender for one in plain],
        [one.recipient for one in plain],
        [one.kind for one in plain],
        [one.record_id for one in plain],
        [one.client_id for one in plain],
        [one.trigger_id for one in plain],
        [one.trigger_version for one in plain],
        [one.use_by for one in plain],
        [one.subject for one in made],
        [one.body for one in made],
        [one.reason for one in made],
    )
