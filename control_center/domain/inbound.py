"""What people and providers send us, as values: a text or an email that came in, whoever brought it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from hashlib import sha256

LONGEST_NAME = 400  # of an address or an id; longer ones are no telephone's
MOST_SEGMENTS = 999


class Answered(Enum):
    """What the provider took an incoming text for, and has answered by itself: we stay silent then."""

    STOP = "stop"
    START = "start"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Inbound:
    """One text from outside, as a provider's verified call says it.

    `known_by` is what a repeat of it has in common with it. `sender` is theirs and `to` ours, as the provider writes
    them; `at` is when the provider took it, where it says so. `media` are addresses of pictures and the like, which
    are shown and never fetched. `segments` is what the provider counted.
    """

    known_by: str
    provider_id: str | None
    sender: str
    to: str
    text: str
    at: datetime | None = None
    media: tuple[str, ...] = ()
    segments: int | None = None
    answered: Answered | None = None

    @property
    def readable(self) -> Inbound:
        """As it can be stored: a letter or a count that cannot be is made one that can, instead of losing the text."""
        return replace(
            self,
            known_by=readable(self.known_by)[:LONGEST_NAME],
            provider_id=named(self.provider_id),
            sender=readable(self.sender)[:LONGEST_NAME],
            to=readable(self.to)[:LONGEST_NAME],
            text=readable(self.text),
            media=tuple(map(readable, self.media)),
            segments=min(self.segments, MOST_SEGMENTS) if self.segments is not None else None,
        )


def readable(text: str) -> str:
    """A text without NUL and without halves of letters, in whose place the sign of an unreadable letter stands."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def named(given: str | None) -> str | None:
    """An id that somebody gave something, as it can be stored and looked up: no index takes one of any length."""
    return None if given is None else readable(given)[:LONGEST_NAME]


def brought_by_hand(sender: str, to: str, text: str, *, at: datetime) -> Inbound:
    """A text that a person lets come in through the sandbox; the same one at the same instant is the same text."""
    known_by = sha256(f"{sender}\n{to}\n{at.isoformat()}\n{text}".encode()).hexdigest()[:32]
    return Inbound(f"sandbox {known_by}", None, sender, to, text, at)
