"""What our own emails have come to, and texts that came in: what triggers may hang on as on records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from control_center.store.db import Connection

LISTENING = "SELECT DISTINCT studio_id FROM triggers WHERE studio_id = ANY ($1::text[]) AND kind = $2 AND enabled"


async def listening(tx: Connection, studios: Iterable[str], kind: str) -> set[str]:
    """Those of the studios that have a trigger on records of this kind, `email` or `sms`."""
    return {row[0] for row in await tx.fetch(LISTENING, sorted(set(studios)), kind)}


@dataclass(frozen=True, slots=True)
class Mailed:
    """An email that was sent for a client, and by which trigger."""

    studio: str
    message_id: int
    client_id: str
    subject: str | None
    trigger: str | None
    sent_at: datetime | None


# An email that a trigger on emails made starts nothing: it would answer itself for ever.
OF_MESSAGES = """
SELECT messages.studio_id, message_id, client_id, subject, triggers.name, sent_at
  FROM unnest($1::text[], $2::bigint[]) AS asked (studio_id, number)
  JOIN messages ON messages.studio_id = asked.studio_id AND messages.message_id = asked.number
  LEFT JOIN triggers ON triggers.studio_id = messages.studio_id AND triggers.trigger_id = messages.trigger_id
 WHERE channel = 'email' AND messages.kind IS DISTINCT FROM 'email' AND client_id IS NOT NULL"""


async def of_messages(tx: Connection, asked: Sequence[tuple[str, int]]) -> list[Mailed]:
    """The emails among these messages that belong to a client."""
    rows = await tx.fetch(OF_MESSAGES, [studio for studio, _ in asked], [number for _, number in asked])
    return [Mailed(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Texted:
    """A text that came in; `client_id` is None where nobody knows whose number it is."""

    studio: str
    message_id: int
    client_id: str | None
    text: str


TEXTS = """
SELECT messages.studio_id, message_id, client_id, coalesce(body, '')
  FROM unnest($1::text[], $2::bigint[]) AS asked (studio_id, number)
  JOIN messages ON messages.studio_id = asked.studio_id AND messages.message_id = asked.number
 WHERE channel = 'sms' AND state = 'received'"""


async def texts(tx: Connection, asked: Sequence[tuple[str, int]]) -> list[Texted]:
    """The incoming texts among these messages."""
    rows = await tx.fetch(TEXTS, [studio for studio, _ in asked], [number for _, number in asked])
    return [Texted(*row) for row in rows]
