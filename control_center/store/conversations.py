"""What passes between us and an address: what came in, whose it is, and what it may answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control_center.store.db import Connection

STUDIOS_AT = "SELECT studio_id FROM studios WHERE numbers @> ARRAY[$1::text] ORDER BY studio_id"


async def studios_at(tx: Connection, number: str) -> list[str]:
    """The studios that text from this number of ours."""
    return [row[0] for row in await tx.fetch(STUDIOS_AT, number)]


ARRIVE = """
INSERT INTO arrivals (studio_id, account, known_by, sender, receiver, body) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call of a provider that brought a message; an empty `studio` is that of none."""

    studio: str
    account: str
    known_by: str
    sender: str
    receiver: str
    body: str


async def arrive(tx: Connection, came: Arrival) -> bool:
    """Write down what a provider brought; whether it had not been brought before."""
    done = await tx.execute(
        ARRIVE, came.studio, came.account, came.known_by, came.sender, came.receiver, came.body.replace("\0", "\ufffd")
    )
    return bool(done == "INSERT 0 1")


ATTACH = "UPDATE arrivals SET message_id = $4 WHERE studio_id = $1 AND account = $2 AND known_by = $3"


async def attach(tx: Connection, came: Arrival, message_id: int) -> None:
    await tx.execute(ATTACH, came.studio, came.account, came.known_by, message_id)


# A text on a number that several studios use belongs to the one that wrote to its sender last, within so long. Two
# that wrote in the same instant are a tie, which nobody may guess.
LAST_STUDIO = """
SELECT studio_id FROM (
       SELECT DISTINCT ON (wanted.studio_id) wanted.studio_id, messages.created_at
         FROM unnest($1::text[]) AS wanted (studio_id)
         JOIN messages ON messages.studio_id = wanted.studio_id AND lower(messages.address) = lower($3)
        WHERE messages.channel = 'sms' AND messages.sender = $2 AND messages.origin <> 'client'
          AND messages.created_at > $4
        ORDER BY wanted.studio_id, messages.message_id DESC) AS last
 ORDER BY created_at DESC
 FETCH FIRST 1 ROW WITH TIES"""


async def last_studio(tx: Connection, studios: Sequence[str], ours: str, theirs: str, since: datetime) -> str | None:
    """Of several studios on one number, the one that wrote to this person last; None where none did, or it is a tie."""
    rows = await tx.fetch(LAST_STUDIO, list(studios), ours, theirs, since)
    return rows[0][0] if len(rows) == 1 else None


CONVERSE = """
INSERT INTO conversations (studio_id, channel, ours, theirs, client_id) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (studio_id, channel, theirs, ours) DO UPDATE
   SET client_id = CASE WHEN conversations.linked_by IS NOT NULL THEN conversations.client_id
                        ELSE excluded.client_id END
RETURNING client_id"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two addresses that messages pass between: one of the studio's, one of somebody else's."""

    studio: str
    channel: str
    ours: str
    theirs: str


async def converse(tx: Connection, pair: Pair, client_id: str | None) -> str | None:
    """Keep a conversation; returns whose it is: as a person said, else `client_id`, who that is by the number."""
    found: str | None = await tx.fetchval(CONVERSE, pair.studio, pair.channel, pair.ours, pair.theirs, client_id)
    return found


CLIENTS_AT = """
SELECT record_id FROM records
 WHERE kind = 'client' AND reach @> ARRAY[$2::text] AND studio_id = $1 AND NOT deleted
 ORDER BY record_id LIMIT 20"""


async def clients_at(tx: Connection, studio: str, address: str) -> list[str]:
    """The clients who have this number or address, themselves or in their family."""
    return [row[0] for row in await tx.fetch(CLIENTS_AT, studio, address)]


# The clients of the newest message to this address: more than one only where they were written to in one breath.
LAST_WRITTEN = """
SELECT DISTINCT client_id FROM messages
 WHERE studio_id = $1 AND lower(address) = lower($3) AND channel = $2 AND origin <> 'client'
   AND client_id = ANY ($4::text[])
   AND created_at = (
       SELECT max(created_at) FROM messages
        WHERE studio_id = $1 AND lower(address) = lower($3) AND channel = $2 AND origin <> 'client'
          AND client_id = ANY ($4::text[]))"""


async def last_written(tx: Connection, pair: Pair, clients: Iterable[str]) -> list[str]:
    """Of these clients, the one whom we wrote to at this address last; several where that is a tie, none if nobody."""
    rows = await tx.fetch(LAST_WRITTEN, pair.studio, pair.channel, pair.theirs, sorted(clients))
    return [row[0] for row in rows]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that may have been read, with what was answered so far. `date` is the record's that it was about."""

    message_id: int
    question: str
    kind: str
    record_id: str
    client_id: str | None
    trigger_id: int
    date: str | None
    asked_at: datetime
    answered: Sequence[str]
    answered_at: datetime | None


