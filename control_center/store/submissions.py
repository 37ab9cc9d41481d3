"""The point of no return: what may be sent is marked, what was answered is settled, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from control_center.domain.arrival import Share
from control_center.domain.command import Command
from control_center.domain.message import Settlement, State
from control_center.domain.sms import segments
from control_center.store import sharing
from control_center.store.cases import Case
from control_center.store.commands import columns as command_columns
from control_center.store.consents import MAY_GO
from control_center.store.db import Connection
from control_center.store.fences import STANDS
from control_center.store.usage import COUNTING


@dataclass(frozen=True, slots=True)
class Ready:
    """A decided and written message, about to pass the point of no return.

    The revision and the versions are those it was decided on; `until` is how long that decision holds. It goes while
    fewer than `room` texts of `month` are used up, where its studio's plan has a say in it.
    """

    case: Case
    until: datetime
    key: str
    subject: str | None
    body: str
    html: str | None = None
    calendar: bool = False  # its record goes along for the recipient's calendar, made anew from record and attempt
    month: date | None = None
    room: int | None = None
    shares: tuple[Share, ...] = ()  # of the days that it goes on
    riders: tuple[Case, ...] = ()  # whose words stand in its body, too


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a submitted message, with what the CRM is told."""

    studio: str
    message_id: int
    token: int
    number: int
    address: str
    channel: str
    settlement: Settlement
    told: tuple[Command, ...]
    month: date  # in which it counts, where it is a text that was accepted, …
    country: str = ""  # … and for which country, as far as that is known
    shares: tuple[Share, ...] = ()

    @property
    def given_back(self) -> tuple[Share, ...]:
        """What it took of somebody's day, where it is proven that nothing left.

        What its action took only if that is final: then it stays where another message of the action has gone.
        """
        match self.settlement.state:
            case State.FAILED:
                return self.shares
            case State.QUEUED | State.HELD:
                return tuple(one for one in self.shares if one.action_id is None)
            case _:
                return ()


_READY = """unnest($24::text[], $25::bigint[], $26::bigint[], $27::timestamptz[], $28::text[], $29::text[],
                   $30::bigint[], $31::bigint[], $32::bigint[], $38::smallint[], $39::date[], $40::integer[])
            AS ready (studio_id, message_id, token, until, subject, body, revision, version, client_version, segments,
                      month, room)"""
_PASSING = "unnest($24::text[], $25::bigint[], $31::bigint[])"

# Whether everything that the decision on a message read is still so.
_MAY_PASS = f"""messages.studio_id = ready.studio_id AND messages.message_id = ready.message_id
        AND messages.state = 'claimed' AND messages.lease_token = ready.token
        AND coalesce(messages.lease_until, '-infinity') > clock_timestamp() + $33
        AND ready.until > clock_timestamp()
        AND (SELECT revision FROM studios WHERE studios.studio_id = ready.studio_id AND enabled) = ready.revision
        AND (ready.version IS NULL
             OR EXISTS (SELECT FROM steady WHERE steady.message_id = ready.message_id
                           AND steady.version = ready.version))
        AND (ready.client_version IS NULL
             OR (SELECT version FROM records WHERE records.studio_id = ready.studio_id AND records.kind = 'client'
                    AND records.record_id = messages.client_id) = ready.client_version)
        AND (ready.room IS NULL
             OR (SELECT texts FROM spent WHERE spent.studio_id = ready.studio_id
                    AND spent.month = ready.month) < ready.room)
        AND {MAY_GO} AND {STANDS}"""


