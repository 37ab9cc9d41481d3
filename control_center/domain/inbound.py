"""What people and providers send us, as values: a text or an email that came in, whoever brought it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from hashlib import sha256


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


def brought_by_hand(sender: str, to: str, text: str, *, at: datetime) -> Inbound:
    """A text that a person lets come in through the sandbox; the same one at the same instant is the same text."""
    known_by = sha256(f"{sender}\n{to}\n{at.isoformat()}\n{text}".encode()).hexdigest()[:32]
    return Inbound(f"sandbox {known_by}", None, sender, to, text, at)
