"""What the answers to "how likely are you to recommend us" come to: the net promoter score of so many of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

PROMOTES: Final = 9  # from this score on
PASSIVE: Final = 7


@dataclass(frozen=True, slots=True)
class Promoters:
    """How many who answered would recommend us, would not say, and would warn."""

    promoters: int = 0
    passives: int = 0
    detractors: int = 0

    @property
    def responses(self) -> int:
        return self.promoters + self.passives + self.detractors

    @property
    def score(self) -> float | None:
        """Per cent of promoters less per cent of detractors, from -100 to 100; None where nobody answered."""
        return 100 * (self.promoters - self.detractors) / self.responses if self.responses else None


def count(scores: Iterable[tuple[int, int]]) -> Promoters:
    """What scores from 0 to 10 come to, each given with how many gave it."""
    found = [0, 0, 0]
    for score, times in scores:
        found[0 if score >= PROMOTES else 1 if score >= PASSIVE else 2] += times
    return Promoters(*found)
