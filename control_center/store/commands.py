"""The outbox: commands and reports waiting to be published, in order per record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from control_center.domain.command import Command
from control_center.store.db import Connection

ENQUEUE = """
INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::text[])
    ON CONFLICT DO NOTHING"""


async def enqueue(tx: Connection, commands: Sequence[Command]) -> None:
    """Write them in the transaction that causes them; one that is there already stays as it is."""
    if commands:
        await tx.execute(ENQUEUE, *columns(commands))


def columns(commands: Sequence[Command]) -> tuple[list[str], list[str], list[str], list[str], list[int], list[str]]:
    """The columns of ENQUEUE, for statements that write commands along with something else."""
    return (
        [one.studio for one in commands],
        [one.command_id for one in commands],
        [one.subject for one in commands],
        [one.verb for one in commands],
        [one.bucket for one in commands],
        [one.data for one in commands],
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """A command in the outbox."""

    command: Command
    sequence: int
    created_at: datetime
    state: str
    tries: int


_COLUMNS = "studio_id, command_id, subject, verb, data, sequence, created_at, state, tries"

# Bucket by bucket along the index, so that neither what was published nor what nobody listens for is walked. One
# instant for the whole statement: with a clock that runs on between two rows, the later could be due and the earlier
# not. A command that waits holds back the later ones of its record, reports and commands each for themselves, since
# they go to different exchanges. One that nobody listens for does so only while it is young: long enough for a queue
# that is taken down and put up again, short enough not to stop its record for ever.
NEXT = f"""
SELECT waiting.* FROM unnest($1::smallint[]) AS held (bucket)
 CROSS JOIN LATERAL (
       SELECT {_COLUMNS} FROM commands
        WHERE commands.bucket = held.bucket AND state = 'new' AND due_at <= statement_timestamp()
          AND NOT EXISTS (
              SELECT FROM commands AS earlier
               WHERE earlier.studio_id = commands.studio_id AND earlier.subject = commands.subject
                 AND earlier.sequence < commands.sequence AND earlier.state <> 'published' AND earlier.tries > 0
                 AND (earlier.verb LIKE '%.%') = (commands.verb LIKE '%.%')
                 AND CASE earlier.state WHEN 'new' THEN earlier.due_at > statement_timestamp()
                     ELSE earlier.created_at > statement_timestamp() - interval '10 minutes' END)
        ORDER BY sequence LIMIT $2) AS waiting
 ORDER BY sequence LIMIT $3"""


@dataclass(frozen=True, slots=True)
class Batch:
    """What may be published now, in order; `full` where there may be more."""

    commands: Sequence[Stored]
    full: bool


async def next_batch(tx: Connection, buckets: Sequence[int], *, limit: int) -> Batch:
    """The next of these buckets. Of one not many times its share is read, only to be left for the next time."""
    share = 2 * limit // len(buckets) + 1
    found = [_stored(row) for row in await tx.fetch(NEXT, list(buckets), share, limit)]
    most = max(Counter(one.command.bucket for one in found).values(), default=0)
    return Batch(found, full=len(found) == limit or most == share)


PUBLISHED = """
UPDATE commands SET state = 'published', published_at = clock_timestamp(), tries = tries + 1
  FROM unnest($1::text[], $2::text[]) AS done (studio_id, command_id)
 WHERE commands.studio_id = done.studio_id AND commands.command_id = done.command_id AND state <> 'published'"""


async def published(tx: Connection, done: Sequence[Command]) -> None:
    """The broker confirmed them."""
    await tx.execute(PUBLISHED, [one.studio for one in done], [one.command_id for one in done])


POSTPONE = """
UPDATE commands SET state = $3, tries = tries + 1, due_at = clock_timestamp() + failed.wait
  FROM unnest($1::text[], $2::text[], $4::interval[]) AS failed (studio_id, command_id, wait)
 WHERE commands.studio_id = failed.studio_id AND commands.command_id = failed.command_id AND state <> 'published'"""


async def postpone(tx: Connection, failed: Sequence[tuple[Command, timedelta]], *, unroutable: bool) -> None:
    """They were not confirmed, or no queue takes them: tried again after their wait, with the same id."""
    state = "unroutable" if unroutable else "new"
    studios, ids = [one.studio for one, _ in failed], [one.command_id for one, _ in failed]
    await tx.execute(POSTPONE, studios, ids, state, [wait for _, wait in failed])


# Only so many at a time: where nobody ever listens they become many, and must not crowd out the rest. An index can
# be searched for the time of the statement, not for a clock that runs on.
RETRY = """
WITH due AS MATERIALIZED (
     SELECT studio_id, command_id FROM commands
      WHERE state = 'unroutable' AND due_at <= statement_timestamp() AND bucket = ANY ($1::smallint[])
      ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE commands SET state = 'new' FROM due
 WHERE commands.studio_id = due.studio_id AND commands.command_id = due.command_id AND state = 'unroutable'"""


async def retry(tx: Connection, buckets: Sequence[int], *, limit: int) -> int:
    """Put back in line what nobody listened for and whose wait is over; returns how many."""
    return int((await tx.execute(RETRY, list(buckets), limit)).split()[1])


REVIVE = """
WITH woken AS MATERIALIZED (
     SELECT commands.studio_id, command_id
       FROM commands JOIN unnest($1::text[], $2::text[]) AS heard (studio_id, verb) USING (studio_id, verb)
      WHERE state = 'unroutable'
      ORDER BY due_at LIMIT $3 FOR UPDATE OF commands SKIP LOCKED)
UPDATE commands SET state = 'new', due_at = clock_timestamp() FROM woken
 WHERE commands.studio_id = woken.studio_id AND commands.command_id = woken.command_id AND state = 'unroutable'"""


async def revive(tx: Connection, heard: Sequence[tuple[str, str]], *, limit: int) -> int:
    """Somebody listens now for these (studio, verb): the ones that waited for it are due at once."""
    status = await tx.execute(REVIVE, [studio for studio, _ in heard], [verb for _, verb in heard], limit)
    return int(status.split()[1])


# Where nobody ever listens they become millions, and one more tells nobody anything: only the oldest are counted.
UNPUBLISHED = """
SELECT sum(number)::bigint, coalesce(extract(epoch FROM clock_timestamp() - min(since)), 0)::float8
  FROM (SELECT count(*) AS number, min(created_at) AS since FROM commands WHERE state = 'new'
         UNION ALL
        SELECT count(*), min(created_at)
          FROM (SELECT created_at FROM commands WHERE state = 'unroutable' ORDER BY created_at LIMIT $1) AS oldest)
       AS waiting"""


async def unpublished(tx: Connection, *, unheard: int = 10_000) -> tuple[int, float]:
    """How many wait, no more than `unheard` of them for somebody to listen, and the age of the oldest in seconds."""
    row = await tx.fetchrow(UNPUBLISHED, unheard)
    return row[0], row[1]


def _stored(row: Sequence[Any]) -> Stored:
    studio, command_id, subject, verb, data, sequence, created_at, state, tries = row
    command = Command(studio, command_id, subject, verb, data)
    return Stored(command, sequence, created_at, state, tries)
