"""Which text is the first to its number: that one ends with how to stop, where the studio wishes so, and costs more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import msgspec

from control_center.domain import sms
from control_center.domain.forecast import Fate, Line
from control_center.domain.identity import with_how_to_stop

# What a person lets go, or what may follow, would be the first where nothing else has gone by then. A shadow never is.
_MAY_BE_FIRST = frozenset({Fate.GOES, Fate.REVIEW, Fate.HELD, Fate.FOLLOWS})


@dataclass(slots=True)
class ForeseenFirsts:
    """The numbers that were texted by themselves before, moved on line by line in the order of their times."""

    wished: bool
    had: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)  # of which it is known whether they had one

    def unknown(self, numbers: Iterable[str]) -> set[str]:
        """Those of these numbers that have to be looked up yet; none where the first text is like any other."""
        return set(numbers) - self.asked if self.wished else set()

    def learn(self, numbers: Collection[str], had: Collection[str]) -> None:
        """Take in what was looked up: which of these numbers had a text before."""
        self.asked |= set(numbers)
        self.had |= set(had)

    def as_sent(self, line: Line) -> Line:
        """A text as it would leave if it were the next to its number."""
        if not self.wished or line.leg != "sms" or line.text is None or line.fate not in _MAY_BE_FIRST:
            return line
        if line.address in self.had:
            return line
        text = sms.plain(with_how_to_stop(line.text))
        refused = sms.refusal(text)
        if refused is None:
            return msgspec.structs.replace(line, text=text, segments=sms.segments(text).count)
        lost = {"text": None, "segments": None, "reason": f"template: {refused}"}
        return msgspec.structs.replace(line, fate=Fate.FAILS if line.fate is Fate.GOES else line.fate, **lost)

    def told(self, line: Line) -> Line:
        """The same, and its number has had one from then on where it goes."""
        found = self.as_sent(line)
        if found.fate is Fate.GOES and found.leg == "sms":
            self.had.add(found.address)
        return found
