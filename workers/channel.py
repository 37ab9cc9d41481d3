"""What a delivery asks of the way to its provider."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from control_center.domain.outcome import Lookup, Outcome


class Channel(Protocol):
    """One way to a provider. Whatever the provider or the network does is a value, never an exception.

    One that calls `leaving.about_to_leave` right before the first byte has `says_when_it_leaves = True`.
    """

    async def submit(self, message: Any, /) -> Outcome: ...

    async def lookup(self, message: Any, known: Collection[str] = (), /) -> Lookup: ...

    async def close(self) -> None: ...
