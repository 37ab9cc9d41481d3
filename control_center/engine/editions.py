"""Whether an edit was made from what is there: by a version's number, or by what a resource says, in short."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any, Final

import msgspec

from control_center.domain.errors import Outdated

LENGTH: Final = 12  # characters: enough to tell one from the next one


def edition(said: Any) -> str:
    """What tells a resource that says this from one that says something else."""
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()[:LENGTH]


def check_version(current: int, read: Collection[str] | None, what: str) -> None:
    """Raises Outdated where an edit was made from other versions than the current one; None is from any."""
    if read is not None and str(current) not in read:
        raise Outdated(f"{what} has version {current} by now; look at that one, and edit it")


def check_edition(said: Any, read: Collection[str] | None, what: str) -> None:
    """Raises Outdated where what was read said something else than what is there; None is whatever was read."""
    if read is not None and edition(said) not in read:
        raise Outdated(f"{what} was changed by somebody else meanwhile; look at what it says now, and edit that")
