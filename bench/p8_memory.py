"""P8: what the engine and a worker hold in memory: idle, as busy as they can be, and with --hour for long."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import aio_pika
import asyncpg

from bench import child, machine, seeds
from bench.context import Context
from bench.events import Crm
from bench.machine import Usage
from bench.p3_latency import AT_ONCE
from bench.servers import persistent
from bench.table import Goal, Row, Run, Series
from bench.worker import workers
from control_center.crm.topology import Topology

GOALS = {
    ("engine", "idle"): 80,
    ("engine", "at full load"): 200,
    ("worker", "idle"): 60,
    ("worker", "at full load"): 150,
}
HOUR = 3600
SETTLE = 2.0
FLAT = 1.1  # so much more at the end than after the first tenth is still called flat


async def measure(context: Context) -> list[Row]:
    count = context.count(20_000, 1_500)
    servers = context.servers
    template = await servers.template("p8_ours", lambda connection: seeds.a_studio(connection, [AT_ONCE]))
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(servers.clone(template))
        (worker,) = await stack.enter_async_context(workers(context, dsn, slots=32))
        options = {"dsn": dsn, "broker_url": servers.broker_url}
        engine = await stack.enter_async_context(child.contender("bench.engine", options, servers.log))
        await engine.go()
        pids = {"engine": engine.pid, "worker": worker}
        await asyncio.sleep(SETTLE)
        idle = {name: machine.resident(pid) for name, pid in pids.items()}
        loaded, seconds = await _load(context, dsn, pids, count)
        rows = _rows(idle, loaded)
        rows[0].remarks.append(
            f"the load: {count:,} events, sent {count / seconds:,.0f} a second from publish to outcome"
        )
        if context.hour:
            rows += await _hour(context, pids)
    await servers.drop(template)
    return rows


async def _load(context: Context, dsn: str, pids: dict[str, int], count: int) -> tuple[dict[str, float], float]:
    """Publish as fast as we can and watch until every message was settled; the most each process held."""
    await context.provider.forget()
    begun, most = time.monotonic(), dict.fromkeys(pids, 0.0)
    publishing = asyncio.create_task(_publish(context, count, pace=0.0))
    async with asyncio.timeout(300):
        while (await context.provider.seen())["count"] < await _texts(dsn, publishing, count):
            most = {name: max(most[name], machine.resident(pid)) for name, pid in pids.items()}
            await asyncio.sleep(0.2)
    await publishing
    return most, time.monotonic() - begun


async def _texts(dsn: str, publishing: asyncio.Task[None], count: int) -> int:
    """How many texts all events lead to; more than there can be, until all events are in."""
    if not publishing.done():
        return count + 1
    connection = await asyncpg.connect(dsn)
    try:
        events, messages = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM messages) + "
            "(SELECT count(*) FROM actions WHERE state = 'planned' AND due_at <= clock_timestamp())"
        )
    finally:
        await connection.close()
    return int(messages) if events == count else count + 1


async def _publish(context: Context, count: int, *, pace: float, seed: int = 8) -> None:
    connection = await aio_pika.connect(context.servers.broker_url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(Topology().events_exchange, ensure=False)
        said = Crm(seed=seed).events(count)
        page = 200 if not pace else 1
        for start in range(0, count, page):
            some = said[start : start + page]
            await asyncio.gather(*(exchange.publish(persistent(body, name), "main.x.y") for name, body in some))
            await asyncio.sleep(pace)


async def _hour(context: Context, pids: dict[str, int]) -> list[Row]:
    """Fifty events a second for an hour; memory at its end against that after its first tenth."""
    publishing = asyncio.create_task(_publish(context, 50 * HOUR, pace=0.02, seed=9))
    tracks: dict[str, list[float]] = {name: [] for name in pids}
    for _ in range(HOUR):
        await asyncio.sleep(1)
        for name, pid in pids.items():
            tracks[name].append(machine.resident(pid))
    publishing.cancel()
    rows = []
    for name, track in tracks.items():
        early, late = max(track[: HOUR // 10]), max(track[-HOUR // 10 :])
        rows.append(Row("P8", f"{name} after an hour", "MB", _one(late), Goal(FLAT, at_least=False), _one(early)))
    return rows


def _rows(idle: dict[str, float], loaded: dict[str, float]) -> list[Row]:
    held = {(name, "idle"): found for name, found in idle.items()}
    held |= {(name, "at full load"): found for name, found in loaded.items()}
    return [
        Row("P8", f"{name} {when}", "MB", _one(held[name, when]), Goal(goal, at_least=False))
        for (name, when), goal in GOALS.items()
    ]


def _one(figure: float) -> Series:
    return Series("resident", [Run(figure, 1, Usage(1.0, {}, 0.0, 0.0))])
