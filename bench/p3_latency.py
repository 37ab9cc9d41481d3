"""P3: from the publish of an event to the request at the provider, at fifty events a second.

Ours passes three processes' hands: intake commits the action, release makes it a message, the worker sends it. The
floor passes two: intake commits the job, the claimer sends it; each is woken by a NOTIFY.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import aio_pika

from bench import child, events, floor_schema, machine, seeds
from bench.context import Context
from bench.servers import persistent
from bench.table import Goal, Row, Run, Series, in_turn
from bench.worker import workers
from control_center.crm.topology import Topology, declare
from control_center.embedded.process import until

PER_SECOND = 50
MARK = re.compile(r"event-(\d+)")
WARM_UP = 20  # events before those that count: first statements, first connections

AT_ONCE = {
    "name": "Thanks",
    "record": "session",
    "status": "Booked",
    "activate": {"on": "status_changed"},
    "action": "sms",
    "text": "Thank you {{ client.first_name }}, that is event-{{ record.fields.number }} of yours.",
    "purpose": "transactional",
    "processing": {"mode": "automatic"},
    "enabled": True,
}


async def measure(context: Context) -> list[Row]:
    count = WARM_UP + PER_SECOND * context.count(20, 4)
    servers = context.servers
    ours = await servers.template("p3_ours", lambda connection: seeds.a_studio(connection, [AT_ONCE]))
    floor = await servers.template("p3_floor", floor_schema.nothing, product=False)
    series = await in_turn(
        context.rounds,
        {
            "floor intake, floor claim": lambda: _floor(context, floor, count),
            "engine, worker": lambda: _ours(context, ours, count),
        },
        context.say,
    )
    await servers.drop(ours)
    await servers.drop(floor)
    plain, whole = series.values()
    goal = Goal(2.0, at_least=False)
    return [
        Row("P3", f"publish to provider, {name}", "ms", noted(whole, name), goal, noted(plain, name))
        for name in ("p50", "p99")
    ]


def noted(series: Series, name: str) -> Series:
    """One of the numbers that each run of a series has noted, as its figure."""
    return Series(series.name, [Run(run.notes[name], run.count, run.usage) for run in series.runs])


async def _floor(context: Context, template: str, count: int) -> Run:
    queue = await empty_queue(context)
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(context.servers.clone(template))
        more = count + 1  # so that neither ends by itself, before its CPU was read
        taking = {"dsn": dsn, "broker_url": context.servers.broker_url, "queue": queue, "count": more, "wake": True}
        sending = {"dsn": dsn, "url": f"{context.provider.url}/", "count": more}
        intake = await stack.enter_async_context(child.contender("bench.floor_intake", taking, context.servers.log))
        claim = await stack.enter_async_context(child.contender("bench.floor_claim", sending, context.servers.log))
        await intake.go()
        await claim.go()
        return await _latencies(context, count, {"intake": intake.pid, "claim": claim.pid})


async def _ours(context: Context, template: str, count: int) -> Run:
    await empty_queue(context)
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(context.servers.clone(template))
        (worker,) = await stack.enter_async_context(workers(context, dsn, slots=16))
        options = {"dsn": dsn, "broker_url": context.servers.broker_url}
        engine = await stack.enter_async_context(child.contender("bench.engine", options, context.servers.log))
        await engine.go()
        return await _latencies(context, count, {"engine": engine.pid, "worker": worker})


async def empty_queue(context: Context) -> str:
    """The product's own queue, empty."""
    connection = await aio_pika.connect(context.servers.broker_url)
    async with connection:
        await declare(connection, Topology())
        channel = await connection.channel()
        queue = await channel.get_queue(Topology().events_queue)
        await queue.purge()
    return Topology().events_queue


async def _latencies(context: Context, count: int, processes: dict[str, int]) -> Run:
    await context.provider.forget()
    trees = context.servers.trees | {name: [pid] for name, pid in processes.items()}
    first = machine.read(trees)
    published = await publish(context, count)

    async def all_came() -> bool:
        return bool((await context.provider.seen())["count"] >= count)

    assert await until(all_came, within=60), f"of {count} events the provider has {await context.provider.seen()}"
    usage = machine.between(first, machine.read(trees))
    seen: dict[int, float] = {}
    for at, body in (await context.provider.seen(bodies=True))["bodies"]:
        found = MARK.search(unquote_plus(body))
        assert found is not None, body
        seen.setdefault(int(found[1]), at)
    waits = [(seen[n] - published[n]) * 1000 for n in range(WARM_UP, count)]
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    return Run(cuts[49], count, usage, {"p50": cuts[49], "p99": cuts[98]})


async def publish(context: Context, count: int, per_second: float = PER_SECOND) -> Sequence[float]:
    """Publish at an even pace; when each was handed to the client library."""
    connection = await aio_pika.connect(context.servers.broker_url)
    async with connection:
        channel = await connection.channel(publisher_confirms=False)
        exchange = await channel.get_exchange(Topology().events_exchange, ensure=False)
        published, begun = [], time.monotonic()
        for n in range(count):
            await asyncio.sleep(max(0.0, begun + n / per_second - time.monotonic()))
            body = event(n)
            published.append(time.monotonic())
            await exchange.publish(persistent(body, f"event-{n}"), "main.session.created")
        await asyncio.sleep(0.1)
    return published


def event(number: int, *, type_: str | None = None) -> bytes:
    """A session of a new client that is booked just now."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record: dict[str, Any] = {
        "kind": "session",
        "id": str(number),
        "version": 1,
        "client_id": f"c-{number}",
        "type": type_,
        "status": "Booked",
        "status_changed_at": at,
        "dates": {"session": "2030-06-12T14:00", "booked": at},
        "fields": {"number": str(number)},
    }
    client = {
        "id": f"c-{number}",
        "version": 1,
        "first_name": "Jo",
        "phones": [{"number": f"+1312{5_550_000 + number}", "sms": True}],
        "emails": [],
    }
    event = {
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": "/crm/main",
        "type": "crm.session.created",
        "subject": f"session/{number}",
        "time": at,
        "studio": "main",
        "data": {"record": record, "client": client},
    }
    return events.padded(event, record["fields"])
