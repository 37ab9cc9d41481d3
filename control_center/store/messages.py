"""Messages from release to the provider's answer: the verbs that move them, each guarded by the state it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from control_center.domain.command import Command
from control_center.domain.message import Settlement, State
from control_center.domain.record import Facts, Picture
from control_center.domain.studio import Studio
from control_center.store.commands import columns as command_columns
from control_center.store.db import Connection
from control_center.store.studios import get as get_studios


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


ADD = """
INSERT INTO messages (studio_id, action_id, channel, address, account, sender, recipient, kind, record_id,
                      client_id, trigger_id, trigger_version, use_by, state, due_at)
SELECT made.*, 'queued', clock_timestamp()
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::text[], $10::text[], $11::bigint[], $12::integer[], $13::timestamptz[]) AS made
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
    use_by: datetime
    asked: int
    tries: int
    claims: int
    record: Picture | None
    client: Picture | None
    stopped: bool
    nonce: UUID


GATHER = """
SELECT messages.studio_id, message_id, lease_token, channel, address, sender, recipient, messages.trigger_id,
       occurrence, released_by, messages.action_id, actions.event_id, messages.use_by, asked, tries, claims,
       coalesce((SELECT NOT allowed FROM consents
                  WHERE consents.studio_id = messages.studio_id AND consents.channel = messages.channel
                    AND consents.address = messages.address
                  ORDER BY consent_id DESC LIMIT 1), false),
       messages.kind, messages.record_id, record.version, record.body, record.client_id, record.deleted,
       record.first_version, record.first_facts, record.known_since,
       messages.client_id, client.version, client.body, client.deleted, messages.nonce
  FROM unnest($1::text[], $2::bigint[]) AS wanted (studio_id, message_id)
  JOIN messages USING (studio_id, message_id)
  JOIN actions ON actions.studio_id = messages.studio_id AND actions.action_id = messages.action_id
  LEFT JOIN records AS record ON record.studio_id = messages.studio_id AND record.kind = messages.kind
   AND record.record_id = messages.record_id
  LEFT JOIN records AS client ON client.studio_id = messages.studio_id AND client.kind = 'client'
   AND client.record_id = messages.client_id
 WHERE messages.state = 'claimed' AND lease_owner = $3"""


async def gather(tx: Connection, claimed: Sequence[Claimed], owner: UUID) -> list[Case]:
    """The cases of these messages, as far as they are still claimed by us."""
    if not claimed:
        return []
    ids = ([one.studio for one in claimed], [one.message_id for one in claimed])
    studios = await get_studios(tx, ids[0])
    rows = await tx.fetch(GATHER, *ids, owner)
    return [_case(row, studios) for row in rows if row[0] in studios]


@dataclass(frozen=True, slots=True)
class Ready:
    """A decided and written message, about to pass the point of no return.

    The revision and the versions are those it was decided on; `until` is how long that decision holds.
    """

    case: Case
    until: datetime
    key: str
    subject: str | None
    body: str
    html: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a submitted message, with the report to the CRM if there is one."""

    studio: str
    message_id: int
    token: int
    number: int
    address: str
    channel: str
    settlement: Settlement
    report: Command | None


# One statement, one transaction: outcomes are written, and in the slots they free the next messages pass the point
# of no return. A message passes only if everything its decision read is still so: the lease, the studio's revision
# (zone, window, blackout days, trigger, template), the record, the client, consent, and the time itself. A message that
# a receipt has settled in the meantime keeps what the receipt proved; only the provider's id may still be learned.
STEP = """
WITH settled AS (
     UPDATE messages
        SET state = CASE WHEN messages.state IN ('submitting', 'unknown') THEN done.state ELSE messages.state END,
            reason = CASE WHEN messages.state IN ('submitting', 'unknown') THEN done.reason ELSE messages.reason END,
            due_at = coalesce(done.due_at, messages.due_at),
            tries = tries + done.counts, claims = 0, lease_owner = NULL, lease_until = NULL,
            provider_id = coalesce(done.provider_id, messages.provider_id),
            sent_at = CASE WHEN done.state = 'accepted' THEN coalesce(sent_at, clock_timestamp()) ELSE sent_at END,
            ended_at = CASE WHEN done.state = 'failed' THEN clock_timestamp() ELSE ended_at END
       FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[],
                   $7::integer[], $8::text[])
            AS done (studio_id, message_id, token, state, reason, due_at, counts, provider_id)
      WHERE messages.studio_id = done.studio_id AND messages.message_id = done.message_id
        AND (messages.state = 'submitting' AND messages.lease_token = done.token
             OR done.state = 'accepted' AND messages.state IN ('submitting', 'unknown')
             OR done.provider_id IS NOT NULL AND messages.provider_id IS NULL
                AND messages.state IN ('accepted', 'delivered', 'undelivered'))
  RETURNING messages.studio_id, messages.message_id),
