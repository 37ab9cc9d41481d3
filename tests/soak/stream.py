"""What a CRM and its clients say all day: sessions booked, moved, called off and held, events said twice, replies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Final

from tests.support import crm
from tests.support.bookings import phone

TYPES: Final = ("Wedding", "Portrait", "Family")
GROUP: Final = 12  # sessions that are one audience of a bulk
LATEST: Final = 40  # sessions that something still happens to
# What is said next, and how often.
WEIGHTS: Final[Mapping[str, int]] = {
    "booked": 46,
    "moved": 12,
    "canceled": 5,
    "delivered": 9,
    "repeated": 10,
    "overtaken": 3,
    "broken": 2,
    "reply": 13,
}
# What a client writes, by what the last text to them began with.
REPLIES: Final[Mapping[str, tuple[str, ...]]] = {
    "Confirm": ("YES", "Yes, thank you!", "no, that does not work for us"),
    "Score": ("10", "9!", "3", "0", "seven", "It was lovely"),
    "": ("Thank you so much", "PRICES", "prices", "STOP", "See you then"),
}


@dataclass
class Session:
    """One session as the CRM has it."""

    number: int
    kind: str
    day: date
    booked_at: datetime
    version: int = 1
    status: str = "Booked"
    status_at: datetime | None = None
    ever_left: bool = False  # Booked, or is on the way out

    @property
    def name(self) -> str:
        return f"s{self.number}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client is to write, as the provider brings it in."""

    sender: str
    words: str


@dataclass
class Diary:
    """Owns what the CRM knows, and draws what it says next."""

    chance: Random
    now: Callable[[], datetime]
    texts: Callable[[], list[Any]]  # what the provider took so far
    sessions: list[Session] = field(default_factory=list)
    said: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WEIGHTS, 0))
    _last: list[bytes] = field(default_factory=list)
    _written: set[Reply] = field(default_factory=set)

    def next(self) -> list[bytes] | Reply:
        """One thing to be said, or some that belong together."""
        (what,) = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        drawn: list[bytes] | Reply | None = getattr(self, f"_{what}")()
        if not drawn:
            what, drawn = "booked", self._booked()
        self.said[what] += 1
        if isinstance(drawn, list):
            self._last = [*self._last, *drawn][-LATEST:]
        return drawn

    @property
    def groups(self) -> int:
        """How many audiences are complete."""
        return len(self.sessions) // GROUP

    def _booked(self) -> list[bytes]:
        number, kind, at = len(self.sessions), self.chance.choice(TYPES), self.now()
        day = at.date() + timedelta(
            days=self.chance.randint(200, 300) if kind == "Wedding" else self.chance.randint(3, 6)
        )
        one = Session(number, kind, day, at, status_at=at)
        self.sessions.append(one)
        return [self._event(one, "created")]

    def _moved(self) -> list[bytes]:
        """To a day on which it never was."""
        open_ = [one for one in self.sessions[-LATEST:] if one.status == "Booked"]
        if not open_:
            return []
        one = self.chance.choice(open_)
        one.day, one.version = one.day + timedelta(days=1), one.version + 1
        return [self._event(one, "updated")]

    def _canceled(self) -> list[bytes]:
        return self._becomes("Canceled")

    def _delivered(self) -> list[bytes]:
        return self._becomes("Delivered")

    def _becomes(self, status: str) -> list[bytes]:
        open_ = [one for one in self.sessions[-LATEST:] if one.status == "Booked"]
        if not open_:
            return []
        one = self.chance.choice(open_)
        one.status, one.status_at, one.version, one.ever_left = status, self.now(), one.version + 1, True
        return [self._event(one, "status_changed")]

    def _overtaken(self) -> list[bytes]:
        """Two changes of one session, the later one said first."""
        first = self._moved()
        if not first:
            return []
        (one,) = [one for one in self.sessions if f'"{one.name}"'.encode() in first[0]]
        one.version += 1
        return [self._event(one, "updated"), *first]

    def _repeated(self) -> list[bytes]:
        return [self.chance.choice(self._last)] if self._last else []

    def _broken(self) -> list[bytes]:
        body = json.loads(self._event(self._of_nobody(), "created"))
        del body["data"]["record"]["version"]
        return [json.dumps(body).encode()]

    def _of_nobody(self) -> Session:
        at = self.now()
        return Session(10**6 + self.said["broken"], "Wedding", at.date(), at, status_at=at)

    def _reply(self) -> Reply | None:
        taken = self.texts()[-LATEST:]
        if not taken:
            return None
        text = self.chance.choice(taken)
        about = str(text["text"]).partition(" ")[0]
        reply = Reply(str(text["to"]), self.chance.choice(REPLIES.get(about, REPLIES[""])))
        if reply in self._written:  # what is noted of it would be the same note, and looks like one that came twice
            return None
        self._written.add(reply)
        return reply

    def _event(self, one: Session, verb: str) -> bytes:
        assert one.status_at is not None
        record = crm.session(
            one.name,
            version=one.version,
            client=f"c-{one.name}",
            type=one.kind,
            status=one.status,
            status_changed_at=_stamp(one.status_at),
            dates={"session": f"{one.day}T14:00", "booked": f"{one.booked_at.date()}"},
            flags={"on_hold": False, "confirmed": False, "canceled": one.status == "Canceled"},
            fields={"group": f"g{one.number // GROUP}"},
        )
        about = crm.client(
            f"c-{one.name}",
            phones=[{"number": phone(one.number), "label": "mobile", "sms": True}],
            emails=[{"address": f"client{one.number}@mail.example"}],
        )
        return crm.event(
            record, verb, about=about, event_id=f"{one.name}-{one.version}", time=_stamp(self.now()), source="/crm/soak"
        )


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
