"""A second person: what goes to more than so many people is let go by somebody else than who made it.

What somebody agrees to is named by a code over all that there is to review: the people, their number, the words, and
the time. Where any of it becomes another, so does the code, and what was agreed to under the old one counts for
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

ROLE: Final = "author"  # what whoever agrees has to be, as has whoever starts one
_CODE: Final = 12  # characters: what a person copies from one line to the next


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What there is to look at before a bulk goes. `people` stands for the list, whoever is ticked on it.

    `start_at` None: as soon as it is let go.
    """

    bulk: str
    people: str
    listed: int
    words: Mapping[str, Any]
    start_at: datetime | None

    @property
    def code(self) -> str:
        """The same for the same people, number, words and time, and for nothing else."""
        at = None if self.start_at is None else self.start_at.timestamp()
        said = msgspec.json.encode([self.bulk, self.people, self.listed, self.words, at], order="deterministic")
        return hashlib.sha256(said).hexdigest()[:_CODE]


@dataclass(frozen=True, slots=True)
class Hands:
    """Whose work something is: who made it, and who changed it last, where anybody has."""

    made_by: str
    changed_by: str | None = None

    def are(self, name: str) -> bool:
        """Whether somebody of this name has had a hand in it. A name is a person, by whatever door they come."""
        known = (self.made_by, self.changed_by or self.made_by)
        return any(_same(name, one) for one in known)

    @property
    def told(self) -> str:
        """Whose it is, in words."""
        if self.changed_by is None or _same(self.changed_by, self.made_by):
            return f"made by {self.made_by}"
        return f"made by {self.made_by} and changed by {self.changed_by}"


def needed(above: int | None, number: int) -> bool:
    """Whether so many people are more than one person lets go alone; None: one always may."""
    return above is not None and number > above


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
