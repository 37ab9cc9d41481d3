"""P4: a hundred thousand reminders due at one instant become messages, against claim and insert."""

from __future__ import annotations

from typing import Any

import asyncpg

from bench import child, floor_schema, machine, seeds
from bench.context import Context
from bench.table import Goal, Row, Run, in_turn
from control_center.engine.release import Release
from control_center.service import now
from control_center.store import db

BODY = "x" * 1024
MADE = """
SELECT (SELECT count(*) FROM messages WHERE state = 'queued'),
       (SELECT count(*) FROM actions WHERE state = 'released')"""


async def measure(context: Context) -> list[Row]:
    count = context.count(100_000, 3_000)
    servers = context.servers
    ours = await servers.template("p4_ours", seeds.Waiting(count, released=False).seed)
    floor = await servers.template(
        "p4_floor", lambda connection: floor_schema.waiting(connection, count, BODY), product=False
    )

    async def run(module: str, template: str) -> Run:
        async with servers.clone(template) as dsn, child.contender(module, {"dsn": dsn}, servers.log) as process:
            trees = servers.trees | {"process": [process.pid]}
            first = machine.read(trees)
            await process.go()
            result = await process.result()
            usage = machine.between(first, machine.read(trees))
            if template == ours:
                connection = await asyncpg.connect(dsn)
                made = tuple(await connection.fetchrow(MADE))
                await connection.close()
                assert made == (count, count), f"of {count} reminders {made} were made and released"
            return Run(result["seconds"], count, usage)

    series = await in_turn(
        context.rounds,
        {
            "claim, insert, mark": lambda: run("bench.floor_release", floor),
            "engine.Release": lambda: run("bench.p4_release", ours),
        },
        context.say,
    )
    await servers.drop(ours)
    await servers.drop(floor)
    plain, whole = series.values()
    return [Row("P4", f"{count:,} reminders at one instant", "s", whole, Goal(3.0, at_least=False), plain)]


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Release until nothing more is due."""
    pool = await db.open_hot_pool(options["dsn"], application="bench")
    release = Release(pool, now)
    await child.ready()
    stretch = child.Stretch()
    stretch.begin()
    await release.catch_up()
    result = stretch.end()
    await pool.close()
    return result
