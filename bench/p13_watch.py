"""What P13 watches while events keep coming: memory of each process, the broker's queue, what waits in the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aio_pika
import aiohttp
import asyncpg

from bench import machine
from control_center.crm.topology import Topology
from control_center.embedded.process import until

EVERY: Final = 1.0  # seconds
LOOK: Final = 2.0  # looking is work for the database, too
ASKED: Final = {
    "release lag": "control_center_release_lag_seconds",
    "delivery lag": "control_center_delivery_lag_seconds",
    "relay lag": "control_center_relay_lag_seconds",
    "loop lag": "control_center_loop_lag_seconds",
    "queued": "control_center_messages_queued",
    "reports waiting": "control_center_commands_waiting",
}
STORED: Final = "SELECT count(*) FROM events"
UNSETTLED: Final = """
SELECT (SELECT count(*) FROM actions WHERE state = 'planned' AND due_at <= clock_timestamp())
     + (SELECT count(*) FROM messages WHERE state IN ('queued', 'claimed', 'submitting', 'accepted'))
     + (SELECT count(*) FROM commands WHERE state = 'new')"""


@dataclass(frozen=True, slots=True)
class Look:
    """One look: on the monotonic clock, megabytes by process, messages ready in the broker, and metrics by name."""

    at: float
    resident: Mapping[str, float]
    ready: int
    metrics: Mapping[str, float]


@dataclass(slots=True)
class Watch:
    """Looks every second, until stopped. `held` is how many events the engine held at most, at any look."""

    http: str
    broker_url: str
    dsn: str
    pids: Mapping[str, int]
    looks: list[Look] = field(default_factory=list)

    async def run(self) -> None:
        connection = await aio_pika.connect(self.broker_url)
        async with connection, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            channel = await connection.channel()
            while True:
                ready = await self.ready(channel)
                resident = {name: machine.resident(pid) for name, pid in self.pids.items()}
                self.looks.append(Look(time.monotonic(), resident, ready, await self._metrics(session)))
                await asyncio.sleep(EVERY)

    async def ready(self, channel: aio_pika.abc.AbstractChannel) -> int:
        queue = await channel.declare_queue(Topology().events_queue, passive=True)
        return queue.declaration_result.message_count or 0

    async def _metrics(self, session: aiohttp.ClientSession) -> Mapping[str, float]:
        async with session.get(f"{self.http}/metrics") as answer:
            text = await answer.text()
        found = dict.fromkeys(ASKED, 0.0)
        for line in text.splitlines():
            for name, metric in ASKED.items():
                if line.startswith((f"{metric} ", f"{metric}{{")):
                    found[name] = max(found[name], float(line.rpartition(" ")[2]))
        return found

    async def held(self, published: int) -> int:
        """How many of these events, which are all published, the engine holds: neither stored nor in the broker.

        The broker is asked before the database, so that what moves between the two counts as still in the broker.
        """
        connection = await aio_pika.connect(self.broker_url)
        async with connection:
            ready = await self.ready(await connection.channel())
        database = await asyncpg.connect(self.dsn)
        stored: int = await database.fetchval(STORED)
        await database.close()
        return max(0, published - ready - stored)

    def within(self, first: float, last: float) -> list[Look]:
        return [look for look in self.looks if first <= look.at <= last]

    def most(self, name: str) -> float:
        return max((look.metrics[name] for look in self.looks), default=0.0)


async def settled(dsn: str, events: int, *, within: float) -> float:
    """Wait until all events are stored and nothing of theirs is under way; when that was. Raises TimeoutError."""
    database = await asyncpg.connect(dsn)

    async def all_is_calm() -> bool:
        if await database.fetchval(STORED) >= events and not await database.fetchval(UNSETTLED):
            return True
        await asyncio.sleep(LOOK)
        return False

    try:
        if not await until(all_is_calm, within=within):
            stored, left = await database.fetchval(STORED), await database.fetchval(UNSETTLED)
            raise TimeoutError(f"{stored} of {events} events are stored, {left} of what came of them is not settled")
        return time.monotonic()
    finally:
        await database.close()
