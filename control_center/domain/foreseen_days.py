"""Whose days what goes out would take: the cap on marketing and calm days, run ahead of time.

The same rules as at the last check, on what is foreseen: messages come one by one, in the order of their times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final

import msgspec

from control_center.domain import arrival, zones
from control_center.domain.courtesy import Posted, courtesy
from control_center.domain.forecast import Fate, Line, Scene
from control_center.domain.message import Origin
from control_center.domain.planner import Expire, Send, Wait
from control_center.domain.record import Picture
from control_center.domain.studio import Studio
from control_center.domain.windows import Calendar

_LAST: Final = 1_000_000  # behind every priority


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A message that would go, with what its recipient's day is kept by.

    `holder` is as whom it takes a share of a day: its action, or somebody's place on the list of a bulk.
    """

    line: Line
    studio: Studio
    client: Picture | None
    purpose: str
    priority: int
    calendar: Calendar  # that it keeps to besides its recipient's hours
    holder: str
    use_by: datetime
    origin: Origin = Origin.TRIGGER

    @property
    def rank(self) -> int:
        """What comes first of what goes at one time: reminders, then marketing by its trigger's priority, then bulk."""
        if self.origin is Origin.BULK:
            return _LAST
        return self.priority if self.purpose == "marketing" else 0


def foreseen(line: Line, scene: Scene, number: int, use_by: datetime) -> Foreseen:
    """A message of a trigger; `number` tells the actions apart."""
    trigger = scene.trigger
    calendar = scene.rule.calendar
    return Foreseen(
        line, scene.studio, scene.client, trigger.purpose, trigger.priority, calendar, f"a-{number}", use_by
    )


@dataclass(slots=True)
class ForeseenDays:
    """The days that are taken so far: whose, and by whom; and the last marketing text to each client."""

    taken: dict[str, set[tuple[date, str]]] = field(default_factory=dict)
    last: dict[str, Line] = field(default_factory=dict)

    def take(self, whom: str, day: date, holder: str) -> None:
        self.taken.setdefault(whom, set()).add((day, holder))

    def admit(self, one: Foreseen) -> Line | Foreseen:
        """The line of a message that goes at its time or not at all; else the message, as it would go later."""
        line, calm = one.line, one.studio.hours.calm_day
        client = arrival.of_client(line.client) if line.client is not None and calm != "off" else None
        if one.purpose != "marketing":
            if client is not None:
                self.take(client, zones.local_date(zones.zone(one.studio.timezone), line.at), one.holder)
            return line
        verdict = courtesy(self._posted(one, client), Send(one.use_by), line.at, one.calendar)
        match verdict.decision:
            case Send():
                for share in verdict.shares:
                    self.take(share.whom, share.day, share.holder)
                if client is not None and one.origin is Origin.BULK:
                    self.take(client, zones.local_date(zones.zone(one.studio.timezone), line.at), one.holder)
                elif client is not None:
                    self.last[client] = line
                return line
            case Wait() if self._joins(one, client):
                said = f"{arrival.CALM} in one text with {self.last[client or ''].trigger!r}"
                return msgspec.structs.replace(line, reason=said)
            case Wait(until=until, reason=reason):
                return replace(one, line=msgspec.structs.replace(line, at=until, shifts=(*line.shifts, reason)))
            case Expire(reason=reason):
                over = {"fate": Fate.EXPIRES, "reason": reason, "subject": None, "text": None, "segments": None}
                return msgspec.structs.replace(line, **over)

    def _posted(self, one: Foreseen, client: str | None) -> Posted:
        line = one.line
        whose = [(client, one.holder)] if client is not None and one.origin is Origin.TRIGGER else []
        if line.leg == "sms":
            called = f"{one.holder} of {line.trigger!r}" if line.trigger else one.holder
            whose.insert(0, (arrival.of_number(line.address), called))
        return Posted(
            studio=one.studio,
            message_id=0,
            origin=one.origin,
            purpose="marketing",
            channel=line.leg,
            to=arrival.addressee(line.address, line.role, one.client),
            use_by=one.use_by,
            priority=one.priority,
            whose=tuple(whose),
            taken=tuple((whom, day, by) for whom, _ in whose for day, by in self.taken.get(whom, ())),
        )

    def _joins(self, one: Foreseen, client: str | None) -> bool:
        """Whether it is said in the text that goes to its client at that moment, too."""
        first, line = self.last.get(client or ""), one.line
        if first is None or one.origin is Origin.BULK or one.studio.hours.calm_day != "merge":
            return False
        return (first.at, first.leg, first.address) == (line.at, "sms", line.address)


def foreseen_days(taken: Iterable[tuple[str, date, str]]) -> ForeseenDays:
    """The days as they are taken already: whose, which day, and by whom."""
    days = ForeseenDays()
    for whom, day, holder in taken:
        days.take(whom, day, holder)
    return days


def shares_days(line: Line, studio: Studio, purpose: str) -> bool:
    """Whether a line is of a message that takes part in the sharing of days."""
    if line.fate is not Fate.GOES or line.leg not in ("sms", "email") or not line.address:
        return False
    return studio.hours.calm_day != "off" or (purpose == "marketing" and line.leg == "sms")
