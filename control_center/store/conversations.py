"""What passes between us and an address: what came in, whose it is, and what it may answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from control_center.store.db import Connection
from control_center.store.halves import GONE

# An account that is some other studio's alone has no word on who texts this one: its signature proves nothing here. But
# it may have taken over from the studio's own, and whom it brought a text of the studio then answers by it.
STUDIOS_AT = f"""
SELECT studio_id FROM studios
 WHERE numbers @> ARRAY[$1::text]
   AND ('sms/' || coalesce(settings::jsonb #>> '{{sms,account}}', 'default') = $2
        OR NOT EXISTS (SELECT FROM studios AS other
                        WHERE 'sms/' || coalesce(other.settings::jsonb #>> '{{sms,account}}', 'default') = $2)
        OR EXISTS (SELECT FROM messages
                    WHERE messages.studio_id = studios.studio_id AND lower(address) = lower($3) AND account = $2
                      AND messages.{GONE}))
 ORDER BY studio_id"""


async def studios_at(tx: Connection, number: str, account: str, theirs: str) -> list[str]:
    """The studios that text from this number of ours, as far as this account may bring them texts of theirs."""
    return [row[0] for row in await tx.fetch(STUDIOS_AT, number, account, theirs)]


# The only number of ours that ends like this. It is asked for where no studio has the number as it was written.
NUMBER_ENDING = """
SELECT DISTINCT number FROM studios CROSS JOIN unnest(numbers) AS number
 WHERE length($1) >= 7 AND right(number, length($1)) = $1 LIMIT 2"""


async def number_ending(tx: Connection, digits: str) -> str | None:
    """The number of ours that ends in these digits, at least seven of them; None for none, or several."""
    rows = await tx.fetch(NUMBER_ENDING, digits)
    return rows[0][0] if len(rows) == 1 else None


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


KNOWN_AT = "SELECT studio_id FROM arrivals WHERE studio_id = ANY ($1::text[]) AND account = $2 AND known_by = $3"


async def known_at(tx: Connection, studios: Sequence[str], account: str, known_by: str) -> str | None:
    """Which of these studios has had this text before."""
    found: str | None = await tx.fetchval(KNOWN_AT, list(studios), account, known_by)
    return found


ATTACH = "UPDATE arrivals SET message_id = $4 WHERE studio_id = $1 AND account = $2 AND known_by = $3"


async def attach(tx: Connection, came: Arrival, message_id: int) -> None:
    await tx.execute(ATTACH, came.studio, came.account, came.known_by, message_id)


# Few, and somebody has to look at each: it is asked for by hand, by the beginning of the primary key.
UNROUTED = """
SELECT received_at, account, sender, receiver, body FROM arrivals
 WHERE studio_id = '' AND message_id IS NULL AND NOT waiting AND body <> ''
 ORDER BY received_at DESC LIMIT $1"""


@dataclass(frozen=True, slots=True)
class Unrouted:
    """What was brought and is no studio's, or might be several's: the call as it came."""

    at: datetime
    account: str
    sender: str
    to: str
    body: str


async def unrouted(tx: Connection, *, limit: int) -> list[Unrouted]:
    """Texts and mails that no studio could be told to have, newest first."""
    return [Unrouted(*row) for row in await tx.fetch(UNROUTED, limit)]


# The same words with nothing said since, neither by them nor by us: an answer of ours to them does not count.
SAID_BEFORE = f"""
SELECT message_id FROM messages AS said
 WHERE studio_id = $1 AND lower(address) = lower($3) AND channel = $2 AND sender = $4 AND account = $5
   AND {GONE} AND origin = 'client' AND body = $6 AND created_at > $7
   AND NOT EXISTS (
       SELECT FROM messages AS since
        WHERE since.studio_id = said.studio_id AND lower(since.address) = lower(said.address)
          AND since.{GONE} AND since.channel = said.channel AND since.sender = said.sender AND since.origin <> 'answer'
          AND CASE since.origin WHEN 'client' THEN since.message_id > said.message_id
                   ELSE since.sent_at > said.created_at OR since.state IN ('submitting', 'unknown') END)
 ORDER BY message_id DESC LIMIT 1"""


async def said_before(tx: Connection, pair: Pair, account: str, words: str, *, since: datetime) -> int | None:
    """The message in which they said these very words since then, where nothing else has been said after it."""
    found: int | None = await tx.fetchval(
        SAID_BEFORE, pair.studio, pair.channel, pair.theirs, pair.ours, account, words, since
    )
    return found


# What a person said holds for as long as there is that client.
CONVERSE = """
INSERT INTO conversations (studio_id, channel, ours, theirs, client_id) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (studio_id, channel, theirs, ours) DO UPDATE
   SET client_id = CASE WHEN conversations.linked_by IS NOT NULL AND NOT EXISTS (
                                 SELECT FROM records
                                  WHERE records.studio_id = conversations.studio_id AND kind = 'client'
                                    AND record_id = conversations.client_id AND deleted)
                        THEN conversations.client_id ELSE excluded.client_id END
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
 ORDER BY record_id LIMIT 200"""


async def clients_at(tx: Connection, studio: str, address: str) -> list[str]:
    """The clients who have this number or address, themselves or in their family."""
    return [row[0] for row in await tx.fetch(CLIENTS_AT, studio, address)]


# The clients of what left last for this address: more than one only where they were written to in one breath.
LAST_WRITTEN = """
SELECT client_id FROM messages
 WHERE studio_id = $1 AND lower(address) = lower($3) AND channel = $2
   AND state IN ('submitting', 'accepted', 'delivered', 'undelivered', 'unknown')
   AND client_id = ANY ($4::text[])
 GROUP BY client_id
 ORDER BY max(coalesce(sent_at, created_at)) DESC
 FETCH FIRST 1 ROW WITH TIES"""


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
    media: Sequence[str] = ()


RECEIVE = """
INSERT INTO messages (studio_id, origin, purpose, channel, address, account, sender, recipient, kind, record_id,
                      client_id, state, due_at, use_by, subject, body, provider_id, segments, media)
VALUES ($1, 'client', 'transactional', $2, $3, $4, $5, $6, $7, $8, $9, 'received', clock_timestamp(), 'infinity',
        $10, $11, $12, $13, $14)
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
        list(one.media) or None,
    )
    return message_id


MARK = "UPDATE messages SET meaning = $3, attention = $4 WHERE studio_id = $1 AND message_id = $2"


async def mark(tx: Connection, studio: str, message_id: int, meaning: str, attention: str | None) -> None:
    """Say what an incoming message was taken for."""
    await tx.execute(MARK, studio, message_id, meaning, attention)
