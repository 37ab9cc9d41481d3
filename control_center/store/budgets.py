"""What is taken of the limits of each sender number: read and written under one lock, so that workers share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from control_center.domain.pacing import Budget
from control_center.store.db import Connection

Key: TypeAlias = tuple[str, str]  # studio, number

# In one order, so that two workers cannot wait for each other. The update changes nothing; it locks what is there.
LOCK = """
INSERT INTO senders (studio_id, number)
SELECT studio_id, number FROM unnest($1::text[], $2::text[]) AS wanted (studio_id, number)
    ON CONFLICT (studio_id, number) DO UPDATE SET number = excluded.number
RETURNING studio_id, number, free_at, day, used"""


async def lock(tx: Connection, wanted: Iterable[Key]) -> dict[Key, Budget]:
    """The budgets of these numbers, nobody else's until the transaction ends."""
    keys = sorted(set(wanted))
    rows = await tx.fetch(LOCK, [one[0] for one in keys], [one[1] for one in keys])
    return {(row[0], row[1]): Budget(*row[2:]) for row in rows}


READ = """
SELECT studio_id, number, free_at, day, used
  FROM unnest($1::text[], $2::text[]) AS wanted (studio_id, number)
 CROSS JOIN LATERAL (
       SELECT free_at, day, used FROM senders
        WHERE senders.studio_id = wanted.studio_id AND senders.number = wanted.number OFFSET 0) AS senders"""


async def read(tx: Connection, wanted: Iterable[Key]) -> dict[Key, Budget]:
    """The budgets of these numbers as they are now; of one that nothing was taken of, none."""
    keys = sorted(set(wanted))
    rows = await tx.fetch(READ, [one[0] for one in keys], [one[1] for one in keys])
    return {(row[0], row[1]): Budget(*row[2:]) for row in rows}


SPEND = """
UPDATE senders SET free_at = taken.free_at, day = taken.day, used = taken.used
  FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::date[], $5::integer[])
       AS taken (studio_id, number, free_at, day, used)
 WHERE senders.studio_id = taken.studio_id AND senders.number = taken.number"""


async def spend(tx: Connection, taken: Mapping[Key, Budget]) -> None:
    """Write what is taken of budgets that this transaction has locked."""
    keys = sorted(taken)
    budgets = [taken[one] for one in keys]
    await tx.execute(
        SPEND,
        [one[0] for one in keys],
        [one[1] for one in keys],
        [one.free_at for one in budgets],
        [one.day for one in budgets],
        [one.used for one in budgets],
    )


@dataclass(frozen=True, slots=True)
class Postponed:
    """A claimed text that its number has no room for before `due_at`; `kept`: then it has."""

    studio: str
    message_id: int
    token: int
    due_at: datetime
    kept: bool
    reason: str


POSTPONE = """
UPDATE messages
   SET state = 'queued', reason = late.reason, due_at = late.due_at, claims = 0, lease_owner = NULL,
       lease_until = NULL, slot_at = CASE WHEN late.kept THEN late.due_at END
  FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::boolean[], $6::text[])
       AS late (studio_id, message_id, token, due_at, kept, reason)
 WHERE messages.studio_id = late.studio_id AND messages.message_id = late.message_id
   AND messages.state = 'claimed' AND messages.lease_token = late.token"""


async def postpone(tx: Connection, late: Sequence[Postponed]) -> None:
    """Give claimed texts back to wait for their numbers. Costs no attempt."""
    await tx.execute(
        POSTPONE,
        [one.studio for one in late],
        [one.message_id for one in late],
        [one.token for one in late],
        [one.due_at for one in late],
        [one.kept for one in late],
        [one.reason for one in late],
    )
