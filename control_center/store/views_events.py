"""Events as people and the API see them, and the bodies that could not be understood."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from control_center.store.db import Connection
from control_center.store.pages import Page, after, page


class Event(msgspec.Struct, frozen=True):
    """One event as it came. `verdict`: taken, superseded (changed nothing) or loaded (a snapshot)."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    received_at: datetime
    verdict: str


_COLUMNS = "event_id, source, type, subject, time, received_at, verdict"

EVENTS = f"""
SELECT {_COLUMNS} FROM events
 WHERE studio_id = $1
   AND ($2::text IS NULL OR subject = $2)
   AND ($3::timestamptz IS NULL OR (received_at, source, event_id) < ($3, $4::text, $5::text))
 ORDER BY received_at DESC, source DESC, event_id DESC
 LIMIT $6"""


async def events(
    tx: Connection, studio: str, *, subject: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[Event]:
    """A page of a studio's events, newest first. Raises Malformed for a cursor that is none."""
    last = after(cursor, tuple[datetime, str, str]) or (None, None, None)
    rows = await tx.fetch(EVENTS, studio, subject, *last, limit + 1)
    return page([Event(*row) for row in rows], limit, lambda one: [one.received_at, one.source, one.id])


# An id is unique within its source only, and the key begins with the source: so the few sources a studio has are
# found first, each by one look into the index, instead of reading every event of the studio.
EVENTS_BY_ID = f"""
WITH RECURSIVE sources AS (
     SELECT min(source) AS source FROM events WHERE studio_id = $1
      UNION ALL
     SELECT (SELECT min(source) FROM events WHERE studio_id = $1 AND source > sources.source)
       FROM sources WHERE sources.source IS NOT NULL)
SELECT {_COLUMNS}, body FROM events
 WHERE studio_id = $1 AND event_id = $2 AND ($3::text IS NULL OR source = $3)
   AND source = ANY (ARRAY(SELECT source FROM sources WHERE source IS NOT NULL))
 ORDER BY received_at"""


async def by_id(tx: Connection, studio: str, event_id: str, *, source: str | None = None) -> list[tuple[Event, str]]:
    """The events with this id, from one source or any, each with its body."""
    rows = await tx.fetch(EVENTS_BY_ID, studio, event_id, source)
    return [(Event(*row[:-1]), row[-1]) for row in rows]


class DeadEvent(msgspec.Struct, frozen=True):
    """A body that could not be understood. `body` is what came, as far as it is text."""

    id: int
    field: str
    reason: str
    received_at: datetime
    replayed_at: datetime | None
    body: str
    discarded_at: datetime | None = None


DEAD_EVENTS = """
SELECT dead_id, field, reason, received_at, replayed_at, discarded_at, body FROM dead_events
 WHERE ($1::bigint IS NULL OR dead_id < $1) AND ($2 OR replayed_at IS NULL AND discarded_at IS NULL)
 ORDER BY dead_id DESC
 LIMIT $3"""


async def dead(
    tx: Connection, *, replayed: bool = False, cursor: str | None = None, limit: int = 50
) -> Page[DeadEvent]:
    """A page of what was set aside, newest first; with `replayed` also what was replayed or discarded since."""
    before = after(cursor, tuple[int])
    rows = await tx.fetch(DEAD_EVENTS, before and before[0], replayed, limit + 1)
    return page([_dead(row) for row in rows], limit, lambda one: [one.id])


# Only what was set aside last is searched: the bodies have no index, and old ones are rarely asked about.
DEAD_MENTIONING = """
SELECT dead_id, field, reason, received_at, replayed_at, discarded_at, body
  FROM (SELECT * FROM dead_events ORDER BY dead_id DESC LIMIT 1000) AS latest
 WHERE position($1::bytea IN body) > 0 AND position($2::bytea IN body) > 0
 ORDER BY dead_id DESC
 LIMIT 20"""


class _Claim(msgspec.Struct):
    studio: Any = None


async def dead_mentioning(tx: Connection, text: str, *, studio: str | None = None) -> list[DeadEvent]:
    """The newest three bodies set aside that contain this text between quotes; with `studio` of those that name it.

    Nobody knows whose a body is that cannot even be read so far: with `studio`, it is nobody's.
    """
    named = b"" if studio is None else msgspec.json.encode(studio)
    rows = await tx.fetch(DEAD_MENTIONING, msgspec.json.encode(text), named)
    return [_dead(row) for row in rows if studio is None or _studio_of(row[-1]) == studio][:3]


def _studio_of(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body, type=_Claim).studio
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _dead(row: Sequence[Any]) -> DeadEvent:
    dead_id, field, reason, received_at, replayed_at, discarded_at, body = row
    text = body.decode("utf-8", "replace")
    return DeadEvent(dead_id, field, reason, received_at, replayed_at, text, discarded_at)
