"""The outbox as a CRM without a broker reads it: shown over HTTP, then acknowledged.

A command's number is given before its transaction commits, so a lower number can appear after a higher one was
read. What was never shown is therefore always part of the next reading, wherever its cursor stands, and only what
was shown can be acknowledged: nothing is skipped, and nothing is acknowledged unread.
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
    """A command in the outbox and its place there."""

    command: Command
    sequence: int
    created_at: datetime
    state: str
    published_at: datetime | None


# `tries` counts how often it was offered to the CRM, over either way.
SHOW = """
WITH next AS MATERIALIZED (
     SELECT studio_id, command_id FROM commands
      WHERE studio_id = $1 AND state <> 'published' AND (sequence > $2 OR tries = 0)
      ORDER BY sequence LIMIT $3 FOR UPDATE),
shown AS (
     UPDATE commands SET tries = tries + 1 FROM next
      WHERE commands.studio_id = next.studio_id AND commands.command_id = next.command_id
  RETURNING commands.*)
SELECT studio_id, command_id, subject, verb, data, sequence, created_at, state, published_at FROM shown
 ORDER BY sequence"""


async def show(tx: Connection, studio: str, cursor: int, *, limit: int) -> list[Shown]:
    """What the CRM has to read after `cursor`, in order, and from now on may acknowledge."""
    return [_shown(row) for row in await tx.fetch(SHOW, studio, cursor, limit)]


ACKNOWLEDGE_SHOWN = """
UPDATE commands SET state = 'published', published_at = clock_timestamp()
 WHERE studio_id = $1 AND sequence <= $2 AND state <> 'published' AND tries > 0"""


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
