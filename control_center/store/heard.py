"""What workers heard and the engine has yet to read: texts on a message centre's session, and what relays refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import msgspec

from control_center.domain.inbound import Inbound
from control_center.store.db import Connection, notify

# What is told when something waits, so that a STOP does not wait for the next look.
CHANNEL = "control_center_heard"


class Words(msgspec.Struct, frozen=True, tag="text"):
    """What waits: a text, or of a longer one a part; `whole` is what its parts have in common, `number` is from 1."""

    text: Inbound
    raw: str
    whole: str | None = None
    number: int = 1
    total: int = 1


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """A mail that a relay did not take in the end, or a text to a number that said STOP at the provider.

    `key` is of the last attempt, the rest what was said at it. `dead`: the number said nothing, and takes no texts.
    """

    key: str
    code: str
    reason: str
    dead: bool = False


Said: TypeAlias = Words | Refusal


@dataclass(frozen=True, slots=True)
class Heard:
    """One text, part or refusal that waits, as it was stored."""

    account: str
    known_by: str
    at: datetime
    said: Said


KEEP = """
INSERT INTO arrivals (studio_id, account, known_by, sender, receiver, body, waiting)
VALUES ('', $1, $2, $3, $4, $5, true) ON CONFLICT DO NOTHING"""


async def keep(tx: Connection, account: str, known_by: str, words: Words) -> None:
    """Store a text or a part before the centre is told that we have it; a repeat changes nothing."""
    await tx.execute(KEEP, account, known_by, words.text.sender, words.text.to, _body(words))


async def keep_refusals(tx: Connection, account: str, refused: Sequence[tuple[str, Refusal]]) -> None:
    """Store what was refused because of its address, each with the address; to do it twice changes nothing."""
    await tx.executemany(KEEP, [(account, f"refused {one.key}", "", to, _body(one)) for to, one in refused])
    await notify(tx, CHANNEL)


def _body(said: Said) -> str:
    return msgspec.json.encode(said).decode().replace("\\u0000", "\\ufffd")


# By the part itself, brought again, or by another part of its text that still waits.
BEGUN = """
SELECT EXISTS (SELECT FROM arrivals WHERE studio_id = '' AND account = $1 AND known_by = $2)
    OR EXISTS (SELECT FROM arrivals WHERE waiting AND account = $1 AND starts_with(known_by, $3))"""


async def begun(tx: Connection, account: str, known_by: str, whole: str) -> bool:
    """Whether a text has been begun of which this is a part, by what the part would be known by in it."""
    found: bool = await tx.fetchval(BEGUN, account, known_by, f"{whole} ")
    return found


WAITING = "SELECT account, known_by, received_at, body FROM arrivals WHERE waiting ORDER BY received_at LIMIT $1"


async def waiting(tx: Connection, *, limit: int) -> list[Heard]:
    """What waits, the oldest first."""
    rows = await tx.fetch(WAITING, limit)
    return [Heard(row[0], row[1], row[2], msgspec.json.decode(row[3], type=Said)) for row in rows]


TAKE = """
DELETE FROM arrivals WHERE studio_id = '' AND account = $1 AND known_by = ANY ($2::text[]) AND waiting
RETURNING known_by"""


# What stays is what a part is known by, should it be brought again; its words are with those of the whole.
TAKE_PARTS = """
UPDATE arrivals SET waiting = false, body = ''
 WHERE studio_id = '' AND account = $1 AND known_by = ANY ($2::text[]) AND waiting
RETURNING known_by"""


async def take(tx: Connection, account: str, known_by: Sequence[str], *, parts: bool = False) -> bool:
    """Take these out, to be brought in by the way of all texts; False where another process did."""
    return len(await tx.fetch(TAKE_PARTS if parts else TAKE, account, list(known_by))) == len(known_by)
