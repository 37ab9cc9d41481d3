"""Texts that a worker heard on its session with a message centre, kept until the engine has read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from control_center.domain.inbound import Inbound
from control_center.store.db import Connection

# What is told when something waits, so that a STOP does not wait for the next look.
CHANNEL = "control_center_heard"


class Words(msgspec.Struct, frozen=True):
    """What waits: a text, or of a longer one a part; `whole` is what its parts have in common, `number` is from 1."""

    text: Inbound
    raw: str
    whole: str | None = None
    number: int = 1
    total: int = 1


@dataclass(frozen=True, slots=True)
class Heard:
    """One text or part that waits, as it was stored."""

    account: str
    known_by: str
    at: datetime
    words: Words


KEEP = """
INSERT INTO arrivals (studio_id, account, known_by, sender, receiver, body, waiting)
VALUES ('', $1, $2, $3, $4, $5, true) ON CONFLICT DO NOTHING"""


async def keep(tx: Connection, account: str, known_by: str, words: Words) -> None:
    """Store a text or a part before the centre is told that we have it; a repeat changes nothing."""
    body = msgspec.json.encode(words).decode().replace("\\u0000", "\\ufffd")
    await tx.execute(KEEP, account, known_by, words.text.sender, words.text.to, body)


WAITING = "SELECT account, known_by, received_at, body FROM arrivals WHERE waiting ORDER BY received_at LIMIT $1"


async def waiting(tx: Connection, *, limit: int) -> list[Heard]:
    """What waits, the oldest first."""
    rows = await tx.fetch(WAITING, limit)
    return [Heard(row[0], row[1], row[2], msgspec.json.decode(row[3], type=Words)) for row in rows]


TAKE = """
DELETE FROM arrivals WHERE studio_id = '' AND account = $1 AND known_by = ANY ($2::text[]) AND waiting
RETURNING known_by"""


async def take(tx: Connection, account: str, known_by: Sequence[str]) -> bool:
    """Take these out, to be brought in by the way of all texts; False where another process did."""
    return len(await tx.fetch(TAKE, account, list(known_by))) == len(known_by)
