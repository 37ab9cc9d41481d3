"""Events understood, each once; and bodies that were not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from control_center.domain.event import Event
from control_center.store.db import Connection

REMEMBER = """
INSERT INTO events (studio_id, source, event_id, type, subject, time, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
    ON CONFLICT DO NOTHING
RETURNING studio_id, source, event_id"""


async def remember(tx: Connection, events: Sequence[Event]) -> set[tuple[str, str, str]]:
    """Store those never seen before; returns their keys. The others are copies, and nothing more happens."""
    rows = await tx.fetch(
        REMEMBER,
        [event.studio for event in events],
        [event.source for event in events],
        [event.event_id for event in events],
        [event.type for event in events],
        [event.subject for event in events],
        [event.time for event in events],
        [event.body for event in events],
    )
    return {tuple(row) for row in rows}


UNLIKE = """
SELECT DISTINCT events.studio_id, events.source, events.event_id, events.body
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS copy (studio_id, source, event_id, digest)
  JOIN events ON events.studio_id = copy.studio_id AND events.source = copy.source AND events.event_id = copy.event_id
 WHERE encode(sha256(convert_to(events.body, 'UTF8')), 'hex') <> copy.digest AND events.body <> ''"""


async def unlike(tx: Connection, copies: Sequence[Event]) -> dict[tuple[str, str, str], str]:
    """What is stored under the keys of copies, by key, where any of them is not the same to the letter.

    Of an event that was emptied nobody can say that any more: whatever bears its id is a copy.
    """
    rows = await tx.fetch(
        UNLIKE,
        [event.studio for event in copies],
        [event.source for event in copies],
        [event.event_id for event in copies],
        [sha256(event.body.encode()).hexdigest() for event in copies],
    )
    return {tuple(row[:3]): row[3] for row in rows}


MARK = """
UPDATE events SET verdict = marked.verdict
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS marked (studio_id, source, event_id, verdict)
 WHERE events.studio_id = marked.studio_id AND events.source = marked.source AND events.event_id = marked.event_id"""


async def mark(tx: Connection, verdicts: Sequence[tuple[Event, str]]) -> None:
    """Note which events changed nothing (`superseded`) or only loaded history (`loaded`)."""
    await tx.execute(
        MARK,
        [event.studio for event, _ in verdicts],
        [event.source for event, _ in verdicts],
        [event.event_id for event, _ in verdicts],
        [verdict for _, verdict in verdicts],
    )


EMPTY = """
UPDATE events SET body = ''
  FROM unnest($1::text[], $2::text[], $3::text[]) AS emptied (studio_id, source, event_id)
 WHERE events.studio_id = emptied.studio_id AND events.source = emptied.source AND events.event_id = emptied.event_id"""


async def empty(tx: Connection, events: Sequence[Event]) -> None:
    """Keep nothing of these but that they came: they say again what was erased."""
    keys = [event.key for event in events]
    await tx.execute(EMPTY, *([key[n] for key in keys] for n in range(3)))


@dataclass(frozen=True, slots=True)
class Dead:
    """A body that could not be understood: the field and the reason."""

    body: bytes
    field: str
    reason: str


BURY = """
INSERT INTO dead_events (body, field, reason, by_broker)
SELECT dead.*, $4 FROM unnest($1::bytea[], $2::text[], $3::text[]) AS dead"""


async def bury(tx: Connection, dead: Sequence[Dead], *, by_broker: bool = False) -> None:
    """Keep what could not be understood until somebody mends it, or what the broker had set aside."""
    columns = [one.body for one in dead], [one.field for one in dead], [one.reason for one in dead]
    await tx.execute(BURY, *columns, by_broker)


UNBURIED = """
SELECT dead_id, body, field, reason, received_at FROM dead_events
 WHERE replayed_at IS NULL AND discarded_at IS NULL AND ($1::bigint IS NULL OR dead_id = $1) AND dead_id > $2
 ORDER BY dead_id LIMIT $3"""


@dataclass(frozen=True, slots=True)
class Buried:
    dead_id: int
    body: bytes
    field: str
    reason: str
    received_at: datetime


async def unburied(tx: Connection, *, dead_id: int | None = None, after: int = 0, limit: int = 200) -> list[Buried]:
    """Dead bodies that no replay has mended yet and nobody has discarded, oldest first."""
    return [Buried(*row) for row in await tx.fetch(UNBURIED, dead_id, after, limit)]


RAISE_DEAD = """
UPDATE dead_events SET replayed_at = clock_timestamp()
 WHERE dead_id = $1 AND replayed_at IS NULL AND discarded_at IS NULL"""


async def raise_dead(tx: Connection, dead_id: int) -> None:
    """A replay of this body was understood."""
    await tx.execute(RAISE_DEAD, dead_id)


DISCARD = """
UPDATE dead_events SET discarded_at = clock_timestamp()
 WHERE dead_id = $1 AND replayed_at IS NULL AND discarded_at IS NULL
RETURNING dead_id"""


async def discard(tx: Connection, dead_id: int) -> bool:
    """This body is of no use to anybody; whether it still waited. It is kept, and asked about no more."""
    return await tx.fetchval(DISCARD, dead_id) is not None
