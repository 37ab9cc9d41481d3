"""What was, for playing it once more: the events about records, whose records are whose, what addresses said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from control_center.domain.consent import Purpose, Said
from control_center.store.db import Connection

# Subject by subject along its index; OFFSET 0 keeps the planner from joining the tables.
EVENTS_ABOUT = """
SELECT found.received_at, found.body
  FROM unnest($2::text[]) AS wanted (subject)
 CROSS JOIN LATERAL (
       SELECT received_at, body, source, event_id FROM events
        WHERE events.studio_id = $1 AND events.subject = wanted.subject AND received_at <= $3
          AND body <> '' OFFSET 0) AS found
 ORDER BY found.received_at, found.source, found.event_id"""


async def events_about(
    tx: Connection, studio: str, subjects: Collection[str], *, until: datetime
) -> list[tuple[datetime, str]]:
    """The bodies of all kept events about these records, each with the time when it came, oldest first."""
    return [(row[0], row[1]) for row in await tx.fetch(EVENTS_ABOUT, studio, list(subjects), until)]


BELONGINGS = """
SELECT kind, record_id, client_id FROM records
 WHERE studio_id = $1 AND (kind, record_id) > ($2, $3)
 ORDER BY kind, record_id LIMIT $4"""


async def belongings(tx: Connection, studio: str, *, page: int = 10_000) -> AsyncIterator[Sequence[tuple[str, str]]]:
    """Every client's id with the subject of a record of theirs, page by page."""
    kind, record_id = "", ""
    while rows := await tx.fetch(BELONGINGS, studio, kind, record_id, page):
        yield [(row[2], f"{row[0]}/{row[1]}") for row in rows if row[2] is not None]
        kind, record_id = rows[-1][0], rows[-1][1]


# As store.chains asks it of a change that comes now: the command that is named, else the last one of ten minutes.
ANSWERS = """
SELECT asked.number, actions.chain, actions.trigger_id
  FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
       AS asked (number, subject, command_id, status, at)
 CROSS JOIN LATERAL (
       SELECT data FROM commands
        WHERE commands.studio_id = $1 AND commands.subject = asked.subject AND commands.verb = 'change_status'
          AND CASE WHEN asked.command_id IS NULL
                   THEN commands.created_at <= asked.at AND commands.created_at > asked.at - interval '10 minutes'
                   ELSE commands.command_id = asked.command_id END
        ORDER BY sequence DESC LIMIT 1) AS commands
 CROSS JOIN LATERAL (
       SELECT chain, trigger_id FROM actions
        WHERE actions.studio_id = $1
          AND actions.action_id = substr(commands.data::json #>> '{cause,action}', 3)::bigint OFFSET 0) AS actions
 WHERE asked.command_id IS NOT NULL OR commands.data::json ->> 'status' = asked.status"""


@dataclass(frozen=True, slots=True)
class Entered:
    """A status that a record entered at a time; `command_id` is the command that this answers, where it was said."""

    subject: str
    command_id: str | None
    status: str | None
    at: datetime


async def answers(tx: Connection, studio: str, entered: Sequence[Entered]) -> dict[int, tuple[int, ...]]:
    """Of these, by their place, the ones that our commands brought about: the triggers up to the one that asked."""
    rows = await tx.fetch(
        ANSWERS,
        studio,
        list(range(len(entered))),
        [one.subject for one in entered],
        [one.command_id for one in entered],
        [one.status for one in entered],
        [one.at for one in entered],
    )
    return {row[0]: (*map(int, row[1].split()), row[2]) for row in rows}


OLDEST = "SELECT min(received_at) FROM events WHERE studio_id = $1"


async def oldest(tx: Connection, studio: str) -> datetime | None:
    """Since when events are kept; None where there are none."""
    found: datetime | None = await tx.fetchval(OLDEST, studio)
    return found


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a trigger made; `sent_at` is None where no provider took it."""

    message_id: int
    action_id: int
    trigger_id: int
    client_id: str | None
    address: str
    created_at: datetime
    sent_at: datetime | None


MESSAGES = """
SELECT message_id, action_id, trigger_id, client_id, address, created_at, sent_at FROM messages
 WHERE studio_id = $1 AND message_id < $2
 ORDER BY message_id DESC LIMIT $3"""

_LARGEST = 2**63 - 1


async def sent(tx: Connection, studio: str, *, since: datetime, page: int = 5_000) -> AsyncIterator[Sent]:
    """What was really sent since then, newest first."""
    before = _LARGEST
    while rows := await tx.fetch(MESSAGES, studio, before, page):
        for one in (Sent(*row) for row in rows):
            if one.created_at < since:
                return
            if one.sent_at is not None:
                yield one
            before = one.message_id


SAID = """
SELECT asked.channel, asked.address, at, purpose, says
  FROM unnest($2::text[], $3::text[]) AS asked (channel, address)
  JOIN consents ON consents.studio_id = $1 AND consents.channel = asked.channel
   AND consents.address = lower(asked.address)
 ORDER BY consent_id"""


async def said(
    tx: Connection, studio: str, asked: Collection[tuple[str, str]]
) -> dict[tuple[str, str], list[tuple[datetime, Purpose, Said]]]:
    """What these (channel, address) ever said, oldest first; those that said nothing are left out."""
    rows = await tx.fetch(SAID, studio, [one[0] for one in asked], [one[1] for one in asked])
    found: dict[tuple[str, str], list[tuple[datetime, Purpose, Said]]] = {}
    for row in rows:
        found.setdefault((row[0], row[1]), []).append((row[2], Purpose(row[3]), Said(row[4])))
    return found