# One statement, one transaction: outcomes are written, and in the slots they free the next messages pass the point
# of no return. A message passes only if everything its decision read is still so: the lease, the studio's revision
# (zone, window, blackout days, trigger, template), the record, the client, consent, and the time itself. A message that
# a receipt has settled in the meantime keeps what the receipt proved; only the provider's id may still be learned. That
# it was taken counts also where a failover has forgotten the mark, and against a person who thought otherwise.
# Guards are scalar sub-selects and coalesce(): as joins, or as conditions on an indexed column, they would tempt the
# planner to start from them instead of from the messages at hand. A text counts towards its studio's plan when it is
# accepted for the first time, which its sent_at tells: no other statement writes this one's time. Near the end of a
# plan one statement at a time passes texts of that studio, and sees what the one before it has passed; what it settles
# itself is still with the provider then, as `submitted` is run before what nobody reads.
#
# The records of what passes stay as they are until it has: what an event decides, once it has its record, hangs on
# whether anybody was told of the date before. One that an event has already is not waited for, and what is about
# it does not pass: nobody stands here with all that he has to write, and no two wait for each other.
def _step(days: str = "", granted: str = "", carries: str = "NULL::bigint[]", passing: str = _PASSING) -> str:
    """The statement, with what marketing needs besides where there is any: nothing else is to pay for that."""
    return f"""
WITH settled AS (
     UPDATE messages
        SET state = CASE WHEN messages.state IN ('accepted', 'delivered', 'undelivered') THEN messages.state
                         ELSE done.state END,
            reason = CASE WHEN erased_at IS NOT NULL THEN 'erased'
                          WHEN messages.state IN ('submitting', 'unknown') THEN done.reason
                          WHEN messages.state IN ('accepted', 'delivered', 'undelivered') THEN messages.reason
                          ELSE concat('its provider took it, although ', messages.state, ': ', messages.reason) END,
            due_at = coalesce(done.due_at, messages.due_at),
            tries = tries + done.counts, claims = 0, lease_owner = NULL, lease_until = NULL,
            provider_id = coalesce(done.provider_id, messages.provider_id),
            sent_at = CASE WHEN done.state = 'accepted' THEN coalesce(sent_at, statement_timestamp()) ELSE sent_at END,
            segments = coalesce(done.segments, messages.segments),
            ended_at = CASE WHEN done.state = 'failed' THEN clock_timestamp()
                            WHEN messages.state IN ('accepted', 'delivered', 'undelivered') THEN ended_at END
       FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[],
                   $7::integer[], $8::text[], $36::smallint[], $37::date[], $41::text[])
            AS done (studio_id, message_id, token, state, reason, due_at, counts, provider_id, segments, month, country)
      WHERE messages.studio_id = done.studio_id AND messages.message_id = done.message_id
        AND (messages.state = 'submitting' AND messages.lease_token = done.token
             OR done.state = 'accepted' AND messages.state IN ('submitting', 'unknown')
             OR done.state = 'accepted' AND (forgotten IS NOT NULL OR resolved_by IS NOT NULL)
                AND messages.state IN ('queued', 'held', 'claimed', 'failed', 'cancelled', 'suppressed', 'expired')
             OR done.provider_id IS NOT NULL AND messages.provider_id IS NULL
                AND messages.state IN ('accepted', 'delivered', 'undelivered'))
  RETURNING messages.studio_id, messages.message_id, origin, trigger_id, messages.segments, month, country, erased_at,
            channel = 'sms' AND done.state = 'accepted' AND sent_at = statement_timestamp() AS counts),
counted AS (
     SELECT studio_id, month, origin, trigger_id, country, segments FROM settled WHERE counts),
{COUNTING.strip()},
facts AS (
     UPDATE attempts
        SET ended_at = clock_timestamp(), outcome = done.outcome, code = done.code,
            reason = CASE WHEN attempts.body <> 'erased' THEN done.reason END,
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
      WHERE erased_at IS NULL
         ON CONFLICT DO NOTHING),
stopped AS (
     INSERT INTO consents (studio_id, channel, address, purpose, says, source, evidence)
     SELECT studio_id, channel, lower(address), 'all', 'stop', 'provider', evidence
       FROM unnest($19::text[], $20::text[], $21::text[], $22::text[])
            AS said (studio_id, channel, address, evidence)),
spent AS MATERIALIZED (
     SELECT studio_id, month, texts_spent_for_certain(studio_id, month, room) AS texts
       FROM (SELECT studio_id, month, max(room) AS room
               FROM unnest($24::text[], $39::date[], $40::integer[]) AS ready (studio_id, month, room)
              WHERE room IS NOT NULL GROUP BY studio_id, month ORDER BY studio_id, month) AS planned),
steady AS MATERIALIZED (
     SELECT passing.message_id, passing.version
       FROM {passing} AS passing (studio_id, message_id, version)
       JOIN messages ON messages.studio_id = passing.studio_id AND messages.message_id = passing.message_id
      CROSS JOIN LATERAL (
            SELECT FROM records
             WHERE records.studio_id = messages.studio_id AND records.kind = messages.kind
               AND records.record_id = messages.record_id AND records.version = passing.version
            OFFSET 0 FOR SHARE SKIP LOCKED) AS record),
{days}submitted AS (
     UPDATE messages
        SET state = 'submitting', asked = asked + 1, subject = ready.subject, body = ready.body,
            segments = ready.segments, lease_until = clock_timestamp() + $23
       FROM {_READY}
      WHERE {_MAY_PASS}
        {granted}
  RETURNING messages.studio_id, messages.message_id, messages.asked),
logged AS (
     INSERT INTO attempts (studio_id, message_id, number, key, lease_token, subject, body, html, started_at, carries)
     SELECT submitted.studio_id, submitted.message_id, submitted.asked, ready.key, ready.token, ready.subject,
            ready.body, ready.html, clock_timestamp(), {carries}
       FROM submitted
       JOIN unnest($24::text[], $25::bigint[], $26::bigint[], $34::text[], $28::text[], $29::text[], $35::text[])
            AS ready (studio_id, message_id, token, key, subject, body, html)
      USING (studio_id, message_id))
SELECT message_id FROM submitted"""


