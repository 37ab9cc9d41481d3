"""Messages that go nowhere: number or address decide what the sandbox pretends, a file keeps what it took."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path

from control_center.domain.outcome import CannotTell, Lookup, Mail, NotSent, Outcome, Text
from control_center.domain.wire import sandbox
from workers.leaving import about_to_leave

SLOW = timedelta(seconds=10)


class Sandbox:
    """A channel for texts or for mail; owns a place in the outbox file that every sandbox shares."""

    says_when_it_leaves = True

    def __init__(
        self,
        *,
        outbox: Path,
        clock: Callable[[], datetime],
        slow: timedelta = SLOW,
        latency: timedelta = timedelta(),
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._slow = slow
        self._latency = latency
        self._closed = asyncio.Event()

    async def submit(self, message: Text | Mail) -> Outcome:
        verdict = sandbox.verdict(message.to, message.key)
        if verdict.slow:
            await self._wait(self._slow)
        if verdict.accepts:
            about_to_leave()
            try:
                append(self._outbox, sandbox.outbox_line(message, self._clock()))
            except OSError as error:
                return NotSent(f"sandbox: {error.strerror}")
        await self._wait(self._latency)  # of the answer: what was taken stays taken, whoever is killed meanwhile
        return verdict.outcome

    async def lookup(self, message: Text | Mail, known: Collection[str] = ()) -> Lookup:  # noqa: ARG002 - as every channel
        return CannotTell("sandbox: what is lost here stays lost")

    async def close(self) -> None:
        self._closed.set()

    async def _wait(self, wait: timedelta) -> None:
        """As long as that, or until we are closed: what it pretends to think about is over then."""
        if wait:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), wait.total_seconds())


def append(outbox: Path, line: bytes) -> None:
    """One write to a file opened for appending: whole lines, however many processes write."""
    outbox.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(outbox, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)
