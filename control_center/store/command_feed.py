"""The outbox as a CRM without a broker reads it: shown over HTTP, then acknowledged.

A command's number is given before its transaction commits, so a lower number can appear after a higher one was
read. Cursors therefore count places, which are given when a command is read first, after all that were read before it.
So an answer that was lost is had again by the same cursor, and only what was read can be acknowledged: nothing is
skipped, and nothing is acknowledged unread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control_center.domain.command import Command
from control_center.store.db import Connection


@dataclass(frozen=True, slots=True)
class Shown:
    """A command in the outbox. `sequence` is its place where it is read over HTTP."""

    command: Command
    sequence: int
    created_at: datetime
    state: str
    published_at: datetime | None


# `tries` counts how often it was offered to the CRM, over either way. Places come from the same source as the numbers,
# so that a place is never lower than the number of what it is given to.
SHOW = """
WITH next AS MATERIALIZED (
     SELECT studio_id, command_id, place, sequence FROM commands
      WHERE studio_id = $1 AND state <> 'published' AND (place > $2 OR place IS NULL)
      ORDER BY place, sequence LIMIT $3 FOR UPDATE),
placed AS MATERIALIZED (
     SELECT studio_id, command_id,
            coalesce(place, nextval(pg_get_serial_sequence('commands', 'sequence'))) AS place
       FROM (SELECT * FROM next ORDER BY place, sequence) AS ordered),
shown AS (
     UPDATE commands SET tries = tries + 1, place = placed.place FROM placed
      WHERE commands.studio_id = placed.studio_id AND commands.command_id = placed.command_id
  RETURNING commands.*)
SELECT studio_id, command_id, subject, verb, data, place, created_at, state, published_at FROM shown
 ORDER BY place"""


async def show(tx: Connection, studio: str, cursor: int, *, limit: int) -> list[Shown]:
    """What the CRM has to read after `cursor`, in order, and from now on may acknowledge."""
    return [_shown(row) for row in await tx.fetch(SHOW, studio, cursor, limit)]


ACKNOWLEDGE_SHOWN = """
UPDATE commands SET state = 'published', published_at = clock_timestamp()
 WHERE studio_id = $1 AND place <= $2 AND state <> 'published'"""


async def acknowledge(tx: Connection, studio: str, up_to: int) -> int:
    """The CRM has dealt with everything it was shown up to this cursor; returns how many that were."""
    return int((await tx.execute(ACKNOWLEDGE_SHOWN, studio, up_to)).split()[1])


COMMANDS_BY_ID = """
SELECT studio_id, command_id, subject, verb, data, sequence, created_at, state, published_at FROM commands
 WHERE studio_id = $1 AND command_id = ANY ($2::text[])
 ORDER BY sequence"""


async def by_id(tx: Connection, studio: str, command_ids: Sequence[str]) -> list[Shown]:
    """These commands; unknown ones are left out."""
    return [_shown(row) for row in await tx.fetch(COMMANDS_BY_ID, studio, list(command_ids))]


def _shown(row: Any) -> Shown:
    studio, command_id, subject, verb, data, sequence, created_at, state, published_at = row
    return Shown(Command(studio, command_id, subject, verb, data), sequence, created_at, state, published_at)
