"""The statements of the pump: whose turn it is, how much a number has before it, and the messages of those taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control_center.domain.bulk import Entry, State, Turn
from control_center.domain.people import Recipient
from control_center.domain.words import Words
from control_center.store.bulks import COLUMNS, Bulk, of_row
from control_center.store.db import Connection

CLAIM_DUE = f"""
SELECT {COLUMNS} FROM bulks
 WHERE next_at <= $1 AND studio_id <> ALL ($2::text[])
 ORDER BY next_at, studio_id, bulk_id LIMIT 1 FOR UPDATE SKIP LOCKED"""


async def claim_due(tx: Connection, now: datetime, *, without: Sequence[str]) -> Bulk | None:
    """The bulk whose turn it is, locked: nobody pauses or cancels it while some of it is released."""
    row = await tx.fetchrow(CLAIM_DUE, now, list(without))
    return of_row(row) if row is not None else None


NEXT_DUE = "SELECT next_at FROM bulks WHERE next_at IS NOT NULL ORDER BY next_at LIMIT 1"


async def next_due(tx: Connection) -> datetime | None:
    """When the next bulk has its turn."""
    found: datetime | None = await tx.fetchval(NEXT_DUE)
    return found


# What waits for tomorrow, for a person or for a doubt is before nothing; what waits for a breaker, a plan or money is.
WAITING = """
SELECT sender, count(*) FROM messages
 WHERE studio_id = $1 AND channel = $2 AND origin = 'bulk' AND state IN ('queued', 'claimed', 'held')
   AND (state = 'claimed' OR state = 'queued' AND due_at <= clock_timestamp() + $3
        OR starts_with(reason, 'breaker:') OR starts_with(reason, 'plan:')
        OR starts_with(reason, 'money:'))
 GROUP BY sender"""


async def waiting(tx: Connection, studio: str, channel: str, *, within: timedelta) -> dict[str, int]:
    """How many messages of bulk are released and about to leave, by the number or address of ours."""
    return {row[0]: row[1] for row in await tx.fetch(WAITING, studio, channel, within)}


# What is being submitted may be refused, and wait again.
UNDER_WAY = """
SELECT count(*) FROM messages
 WHERE studio_id = $1 AND bulk_id = $2 AND origin = 'bulk' AND state IN ('queued', 'claimed', 'held', 'submitting')"""


async def under_way(tx: Connection, bulk: Bulk) -> int:
    """How many messages of a bulk are released and have not left, as far as anybody knows, for whatever reason."""
    count: int = await tx.fetchval(UNDER_WAY, bulk.studio, bulk.bulk_id)
    return count


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody on the list whose turn it is."""

    recipient_id: int
    entry: Entry


TAKE = """
SELECT recipient_id, kind, record_id, client_id, address FROM bulk_recipients
 WHERE studio_id = $1 AND bulk_id = $2 AND state = 'listed' AND due_at <= $3
 ORDER BY due_at, recipient_id LIMIT $4"""


async def take(tx: Connection, bulk: Bulk, now: datetime, *, limit: int) -> list[Taken]:
    """Who is next on the list of a locked bulk."""
    rows = await tx.fetch(TAKE, bulk.studio, bulk.bulk_id, now, limit)
    return [Taken(row[0], Entry(row[1], row[2], row[3], Recipient("client"), row[4])) for row in rows]


AHEAD = f"""
SELECT {COLUMNS}, next_at FROM bulks
 WHERE studio_id = $1 AND next_at <= $2 ORDER BY next_at, bulk_id"""


async def ahead(tx: Connection, studio: str, until: datetime) -> list[tuple[Bulk, datetime]]:
    """The bulks of a studio that are scheduled or running, with the next turn of each, as far as that is by then."""
    return [(of_row(row[:-1]), row[-1]) for row in await tx.fetch(AHEAD, studio, until)]


LISTED = """
SELECT recipient_id, kind, record_id, client_id, address, due_at FROM bulk_recipients
 WHERE studio_id = $1 AND bulk_id = $2 AND state = 'listed' AND (due_at, recipient_id) > ($3, $4)
 ORDER BY due_at, recipient_id LIMIT $5"""


async def listed(
    tx: Connection, bulk: Bulk, *, after: tuple[datetime, int], limit: int
) -> list[tuple[datetime, Taken]]:
    """A page of those who are still to get a bulk, each with the time before which they do not; nothing is locked."""
    rows = await tx.fetch(LISTED, bulk.studio, bulk.bulk_id, *after, limit)
    return [(row[5], Taken(row[0], Entry(row[1], row[2], row[3], Recipient("client"), row[4]))) for row in rows]