# A question is a message that may have been read: whatever is past the point of no return and not proven untaken.
ASKED = """
SELECT message_id, question, kind, record_id, client_id, trigger_id, asked_date, coalesce(sent_at, created_at),
       ARRAY(SELECT meaning FROM answers
              WHERE answers.studio_id = messages.studio_id AND answers.message_id = messages.message_id
              ORDER BY answer_id),
       (SELECT max(at) FROM answers
         WHERE answers.studio_id = messages.studio_id AND answers.message_id = messages.message_id)
  FROM messages
 WHERE studio_id = $1 AND lower(address) = lower($3) AND channel = $2 AND sender = $4
   AND question IS NOT NULL AND created_at > $5
   AND state IN ('submitting', 'accepted', 'delivered', 'undelivered', 'unknown')
 ORDER BY message_id DESC LIMIT 20"""


async def asked(tx: Connection, pair: Pair, since: datetime) -> list[Asked]:
    """The questions put to this address from ours since then, newest first."""
    rows = await tx.fetch(ASKED, pair.studio, pair.channel, pair.theirs, pair.ours, since)
    return [Asked(*row) for row in rows]


ANSWER = """
INSERT INTO answers (studio_id, message_id, reply_id, meaning, words) VALUES ($1, $2, $3, $4, $5)"""


async def answer(
    tx: Connection, studio: str, question: int, *, reply: int | None, meaning: str, words: str = ""
) -> None:
    """Write down that a question was answered, or is not open any more."""
    await tx.execute(ANSWER, studio, question, reply, meaning, words)


@dataclass(frozen=True, slots=True)
class Received:
    """A message that came in."""

    pair: Pair
    account: str
    client_id: str | None
    record: tuple[str, str] | None  # kind, id: what it answers
    recipient: str
    subject: str | None
    body: str
    provider_id: str | None
    segments: int | None


RECEIVE = """
INSERT INTO messages (studio_id, origin, purpose, channel, address, account, sender, recipient, kind, record_id,
                      client_id, state, due_at, use_by, subject, body, provider_id, segments)
VALUES ($1, 'client', 'transactional', $2, $3, $4, $5, $6, $7, $8, $9, 'received', clock_timestamp(), 'infinity',
        $10, $11, $12, $13)
RETURNING message_id"""


async def receive(tx: Connection, one: Received) -> int:
    """Keep a message that came in; returns its id."""
    kind, record_id = one.record or (None, None)
    message_id: int = await tx.fetchval(
        RECEIVE,
        one.pair.studio,
        one.pair.channel,
        one.pair.theirs,
        one.account,
        one.pair.ours,
        one.recipient,
        kind,
        record_id,
        one.client_id,
        one.subject,
        one.body,
        one.provider_id,
        one.segments,
    )
    return message_id


MARK = "UPDATE messages SET meaning = $3, attention = $4 WHERE studio_id = $1 AND message_id = $2"


async def mark(tx: Connection, studio: str, message_id: int, meaning: str, attention: str | None) -> None:
    """Say what an incoming message was taken for."""
    await tx.execute(MARK, studio, message_id, meaning, attention)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message whose words are written: one person's, or the answer to a STOP or HELP."""

    origin: str
    purpose: str
    pair: Pair
    account: str
    recipient: str
    body: str
    lasts: timedelta
    subject: str | None = None
    html: str | None = None
    client_id: str | None = None
    record: tuple[str, str] | None = None
    made_by: str | None = None


SEND = """
INSERT INTO messages (studio_id, origin, purpose, channel, address, account, sender, recipient, kind, record_id,
                      client_id, state, due_at, use_by, subject, body, html, made_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'queued', clock_timestamp(), clock_timestamp() + $12, $13, $14,
        $15, $16)
RETURNING message_id"""


async def send(tx: Connection, one: Outgoing) -> int:
    """Queue a message that is written; returns its id. The caller wakes the workers."""
    kind, record_id = one.record or (None, None)
    message_id: int = await tx.fetchval(
        SEND,
        one.pair.studio,
        one.origin,
        one.purpose,
        one.pair.channel,
        one.pair.theirs,
        one.account,
        one.pair.ours,
        one.recipient,
        kind,
        record_id,
        one.client_id,
        one.lasts,
        one.subject,
        one.body,
        one.html,
        one.made_by,
    )
    return message_id
