"""Do what is due, then wait: woken by one event, stopped by another, and patient while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)

LONGEST_PAUSE = 10.0  # seconds between tries while something we need is away


async def first_of(*events: asyncio.Event, wait: float) -> None:
    """Wait until one of the events is set, at most `wait` seconds."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


@dataclass(slots=True)
class Loop:
    """One duty of a process, done again and again.

    `work` does what is due and returns how many seconds it may wait for more (0: there is more at once). Setting
    `wake` cuts the wait short. While `work` raises one of `away` it is tried again with growing pauses, and nothing
    else happens; any other exception ends the loop, and with it the process.
    """

    name: str
    work: Callable[[], Awaitable[float]]
    stop: asyncio.Event
    away: tuple[type[BaseException], ...] = ()
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    healthy: bool = True

    async def run(self) -> None:
        pause = 0.1
        while not self.stop.is_set():
            self.wake.clear()
            try:
                wait = await self.work()
            except self.away as error:
                if self.healthy:
                    log.warning("loop.paused", loop=self.name, reason=f"{type(error).__name__}: {error}")
                self.healthy = False
                wait, pause = pause, min(pause * 2, LONGEST_PAUSE)
                self.wake.clear()
            else:
                if not self.healthy:
                    log.info("loop.resumed", loop=self.name)
                self.healthy, pause = True, 0.1
            if wait > 0:
                await first_of(self.wake, self.stop, wait=wait)
            else:
                await asyncio.sleep(0)  # noqa: TID251 - lets the other duties of the process run, waits for nothing
