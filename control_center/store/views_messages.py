"""Messages as people and the API see them: lists, and the attempts and receipts of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from control_center.domain.message import State
from control_center.store.db import Connection
from control_center.store.pages import Page, after, page


class Message(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    """One SMS or email of contract part 5. `text` is null until a provider was asked; `attempts` counts that."""

    id: str
    direction: str
    origin: str
    purpose: str
    channel: str
    state: str
    sender: str
    to: str
    recipient: dict[str, Any]
    subject: str | None
    text: str | None
    trigger: str | None
    trigger_id: int | None
    trigger_version: int | None
    action: str | None
    record: str | None
    client: str | None
    created_at: datetime
    due_at: datetime
    use_by: datetime
    sent_at: datetime | None
    ended_at: datetime | None
    attempts: int
    provider_id: str | None
    resolved_by: str | None
    made_by: str | None
    segments: int | None
    meaning: str | None
    attention: str | None
    read_at: datetime | None
    reason: str

    @property
    def number(self) -> int:
        return int(self.id.removeprefix("m-"))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages; None means any. `text` is looked for in words, subject, address and recipient."""

    states: Sequence[State] | None = None
    channel: str | None = None
    record: tuple[str, str] | None = None  # kind, record id
    client: str | None = None
    action: int | None = None
    trigger: str | None = None
    text: str | None = None


_COLUMNS = """messages.message_id, channel, messages.state, sender, address, recipient, subject, body, triggers.name,
       messages.trigger_id, messages.trigger_version, action_id, messages.kind, record_id, client_id, created_at,
       due_at, use_by, sent_at, ended_at, asked, provider_id, resolved_by, reason, origin, purpose, made_by, segments,
       meaning, attention, read_at"""

_MESSAGES = f"""
SELECT {_COLUMNS}
  FROM messages
  LEFT JOIN triggers ON triggers.studio_id = messages.studio_id AND triggers.trigger_id = messages.trigger_id"""

MESSAGES = f"""{_MESSAGES}
 WHERE messages.studio_id = $1
   AND ($2::bigint IS NULL OR messages.message_id < $2)
   AND ($3::text[] IS NULL OR messages.state = ANY ($3))
   AND ($4::text IS NULL OR messages.channel = $4)
   AND ($5::text IS NULL OR (messages.kind = $5 AND messages.record_id = $6::text))
   AND ($7::text IS NULL OR messages.client_id = $7)
   AND ($8::bigint IS NULL OR messages.action_id = $8)
   AND ($9::text IS NULL OR triggers.name = $9)
   AND ($10::text IS NULL
        OR position(lower($10) IN lower(concat_ws(' ', body, subject, address, sender, recipient))) > 0)
 ORDER BY messages.message_id DESC
 LIMIT $11"""


async def messages(
    tx: Connection, studio: str, wanted: Filter = Filter(), *, cursor: str | None = None, limit: int = 50
) -> Page[Message]:
    """A page of a studio's messages, newest first. Raises Malformed for a cursor that is none."""
    before = after(cursor, tuple[int])
    kind, record_id = wanted.record or (None, None)
    rows = await tx.fetch(
        MESSAGES,
        studio,
        before and before[0],
        None if wanted.states is None else [state.value for state in wanted.states],
        wanted.channel,
        kind,
        record_id,
        wanted.client,
        wanted.action,
        wanted.trigger,
        wanted.text,
        limit + 1,
    )
    return page([_message(row) for row in rows], limit, lambda one: [one.number])


MESSAGE = f"{_MESSAGES} WHERE messages.studio_id = $1 AND messages.message_id = $2"


async def message(tx: Connection, studio: str, message_id: int) -> Message | None:
    row = await tx.fetchrow(MESSAGE, studio, message_id)
    return row and _message(row)


class Attempt(msgspec.Struct, frozen=True):
    """One time a provider was asked, and what it answered. `key` is our reference there."""

    number: int
    key: str
    subject: str | None
    text: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    code: str | None
    reason: str | None
    provider_id: str | None


ATTEMPTS_OF_MESSAGE = """
SELECT number, key, subject, body, started_at, ended_at, outcome, code, reason, provider_id FROM attempts
 WHERE studio_id = $1 AND message_id = $2 ORDER BY number"""


async def attempts(tx: Connection, studio: str, message_id: int) -> list[Attempt]:
    """Every time a provider was asked to take this message, oldest first."""
    return [Attempt(*row) for row in await tx.fetch(ATTEMPTS_OF_MESSAGE, studio, message_id)]


class Receipt(msgspec.Struct, frozen=True):
    """What a provider said about a message afterwards."""

    fate: str
    key: str | None
    provider_id: str | None
    code: str | None
    reason: str | None
    received_at: datetime


RECEIPTS_OF_MESSAGE = """
SELECT fate, key, provider_id, code, reason, received_at FROM receipts
 WHERE studio_id = $1 AND message_id = $2 ORDER BY receipt_id"""


async def receipts(tx: Connection, studio: str, message_id: int) -> list[Receipt]:
    """What came back about this message, in the order it came."""
    return [Receipt(*row) for row in await tx.fetch(RECEIPTS_OF_MESSAGE, studio, message_id)]


def _message(row: Any) -> Message:
    incoming = row[2] == State.RECEIVED.value
    ours, theirs = row[3], row[4]
    return Message(
        id=f"m-{row[0]}",
        direction="in" if incoming else "out",
        origin=row[24],
        purpose=row[25],
        channel=row[1],
        state=row[2],
        sender=theirs if incoming else ours,
        to=ours if incoming else theirs,
        recipient=msgspec.json.decode(row[5]),
        subject=row[6],
        text=row[7],
        trigger=row[8],
        trigger_id=row[9],
        trigger_version=row[10],
        action=None if row[11] is None else f"a-{row[11]}",
        record=None if row[12] is None else f"{row[12]}/{row[13]}",
        client=row[14],
        created_at=row[15],
        due_at=row[16],
        use_by=row[17],
        sent_at=row[18],
        ended_at=row[19],
        attempts=row[20],
        provider_id=row[21],
        resolved_by=row[22],
        made_by=row[26],
        segments=row[27],
        meaning=row[28],
        attention=row[29],
        read_at=row[30],
        reason=row[23],
    )
