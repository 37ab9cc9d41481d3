"""How a sending domain slows down when other servers say that it sends too much, and comes back to its own pace.

What they say (4.7.x) is about who sends and never about a recipient: to go on as fast makes it worse for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

SLOWEST: Final = 10  # levels: each is half as fast as the one before, from one mail a second to one in nine minutes
FORGIVEN: Final = timedelta(minutes=10)  # without another word of it, one level
SAME_BREATH: Final = timedelta(seconds=15)  # mails that are under way together are told together


@dataclass(frozen=True, slots=True)
class Slowed:
    """A domain that was told to send less, last `at`; level 0 is at its own pace."""

    level: int = 0
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def told(self, now: datetime) -> Slowed:
        """Told once more: slower, unless that was said of what left at the pace before."""
        if now - self.at < max(SAME_BREATH, self.interval(now)):
            return self
        return Slowed(min(self.left(now) + 1, SLOWEST), now)

    def left(self, now: datetime) -> int:
        """The level that is left of it now."""
        return max(0, self.level - max(now - self.at, timedelta(0)) // FORGIVEN)

    def interval(self, now: datetime) -> timedelta:
        """How far apart its mails leave; nothing where it is at its own pace."""
        left = self.left(now)
        return timedelta(seconds=2 ** (left - 1)) if left else timedelta(0)


def domain_of(sender: str) -> str:
    """What a sender's address is counted under, beside the numbers of texts: `@lakeside.example`."""
    return f"@{sender.rpartition('@')[2].lower()}"
