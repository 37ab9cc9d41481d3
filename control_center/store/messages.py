"""Messages that wait and are prepared: made, claimed, decided on, put back. Each verb names the state it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from control_center.domain.command import Command
from control_center.domain.message import PRIORITIES, State
from control_center.store.commands import columns as command_columns
from control_center.store.db import Connection

# What db.notify is told where messages may be due, and what the workers listen to.
WORK_CHANNEL = "control_center_work"


@dataclass(frozen=True, slots=True)
class New:
    """A message that release makes."""

    studio: str
    purpose: str
    action_id: int
    channel: str
    address: str
    account: str
    sender: str
    recipient: str
    kind: str
    record_id: str
    client_id: str | None
    trigger_id: int
    trigger_version: int
    use_by: datetime
    question: str | None = None
    asked_date: str | None = None
    enrols: str | None = None


ADD = """
INSERT INTO messages (studio_id, purpose, action_id, channel, address, account, sender, recipient, kind, record_id,
                      client_id, trigger_id, trigger_version, use_by, question, asked_date, enrols, origin, state,
                      due_at)
SELECT made.*, 'trigger', 'queued', clock_timestamp()
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::text[], $10::text[], $11::text[], $12::bigint[], $13::integer[], $14::timestamptz[], $15::text[],
              $16::text[], $17::text[]) AS made
    ON CONFLICT (studio_id, action_id, channel, address) DO UPDATE
   SET state = 'queued', reason = '', due_at = clock_timestamp(), use_by = excluded.use_by, ended_at = NULL,
       purpose = excluded.purpose, question = excluded.question, enrols = excluded.enrols,
       trigger_version = excluded.trigger_version, recipient = excluded.recipient, client_id = excluded.client_id,
       asked_date = excluded.asked_date, account = excluded.account, sender = excluded.sender
 WHERE messages.state = 'cancelled' AND messages.asked = 0
   AND messages.forgotten IS DISTINCT FROM 'perhaps'"""


async def add(tx: Connection, made: Sequence[New]) -> None:
    """Queue new messages. `due_at` is this moment, not the action's: whatever enters the queue enters at its end.

    One that was stopped before it left, of an action that has come back, goes on as the same message.
    """
    await tx.execute(
        ADD,
        [one.studio for one in made],
        [one.purpose for one in made],
        [one.action_id for one in made],
        [one.channel for one in made],
        [one.address for one in made],
        [one.account for one in made],
        [one.sender for one in made],
        [one.recipient for one in made],
        [one.kind for one in made],
        [one.record_id for one in made],
        [one.client_id for one in made],
        [one.trigger_id for one in made],
        [one.trigger_version for one in made],
        [one.use_by for one in made],
        [one.question for one in made],
        [one.asked_date for one in made],
        [one.enrols for one in made],
    )


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this worker prepares, under `token`."""

    studio: str
    message_id: int
    token: int
    due_at: datetime
    claims: int
    priority: int = 1


# Priority by priority, the next one only if those before it left room: each is a bounded scan of its own.
# statement_timestamp() and not clock_timestamp(): the index can be bounded only by what does not change while it is
# read. `due_at >= since` skips the dead entries that claims leave at the head of the index while some old transaction
# keeps them from being cleaned away; what enters the queue enters at its end, so nothing alive is skipped but
# by clocks and slow commits, which the caller's margin and its sweep from the beginning make good.
CLAIM_DUE = """
WITH due AS MATERIALIZED (
     SELECT found.studio_id, found.message_id
       FROM unnest($2::smallint[], $3::timestamptz[]) AS rank (priority, since)
      CROSS JOIN LATERAL (
            SELECT studio_id, message_id FROM messages
             WHERE account = $1 AND messages.priority = rank.priority AND state = 'queued'
               AND due_at <= statement_timestamp() AND due_at >= rank.since
             ORDER BY due_at, message_id LIMIT $4 FOR UPDATE SKIP LOCKED) AS found
      LIMIT $4)
UPDATE messages
   SET state = 'claimed', lease_token = lease_token + 1, lease_owner = $5, claims = claims + 1,
       lease_until = clock_timestamp() + $6, reason = ''
  FROM due
 WHERE messages.studio_id = due.studio_id AND messages.message_id = due.message_id
RETURNING messages.studio_id, messages.message_id, lease_token, due_at, claims, priority"""