facts AS (
     UPDATE attempts
        SET ended_at = clock_timestamp(), outcome = done.outcome, code = done.code, reason = done.reason,
            provider_id = done.provider_id
       FROM unnest($1::text[], $2::bigint[], $9::integer[], $10::text[], $11::text[], $5::text[], $8::text[])
            AS done (studio_id, message_id, number, outcome, code, reason, provider_id)
      WHERE attempts.studio_id = done.studio_id AND attempts.message_id = done.message_id
        AND attempts.number = done.number
        AND (attempts.outcome IS DISTINCT FROM 'accepted' OR done.outcome = 'accepted')),
told AS (
     INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data)
     SELECT report.studio_id, command_id, subject, verb, bucket, data
       FROM unnest($12::bigint[], $13::text[], $14::text[], $15::text[], $16::text[], $17::smallint[], $18::text[])
            AS report (message_id, studio_id, command_id, subject, verb, bucket, data)
       JOIN settled USING (studio_id, message_id)
         ON CONFLICT DO NOTHING),
stopped AS (
     INSERT INTO consents (studio_id, channel, address, allowed, source, evidence)
     SELECT studio_id, channel, address, false, 'provider', evidence
       FROM unnest($19::text[], $20::text[], $21::text[], $22::text[])
            AS said (studio_id, channel, address, evidence)),
submitted AS (
     UPDATE messages
        SET state = 'submitting', asked = asked + 1, subject = ready.subject, body = ready.body,
            lease_until = clock_timestamp() + $23
       FROM unnest($24::text[], $25::bigint[], $26::bigint[], $27::timestamptz[], $28::text[], $29::text[],
                   $30::bigint[], $31::bigint[], $32::bigint[])
            AS ready (studio_id, message_id, token, until, subject, body, revision, version, client_version)
      WHERE messages.studio_id = ready.studio_id AND messages.message_id = ready.message_id
        AND messages.state = 'claimed' AND messages.lease_token = ready.token
        AND messages.lease_until > clock_timestamp() + $33 AND ready.until > clock_timestamp()
        AND EXISTS (SELECT FROM studios WHERE studios.studio_id = ready.studio_id
                       AND studios.revision = ready.revision AND studios.enabled)
        AND EXISTS (SELECT FROM records WHERE records.studio_id = ready.studio_id AND records.kind = messages.kind
                       AND records.record_id = messages.record_id AND records.version = ready.version)
        AND (ready.client_version IS NULL
             OR EXISTS (SELECT FROM records WHERE records.studio_id = ready.studio_id AND records.kind = 'client'
                           AND records.record_id = messages.client_id
                           AND records.version = ready.client_version))
        AND coalesce((SELECT allowed FROM consents
                       WHERE consents.studio_id = ready.studio_id AND consents.channel = messages.channel
                         AND consents.address = messages.address
                       ORDER BY consent_id DESC LIMIT 1), true)
  RETURNING messages.studio_id, messages.message_id, messages.asked),
logged AS (
     INSERT INTO attempts (studio_id, message_id, number, key, lease_token, subject, body, html, started_at)
     SELECT submitted.studio_id, submitted.message_id, submitted.asked, ready.key, ready.token, ready.subject,
            ready.body, ready.html, clock_timestamp()
       FROM submitted
       JOIN unnest($24::text[], $25::bigint[], $26::bigint[], $34::text[], $28::text[], $29::text[], $35::text[])
            AS ready (studio_id, message_id, token, key, subject, body, html)
      USING (studio_id, message_id))
