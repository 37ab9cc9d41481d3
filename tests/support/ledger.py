"""What the far side knows to have taken from us, and to have brought us: the truth that a check holds us against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Taken:
    """One message that a provider has taken, whatever it answered.

    `key` is our reference of the attempt, None where the provider never learns it: a relay sees the message's name
    alone. `told` says that what became of it was taken from the provider, or comes by itself.
    """

    message: str
    key: str | None
    told: bool = False

    @property
    def name(self) -> str:
        return self.key or self.message


@dataclass(frozen=True, slots=True)
class Brought:
    """A call of a provider that we answered with 200; `known_by` is what a repeat of it has in common with it."""

    what: str  # receipt or text
    known_by: str


class Ledger(Protocol):
    """The books of one provider."""

    def taken(self) -> Sequence[Taken]: ...

    def brought(self) -> Sequence[Brought]: ...