async def claim_due(
    tx: Connection,
    account: str,
    owner: UUID,
    *,
    since: datetime | Mapping[int, datetime],
    lease: timedelta,
    limit: int,
) -> list[Claimed]:
    """Take what is due on this account, by priority and then the oldest first, for `lease` on the database's clock.

    `since` is where to begin: one instant, or one for each priority, since each has its own place in the queue.
    """
    begin = since if isinstance(since, Mapping) else dict.fromkeys(PRIORITIES, since)
    ranks = sorted(begin)
    rows = await tx.fetch(CLAIM_DUE, account, ranks, [begin[one] for one in ranks], limit, owner, lease)
    return [Claimed(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Return:
    """A claimed message that is not sent now: it waits again, or ends. Costs no attempt.

    With `version` it ends because of that version of its record: where there is a newer one, it is decided again.
    """

    studio: str
    message_id: int
    token: int
    state: State
    reason: str
    due_at: datetime | None = None
    told: tuple[Command, ...] = ()
    version: int | None = None


# Locked, so that of this and of an event that changes the record one is first, and the other sees what it did: else a
# message could end for what is not so any more, and its action would never come back.
PUT_BACK = """
WITH back AS (
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[],
                          $7::bigint[])
                AS back (studio_id, message_id, token, state, reason, due_at, version)),
still_so AS MATERIALIZED (
     SELECT messages.studio_id, messages.message_id
       FROM back
       JOIN messages ON messages.studio_id = back.studio_id AND messages.message_id = back.message_id
       JOIN records ON records.studio_id = messages.studio_id AND records.kind = messages.kind
        AND records.record_id = messages.record_id AND records.version = back.version
        FOR SHARE OF records),
put_back AS (
     UPDATE messages
        SET state = CASE WHEN holds THEN back.state ELSE 'queued' END,
            reason = CASE WHEN holds THEN back.reason ELSE 'its record changed' END,
            due_at = coalesce(back.due_at, clock_timestamp()), claims = 0, lease_owner = NULL, lease_until = NULL,
            ended_at = CASE WHEN holds AND back.state NOT IN ('queued', 'held') THEN clock_timestamp() END
       FROM (SELECT *, version IS NULL OR EXISTS (
                    SELECT FROM still_so
                     WHERE still_so.studio_id = back.studio_id AND still_so.message_id = back.message_id) AS holds
               FROM back) AS back
      WHERE messages.studio_id = back.studio_id AND messages.message_id = back.message_id
        AND messages.state = 'claimed' AND messages.lease_token = back.token
  RETURNING messages.studio_id, messages.message_id, holds)
INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data)
SELECT report.studio_id, command_id, subject, verb, bucket, data
  FROM unnest($8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::smallint[], $14::text[])
       AS report (message_id, studio_id, command_id, subject, verb, bucket, data)
  JOIN put_back USING (studio_id, message_id)
 WHERE holds
    ON CONFLICT DO NOTHING"""


async def put_back(tx: Connection, returns: Sequence[Return]) -> None:
    """Give claimed messages back, each to wait or to end, with the report of its end."""
    if not returns:
        return
    told = [(one.message_id, command) for one in returns for command in one.told]
    await tx.execute(
        PUT_BACK,
        [one.studio for one in returns],
        [one.message_id for one in returns],
        [one.token for one in returns],
        [one.state.value for one in returns],
        [one.reason for one in returns],
        [one.due_at for one in returns],
        [one.version for one in returns],
        [message_id for message_id, _ in told],
        *command_columns([command for _, command in told]),
    )


# Messages that waited for a calendar or a trigger which has just changed: looked at again now. What waits for another
# try does so for its provider's sake; but one that was tried before may wait for a calendar like any other.
LOOK_AGAIN = """
UPDATE messages SET due_at = clock_timestamp()
 WHERE studio_id = $1 AND state = 'queued' AND due_at > statement_timestamp() AND NOT starts_with(reason, 'retry:')"""


async def look_again(tx: Connection, studio: str) -> None:
    await tx.execute(LOOK_AGAIN, studio)


# Ids first: links in its words name the message.
IDS = "SELECT nextval(pg_get_serial_sequence('messages', 'message_id')) FROM generate_series(1, $1::integer)"


async def ids(tx: Connection, count: int) -> list[int]:
    """Ids for so many messages."""
    return [row[0] for row in await tx.fetch(IDS, count)]
