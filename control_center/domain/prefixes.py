"""Texts to many numbers that differ in their last digits only: how often somebody may mean that in an hour.

Carriers get their numbers by the thousand. People who are clients of one studio are spread over many of these; a range
of numbers that somebody wants called, and a list whose numbers were counted up by a spreadsheet, lie in few. So of each
thousand only so many different numbers are texted within an hour, and then a person is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

DIGITS: Final = 3  # the last ones, in which the numbers of one prefix differ
WINDOW: Final = 60  # minutes
LEAST: Final = 10  # no limit is lower: a family, an office or a small team may have numbers in a row
HELD: Final = "prefix:"  # how the reason of every text begins that waits for a person because of this
LET_GO: Final = timedelta(hours=24)  # for so long after a person's word nothing is held there
_E164: Final = re.compile(r"\+[1-9][0-9]{7,14}")


def prefix_of(number: str) -> str | None:
    """What a number has in common with its neighbours; None for a short code or a name, which have none."""
    return number[:-DIGITS] if _E164.fullmatch(number) else None


@dataclass(frozen=True, slots=True)
class Prefix:
    """What is known of one prefix: which of its numbers had a text in which minute (counted from 1970) of late.

    Shut, `held_since` says since when and `reason` why: until a person lets it go, and then until `free_until` nothing
    is held.
    """

    recent: Mapping[str, int] = field(default_factory=dict)
    held_since: datetime | None = None
    reason: str = ""
    free_until: datetime | None = None

    @property
    def shut(self) -> bool:
        return self.held_since is not None

    @property
    def text(self) -> str:
        """What is recent, as it is stored; `recent` reads it back."""
        return " ".join(f"{last}:{minute}" for last, minute in self.recent.items())


def recent(text: str) -> dict[str, int]:
    """What `Prefix.text` wrote."""
    pairs = (pair.split(":") for pair in text.split())
    return {last: int(minute) for last, minute in pairs}


@dataclass(frozen=True, slots=True)
class Admitted:
    """How many of the first texts go, and the prefix as it is afterwards; the rest is held."""

    goes: int
    prefix: Prefix


def admit(before: Prefix, numbers: Sequence[str], limit: int, now: datetime) -> Admitted:
    """Which texts to numbers of one prefix may go now, in their order: none that would be one number too many.

    What a person has let go is not counted.
    """
    if before.free_until is not None and now < before.free_until:
        return Admitted(len(numbers), before)
    if before.shut:
        return Admitted(0, before)
    current = int(now.timestamp() // 60)
    # What lies ahead by more than the window was written by a clock that was wrong, and counts as of now.
    seen = {
        last: current if minute > current + WINDOW else minute
        for last, minute in before.recent.items()
        if minute >= current - WINDOW
    }
    for place, number in enumerate(numbers):
        last = number[-DIGITS:]
        if last not in seen and len(seen) >= limit:
            shut = Prefix(seen, held_since=now, reason=_why(number, limit))
            return Admitted(place, shut)
        seen[last] = max(current, seen.get(last, current))
    return Admitted(len(numbers), replace(before, recent=seen))


def let_go(now: datetime) -> Prefix:
    """A prefix of which a person has said that it is meant."""
    return Prefix(free_until=now + LET_GO)


def _why(number: str, limit: int) -> str:
    range_ = number[:-DIGITS] + "x" * DIGITS
    return f"{HELD} more than {limit} numbers {range_} within {WINDOW} minutes, so a person decides"
