"""P1: events taken in, everything included, against the plain consume-dedupe-insert loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

from bench import child, floor_schema, machine, seeds
from bench.context import Context
from bench.events import Crm, triggers
from bench.table import Goal, Row, Run, in_turn
from control_center.crm.inbox import Dead, Inbox
from control_center.crm.topology import Topology
from control_center.engine.intake import Intake
from control_center.service import now
from control_center.store import db

WROTE = """
SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM actions), (SELECT count(*) FROM records),
       (SELECT count(*) FROM actions WHERE state <> 'planned')"""


async def measure(context: Context) -> list[Row]:
    count = context.count(20_000, 2_000)
    said = Crm().events(count)
    servers = context.servers
    ours = await servers.template("p1_ours", lambda connection: seeds.a_studio(connection, triggers()))
    floor = await servers.template("p1_floor", floor_schema.nothing, product=False)
    queues = [f"bench.p1.{n}" for n in range(2 * context.rounds)]
    await servers.fill(queues, said)
    left = iter(queues)
    wrote: list[str] = []

    async def run(module: str, template: str) -> Run:
        async with servers.clone(template) as dsn:
            found = await _run(context, module, dsn, next(left), count)
            if template == ours:
                connection = await asyncpg.connect(dsn)
                events, actions, records, changed = await connection.fetchrow(WROTE)
                await connection.close()
                assert events == count, f"{events} of {count} events were stored"
                each = f"{actions / count:.2f} actions, {changed / count:.2f} of them ended since"
                wrote[:] = [f"{count:,} events; each of ours wrote {each}, {records / count:.2f} records and clients"]
            return found

    series = await in_turn(
        context.rounds,
        {
            "consume, dedupe, insert": lambda: run("bench.floor_intake", floor),
            "crm.Inbox + engine.Intake": lambda: run("bench.p1_intake", ours),
        },
        context.say,
    )
    await servers.remove(queues)
    await servers.drop(ours)
    await servers.drop(floor)
    plain, whole = series.values()
    return [Row("P1", "intake of real events", "a second", whole, Goal(0.8), plain, wrote)]


async def alone(context: Context, count: int) -> float:
    """Events a second that are taken in, by us alone and once."""
    servers = context.servers
    template = await servers.template("p1_alone", lambda connection: seeds.a_studio(connection, triggers()))
    await servers.fill(["bench.p1.alone"], Crm().events(count))
    async with servers.clone(template) as dsn:
        run = await _run(context, "bench.p1_intake", dsn, "bench.p1.alone", count)
    await servers.remove(["bench.p1.alone"])
    await servers.drop(template)
    return run.figure


async def _run(context: Context, module: str, dsn: str, queue: str, count: int) -> Run:
    options = {"dsn": dsn, "broker_url": context.servers.broker_url, "queue": queue, "count": count}
    async with child.contender(module, options, context.servers.log) as process:
        trees = context.servers.trees | {"process": [process.pid]}
        first = machine.read(trees)
        await process.go()
        result = await process.result()
        usage = machine.between(first, machine.read(trees))
    return Run(count / result["seconds"], count, usage)


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """The product's own inbox and intake, as its daemon joins them, logs included."""
    pool = await db.open_hot_pool(options["dsn"], application="bench")
    intake = Intake(pool, now)
    stop, stretch, left = asyncio.Event(), child.Stretch(), options["count"]

    async def take_in(bodies: Sequence[bytes]) -> list[Dead]:
        nonlocal left
        stretch.begin()
        taken = await intake.take_in(bodies)
        left -= len(bodies)
        if left <= 0:
            stop.set()
        return [Dead(dead.body, dead.reason, dead.field) for dead in taken.dead]

    await child.ready()
    await Inbox(options["broker_url"], take_in, topology=Topology(events_queue=options["queue"])).run(stop)
    result = stretch.end()
    await pool.close()
    return result
