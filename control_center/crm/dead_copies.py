"""Copies of what we could not understand, for whoever reads the dead queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog

from control_center.crm.connection import elapsed, pauses
from control_center.crm.outbox import Outbox, Parcel, Published
from control_center.crm.topology import Topology

log = structlog.get_logger()

WAITING = 1000
WAITING_BYTES = 64 * 1024 * 1024  # a broker short of memory takes no copies, and goes on handing events out
LONGEST_PAUSE = 5.0

Announce: TypeAlias = Callable[[int], Awaitable[None]]


class DeadCopies:
    """Best effort, on a connection of its own: the bodies are stored, and intake never waits for a copy.

    `announce` is told how many are about to be put there: whoever counts what lies there has to know.
    """

    def __init__(self, url: str, topology: Topology, announce: Announce | None = None) -> None:
        self._outbox = Outbox(url, topology=topology, name="control-center dead copies")
        self._announce = announce
        self._waiting: asyncio.Queue[Parcel | None] = asyncio.Queue(WAITING)
        self._bytes = 0

    def offer(self, parcel: Parcel) -> bool:
        """Publish it when it is its turn; False when too many wait already."""
        if self._waiting.full() or self._bytes + len(parcel.body) > WAITING_BYTES:
            return False
        self._waiting.put_nowait(parcel)
        self._bytes += len(parcel.body)
        return True

    async def end(self) -> None:
        """Let `run` return once all that were offered have been tried."""
        await self._waiting.put(None)

    async def run(self, stop: asyncio.Event) -> None:
        """Publish what is offered, until `end`."""
        try:
            while True:
                waiting = [await self._waiting.get()]
                while not self._waiting.empty():
                    waiting.append(self._waiting.get_nowait())
                copies = [parcel for parcel in waiting if parcel is not None]
                await self._publish(copies, stop)
                self._bytes -= sum(len(parcel.body) for parcel in copies)
                if None in waiting:
                    return
        finally:
            await self._outbox.close()

    async def _publish(self, copies: Sequence[Parcel], stop: asyncio.Event) -> None:
        if not copies or not await self._announced(len(copies), stop):
            return
        for receipt in await self._outbox.publish(copies):
            if not isinstance(receipt, Published):
                log.warning("inbox.copy_failed", reason=receipt.reason)

    async def _announced(self, number: int, stop: asyncio.Event) -> bool:
        """Wait until somebody has taken note of them; False when `stop` came first."""
        waits = pauses(LONGEST_PAUSE)
        while self._announce is not None:
            try:
                await self._announce(number)
                break
            except Exception as error:  # noqa: BLE001 - whatever it was, nobody has
                reason = f"{type(error).__name__}: {error}"
            if not await elapsed(stop, next(waits)):
                log.warning("inbox.copy_failed", reason=reason, copies=number)
                return False
        return True
