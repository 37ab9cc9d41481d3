"""A CRM for the demo: what happens in a studio on one day, in a minute and a half."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

# Some recipients make the sandbox answer as a provider does on a bad day.
PEOPLE: Final = (
    ("Jo", "Park", "(312) 555-0188", "jo@mail.example"),
    ("Ines", "Ferrari", "(312) 555-0134", "ines@mail.example"),
    ("Sam", "Okafor", "", "sam@mail.example"),
    ("Lena", "Brandt", "(312) 555-0141", "lena@mail.example"),
    ("Ravi", "Shah", "312-555-0002", "busy@mail.example"),
    ("Maya", "Cohen", "(312) 555-0157", "maya@mail.example"),
    ("Tom", "Larsen", "(312) 555-0001", "tom@mail.example"),
    ("Ana", "Souza", "(312) 555-0163", "ana@mail.example"),
    ("Kim", "Nguyen", "(312) 555-0003", "kim@mail.example"),
    ("Will", "Hughes", "(312) 555-0172", "will@mail.example"),
    ("Zoe", "Martin", "(312) 555-0119", "zoe@mail.example"),
    ("Noah", "Weiss", "(312) 555-0195", "noah@mail.example"),
)
TYPES: Final = ("Family", "Wedding", "Newborn", "Headshots")
PLACES: Final = ("Lakeside", "the studio", "Lincoln Park")


@dataclass(slots=True)
class Crm:
    """Keeps the newest version of each of its records. `run` tells the records of one demo from those of another."""

    studio: str
    run: str
    began: datetime
    today: date  # at the studio
    versions: dict[str, int] = field(default_factory=dict)
    entries: dict[str, tuple[str, str]] = field(default_factory=dict)
    events: int = 0

    def day(self) -> Iterator[tuple[float, str, bytes]]:
        """Everything that happens: seconds from the beginning, a sentence for people, and the event."""
        found = sorted(self._stories(), key=lambda one: one[0])
        for at, said, kind, number, keys in found:
            yield at, said, self._event(kind, number, self.began + timedelta(seconds=at), keys)

    def _stories(self) -> Iterator[tuple[float, str, str, int, dict[str, Any]]]:
        for number, (first, last, _, _) in enumerate(PEOPLE):
            name = f"{first} {last}"
            start = 0.5 + number * 4.0
            session = self._days(3 + number * 5 if number % 4 else 8 + number)
            kind = TYPES[number % len(TYPES)]
            booked = {"type": kind, "dates": {"session": f"{session}T14:00", "booked": self._days(0)}}
            place = {"fields": {"location": PLACES[number % len(PLACES)]}}
            yield start, f"{name} books a {kind} session on {session}", "session", number, {
                "status": "Booked", **booked, **place}  # fmt: skip
            if number % 3 == 0:
                moved = {**booked, "dates": {"session": f"{self._days(12 + number)}T10:30", "booked": self._days(0)}}
                said = f"{name} moves the session to {self._days(12 + number)}"
                yield start + 14, said, "session", number, {"status": "Booked", **moved, **place}
            if number % 3 == 1:
                yield start + 9, f"{name} pays", "invoice", number, {
                    "status": "Paid", "amounts": _amounts("400.00", "400.00")}  # fmt: skip
            if number % 4 == 2:
                yield start + 11, f"{name} is late with a payment", "invoice", number, {
                    "status": "Overdue", "amounts": _amounts("900.00", "150.00")}  # fmt: skip
            if number % 5 == 0:
                yield start + 25, f"{name}'s pictures are ready", "session", number, {
                    "status": "Gallery ready", **booked}  # fmt: skip
            if number % 4 == 3:
                yield start + 6, f"{name} wants to meet on {self._days(2 + number)}", "appointment", number, {
                    "status": "Scheduled", "type": "Consultation",
                    "dates": {"appointment": f"{self._days(2 + number)}T16:00", "booked": self._days(0)}}  # fmt: skip
            if number == 7:
                yield start + 20, f"{name} cancels", "session", number, {
                    "status": "Booked", **booked, "flags": {"canceled": True}}  # fmt: skip
            if number % 6 == 5:
                yield start + 18, f"{name}'s session is over", "session", number, {"status": "Completed", **booked}

    def _event(self, kind: str, number: int, at: datetime, keys: dict[str, Any]) -> bytes:
        record_id = f"{self.run}-{number}"
        subject = f"{kind}/{record_id}"
        version = self.versions[subject] = self.versions.get(subject, 0) + 1
        status = keys["status"]
        time = at.isoformat(timespec="milliseconds")
        known = self.entries.get(subject, ("", ""))
        if known[0] != status:
            self.entries[subject] = known = (status, time)
        self.events += 1
        record = {
            "kind": kind,
            "id": record_id,
            "version": version,
            "client_id": f"c-{record_id}",
            "status_changed_at": known[1],
            **({"staff": [STAFF]} if kind == "session" else {}),
            **keys,
        }
        body = {
            "specversion": "1.0",
            "id": f"{self.run}-{self.events}",
            "source": "/demo",
            "type": f"crm.{kind}.{'created' if version == 1 else 'status_changed' if known[1] == time else 'updated'}",
            "subject": subject,
            "time": time,
            "studio": self.studio,
            "datacontenttype": "application/json",
            "data": {"record": record, "client": self._client(number)},
        }
        return json.dumps(body).encode()

    def _client(self, number: int) -> dict[str, Any]:
        first, last, phone, address = PEOPLE[number]
        return {
            "id": f"c-{self.run}-{number}",
            "version": 1,
            "first_name": first,
            "last_name": last,
            "phones": [{"number": phone, "label": "mobile", "sms": True}] if phone else [],
            "emails": [{"address": address}],
        }

    def _days(self, ahead: int) -> str:
        return (self.today + timedelta(days=ahead)).isoformat()


STAFF: Final = {
    "role": "photographer",
    "primary": True,
    "name": "Ada",
    "phone": "+13125550123",
    "email": "ada@lakeside.example",
}


def _amounts(total: str, paid: str) -> dict[str, str]:
    balance = f"{float(total) - float(paid):.2f}"
    return {"total": total, "paid": paid, "balance": balance, "currency": "USD"}
