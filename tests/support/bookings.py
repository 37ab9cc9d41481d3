"""Sessions being booked just now, each by a client of its own: what a CRM sends all day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.support import crm


def booking(
    record_id: str,
    *,
    number: int = 0,
    version: int = 1,
    verb: str = "created",
    studio: str = "main",
    place: int | None = None,
    **keys: Any,
) -> bytes:
    """A session booked at this instant by client number `number`, whose texts the sandbox takes and delivers.

    `place` is the number that the CRM gives to the event, where it counts them.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    record = crm.session(record_id, version=version, client=f"c-{record_id}", **{"status_changed_at": now, **keys})
    who = crm.client(
        f"c-{record_id}",
        phones=[{"number": phone(number), "label": "mobile", "sms": True}],
        emails=[{"address": f"client{number}@mail.example"}],
    )
    event_id = f"{record_id}-{version}"
    return crm.event(record, verb, about=who, studio=studio, event_id=event_id, time=now, number=place)


def bookings(number: int, *, prefix: str = "s", studio: str = "main", first: int = 0) -> list[bytes]:
    """So many, by as many clients, numbered from `first`."""
    return [booking(f"{prefix}{one}", number=first + one, studio=studio) for one in range(number)]


def phone(number: int) -> str:
    """A number of Chicago whose last four digits mean nothing to the sandbox."""
    return f"+1312{210 + number // 8000}{1000 + number % 8000}"