FIRST_DUE = """
SELECT due_at FROM bulk_recipients
 WHERE studio_id = $1 AND bulk_id = $2 AND state = 'listed' ORDER BY due_at, recipient_id LIMIT 1"""


async def first_due(tx: Connection, bulk: Bulk) -> datetime | None:
    """When the next on the list has their turn; None where nobody is left."""
    found: datetime | None = await tx.fetchval(FIRST_DUE, bulk.studio, bulk.bulk_id)
    return found


@dataclass(frozen=True, slots=True)
class Written:
    """The message of somebody whose turn it was."""

    message_id: int
    taken: Taken
    sender: str
    recipient: str
    words: Words
    calendar: bool


RELEASE = """
WITH made AS (
     INSERT INTO messages (studio_id, message_id, origin, purpose, channel, address, account, sender, recipient, kind,
                           record_id, client_id, bulk_id, state, due_at, use_by, subject, body, html, made_by,
                           calendar)
     OVERRIDING SYSTEM VALUE
     SELECT $1, message_id, 'bulk', $3, $4, address, $5, sender, recipient, kind, record_id, client_id, $2, 'queued',
            clock_timestamp(), least(clock_timestamp() + $7, $8), subject, body, html, $9,
            calendar
       FROM unnest($6::text[], $10::bigint[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
                   $17::text[], $18::text[], $19::text[], $20::boolean[])
            AS written (sender, message_id, address, recipient, kind, record_id, client_id, subject, body, html,
                        calendar))
UPDATE bulk_recipients SET state = 'released', message_id = written.message_id
  FROM unnest($10::bigint[], $11::integer[]) AS written (message_id, recipient_id)
 WHERE studio_id = $1 AND bulk_id = $2 AND bulk_recipients.recipient_id = written.recipient_id"""


async def release(tx: Connection, bulk: Bulk, written: Sequence[Written], *, lasts: timedelta) -> None:
    """Queue the messages of these, and say so on the list. The caller wakes the workers."""
    entries = [one.taken.entry for one in written]
    await tx.execute(
        RELEASE,
        bulk.studio,
        bulk.bulk_id,
        bulk.purpose,
        bulk.channel,
        bulk.account,
        [one.sender for one in written],
        lasts,
        bulk.use_by,
        bulk.made_by,
        [one.message_id for one in written],
        [one.taken.recipient_id for one in written],
        [one.address for one in entries],
        [one.recipient for one in written],
        [one.kind for one in entries],
        [one.record_id for one in entries],
        [one.client_id for one in entries],
        [one.words.subject for one in written],
        [one.words.text for one in written],
        [one.words.html for one in written],
        [one.calendar for one in written],
    )


@dataclass(frozen=True, slots=True)
class Passed:
    """Somebody whose turn came to nothing, or comes later."""

    recipient_id: int
    turn: Turn
    reason: str
    due_at: datetime | None = None


NOTE_PASSED = """
UPDATE bulk_recipients
   SET state = passed.state, reason = passed.reason, due_at = coalesce(passed.due_at, bulk_recipients.due_at)
  FROM unnest($3::integer[], $4::text[], $5::text[], $6::timestamptz[]) AS passed (recipient_id, state, reason, due_at)
 WHERE studio_id = $1 AND bulk_id = $2 AND bulk_recipients.recipient_id = passed.recipient_id"""


async def pass_over(tx: Connection, bulk: Bulk, passed: Sequence[Passed]) -> None:
    """Write down for these why they get nothing, or nothing yet."""
    await tx.execute(
        NOTE_PASSED,
        bulk.studio,
        bulk.bulk_id,
        [one.recipient_id for one in passed],
        [one.turn.value for one in passed],
        [one.reason for one in passed],
        [one.due_at for one in passed],
    )


LOOK = """
UPDATE bulks
   SET state = $3, next_at = $4, reason = $5, ended_at = CASE WHEN $4::timestamptz IS NULL THEN clock_timestamp() END
 WHERE studio_id = $1 AND bulk_id = $2"""


async def look(tx: Connection, bulk: Bulk, state: State, next_at: datetime | None, reason: str = "") -> None:
    """Say when a locked bulk has its next turn, and what it waits for; None: it is done."""
    await tx.execute(LOOK, bulk.studio, bulk.bulk_id, state.value, next_at, reason)
