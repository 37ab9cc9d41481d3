"""Rows with defaults, straight into the tables: a test names only what matters to it.

Every builder takes a connection or a pool first, and any column by its name: `await a_message(pool, state="unknown")`.
What a state needs besides (a lease, an attempt, the time of sending) comes with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, TypeAlias

import msgspec

from control_center.store.db import Connection, Pool

Database: TypeAlias = Connection | Pool

MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)

_LEASED: Final = frozenset({"claimed", "submitting"})
_SENT: Final = frozenset({"accepted", "delivered", "undelivered"})
_ENDED: Final = frozenset({"delivered", "undelivered", "failed", "cancelled", "suppressed", "expired", "shadow"})
# The outcome of the one attempt that a message in this state has had; None: its answer is still to come.
_ASKED: Final[Mapping[str, str | None]] = {
    "submitting": None,
    "accepted": "accepted",
    "delivered": "accepted",
    "undelivered": "accepted",
    "failed": "refused",
    "unknown": "unknown",
}

_numbers = count(1)


def now() -> datetime:
    return datetime.now(UTC)


def ago(**span: float) -> datetime:
    """`ago(days=31)`."""
    return now() - timedelta(**span)


def ahead(**span: float) -> datetime:
    return now() + timedelta(**span)


async def a_studio(db: Database, studio: str = "main", **columns: Any) -> str:
    """A studio that texts and mails. `settings` may be a dict."""
    settings: dict[str, Any] = {
        "sms": {"account": "default", "numbers": ["+13125550100"]},
        "email": {
            "account": "default",
            "from": "ada@studio.example",
            "reply_to": None,
            "postal_address": "12 Shore Drive",
        },
    }
    defaults = {
        "studio_id": studio,
        "name": "Ada Park Photography",
        "timezone": "America/Chicago",
        "country": "US",
        "settings": settings,
        "numbers": settings["sms"]["numbers"],
        "enabled": True,
    }
    await _insert(db, "studios", {**defaults, **columns}, returning="studio_id")
    return studio


async def a_trigger(db: Database, name: str | None = None, *, studio: str = "main", **definition: Any) -> int:
    """A trigger that texts a week before a booked session; `definition` replaces keys of its `[[trigger]]` table."""
    table = {
        "name": name or f"Reminder {next(_numbers)}",
        "record": "session",
        "status": "Booked",
        "activate": {"on": "session", "days": -7},
        "action": "sms",
        "text": "Hello {{ client.first_name }}, see you soon.",
        "purpose": "transactional",
        "processing": {"mode": "automatic"},
        "enabled": True,
        **definition,
    }
    row = {
        "studio_id": studio,
        "name": table["name"],
        "version": 1,
        "kind": table["record"],
        "enabled": table["enabled"],
    }
    trigger_id: int = await _insert(db, "triggers", row, returning="trigger_id")
    version = {
        "studio_id": studio,
        "trigger_id": trigger_id,
        "version": 1,
        "definition": table,
        "saved_by": "a test",
    }
    await _insert(db, "trigger_versions", version, returning="version")
    return trigger_id


async def a_client(
    db: Database,
    client_id: str = "c-12",
    *,
    studio: str = "main",
    version: int = 1,
    reach: list[str] | None = None,
    **body: Any,
) -> str:
    """A client with a mobile number and an address; `body` replaces keys of what the CRM sent."""
    sent = {
        "id": client_id,
        "version": version,
        "first_name": "Jo",
        "last_name": "Park",
        "status": "Active",
        "phones": [{"number": "+13125550188", "label": "mobile", "sms": True}],
        "emails": [{"address": "jo@mail.example"}],
        **body,
    }
    row = {
        "studio_id": studio,
        "kind": "client",
        "record_id": client_id,
        "version": version,
        "first_version": version,
        "body": sent,
        "reach": reach or [],
    }
    await _insert(db, "records", row, returning="record_id")
    return client_id


async def a_record(
    db: Database,
    ref: str = "session/4711",
    *,
    studio: str = "main",
    version: int = 1,
    client_id: str | None = "c-12",
    deleted: bool = False,
    **body: Any,
) -> str:
    """A booked session, or whatever `ref` says, that we saw created; `body` replaces keys of what the CRM sent."""
    kind, _, record_id = ref.partition("/")
    sent = {
        "kind": kind,
        "id": record_id,
        "version": version,
        "client_id": client_id,
        "type": "Wedding",
        "status": "Booked",
        "status_changed_at": "2026-11-21T16:04:05Z",
        "dates": {"session": "2027-06-12T14:00", "booked": "2026-11-21"},
        **body,
    }
    row = {
        "studio_id": studio,
        "kind": kind,
        "record_id": record_id,
        "version": version,
        "client_id": client_id,
        "deleted": deleted,
        "body": sent,
        "first_version": version,
    }
    await _insert(db, "records", row, returning="record_id")
    return ref


async def an_action(
    db: Database, *, record: str = "session/4711", state: str = "planned", studio: str = "main", **columns: Any
) -> int:
    """An action of a record and of an occurrence of its own, due now; returns its id."""
    kind, _, record_id = record.partition("/")
    defaults = {
        "studio_id": studio,
        "kind": kind,
        "record_id": record_id,
        "trigger_id": 1,
        "trigger_version": 1,
        "occurrence": f"2027-06-12T14:00#{next(_numbers)}",
        "state": state,
        "activation_at": ago(minutes=1),
        "due_at": ago(minutes=1),
        "use_by": ahead(days=800),
        "event_id": "event-1",
        "released_at": now() if state == "released" else None,
    }
    action_id: int = await _insert(db, "actions", {**defaults, **columns}, returning="action_id")
    return action_id


async def a_message(
    db: Database,
    *,
    state: str = "queued",
    record: str = "session/4711",
    action: int | None = None,
    studio: str = "main",
    channel: str = "sms",
    **columns: Any,
) -> int:
    """A text to a client in any state, under a released action of its own; returns its id.

    One of another `origin` has neither action nor trigger; what was `received` came from a client.
    """
    kind, _, record_id = record.partition("/")
    use_by = columns.get("use_by", ahead(days=800))
    trigger_id = columns.get("trigger_id", 1)
    origin = columns.get("origin", "client" if state == "received" else "trigger")
    triggered = origin == "trigger"
    if action is None and triggered:
        action = await an_action(
            db, record=record, state="released", studio=studio, trigger_id=trigger_id, use_by=use_by
        )
    asked = state in _ASKED
    defaults = {
        "studio_id": studio,
        "origin": origin,
        "purpose": "transactional",
        "action_id": action,
        "channel": channel,
        "address": "+13125550188" if channel == "sms" else "jo@mail.example",
        "account": f"{channel}/default",
        "sender": "+13125550100" if channel == "sms" else "ada@studio.example",
        "recipient": {"role": "client", "name": "Jo Park"},
        "kind": kind,
        "record_id": record_id,
        "client_id": "c-12",
        "trigger_id": trigger_id if triggered else None,
        "trigger_version": 1 if triggered else None,
        "state": state,
        "due_at": ago(minutes=1),
        "use_by": use_by,
        "asked": int(asked),
        "tries": int(asked and state != "submitting"),
        "claims": int(state in _LEASED),
        "lease_token": int(asked or state == "claimed"),
        "lease_owner": uuid.uuid4() if state in _LEASED else None,
        "lease_until": ahead(minutes=2) if state in _LEASED else None,
        "body": "See you soon." if asked or not triggered else None,
        "sent_at": now() if state in _SENT else None,
        "ended_at": now() if state in _ENDED else None,
    }
    row = {**defaults, **columns}
    message_id: int = await _insert(db, "messages", row, returning="message_id")
    for number in range(1, row["asked"] + 1):
        last = number == row["asked"] and state in _ASKED
        await _an_attempt(db, studio, message_id, number, row, outcome=_ASKED[state] if last else "not_sent")
    return message_id


async def _an_attempt(
    db: Database, studio: str, message_id: int, number: int, message: Mapping[str, Any], *, outcome: str | None
) -> None:
    row = {
        "studio_id": studio,
        "message_id": message_id,
        "number": number,
        "key": f"m-{message_id}.{number}",
        "lease_token": message["lease_token"],
        "body": message["body"] or "See you soon.",
        "started_at": ago(seconds=5),
        "ended_at": None if outcome is None else now(),
        "outcome": outcome,
        "provider_id": message.get("provider_id") if outcome == "accepted" else None,
    }
    await _insert(db, "attempts", row, returning="number")


async def _insert(db: Database, table: str, row: Mapping[str, Any], *, returning: str) -> Any:
    """Insert one row; whatever is a dict is stored as JSON."""
    columns = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    values = [msgspec.json.encode(value).decode() if isinstance(value, dict) else value for value in row.values()]
    return await db.fetchval(f"INSERT INTO {table} ({columns}) VALUES ({places}) RETURNING {returning}", *values)
