"""Bulks and their frozen lists: made, reviewed, let go, stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from control_center.domain.bulk import MESSAGE_LASTS, PAUSED, Audience, Entry, State, Turn, parse
from control_center.domain.fence import HELD as FENCED
from control_center.domain.prefixes import HELD as IN_A_ROW
from control_center.domain.second_person import Hands
from control_center.store.db import Connection
from control_center.store.fences import KEPT


@dataclass(frozen=True, slots=True)
class New:
    """A bulk as it is made: its words are those of the template at this moment."""

    studio: str
    name: str
    channel: str
    purpose: str
    audience: Audience
    template: str
    words: dict[str, Any]
    account: str
    sender: str
    start_at: datetime | None
    lasts: timedelta
    made_by: str


ADD = """
INSERT INTO bulks (studio_id, name, state, channel, purpose, audience, template, words, account, sender, start_at,
                   lasts, made_by)
VALUES ($1, $2, 'review', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
RETURNING bulk_id"""


async def add(tx: Connection, new: New) -> int:
    """Keep a bulk, which waits for its review; returns its id."""
    bulk_id: int = await tx.fetchval(
        ADD,
        new.studio,
        new.name,
        new.channel,
        new.purpose,
        msgspec.json.encode(new.audience.said()).decode(),
        new.template,
        msgspec.json.encode(new.words).decode(),
        new.account,
        new.sender,
        new.start_at,
        new.lasts,
        new.made_by,
    )
    return bulk_id


ADD_RECIPIENTS = """
INSERT INTO bulk_recipients (studio_id, bulk_id, recipient_id, state, reason, address, kind, record_id, client_id, name,
                             due_at)
SELECT $1, $2, found.*, 'epoch'
  FROM unnest($3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
    AS found"""


async def add_recipients(tx: Connection, studio: str, bulk_id: int, found: Sequence[tuple[int, Entry]]) -> None:
    """Freeze a part of a list, each with its number; who has a reason against it is barred."""
    await tx.execute(
        ADD_RECIPIENTS,
        studio,
        bulk_id,
        [number for number, _ in found],
        [Turn.BARRED.value if one.reason else Turn.LISTED.value for _, one in found],
        [one.reason for _, one in found],
        [one.address for _, one in found],
        [one.kind for _, one in found],
        [one.record_id for _, one in found],
        [one.client_id for _, one in found],
        [one.name for _, one in found],
    )


@dataclass(frozen=True, slots=True)
class Bulk:
    """A bulk as it is kept, in the order of COLUMNS."""

    studio: str
    bulk_id: int
    name: str
    state: State
    channel: str
    purpose: str
    audience: Audience
    template: str
    words: dict[str, Any]
    account: str
    sender: str
    start_at: datetime | None
    use_by: datetime | None
    lasts: timedelta
    reason: str
    made_by: str
    made_at: datetime
    released_by: str | None
    ended_at: datetime | None
    changed_by: str | None
    asked_by: str | None
    asked_at: datetime | None
    asked_for: datetime | None
    approved_by: str | None
    approved_at: datetime | None

    @property
    def begins(self) -> datetime | None:
        """When it is to begin, where it was said: as it was asked for last. None: once it is let go."""
        return self.start_at if self.asked_by is None else self.asked_for

    @property
    def hands(self) -> Hands:
        return Hands(self.made_by, self.changed_by)


COLUMNS = """studio_id, bulk_id, name, state, channel, purpose, audience, template, words, account, sender, start_at,
       use_by, lasts, reason, made_by, made_at, released_by, ended_at, changed_by, asked_by, asked_at, asked_for,
       approved_by, approved_at"""


def of_row(row: Any) -> Bulk:
    values = dict(zip(Bulk.__slots__, row, strict=True))
    values["state"] = State(values["state"])
    values["audience"] = parse(msgspec.json.decode(values["audience"]))
    values["words"] = msgspec.json.decode(values["words"])
    return Bulk(**values)


LOCK = f"SELECT {COLUMNS} FROM bulks WHERE studio_id = $1 AND bulk_id = $2 FOR UPDATE"


async def lock(tx: Connection, studio: str, bulk_id: int) -> Bulk | None:
    """A bulk that nobody else changes until the transaction ends; None where there is none."""
    row = await tx.fetchrow(LOCK, studio, bulk_id)
    return of_row(row) if row is not None else None


TICK = """
UPDATE bulk_recipients SET state = $4
 WHERE studio_id = $1 AND bulk_id = $2 AND recipient_id = ANY ($3::integer[])
   AND state IN ('listed', 'unticked')
RETURNING recipient_id"""


async def tick(tx: Connection, studio: str, bulk_id: int, recipients: Sequence[int], turn: Turn) -> list[int]:
    """Put people on a list or take them off; returns those that could be."""
    return [row[0] for row in await tx.fetch(TICK, studio, bulk_id, list(recipients), turn.value)]


COUNT_LISTED = "SELECT count(*) FROM bulk_recipients WHERE studio_id = $1 AND bulk_id = $2 AND state = 'listed'"


async def count_listed(tx: Connection, studio: str, bulk_id: int) -> int:
    """How many are still to get it."""
    count: int = await tx.fetchval(COUNT_LISTED, studio, bulk_id)
    return count


LET_GO = """
UPDATE bulks
   SET state = $3, start_at = $4, next_at = $4, use_by = $4::timestamptz + lasts, released_by = $5, reason = ''
 WHERE studio_id = $1 AND bulk_id = $2"""


async def let_go(tx: Connection, bulk: Bulk, state: State, at: datetime, *, by: str) -> None:
    """Say that a bulk begins at this instant, which the pump sees to."""
    await tx.execute(LET_GO, bulk.studio, bulk.bulk_id, state.value, at, by)


STOP = """
UPDATE bulks
   SET state = $3, next_at = NULL, reason = $4, ended_at = CASE WHEN $3 = 'cancelled' THEN clock_timestamp() END
 WHERE studio_id = $1 AND bulk_id = $2"""
# Also what waits for a breaker, a plan or a doubt: it would go once that is over. It is decided again when it goes on.
# Meanwhile it is of use for as long as its bulk: a pause of some days must not cost anybody their message. What the
# fence holds stays the fence's: whoever resumes the bulk has not said that it never went. And numbers in a row wait on
# for somebody who says whose they are.
HOLD = f"""
UPDATE messages
   SET state = 'held', use_by = coalesce($3, use_by), lease_owner = NULL, lease_until = NULL,
       reason = CASE WHEN state = 'held' AND starts_with(reason, '{IN_A_ROW}') THEN reason ELSE '{PAUSED}' END
 WHERE studio_id = $1 AND bulk_id = $2 AND origin = 'bulk' AND state IN ('queued', 'claimed', 'held')
   AND NOT (state = 'held' AND starts_with(reason, '{FENCED}'))"""


async def pause(tx: Connection, bulk: Bulk, *, reason: str) -> None:
    """Stop a bulk, with what of it has not left yet."""
    await tx.execute(STOP, bulk.studio, bulk.bulk_id, State.PAUSED.value, reason)
    await tx.execute(HOLD, bulk.studio, bulk.bulk_id, bulk.use_by)


GO_ON = """
UPDATE bulks
   SET state = CASE WHEN start_at > $3::timestamptz THEN 'scheduled' ELSE 'running' END,
       next_at = greatest(start_at, $3), reason = ''
 WHERE studio_id = $1 AND bulk_id = $2"""
FREE = f"""
UPDATE messages
   SET state = 'queued', reason = '', due_at = clock_timestamp(), use_by = least(clock_timestamp() + $3, use_by)
 WHERE studio_id = $1 AND bulk_id = $2 AND origin = 'bulk' AND state = 'held'
   AND starts_with(reason, '{PAUSED}')"""


async def resume(tx: Connection, bulk: Bulk, now: datetime) -> None:
    """Let a paused bulk go on, with what it held."""
    await tx.execute(GO_ON, bulk.studio, bulk.bulk_id, now)
    await tx.execute(FREE, bulk.studio, bulk.bulk_id, MESSAGE_LASTS)


DROP_LISTED = """
UPDATE bulk_recipients SET state = $3, reason = $4 WHERE studio_id = $1 AND bulk_id = $2 AND state = 'listed'"""
RECALL = f"""
UPDATE messages
   SET state = 'cancelled', reason = $3 || {KEPT}, lease_owner = NULL, lease_until = NULL,
       ended_at = clock_timestamp()
 WHERE studio_id = $1 AND bulk_id = $2 AND origin = 'bulk' AND state IN ('queued', 'claimed', 'held')"""


async def cancel(tx: Connection, bulk: Bulk, *, reason: str) -> None:
    """End a bulk, with what of it has not left yet."""
    await tx.execute(STOP, bulk.studio, bulk.bulk_id, State.CANCELLED.value, reason)
    await tx.execute(DROP_LISTED, bulk.studio, bulk.bulk_id, Turn.CANCELLED.value, reason)
    await tx.execute(RECALL, bulk.studio, bulk.bulk_id, reason)
