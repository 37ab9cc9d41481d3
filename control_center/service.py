"""One process' life: its duties start, signals end it gracefully, systemd is told; and it owns the clock."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

log = structlog.get_logger(__name__)

DRAIN = 25.0  # seconds that duties have to finish what they began
# Seconds within which a second signal is taken for the first: when a parent with threads is killed, the kernel tells
# its children once for each thread.
ECHO = 1.0
# Objects that come before the collector looks for rings among them. A batch makes thousands that all go by themselves;
# with the 700 that Python comes with it looks through each batch several times, and finds nothing.
YOUNG, OLDER, OLDEST = 20_000, 20, 20


def now() -> datetime:
    """The only clock for calendars and people; everything else is handed its instants."""
    return datetime.now(UTC)  # noqa: TID251 - this is where the clock is read


def notify_systemd(state: str) -> None:
    """Tell systemd how we are (READY=1, STATUS=…, WATCHDOG=1, STOPPING=1); nothing happens outside of it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.send(state.encode())


def _collect_seldom() -> None:
    """What the start has made stays, and need not be looked through again; what comes after is, in larger heaps."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDEST)


class Service:
    """Runs duties until a signal, or until one of them fails: then the others stop and the failure is raised."""

    def __init__(self, *, drain: float = DRAIN) -> None:
        self.stop = asyncio.Event()
        self._drain = drain
        self._told_at = float("-inf")  # to stop, on the loop's clock
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._closers: list[Callable[[], Awaitable[None]]] = []

    def start(self, name: str, duty: Awaitable[None]) -> None:
        """Begin a duty; it is expected to return soon after `stop` is set."""
        task = asyncio.ensure_future(duty)
        assert isinstance(task, asyncio.Task)
        self._tasks[task] = name

    def on_close(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call this when all duties have ended, the newest first."""
        self._closers.append(close)

    async def run(self, *, ready: str = "", announce: Callable[[], None] = lambda: None) -> None:
        """Live until SIGTERM or SIGINT. A second signal no longer waits for what was begun.

        `ready` is what systemd shows; `announce` is called once a signal would end us in order.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        watchdog = asyncio.create_task(self._feed_watchdog())
        _collect_seldom()
        notify_systemd(f"READY=1\nSTATUS={ready}")
        announce()
        try:
            await self._until_stopped()
        finally:
            notify_systemd("STOPPING=1")
            watchdog.cancel()
            for close in reversed(self._closers):
                await close()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _signalled(self) -> None:
        at = asyncio.get_running_loop().time()
        if not self.stop.is_set():
            self._told_at = at
            log.info("service.stopping")
            self.stop.set()
        elif at - self._told_at >= ECHO:
            log.warning("service.hurried")
            for task in self._tasks:
                task.cancel()

    async def _until_stopped(self) -> None:
        stopped = asyncio.create_task(self.stop.wait())
        await asyncio.wait([*self._tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        self.stop.set()
        stopped.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._drain)
            for task in late:
                log.warning("service.duty_late", duty=self._tasks[task])
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("service.duty_failed", duty=self._tasks[task], reason=f"{type(error).__name__}: {error}")
                raise error

    async def _feed_watchdog(self) -> None:
        """Feed systemd's watchdog from the event loop itself, so that a loop that hangs is noticed."""
        interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
        while interval and not self.stop.is_set():
            notify_systemd("WATCHDOG=1")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), interval)
