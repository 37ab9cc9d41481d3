"""How much a forecast or a backtest comes to: by client, by trigger or by day, and who is written to twice a day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime

import msgspec

from control_center.domain import zones
from control_center.domain.forecast import Fate, Line
from control_center.domain.zones import Zone

NOBODY = "-"  # the client of what belongs to none


class Group(msgspec.Struct):
    """What one client, trigger, bulk or day comes to: how many lines of each fate, the first and the last.

    `segments` are those of the texts that go.
    """

    name: str
    goes: int = 0
    shadow: int = 0
    waits: int = 0
    held: int = 0
    follows: int = 0
    fails: int = 0
    nothing: int = 0
    first: datetime | None = None
    last: datetime | None = None
    segments: int = 0

    def add(self, line: Line) -> None:
        field = _FIELDS[line.fate]
        setattr(self, field, getattr(self, field) + 1)
        if line.fate is Fate.GOES:
            self.segments += line.segments or 0
        self.first = line.at if self.first is None else min(self.first, line.at)
        self.last = line.at if self.last is None else max(self.last, line.at)


_FIELDS = {
    Fate.GOES: "goes",
    Fate.SHADOW: "shadow",
    Fate.REVIEW: "waits",
    Fate.HELD: "held",
    Fate.FOLLOWS: "follows",
    Fate.FAILS: "fails",
    Fate.LAPSES: "nothing",
    Fate.EXPIRES: "nothing",
}


class Twice(msgspec.Struct, frozen=True):
    """Somebody who is written to more than once on one day; `who` is the client, or an address of nobody's."""

    who: str
    day: date
    times: int


@dataclass(slots=True)
class Tally:
    """Counts lines as they come; it keeps a number for each group and each (person, day), and no line."""

    zone: Zone
    by: str = "trigger"
    groups: dict[str, Group] = field(default_factory=dict)
    lines: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    _reached: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)  # times, the last action counted
    _actions: int = 0
    _last: tuple[str, str, datetime] | None = None

    def add(self, line: Line) -> None:
        """Count one line; the lines of one action come one after the other."""
        self.lines += 1
        day = zones.local_date(self.zone, line.at)
        cause = line.trigger or line.bulk or NOBODY
        name = {"client": line.client or NOBODY, "trigger": cause, "day": day.isoformat()}[self.by]
        self.groups.setdefault(name, Group(name)).add(line)
        if line.fate in (Fate.LAPSES, Fate.EXPIRES, Fate.FAILS):
            reason = line.reason.partition(":")[0]
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        elif line.address and line.fate is not Fate.FOLLOWS:
            self._reach(line, day)

    def _reach(self, line: Line, day: date) -> None:
        cause = (line.bulk or line.trigger, line.action or line.record, line.at)
        if cause != self._last:
            self._last = cause
            self._actions += 1
        who = line.client if line.role == "client" and line.client else line.address
        key = (who, day.toordinal())
        times, counted = self._reached.get(key, (0, 0))
        if counted != self._actions:
            self._reached[key] = (times + 1, self._actions)

    def also(self, whos: Iterable[str], at: datetime) -> bool:
        """Something else that the first of these whom we reach that day was sent, too; whether there is one."""
        day = zones.local_date(self.zone, at).toordinal()
        for who in whos:
            if (who, day) in self._reached:
                times, counted = self._reached[who, day]
                self._reached[who, day] = (times + 1, counted)
                return True
        return False

    def ordered(self) -> list[Group]:
        """The groups: days in their order, others with the most first."""
        if self.by == "day":
            return sorted(self.groups.values(), key=lambda group: group.name)
        return sorted(self.groups.values(), key=lambda group: (-_size(group), group.name))

    def twice(self) -> Iterator[Twice]:
        """Everybody who is written to more than once on one day."""
        for (who, day), (times, _) in self._reached.items():
            if times > 1:
                yield Twice(who, date.fromordinal(day), times)


def _size(group: Group) -> int:
    return group.goes + group.shadow + group.waits + group.held + group.follows + group.fails + group.nothing
