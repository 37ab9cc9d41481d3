"""What the CRM says: CloudEvents with defaults, as the bytes that arrive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from typing import Any

_numbers = count(1)


def session(session_id: str = "4711", *, version: int = 1, client: str | None = "c-12", **keys: Any) -> dict[str, Any]:
    """A wedding in June, booked a while before."""
    return {
        "kind": "session",
        "id": session_id,
        "version": version,
        "client_id": client,
        "type": "Wedding",
        "status": "Booked",
        "status_changed_at": "2026-11-21T16:04:05Z",
        "dates": {"session": "2027-06-12T14:00", "booked": "2026-11-21"},
        **keys,
    }


def client(client_id: str = "c-12", *, version: int = 1, **keys: Any) -> dict[str, Any]:
    """Jo, who takes texts and mail."""
    return {
        "id": client_id,
        "version": version,
        "first_name": "Jo",
        "last_name": "Park",
        "phones": [{"number": "(312) 555-0188", "label": "mobile", "sms": True}],
        "emails": [{"address": "jo@mail.example"}],
        **keys,
    }


def event(
    record: dict[str, Any] | None = None,
    verb: str = "created",
    *,
    about: dict[str, Any] | None = None,
    event_id: str | None = None,
    studio: str = "main",
    time: str = "2026-11-21T16:04:06Z",
    source: str = "/crm/main",
    number: int | None = None,
    **envelope: Any,
) -> bytes:
    """One event about `record`, with `about` as its client; about the client alone where there is no record."""
    data: dict[str, Any] = {}
    if record is not None:
        data["record"] = record
    if about is not None:
        data["client"] = about
    shown = record or about
    assert shown is not None
    kind = record["kind"] if record is not None else "client"
    body = {
        "specversion": "1.0",
        "id": event_id or f"event-{next(_numbers)}",
        "source": source,
        "type": f"crm.{kind}.{verb}",
        "subject": f"{kind}/{shown['id']}",
        "time": time,
        "studio": studio,
        "data": data,
        **({} if number is None else {"sequence": str(number), "sequencetype": "Integer"}),
        **envelope,
    }
    return json.dumps(body).encode()


def snapshot(
    *,
    records: Sequence[dict[str, Any]] = (),
    clients: Sequence[dict[str, Any]] = (),
    time: str = "2026-11-21T16:04:06Z",
) -> bytes:
    """History to load."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"snapshot-{next(_numbers)}",
            "source": "/crm/main",
            "type": "crm.snapshot",
            "subject": "snapshot",
            "time": time,
            "studio": "main",
            "data": {"clients": clients, "records": records, "last": True},
        }
    ).encode()
