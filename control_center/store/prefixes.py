"""How many neighbouring numbers were texted of late: one row for each prefix, locked while texts to it are let go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from control_center.domain.prefixes import HELD, Prefix, recent
from control_center.store.db import Connection

Key: TypeAlias = tuple[str, str]  # studio, prefix

# In one order, so that two workers cannot wait for each other. The update changes nothing; it locks what is there.
LOCK = """
INSERT INTO prefixes (studio_id, prefix)
SELECT studio_id, prefix FROM unnest($1::text[], $2::text[]) AS wanted (studio_id, prefix)
    ON CONFLICT (studio_id, prefix) DO UPDATE SET prefix = excluded.prefix
RETURNING studio_id, prefix, recent, held_since, reason, free_until"""


async def lock(tx: Connection, wanted: Iterable[Key]) -> dict[Key, Prefix]:
    """These prefixes as they are, nobody else's until the transaction ends."""
    keys = sorted(set(wanted))
    rows = await tx.fetch(LOCK, [one[0] for one in keys], [one[1] for one in keys])
    return {(row[0], row[1]): Prefix(recent(row[2]), row[3], row[4], row[5]) for row in rows}


SAVE = """
UPDATE prefixes
   SET recent = saved.recent, held_since = saved.held_since, reason = saved.reason, free_until = saved.free_until,
       changed_at = clock_timestamp()
  FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::timestamptz[])
       AS saved (studio_id, prefix, recent, held_since, reason, free_until)
 WHERE prefixes.studio_id = saved.studio_id AND prefixes.prefix = saved.prefix"""


async def save(tx: Connection, after: Mapping[Key, Prefix]) -> None:
    """Write prefixes that this transaction has locked."""
    keys = sorted(after)
    await tx.execute(
        SAVE,
        [one[0] for one in keys],
        [one[1] for one in keys],
        [after[one].text for one in keys],
        [after[one].held_since for one in keys],
        [after[one].reason for one in keys],
        [after[one].free_until for one in keys],
    )


_HOLDS = """
       SELECT FROM messages
        WHERE messages.studio_id = prefixes.studio_id AND messages.state = 'held'
          AND starts_with(messages.reason, $1) AND starts_with(messages.address, prefixes.prefix)"""

# One after another, as a guard of a trigger does: what it held has expired, was cancelled or suppressed.
OPEN_EMPTY = f"""
UPDATE prefixes SET held_since = NULL, reason = ''
 WHERE held_since IS NOT NULL AND NOT EXISTS ({_HOLDS})
RETURNING studio_id, prefix"""


async def open_empty(tx: Connection) -> list[Key]:
    """Open those that hold nothing any more: nobody has anything to decide there. What went lately still counts."""
    return [(row[0], row[1]) for row in await tx.fetch(OPEN_EMPTY, HELD)]


# What enters the queue enters at its end.
FREE = """
UPDATE messages SET state = 'queued', due_at = clock_timestamp(), reason = 'let go'
 WHERE studio_id = $1 AND state = 'held' AND starts_with(reason, $3) AND starts_with(address, $2)"""


async def free(tx: Connection, studio: str, prefix: str) -> int:
    """Queue what is held of a prefix; returns how many texts that are."""
    return int((await tx.execute(FREE, studio, prefix, HELD)).split()[1])


@dataclass(frozen=True, slots=True)
class Shut:
    """A prefix that waits for a person, and how many texts wait with it."""

    studio: str
    prefix: str
    since: datetime
    reason: str
    held: int


SHUT = """
SELECT prefixes.studio_id, prefix, held_since, prefixes.reason, held.number
  FROM prefixes CROSS JOIN LATERAL (
       SELECT count(*) AS number FROM messages
        WHERE messages.studio_id = prefixes.studio_id AND messages.state = 'held'
          AND starts_with(messages.reason, $1) AND starts_with(messages.address, prefixes.prefix)) AS held
 WHERE held_since IS NOT NULL AND ($2::text IS NULL OR prefixes.studio_id = $2)
 ORDER BY prefixes.studio_id, prefix LIMIT $3"""


async def shut(tx: Connection, studio: str | None = None, *, limit: int = 1000) -> list[Shut]:
    """What waits for a person because of this, of one studio or of all."""
    return [Shut(*row) for row in await tx.fetch(SHUT, HELD, studio, limit)]


NUMBER_SHUT = "SELECT count(*) FROM prefixes WHERE held_since IS NOT NULL"


async def number_shut(tx: Connection) -> int:
    """How many wait for a person; cheap, whoever asks and however much is held."""
    number: int = await tx.fetchval(NUMBER_SHUT)
    return number


# A prefix that was let go is kept until that is over.
FORGET = """
WITH old AS MATERIALIZED (
     SELECT studio_id, prefix FROM prefixes
      WHERE held_since IS NULL AND changed_at < statement_timestamp() - $1::interval
      ORDER BY changed_at LIMIT $2 FOR UPDATE SKIP LOCKED)
DELETE FROM prefixes USING old
 WHERE prefixes.studio_id = old.studio_id AND prefixes.prefix = old.prefix"""


async def forget(tx: Connection, *, older_than: timedelta, limit: int) -> int:
    """Prefixes to which nothing went for long; returns how many."""
    return int((await tx.execute(FORGET, older_than, limit)).split()[1])
