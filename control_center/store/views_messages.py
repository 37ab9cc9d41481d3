"""Messages as people and the API see them: lists, and the attempts and receipts of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec

from control_center.domain.message import State
from control_center.store.db import Connection
from control_center.store.halves import EITHER
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
    bulk: str | None
    parent: str | None
    assigned_to: str | None
    task: str | None
    segments: int | None
    meaning: str | None
    attention: str | None
    read_at: datetime | None
    media: list[str]
    reason: str

    @property
    def number(self) -> int:
        return int(self.id.removeprefix("m-"))


class Box(StrEnum):
    """Which way messages went."""

    INBOX = "inbox"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages; None means any. `since` and `until` are of when they were made, the second one left out.

    `unread`, `unlinked` (to nobody we know) and `attention` (a person should look, and none has) are asked for or not.
    `made_by` is the person who wrote one by hand, or made the bulk that it is of.
    """

    states: Sequence[State] | None = None
    box: Box | None = None
    unread: bool = False
    unlinked: bool = False
    attention: bool = False
    channel: str | None = None
    record: tuple[str, str] | None = None  # kind, record id
    client: str | None = None
    action: int | None = None
    trigger: str | None = None
    bulk: int | None = None
    made_by: str | None = None
    assigned_to: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING: Final = Filter()

_COLUMNS = """messages.message_id, channel, messages.state, sender, address, recipient, subject, body, triggers.name,
       messages.trigger_id, messages.trigger_version, action_id, messages.kind, record_id, client_id, created_at,
       due_at, use_by, sent_at, ended_at, asked, provider_id, resolved_by, reason, origin, purpose, made_by, segments,
       meaning, attention, read_at, parent_id, assigned_to, task, bulk_id, media"""

SHOWN = f"""
SELECT {_COLUMNS}
  FROM messages
  LEFT JOIN triggers ON triggers.studio_id = messages.studio_id AND triggers.trigger_id = messages.trigger_id"""

# Planned anew for the values at hand: what is not asked for is gone before an index is chosen, and each of these has
# one that is read in the order of the list. One state is compared as one, which keeps that order.
WANTED = f"""($2::bigint IS NULL OR messages.message_id < $2)
   AND ($3::text[] IS NULL OR messages.state = ANY ($3))
   AND ($4::text IS NULL OR messages.state = $4)
   AND ($5::text IS NULL OR messages.channel = $5)
   AND ($6::text IS NULL OR (messages.kind = $6 AND messages.record_id = $7::text AND {EITHER}))
   AND ($8::text IS NULL OR (messages.client_id = $8 AND {EITHER}))
   AND ($9::bigint IS NULL OR messages.action_id = $9)
   AND ($10::text IS NULL OR messages.trigger_id =
           (SELECT trigger_id FROM triggers WHERE triggers.studio_id = $1 AND triggers.name = $10))
   AND (NOT $11::boolean OR messages.state <> 'received')
   AND (NOT $12::boolean OR (messages.state = 'received' AND messages.read_at IS NULL))
   AND (NOT $13::boolean OR messages.client_id IS NULL)
   AND (NOT $14::boolean OR (messages.attention IS NOT NULL AND messages.read_at IS NULL))
   AND ($15::bigint IS NULL OR messages.message_id >= $15)
   AND ($16::timestamptz IS NULL OR messages.created_at >= $16)
   AND ($17::bigint IS NULL OR messages.message_id < $17)
   AND ($18::timestamptz IS NULL OR messages.created_at < $18)
   AND ($19::text IS NULL OR messages.assigned_to = $19)
   AND ($20::bigint IS NULL OR messages.bulk_id = $20)
   AND ($21::text IS NULL OR messages.made_by = $21)"""

MESSAGES = f"""{SHOWN}
 WHERE messages.studio_id = $1 AND {WANTED}
 ORDER BY messages.message_id DESC
 LIMIT $22"""


async def messages(
    tx: Connection, studio: str, wanted: Filter = EVERYTHING, *, cursor: str | None = None, limit: int = 50
) -> Page[Message]:
    """A page of a studio's messages, newest first. Raises Malformed for a cursor that is none."""
    rows = await tx.fetch(MESSAGES, *await narrowed(tx, studio, wanted, cursor), limit + 1)
    return page([shown(row) for row in rows], limit, lambda one: [one.number])


async def narrowed(tx: Connection, studio: str, wanted: Filter, cursor: str | None) -> list[Any]:
    """The values of `WANTED`, the studio first. Raises Malformed for a cursor that is none."""
    before = after(cursor, tuple[int])
    kind, record_id = wanted.record or (None, None)
    states = None if wanted.states is None else [state.value for state in wanted.states]
    one = states[0] if states is not None and len(states) == 1 else None
    if wanted.box is Box.INBOX:
        one = State.RECEIVED.value if one in (None, State.RECEIVED.value) else ""
    return [
        studio,
        before and before[0],
        states if one is None or (states is not None and len(states) > 1) else None,
        one,
        wanted.channel,
        kind,
        record_id,
        wanted.client,
        wanted.action,
        wanted.trigger,
        wanted.box is Box.SENT,
        wanted.unread,
        wanted.unlinked,
        wanted.attention,
        await _number_at(tx, studio, wanted.since),
        wanted.since,
        await _number_at(tx, studio, wanted.until and _moved(wanted.until, _UNORDERED)),
        wanted.until,
        wanted.assigned_to,
        wanted.bulk,
        wanted.made_by,
    ]


# Numbers are given in the order of time, but for what several transactions make at once. So a day is a stretch of
# numbers, found by halving: no index by time has to be kept beside every message.
_UNORDERED = timedelta(minutes=10)
ENDS = """
SELECT (SELECT min(message_id) FROM messages WHERE studio_id = $1),
       (SELECT max(message_id) FROM messages WHERE studio_id = $1)"""
MADE_AT = """
SELECT created_at FROM messages WHERE studio_id = $1 AND message_id >= $2 ORDER BY message_id LIMIT 1"""


def _moved(at: datetime, by: timedelta) -> datetime:
    """So much later or earlier, as far as there are instants."""
    try:
        return at + by
    except OverflowError:
        return at


async def _number_at(tx: Connection, studio: str, at: datetime | None) -> int | None:
    """A number that no message of this studio has which was made at that time or later; close to the first that has."""
    if at is None:
        return None
    lowest, highest = await tx.fetchrow(ENDS, studio)
    if lowest is None:
        return None
    highest += 1
    early = _moved(at, -_UNORDERED)
    while lowest < highest:
        middle = (lowest + highest) // 2
        made_at = await tx.fetchval(MADE_AT, studio, middle)
        if made_at is None or made_at >= early:
            highest = middle
        else:
            lowest = middle + 1
    return int(lowest)


MESSAGE = f"{SHOWN} WHERE messages.studio_id = $1 AND messages.message_id = $2"


async def message(tx: Connection, studio: str, message_id: int) -> Message | None:
    row = await tx.fetchrow(MESSAGE, studio, message_id)
    return row and shown(row)


def shown(row: Any) -> Message:
    """A message as it is shown, from a row of `SHOWN`."""
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
        bulk=None if row[34] is None else f"b-{row[34]}",
        parent=None if row[31] is None else f"m-{row[31]}",
        assigned_to=row[32],
        task=row[33],
        segments=row[27],
        meaning=row[28],
        attention=row[29],
        read_at=row[30],
        media=list(row[35] or ()),
        reason=row[23],
    )
