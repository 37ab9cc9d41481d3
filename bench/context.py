"""What every target is handed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.provider import Provider
from bench.servers import Servers


@dataclass(frozen=True, slots=True)
class Context:
    """The servers, the provider, and how much is to be done. `say` prints progress. 0: as much as a target wants."""

    servers: Servers
    provider: Provider
    rounds: int
    quick: bool
    peers: bool
    hour: bool
    bulk: int
    rate: int
    seconds: int
    year: int
    say: Callable[[str], None]

    def count(self, full: int, quick: int) -> int:
        return quick if self.quick else full
