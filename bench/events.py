"""What a CRM says on a busy day: sessions, invoices and appointments that are created, change and move.

About 1 KiB each. And the sixty triggers of the studio that it is said to.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

STUDIO: Final = {
    "id": "main",
    "name": "Ada Park Photography",
    "timezone": "America/Chicago",
    "country": "US",
    "sms": {"account": "bench", "numbers": ["+13125550100"]},
    "email": {"account": "default", "from": "ada@studio.example"},
}
STATUSES: Final = {
    "session": ("Inquiry", "Booked", "Confirmed", "Shot", "Proofing", "Ordered", "Delivered", "Archived"),
    "appointment": ("Requested", "Booked", "Held", "Done"),
    "invoice": ("Draft", "Sent", "Overdue", "Paid"),
}
TYPES: Final = {
    "session": ("Wedding", "Family", "Newborn", "Senior"),
    "appointment": ("Consultation", "Viewing"),
    "invoice": (None,),
}
DATES: Final = {"session": "session", "appointment": "appointment", "invoice": "invoice"}
SIZE: Final = 1024
TEXT: Final = (
    "Hello {{ client.first_name }}, your {{ record.type | default: 'visit' }} is coming up. "
    "Reply YES to confirm or call us. {{ studio.name }}"
)


def triggers() -> list[dict[str, Any]]:
    """Sixty triggers: for each status some that act at once or days later, and reminders before a date."""
    made: list[dict[str, Any]] = []
    for kind, statuses in STATUSES.items():
        for n, status in enumerate(statuses):
            made.append(_trigger(len(made), kind, status, None, {"on": "status_changed", "days": n % 4}))
            for type_ in TYPES[kind]:
                if type_ is not None:
                    made.append(_trigger(len(made), kind, status, type_, {"on": DATES[kind], "days": -1 - n % 7}))
    while len(made) < 60:
        made.append(_trigger(len(made), "client", f"Tier {len(made)}", None, {"on": "status_changed", "days": 1}))
    return made[:60]


def _trigger(number: int, kind: str, status: str, type_: str | None, activate: dict[str, Any]) -> dict[str, Any]:
    """Every third keeps hours, every fifth a free weekend: calendars as studios have them."""
    processing: dict[str, Any] = {"mode": "automatic"}
    if number % 3 == 0:
        processing["window"] = "09:00-18:00"
    if number % 5 == 0:
        processing["not_on"] = ["sat", "sun"]
    made = {
        "name": f"Trigger {number}",
        "record": kind,
        "status": status,
        "activate": activate,
        "action": "sms",
        "text": TEXT,
        "purpose": "transactional",
        "processing": processing,
        "exclude": {"past_date": True},
        "enabled": True,
    }
    return made if type_ is None else {**made, "type": type_}


@dataclass(slots=True)
class Crm:
    """A made-up CRM: the same seed says the same things."""

    seed: int = 1
    start: datetime = datetime(2026, 11, 22, 16, tzinfo=UTC)
    _records: list[dict[str, Any]] = field(default_factory=list)
    _clients: dict[str, dict[str, Any]] = field(default_factory=dict)
    _dice: random.Random = field(default_factory=random.Random)

    def events(self, count: int) -> list[tuple[str, bytes]]:
        """So many events in the order they happened, each with its id."""
        self._dice.seed(self.seed)
        return list(self._said(count))

    def _said(self, count: int) -> Iterator[tuple[str, bytes]]:
        for number in range(count):
            at = self.start + timedelta(milliseconds=20 * number)
            luck = self._dice.random()
            if luck < 0.35 or not self._records:
                record, verb = self._new(at), "created"
            else:
                record = self._dice.choice(self._records)
                record["version"] += 1
                verb = "status_changed" if luck < 0.55 else "updated"
                self._change(record, verb, at)
            name = f"event-{self.seed}-{number}"
            yield name, self._envelope(name, record, verb, at)

    def _new(self, at: datetime) -> dict[str, Any]:
        kind = self._dice.choices(("session", "appointment", "invoice"), (5, 3, 2))[0]
        number = len(self._records)
        client_id = f"c-{number // 2}"
        self._clients.setdefault(client_id, _client(client_id, number))
        record = {
            "kind": kind,
            "id": str(4000 + number),
            "version": 1,
            "client_id": client_id,
            "type": self._dice.choice(TYPES[kind]),
            "status": self._dice.choice(STATUSES[kind]),
            "status_changed_at": _instant(at),
            "dates": {DATES[kind]: _local(at + timedelta(days=self._dice.randint(5, 300))), "booked": _instant(at)},
            "flags": {"on_hold": False, "confirmed": False, "canceled": False},
            "staff": [{"role": "photographer", "primary": True, "name": "Ada", "phone": "+13125550123"}],
            "fields": {"location": "Lakeside"},
        }
        if kind == "invoice":
            record["dates"] = {"invoice": _instant(at)}
        self._records.append(record)
        return record

    def _change(self, record: dict[str, Any], verb: str, at: datetime) -> None:
        kind = record["kind"]
        if verb == "status_changed":
            record["status"] = self._dice.choice(STATUSES[kind])
            record["status_changed_at"] = _instant(at)
        elif kind != "invoice" and self._dice.random() < 0.15:
            record["dates"][DATES[kind]] = _local(at + timedelta(days=self._dice.randint(5, 300)))
        if self._dice.random() < 0.15:
            self._clients[record["client_id"]]["version"] += 1

    def _envelope(self, name: str, record: dict[str, Any], verb: str, at: datetime) -> bytes:
        event = {
            "specversion": "1.0",
            "id": name,
            "source": "/crm/main",
            "type": f"crm.{record['kind']}.{verb}",
            "subject": f"{record['kind']}/{record['id']}",
            "time": _instant(at),
            "studio": "main",
            "datacontenttype": "application/json",
            "data": {"record": record, "client": self._clients[record["client_id"]]},
        }
        return padded(event, record["fields"])


def padded(event: dict[str, Any], fields: dict[str, Any]) -> bytes:
    """The event as bytes, with a note of the photographer's that makes it 1 KiB."""
    fields["notes"] = ""
    short = SIZE - len(json.dumps(event, separators=(",", ":")))
    fields["notes"] = ("They would like the lake, in the evening. " * 25)[: max(0, short)]
    return json.dumps(event, separators=(",", ":")).encode()


def _client(client_id: str, number: int) -> dict[str, Any]:
    return {
        "id": client_id,
        "version": 1,
        "first_name": "Jo",
        "last_name": "Park",
        "status": "Active",
        "phones": [{"number": f"(312) 555-{number % 10_000:04}", "label": "mobile", "sms": True}],
        "emails": [{"address": f"jo{number}@mail.example"}],
    }


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _local(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT14:00")
