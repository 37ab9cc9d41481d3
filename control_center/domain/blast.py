"""The blast guard: how many actions of one trigger may go before a person is asked.

What goes by itself is counted by the minute. Once more is due than the ceiling leaves room for, the surplus is held
and the guard is shut: everything behind it is held, too, until a person has decided. Then counting begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

WINDOW: Final = 60  # minutes in which no more than the ceiling may go
LEARNT_FROM: Final = timedelta(days=28)
TIMES: Final = 4  # the busiest hour that is still ordinary
HELD: Final = "blast guard:"  # how the reason of an action begins that the guard has held

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How many may go within an hour, and where the number comes from; 0 is no ceiling."""

    number: int
    source: str


def ceiling(own: int | None, studio: int, busiest: int = 0) -> Ceiling:
    """The ceiling of a trigger: its own, else the studio's, or more where its `busiest` hour lately says so."""
    if own is not None:
        return Ceiling(own, "the trigger's own")
    if studio and TIMES * busiest > studio:
        return Ceiling(TIMES * busiest, f"{TIMES} times its busiest hour of the last {LEARNT_FROM.days} days")
    return Ceiling(studio, "the studio's blast_ceiling")


@dataclass(frozen=True, slots=True)
class Recent:
    """How many went by themselves lately: numbers by the minute, minutes counted from 1970, oldest first."""

    minutes: tuple[tuple[int, int], ...] = ()

    def within(self, now: datetime) -> Recent:
        """What counts at `now`: every minute that reaches into the last sixty.

        A number that lies more than an hour ahead was written by a clock that was wrong. It counts as of now: it
        must not be forgotten, nor stand in the way until that time has come.
        """
        current = _minute(now)
        found: dict[int, int] = {}
        for minute, number in self.minutes:
            if minute >= current - WINDOW:
                at = current if minute > current + WINDOW else minute
                found[at] = found.get(at, 0) + number
        return Recent(tuple(sorted(found.items())))

    def count(self, now: datetime) -> int:
        """How many went in the sixty minutes before `now`, counted by whole minutes and so rather too many."""
        return sum(number for _, number in self.within(now).minutes)

    def plus(self, number: int, now: datetime) -> Recent:
        """With so many more that go now, and without what no longer counts."""
        kept = self.within(now).minutes
        added = ((_minute(now), number),) if number else ()
        return Recent((*kept, *added)).within(now)

    @property
    def text(self) -> str:
        """As it is stored; `recent` reads it back."""
        return " ".join(f"{minute}:{number}" for minute, number in self.minutes)


def recent(text: str) -> Recent:
    """What `Recent.text` wrote."""
    pairs = (pair.split(":") for pair in text.split())
    return Recent(tuple((int(minute), int(number)) for minute, number in pairs))


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)


@dataclass(frozen=True, slots=True)
class Guard:
    """One trigger's guard. Shut, `held_since` says since when and `reason` why.

    A person opens it, or that nothing is left of what it held.
    """

    recent: Recent = field(default_factory=Recent)
    held_since: datetime | None = None
    reason: str = ""

    @property
    def shut(self) -> bool:
        return self.held_since is not None


@dataclass(frozen=True, slots=True)
class Admitted(Generic[T]):
    """What may go, what is held, and the guard as it is afterwards."""

    goes: Sequence[T]
    held: Sequence[T]
    guard: Guard


def passes(guard: Guard, number: int, limit: Ceiling, now: datetime) -> bool:
    """Whether so many more would shut a guard that is open."""
    return bool(limit.number) and not guard.shut and guard.recent.count(now) + number > limit.number


def admit(guard: Guard, due: Sequence[T], limit: Ceiling, now: datetime, *, waiting: int) -> Admitted[T]:
    """Which of the actions that are due may go now, in their order, and which are held.

    `waiting` is how many of the trigger are due altogether, these included, for the reason that people read.
    """
    if not limit.number:
        return Admitted(due, (), guard)
    if guard.shut:
        return Admitted((), due, guard)
    gone = guard.recent.count(now)
    room = max(0, limit.number - gone)
    goes, held = due[:room], due[room:]
    after = replace(guard, recent=guard.recent.plus(len(goes), now))
    if held:
        after = replace(after, held_since=now, reason=_why(max(waiting, len(due)), gone, limit))
    return Admitted(goes, held, after)


def _why(waiting: int, gone: int, limit: Ceiling) -> str:
    return (
        f"{HELD} {waiting:,} were due at once and {gone:,} had gone in the {WINDOW} minutes before; the ceiling is"
        f" {limit.number:,} in {WINDOW} minutes ({limit.source}), so a person decides"
    )
