"""Whose days what goes out would take: the cap on marketing and calm days, run ahead of time.

The same rules as at the last check, on what is foreseen: messages come one by one, in the order of their times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import msgspec

from control_center.domain import arrival, zones
from control_center.domain.courtesy import Posted, courtesy
from control_center.domain.forecast import Fate, Line, Scene
from control_center.domain.message import Origin
from control_center.domain.planner import Expire, Send, Wait


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A message that would go, with the scene that it is of."""

    line: Line
    scene: Scene
    number: int  # tells the actions apart
    use_by: datetime

    @property
    def holder(self) -> str:
        return f"a-{self.number}"

    @property
    def rank(self) -> int:
        """What comes first of what goes at one time: reminders, then marketing by its trigger's priority."""
        trigger = self.scene.trigger
        return trigger.priority if trigger.purpose == "marketing" else 0


@dataclass(slots=True)
class ForeseenDays:
    """The days that are taken so far: whose, and by whom; and the last marketing text to each client."""

    taken: dict[str, set[tuple[date, str]]] = field(default_factory=dict)
    last: dict[str, Line] = field(default_factory=dict)

    def take(self, whom: str, day: date, holder: str) -> None:
        self.taken.setdefault(whom, set()).add((day, holder))

    def admit(self, one: Foreseen) -> Line | Foreseen:
        """The line of a message that goes at its time or not at all; else the message, as it would go later."""
        scene, line = one.scene, one.line
        studio, calm = scene.studio, scene.studio.hours.calm_day
        client = arrival.of_client(line.client) if line.client is not None and calm != "off" else None
        if scene.trigger.purpose != "marketing":
            if client is not None:
                self.take(client, zones.local_date(zones.zone(studio.timezone), line.at), one.holder)
            return line
        verdict = courtesy(self._posted(one, client), Send(one.use_by), line.at, scene.rule.calendar)
        match verdict.decision:
            case Send():
                for share in verdict.shares:
                    self.take(share.whom, share.day, share.holder)
                if client is not None:
                    self.last[client] = line
                return line
            case Wait() if self._joins(line, client, calm):
                said = f"{arrival.CALM} in one text with {self.last[client or ''].trigger!r}"
                return msgspec.structs.replace(line, reason=said)
            case Wait(until=until, reason=reason):
                return replace(one, line=msgspec.structs.replace(line, at=until, shifts=(*line.shifts, reason)))
            case Expire(reason=reason):
                over = {"fate": Fate.EXPIRES, "reason": reason, "subject": None, "text": None}
                return msgspec.structs.replace(line, **over)

    def _posted(self, one: Foreseen, client: str | None) -> Posted:
        line, studio = one.line, one.scene.studio
        whose = [] if client is None else [(client, one.holder)]
        if line.leg == "sms":
            whose.insert(0, (arrival.of_number(line.address), f"{one.holder} of {line.trigger!r}"))
        return Posted(
            studio=studio,
            message_id=one.number,
            origin=Origin.TRIGGER,
            purpose="marketing",
            channel=line.leg,
            to=arrival.addressee(line.address, line.role, one.scene.client),
            use_by=one.use_by,
            priority=one.scene.trigger.priority,
            whose=tuple(whose),
            taken=tuple((whom, day, by) for whom, _ in whose for day, by in self.taken.get(whom, ())),
        )

    def _joins(self, line: Line, client: str | None, calm: str) -> bool:
        """Whether it is said in the text that goes to its client at that moment, too."""
        first = self.last.get(client or "")
        if first is None or calm != "merge":
            return False
        return (first.at, first.leg, first.address) == (line.at, "sms", line.address)


def foreseen_days(taken: Iterable[tuple[str, date, str]]) -> ForeseenDays:
    """The days as they are taken already: whose, which day, and by whom."""
    days = ForeseenDays()
    for whom, day, holder in taken:
        days.take(whom, day, holder)
    return days


def shares_days(line: Line, scene: Scene) -> bool:
    """Whether a line is of a message that takes part in the sharing of days."""
    if line.fate is not Fate.GOES or line.leg not in ("sms", "email") or not line.address:
        return False
    return scene.studio.hours.calm_day != "off" or (scene.trigger.purpose == "marketing" and line.leg == "sms")
