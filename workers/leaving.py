"""The moment before the first byte of a request leaves: known to a channel alone, and of interest to others.

A channel that calls `about_to_leave` right before, each time, says so by `says_when_it_leaves = True`. For one that
does not, everything from the call of `submit` on counts as having left.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

_told: ContextVar[Callable[[], None] | None] = ContextVar("told", default=None)


def about_to_leave() -> None:
    """From here on the request of this task may have left, in whole or in part."""
    told = _told.get()
    if told is not None:
        told()


def tell(told: Callable[[], None]) -> None:
    """Have `told` called when the request of this very task is about to leave; perhaps several times."""
    _told.set(told)