STEP = _step()
STEP_SHARING = _step(sharing.days(_READY, _MAY_PASS), sharing.GRANTED, sharing.CARRIES, sharing.PASSING)


async def step(
    tx: Connection, done: Sequence[Settled], ready: Sequence[Ready], *, lease: timedelta, margin: timedelta
) -> set[int]:
    """Write outcomes and pass the next messages; returns the ids of those that may now be sent, and must be.

    `margin` is how much of its lease a message must have left. Whoever is not returned was changed meanwhile and
    is to be decided again.
    """
    told = [(one.message_id, command) for one in done for command in one.told]
    stops = [one for one in done if one.settlement.opted_out]
    settlements = [one.settlement for one in done]
    shares = [(one.case, share) for one in ready for share in one.shares]
    freed = [(one.studio, share) for one in done for share in one.given_back]
    riders = [(one.case, rider) for one in ready for rider in one.riders]
    shared = bool(shares or freed)
    rows = await tx.fetch(
        STEP_SHARING if shared else STEP,
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
        [message_id for message_id, _ in told],
        *command_columns([command for _, command in told]),
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
        [one.segments for one in settlements],
        [one.month for one in done],
        [segments(one.body).count if one.case.channel == "sms" else None for one in ready],
        [one.month for one in ready],
        [one.room for one in ready],
        [one.country for one in done],
        *(sharing.columns(freed, shares, riders) if shared else ()),
    )
    return {row[0] for row in rows}


# After a lost answer to STEP: what was marked is ours alone, and we know that we did not send it. Of these alone: what
# else is submitting here may be what a failover has brought back, and was sent long ago.
UNMARK = """
UPDATE messages
   SET state = 'queued', claims = 0, due_at = clock_timestamp(), lease_owner = NULL, lease_until = NULL,
       reason = 'the database was away'
 WHERE lease_owner = $1 AND state = 'submitting' AND message_id = ANY ($2::bigint[]) AND lease_until IS NOT NULL
RETURNING message_id"""


async def unmark(tx: Connection, owner: UUID, *, marked: Sequence[int]) -> list[int]:
    """Put back what this worker marked but never began to send, because it did not learn that the mark stood."""
    return [row[0] for row in await tx.fetch(UNMARK, owner, list(marked))]