SELECT message_id FROM submitted"""


async def step(
    tx: Connection, done: Sequence[Settled], ready: Sequence[Ready], *, lease: timedelta, margin: timedelta
) -> set[int]:
    """Write outcomes and pass the next messages; returns the ids of those that may now be sent, and must be.

    `margin` is how much of its lease a message must have left. Whoever is not returned was changed meanwhile and
    is to be decided again.
    """
    reports = [(one.message_id, one.report) for one in done if one.report is not None]
    stops = [one for one in done if one.settlement.opted_out]
    settlements = [one.settlement for one in done]
    rows = await tx.fetch(
        STEP,
        [one.studio for one in done],
        [one.message_id for one in done],
        [one.token for one in done],
        [one.state.value for one in settlements],
        [one.reason for one in settlements],
        [one.due_at for one in settlements],
        [int(one.counts) for one in settlements],
        [one.provider_id for one in settlements],
        [one.number for one in done],
        [one.outcome for one in settlements],
        [one.code for one in settlements],
        [message_id for message_id, _ in reports],
        *command_columns([report for _, report in reports]),
        [one.studio for one in stops],
        [one.channel for one in stops],
        [one.address for one in stops],
        [one.settlement.reason for one in stops],
        lease,
        [one.case.studio.studio for one in ready],
        [one.case.message_id for one in ready],
        [one.case.token for one in ready],
        [one.until for one in ready],
        [one.subject for one in ready],
        [one.body for one in ready],
        [one.case.studio.revision for one in ready],
        [one.case.record.version if one.case.record else None for one in ready],
        [one.case.client.version if one.case.client else None for one in ready],
        margin,
        [one.key for one in ready],
        [one.html for one in ready],
    )
    return {row[0] for row in rows}


@dataclass(frozen=True, slots=True)
class Return:
    """A claimed message that is not sent now: it waits again, or ends. Costs no attempt."""

    studio: str
    message_id: int
    token: int
    state: State
    reason: str
    due_at: datetime | None = None
    report: Command | None = None


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
    reports = [(one.message_id, one.report) for one in returns if one.report is not None]
    await tx.execute(
        PUT_BACK,
        [one.studio for one in returns],
        [one.message_id for one in returns],
        [one.token for one in returns],
        [one.state.value for one in returns],
        [one.reason for one in returns],
        [one.due_at for one in returns],
        [message_id for message_id, _ in reports],
        *command_columns([report for _, report in reports]),
    )


LEASE_RENEW = """
UPDATE messages SET lease_until = clock_timestamp() + $2
 WHERE lease_owner = $1 AND state = 'claimed' AND lease_until IS NOT NULL"""


async def renew_leases(tx: Connection, owner: UUID, *, lease: timedelta) -> None:
    """Keep what we prepare. What is being submitted is never renewed: its lease is the limit of our doubt."""
    await tx.execute(LEASE_RENEW, owner, lease)


# One statement with the whole condition: what finished meanwhile is not touched. A claimed message has not left, so
# it goes back to the end of the queue; a submitting one may have, so nobody sends it again.
RESCUE_EXPIRED_LEASES = """
WITH lost AS MATERIALIZED (
     SELECT studio_id, message_id FROM messages
      WHERE lease_until < statement_timestamp() AND state IN ('claimed', 'submitting')
      LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE messages
   SET state = CASE WHEN state = 'submitting' THEN 'unknown' WHEN claims >= $2 THEN 'failed' ELSE 'queued' END,
       reason = CASE WHEN state = 'submitting' THEN 'sent: the worker was lost while it was sending'
                     WHEN claims >= $2 THEN 'poison: lost with its worker each time it was prepared'
                     ELSE 'the worker that prepared it was lost' END,
       due_at = clock_timestamp(), lease_owner = NULL, lease_until = NULL,
       ended_at = CASE WHEN state = 'claimed' AND claims >= $2 THEN clock_timestamp() END
  FROM lost
 WHERE messages.studio_id = lost.studio_id AND messages.message_id = lost.message_id
RETURNING messages.studio_id, messages.message_id, messages.state, kind, record_id, action_id, trigger_id"""


@dataclass(frozen=True, slots=True)
class Rescued:
    studio: str
    message_id: int
    state: State
    kind: str
    record_id: str
    action_id: int
    trigger_id: int


async def rescue_expired_leases(tx: Connection, *, poison: int, limit: int) -> list[Rescued]:
    """Settle what lost workers left; returns each with the state it has now."""
    rows = await tx.fetch(RESCUE_EXPIRED_LEASES, limit, poison)
    return [Rescued(row[0], row[1], State(row[2]), *row[3:]) for row in rows]


# After a lost answer to STEP: what was marked is ours alone, and we know that we did not send it.
UNMARK = """
UPDATE messages
   SET state = 'queued', due_at = clock_timestamp(), lease_owner = NULL, lease_until = NULL,
       reason = 'the database was away'
 WHERE lease_owner = $1 AND state = 'submitting' AND message_id <> ALL ($2::bigint[]) AND lease_until IS NOT NULL
RETURNING message_id"""


async def unmark(tx: Connection, owner: UUID, *, started: Sequence[int]) -> list[int]:
    """Put back what this worker marked but never began to send, because it did not learn that the mark stood."""
    return [row[0] for row in await tx.fetch(UNMARK, owner, list(started))]


DROP_CLAIMS = """
UPDATE messages
   SET state = 'queued', claims = claims - 1, due_at = clock_timestamp(), lease_owner = NULL, lease_until = NULL
 WHERE lease_owner = $1 AND state = 'claimed' AND lease_until IS NOT NULL"""


async def drop_claims(tx: Connection, owner: UUID) -> None:
    """Give back everything prepared but not begun, at a graceful stop."""
    await tx.execute(DROP_CLAIMS, owner)


NEXT_DUE = "SELECT min(due_at) FROM messages WHERE account = $1 AND state = 'queued'"


async def next_due(tx: Connection, account: str) -> datetime | None:
    """When this account has something to send next."""
    found: datetime | None = await tx.fetchval(NEXT_DUE, account)
    return found


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
        use_by=row[12],
        asked=row[13],
        tries=row[14],
        claims=row[15],
        record=record,
        client=client,
        stopped=row[16],
        nonce=row[30],
    )
