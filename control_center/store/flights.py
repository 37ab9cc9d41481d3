"""What a worker that is dead, by proof, has left: what never left goes back, what it prepared does so at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from control_center.store.db import Connection
from control_center.store.fences import STANDS

# Which database this is, and last which of its lives: it begins another one when a standby takes over or a backup is
# restored up to some time. What was written about rows in an earlier life may be of rows that were never so.
HISTORY = """
SELECT system_identifier || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/'
       || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) FROM pg_control_system()"""


async def history(tx: Connection) -> str:
    """The database and its life; empty where it does not let us know."""
    try:
        said: str = await tx.fetchval(HISTORY)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError):
        return ""
    return said


# Submitting, the dead worker's, and not noted under this token: no byte of it has left. All of this in one statement,
# and only while the lease lasts: what others have settled since, or have begun to settle, is theirs. An attempt from
# before the time that the file tells everything about is left alone. What was lost too often goes on to be unknown.
NEVER_LEFT = f"""
WITH back AS (
     UPDATE messages
        SET state = 'queued', due_at = clock_timestamp(), lease_owner = NULL, lease_until = NULL,
            reason = 'its worker was killed before it left'
      WHERE lease_owner = $1 AND state = 'submitting' AND claims < $6
        AND lease_until IS NOT NULL AND lease_until > clock_timestamp()
        AND NOT EXISTS (SELECT FROM unnest($2::bigint[], $3::bigint[]) AS noted (message_id, token)
                         WHERE noted.message_id = messages.message_id AND noted.token = messages.lease_token)
        AND (SELECT started_at FROM attempts
              WHERE attempts.studio_id = messages.studio_id AND attempts.message_id = messages.message_id
                AND number = asked AND outcome IS NULL) > clock_timestamp() - $4::interval
        AND ({HISTORY.strip()}) = $5 AND {STANDS}
  RETURNING studio_id, message_id, asked, kind, record_id, action_id),
facts AS (
     UPDATE attempts
        SET ended_at = clock_timestamp(), outcome = 'not_sent', reason = 'its worker was killed before it left'
       FROM back
      WHERE attempts.studio_id = back.studio_id AND attempts.message_id = back.message_id
        AND number = back.asked AND outcome IS NULL)
SELECT studio_id, message_id, asked, kind, record_id, action_id FROM back"""


@dataclass(frozen=True, slots=True)
class Back:
    studio: str
    message_id: int
    attempt: int
    kind: str | None
    record_id: str | None
    action_id: int | None


async def never_left(
    tx: Connection,
    owner: UUID,
    noted: Sequence[tuple[int, int]],
    *,
    complete_for: timedelta,
    history: str,
    poison: int,
) -> list[Back]:
    """Queue again what a dead worker marked and never sent; `noted` are the messages and tokens of its recorder."""
    ids, tokens = [message for message, _ in noted], [token for _, token in noted]
    rows = await tx.fetch(NEVER_LEFT, owner, ids, tokens, complete_for, history, poison)
    return [Back(*row) for row in rows]


# The lease of a dead worker protects nobody: what it had claimed is settled as if the lease had run out. What it may
# have sent keeps its lease, so that receipts have that long to settle it. A mark that the server still carries out for
# the dead is waited for here, since it holds what was claimed; only then is known what was marked and never left.
RUN_OUT = """
UPDATE messages SET lease_until = clock_timestamp()
 WHERE lease_owner = $1 AND state = 'claimed' AND lease_until IS NOT NULL AND lease_until > clock_timestamp()"""


async def run_out(tx: Connection, owner: UUID) -> None:
    """End the leases of what a dead worker had claimed; before `never_left` in its transaction."""
    await tx.execute(RUN_OUT, owner)


LEFT = "SELECT EXISTS (SELECT FROM messages WHERE lease_owner = $1 AND lease_until IS NOT NULL)"


async def anything_left(tx: Connection, owner: UUID) -> bool:
    """Whether a dead worker's name is still on a message."""
    left: bool = await tx.fetchval(LEFT, owner)
    return left
