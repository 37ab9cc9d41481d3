"""Messages that are written before they are queued: a person's, and the answers to STOP and HELP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from control_center.store.conversations import Pair
from control_center.store.db import Connection


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message whose words are written: one person's, or the answer to a STOP or HELP."""

    origin: str
    purpose: str
    pair: Pair
    account: str
    recipient: str
    body: str
    lasts: timedelta
    subject: str | None = None
    html: str | None = None
    client_id: str | None = None
    record: tuple[str, str] | None = None
    made_by: str | None = None
    message_id: int | None = None  # one of `messages.ids`, where the words name it already
    calendar: bool = False


SEND = """
INSERT INTO messages (studio_id, origin, purpose, channel, address, account, sender, recipient, kind, record_id,
                      client_id, state, due_at, use_by, subject, body, html, made_by, calendar, message_id)
OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'queued', clock_timestamp(), clock_timestamp() + $12, $13, $14,
        $15, $16, $17, coalesce($18, nextval(pg_get_serial_sequence('messages', 'message_id'))))
RETURNING message_id"""


async def send(tx: Connection, one: Outgoing) -> int:
    """Queue a message that is written; returns its id. The caller wakes the workers."""
    kind, record_id = one.record or (None, None)
    message_id: int = await tx.fetchval(
        SEND,
        one.pair.studio,
        one.origin,
        one.purpose,
        one.pair.channel,
        one.pair.theirs,
        one.account,
        one.pair.ours,
        one.recipient,
        kind,
        record_id,
        one.client_id,
        one.lasts,
        one.subject,
        one.body,
        one.html,
        one.made_by,
        one.calendar,
        one.message_id,
    )
    return message_id
