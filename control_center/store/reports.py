"""What the reports to the CRM say of a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from control_center.domain.telling import About, Enrolment
from control_center.store.db import Connection

ABOUT = """
SELECT messages.studio_id, message_id, messages.reason, channel, address, messages.kind, messages.record_id,
       messages.client_id, messages.action_id, event_id, triggers.name, messages.trigger_version, enrols
  FROM unnest($1::text[], $2::bigint[]) AS wanted (studio_id, message_id)
  JOIN messages USING (studio_id, message_id)
  LEFT JOIN actions ON actions.studio_id = messages.studio_id AND actions.action_id = messages.action_id
  LEFT JOIN triggers ON triggers.studio_id = messages.studio_id AND triggers.trigger_id = messages.trigger_id"""


async def about(tx: Connection, messages: Sequence[tuple[str, int]]) -> dict[tuple[str, int], tuple[About, str]]:
    """These messages, each with its studio, as they are now in this transaction, and the reason each has."""
    rows = await tx.fetch(ABOUT, [studio for studio, _ in messages], [number for _, number in messages])
    return {(row["studio_id"], row["message_id"]): (_about(row), row["reason"]) for row in rows}


def _about(row: Any) -> About:
    return About(
        studio=row["studio_id"],
        message_id=row["message_id"],
        channel=row["channel"],
        address=row["address"],
        kind=row["kind"],
        record_id=row["record_id"],
        client_id=row["client_id"],
        action_id=row["action_id"],
        event_id=row["event_id"],
        trigger=row["name"],
        trigger_version=row["trigger_version"],
        enrols=Enrolment.of(row["enrols"]),
    )
