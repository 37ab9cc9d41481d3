"""What became of one message: every time a provider was asked, and what came back."""

from __future__ import annotations

from datetime import datetime

import msgspec

from control_center.store.db import Connection


class Attempt(msgspec.Struct, frozen=True):
    """One time a provider was asked, and what it answered. `key` is our reference there, `carries` names the messages
    whose words stood in it, too.
    """

    number: int
    key: str
    subject: str | None
    text: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    code: str | None
    reason: str | None
    provider_id: str | None
    carries: list[str]


ATTEMPTS_OF_MESSAGE = """
SELECT number, key, subject, body, started_at, ended_at, outcome, code, reason, provider_id,
       coalesce((SELECT array_agg('m-' || one ORDER BY one) FROM unnest(carries) AS one), '{}') FROM attempts
 WHERE studio_id = $1 AND message_id = $2 ORDER BY number"""


async def attempts(tx: Connection, studio: str, message_id: int) -> list[Attempt]:
    """Every time a provider was asked to take this message, oldest first."""
    return [Attempt(*row) for row in await tx.fetch(ATTEMPTS_OF_MESSAGE, studio, message_id)]


class Receipt(msgspec.Struct, frozen=True):
    """What a provider said about a message afterwards."""

    fate: str
    key: str | None
    provider_id: str | None
    code: str | None
    reason: str | None
    received_at: datetime


RECEIPTS_OF_MESSAGE = """
SELECT fate, key, provider_id, code, reason, received_at FROM receipts
 WHERE studio_id = $1 AND message_id = $2 ORDER BY receipt_id"""


async def receipts(tx: Connection, studio: str, message_id: int) -> list[Receipt]:
    """What came back about this message, in the order it came."""
    return [Receipt(*row) for row in await tx.fetch(RECEIPTS_OF_MESSAGE, studio, message_id)]
