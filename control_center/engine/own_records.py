"""Records that we keep ourselves: what became of an email is one, and triggers hang on it as on any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from control_center.domain.action import Add, State
from control_center.domain.message import State as MessageState
from control_center.domain.reconciliation import reconcile
from control_center.domain.record import Picture
from control_center.engine.intake import RELEASE_CHANNEL
from control_center.store import actions, db, mailed, records, studios
from control_center.store.mailed import Mailed
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebooks

# What a receipt says of an email, in the words of triggers.
_EVENTS: Mapping[MessageState, str] = {MessageState.DELIVERED: "delivered", MessageState.UNDELIVERED: "bounced"}


async def note_emails(tx: db.Connection, came: Iterable[tuple[str, int, MessageState]], now: datetime) -> None:
    """Make records of what receipts just said of emails (studio, message, state reached), and plan what hangs on them.

    Each event of an email is a record of its own, written once: a second receipt of the kind says nothing new.
    """
    told = {(studio, number): _EVENTS[state] for studio, number, state in came if state in _EVENTS}
    listening = await mailed.listening(tx, {studio for studio, _ in told}) if told else set()
    asked = [key for key in told if key[0] in listening]
    if not asked:
        return
    known = await studios.share(tx, {studio for studio, _ in asked})
    emails = await mailed.of_messages(tx, asked)
    pictures = [_picture(one, told[one.studio, one.message_id], now) for one in emails]
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


def _picture(email: Mailed, event: str, now: datetime) -> Picture:
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
    text = msgspec.json.encode(body).decode()
    return Picture(email.studio, "email", record_id, 1, text, email.client_id, False, 1, None, None)
