"""Records that we keep ourselves: what became of an email, a text that came in. Triggers hang on them as on others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from control_center.domain.action import Add, State
from control_center.domain.message import State as MessageState
from control_center.domain.reconciliation import reconcile
from control_center.domain.record import Picture
from control_center.engine.lines import RELEASE_CHANNEL
from control_center.store import actions, db, mailed, records, studios
from control_center.store.mailed import Mailed, Texted
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebooks

# What a receipt says of an email, in the words of triggers.
_EVENTS: Mapping[MessageState, str] = {MessageState.DELIVERED: "delivered", MessageState.UNDELIVERED: "bounced"}


async def note_emails(tx: db.Connection, came: Iterable[tuple[str, int, MessageState]], now: datetime) -> None:
    """Make records of what receipts just said of emails (studio, message, state reached), and plan what hangs on them.

    Each event of an email is a record of its own, written once: a second receipt of the kind says nothing new.
    """
    events = [(studio, number, _EVENTS[state]) for studio, number, state in came if state in _EVENTS]
    await note_events(tx, events, now)


async def note_events(tx: db.Connection, came: Iterable[tuple[str, int, str]], now: datetime) -> None:
    """The same for what is no receipt: an email's link was followed, it was complained of, or unsubscribed from."""
    told = {(studio, number): event for studio, number, event in came}
    asked = await _heard(tx, told, "email")
    if asked:
        emails = await mailed.of_messages(tx, asked)
        await _note(tx, [_email(one, told[one.studio, one.message_id], now) for one in emails], now)


async def note_texts(tx: db.Connection, came: Iterable[tuple[str, int]], now: datetime) -> None:
    """Make records of texts that just came in (studio, message in state `received`), and plan what hangs on them.

    Each text is a record, written once. One whose sender nobody knows is one, too: it has no client. Raises Conflict
    where somebody else notes the same text at this moment: to be called in `db.retried`.
    """
    asked = await _heard(tx, came, "sms")
    if asked:
        await _note(tx, [_text(one, now) for one in await mailed.texts(tx, asked)], now)


async def listens(tx: db.Connection, studio: str) -> bool:
    """Whether a trigger of the studio hangs on texts that come in."""
    return bool(await mailed.listening(tx, {studio}, "sms"))


async def _heard(tx: db.Connection, keys: Iterable[tuple[str, int]], kind: str) -> list[tuple[str, int]]:
    """Those of the messages, each once, in whose studio a trigger hangs on such records: of others none is kept."""
    once = sorted(set(keys))
    listening = await mailed.listening(tx, {studio for studio, _ in once}, kind) if once else set()
    return [key for key in once if key[0] in listening]


async def _note(tx: db.Connection, pictures: Sequence[Picture], now: datetime) -> None:
    """Write the records that are new, and plan what hangs on them."""
    known = await studios.share(tx, {picture.studio for picture in pictures})
    earlier = await records.lock(tx, [picture.key for picture in pictures])
    new = sorted((one for one in pictures if one.key not in earlier), key=lambda one: one.key)
    if new:
        await records.save(tx, new, earlier)
        books = await Rulebooks().of(tx, known)
        steps = [
            (picture.key, step, None)
            for picture in new
            for step in reconcile(picture, books[picture.studio].rules, (), now)
            if isinstance(step, Add)
        ]
        await _plan(tx, steps, now)


async def _plan(tx: db.Connection, steps: Sequence[tuple[Key, Add, str | None]], now: datetime) -> None:
    if not steps:
        return
    await actions.add(tx, steps)
    if any(step.plan.state is State.PLANNED and step.plan.due_at <= now for _, step, _ in steps):
        await db.notify(tx, RELEASE_CHANNEL)


def _email(email: Mailed, event: str, now: datetime) -> Picture:
    record_id = f"m-{email.message_id}.{event}"
    body = {
        "kind": "email",
        "id": record_id,
        "version": 1,
        "client_id": email.client_id,
        "status": event,
        "status_changed_at": now,
        "type": email.trigger,
        "dates": {"received": now, "sent": email.sent_at},
        "event": event,
        "category": email.trigger,
        "subject": email.subject,
    }
    return _picture(email.studio, email.client_id, body)


def _text(text: Texted, now: datetime) -> Picture:
    body = {
        "kind": "sms",
        "id": f"m-{text.message_id}",
        "version": 1,
        "client_id": text.client_id,
        "status_changed_at": now,
        "dates": {"received": now},
        "direction": "in",
        "channel": "sms",
        "state": MessageState.RECEIVED,
        "text": text.text,
    }
    return _picture(text.studio, text.client_id, body)


def _picture(studio: str, client_id: str | None, body: Mapping[str, Any]) -> Picture:
    """A record that was seen as it came to be, and never changes."""
    text = msgspec.json.encode(body).decode()
    return Picture(studio, body["kind"], body["id"], 1, text, client_id, False, 1, None, None)
