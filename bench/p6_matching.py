"""P6: an event costs the same whether its studio has ten triggers or a hundred thousand."""

from __future__ import annotations

import time
from typing import Any

from bench import child, machine, seeds
from bench.context import Context
from bench.events import Crm, triggers
from bench.table import Goal, Row, Run, in_turn
from control_center.domain.reconciliation import reconcile
from control_center.engine.intake import Intake
from control_center.service import now
from control_center.store import db, studios
from control_center.store.rulebooks import Rulebooks

BATCH = 250


def many(count: int) -> list[dict[str, Any]]:
    """Ten triggers that match, and all the others for statuses of their own: the work on an event stays the same."""
    chosen = triggers()[:10]
    return chosen + [
        {**chosen[n % 10], "name": f"Other {n}", "status": f"Status {n // 4}"} for n in range(count - len(chosen))
    ]


async def measure(context: Context) -> list[Row]:
    count, crowd = context.count(10_000, 1_000), context.count(100_000, 5_000)
    servers = context.servers
    few = await servers.template("p6_few", lambda connection: seeds.a_studio(connection, many(10)))
    lots = await servers.template("p6_lots", lambda connection: seeds.a_studio(connection, many(crowd)))
    arms = {
        "10 triggers": lambda: _run(context, few, count),
        f"{crowd:,} triggers": lambda: _run(context, lots, count),
    }
    small, large = (await in_turn(context.rounds, arms, context.say)).values()
    await servers.drop(few)
    await servers.drop(lots)
    row = Row("P6", f"an event under {crowd:,} triggers against 10", "µs", large, Goal(1.2, at_least=False), small)
    row.remarks += [
        f"matching and planning alone: {large.note('planning'):.1f} µs an event against {small.note('planning'):.1f}",
        f"reading {crowd:,} triggers once, after each change of the studio: {large.note('reading'):.1f} s",
    ]
    return [row]


async def _run(context: Context, template: str, count: int) -> Run:
    async with context.servers.clone(template) as dsn:
        options = {"dsn": dsn, "count": count}
        async with child.contender("bench.p6_matching", options, context.servers.log) as process:
            trees = context.servers.trees | {"process": [process.pid]}
            first = machine.read(trees)
            await process.go()
            result = await process.result()
            usage = machine.between(first, machine.read(trees))
    notes = {name: result[name] for name in ("planning", "reading")}
    return Run(result["seconds"] / count * 1e6, count, usage, notes)


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Take in `count` events batch by batch, without a broker; and plan them once more without a database."""
    bodies = [body for _, body in Crm().events(options["count"])]
    pool = await db.open_hot_pool(options["dsn"], application="bench")
    books = Rulebooks()
    begun = time.monotonic()
    async with db.session(pool) as connection:
        book = (await books.of(connection, await studios.get(connection, ["main"])))["main"]
    reading = time.monotonic() - begun
    intake = Intake(pool, now, books)
    pictures = []
    await child.ready()
    stretch = child.Stretch()
    stretch.begin()
    for start in range(0, len(bodies), BATCH):
        taken = await intake.take_in(bodies[start : start + BATCH])
        pictures += [event.seen[-1] for event in taken.new]
    result = stretch.end()
    await pool.close()
    at, begun = now(), time.process_time()
    for picture in pictures:
        reconcile(picture, book.rules, (), at)
    planning = (time.process_time() - begun) / len(pictures) * 1e6
    return {**result, "planning": planning, "reading": reading}
