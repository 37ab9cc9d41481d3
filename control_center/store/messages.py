"""Messages that wait and are prepared: made, claimed, decided on, put back. Each verb names the state it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from control_center.domain.command import Command
from control_center.domain.message import State
from control_center.domain.record import Facts, Picture
from control_center.domain.studio import Studio
from control_center.domain.telling import About, Enrolment
from control_center.store.commands import columns as command_columns
from control_center.store.db import Connection
from control_center.store.studios import get as get_studios

# What db.notify is told where messages may be due, and what the workers listen to.
WORK_CHANNEL = "control_center_work"


@dataclass(frozen=True, slots=True)
class New:
    """A message that release makes."""

    studio: str
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
    enrols: str | None = None


ADD = """
INSERT INTO messages (studio_id, action_id, channel, address, account, sender, recipient, kind, record_id,
                      client_id, trigger_id, trigger_version, use_by, question, enrols, state, due_at)
SELECT made.*, 'queued', clock_timestamp()
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::text[], $10::text[], $11::bigint[], $12::integer[], $13::timestamptz[], $14::text[],
              $15::text[]) AS made
    ON CONFLICT (studio_id, action_id, channel, address) DO NOTHING"""


async def add(tx: Connection, made: Sequence[New]) -> None:
    """Queue new messages. `due_at` is this moment, not the action's: whatever enters the queue enters at its end."""
    await tx.execute(
        ADD,
        [one.studio for one in made],
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


# statement_timestamp() and not clock_timestamp(): the index can be bounded only by what does not change while it is
# read. `due_at >= $2` skips the dead entries that claims leave at the head of the index while some old transaction
# keeps them from being cleaned away; what enters the queue enters at its end, so nothing alive is skipped but
# by clocks and slow commits, which the caller's margin and its sweep from the beginning make good.
CLAIM_DUE = """
WITH due AS MATERIALIZED (
     SELECT studio_id, message_id FROM messages
      WHERE account = $1 AND state = 'queued' AND due_at <= statement_timestamp() AND due_at >= $2
      ORDER BY due_at, message_id LIMIT $3 FOR UPDATE SKIP LOCKED)
UPDATE messages
   SET state = 'claimed', lease_token = lease_token + 1, lease_owner = $4, claims = claims + 1,
       lease_until = clock_timestamp() + $5, reason = ''
  FROM due
 WHERE messages.studio_id = due.studio_id AND messages.message_id = due.message_id
RETURNING messages.studio_id, messages.message_id, lease_token, due_at, claims"""


async def claim_due(
    tx: Connection, account: str, owner: UUID, *, since: datetime, lease: timedelta, limit: int
) -> list[Claimed]:
    """Take what is due on this account, oldest first, for `lease` on the database's clock."""
    return [Claimed(*row) for row in await tx.fetch(CLAIM_DUE, account, since, limit, owner, lease)]


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that deciding on a claimed message and writing its words needs, as committed now."""

    studio: Studio
    message_id: int
    token: int
    channel: str
    address: str
    sender: str
    recipient: str
    trigger_id: int
    occurrence: str
    released_by: str | None
    action_id: int
    event_id: str | None
    activation_at: datetime
    use_by: datetime
    asked: int
    tries: int
    claims: int
    record: Picture | None
    client: Picture | None
    stopped: bool
    nonce: UUID
    about: About


# Message by message along the keys; OFFSET 0 keeps the planner from joining the tables.
_GATHERED = """
SELECT messages.studio_id, messages.message_id, lease_token, channel, address, sender, recipient, messages.trigger_id,
       occurrence, released_by, messages.action_id, actions.event_id, messages.use_by, asked, tries, claims,
       coalesce((SELECT NOT allowed FROM consents
                  WHERE consents.studio_id = messages.studio_id AND consents.channel = messages.channel
                    AND consents.address = messages.address
                  ORDER BY consent_id DESC LIMIT 1), false),
       messages.kind, messages.record_id, record.version, record.body, record.client_id, record.deleted,
       record.first_version, record.first_facts, record.known_since,
       messages.client_id, client.version, client.body, client.deleted, messages.nonce, messages.trigger_version,
       (SELECT name FROM triggers WHERE triggers.studio_id = messages.studio_id
           AND triggers.trigger_id = messages.trigger_id), messages.enrols, actions.activation_at
  FROM unnest($1::text[], $2::bigint[]) AS wanted (studio_id, message_id)
 CROSS JOIN LATERAL (
       SELECT * FROM messages
        WHERE messages.studio_id = wanted.studio_id AND messages.message_id = wanted.message_id OFFSET 0) AS messages
 CROSS JOIN LATERAL (
       SELECT * FROM actions
        WHERE actions.studio_id = messages.studio_id AND actions.action_id = messages.action_id OFFSET 0) AS actions
  LEFT JOIN LATERAL (
       SELECT * FROM records
        WHERE records.studio_id = messages.studio_id AND records.kind = messages.kind
          AND records.record_id = messages.record_id OFFSET 0) AS record ON true
  LEFT JOIN LATERAL (
       SELECT * FROM records
        WHERE records.studio_id = messages.studio_id AND records.kind = 'client'
          AND records.record_id = messages.client_id OFFSET 0) AS client ON true"""
GATHER = f"{_GATHERED}\n WHERE messages.state = 'claimed' AND lease_owner = $3"
GATHER_UNKNOWN = f"{_GATHERED}\n WHERE messages.state = 'unknown'"


async def gather(tx: Connection, claimed: Sequence[Claimed], owner: UUID) -> list[Case]:
    """The cases of these messages, as far as they are still claimed by us."""
    if not claimed:
        return []
    ids = ([one.studio for one in claimed], [one.message_id for one in claimed])
    studios = await get_studios(tx, ids[0])
    rows = await tx.fetch(GATHER, *ids, owner)
    return [_case(row, studios) for row in rows if row[0] in studios]


async def case_of_unknown(tx: Connection, studio: str, message_id: int) -> Case | None:
    """The case of a message that may have been taken, as everything is now; None where it is settled."""
    studios = await get_studios(tx, [studio])
    row = await tx.fetchrow(GATHER_UNKNOWN, [studio], [message_id])
    return _case(row, studios) if row is not None and studio in studios else None


@dataclass(frozen=True, slots=True)
class Return:
    """A claimed message that is not sent now: it waits again, or ends. Costs no attempt."""

    studio: str
    message_id: int
    token: int
    state: State
    reason: str
    due_at: datetime | None = None
    told: tuple[Command, ...] = ()


PUT_BACK = """
WITH put_back AS (
     UPDATE messages
        SET state = back.state, reason = back.reason, due_at = coalesce(back.due_at, clock_timestamp()),
            claims = 0, lease_owner = NULL, lease_until = NULL,
            ended_at = CASE WHEN back.state IN ('queued', 'held') THEN NULL ELSE clock_timestamp() END
       FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[])
            AS back (studio_id, message_id, token, state, reason, due_at)
      WHERE messages.studio_id = back.studio_id AND messages.message_id = back.message_id
        AND messages.state = 'claimed' AND messages.lease_token = back.token
  RETURNING messages.studio_id, messages.message_id)
INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data)
SELECT report.studio_id, command_id, subject, verb, bucket, data
  FROM unnest($7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::smallint[], $13::text[])
       AS report (message_id, studio_id, command_id, subject, verb, bucket, data)
  JOIN put_back USING (studio_id, message_id)
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
        [message_id for message_id, _ in told],
        *command_columns([command for _, command in told]),
    )


# Messages that waited for a calendar which has just changed: looked at again now.
LOOK_AGAIN = """
UPDATE messages SET due_at = clock_timestamp()
 WHERE studio_id = $1 AND state = 'queued' AND due_at > statement_timestamp() AND tries = 0"""


async def look_again(tx: Connection, studio: str) -> None:
    await tx.execute(LOOK_AGAIN, studio)


def _case(row: Any, studios: dict[str, Studio]) -> Case:
    studio, kind, record_id, client_id = row[0], row[17], row[18], row[26]
    record = client = None
    if row[19] is not None:
        facts = row[24] and Facts.from_json(row[24])
        record = Picture(studio, kind, record_id, row[19], row[20], row[21], row[22], row[23], facts, row[25])
    if row[27] is not None:
        client = Picture(studio, "client", client_id, row[27], row[28], None, row[29], row[27], None, None)
    return Case(
        studio=studios[studio],
        message_id=row[1],
        token=row[2],
        channel=row[3],
        address=row[4],
        sender=row[5],
        recipient=row[6],
        trigger_id=row[7],
        occurrence=row[8],
        released_by=row[9],
        action_id=row[10],
        event_id=row[11],
        activation_at=row[34],
        use_by=row[12],
        asked=row[13],
        tries=row[14],
        claims=row[15],
        record=record,
        client=client,
        stopped=row[16],
        nonce=row[30],
        about=About(
            studio=studio,
            message_id=row[1],
            channel=row[3],
            address=row[4],
            kind=kind,
            record_id=record_id,
            action_id=row[10],
            event_id=row[11],
            trigger=row[32],
            trigger_version=row[31],
            enrols=Enrolment.of(row[33]),
        ),
    )
