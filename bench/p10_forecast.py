"""P10: arming a trigger, a forecast and a backtest of a whole year, in a studio that has been there for some."""

from __future__ import annotations

import resource
import time
from functools import partial
from typing import Any

from bench import child, machine
from bench.context import Context
from bench.table import Goal, Row, Run, Series, in_turn
from bench.year import Year, triggers
from control_center.engine import backtest
from control_center.engine import triggers as engine
from control_center.engine.forecast import Asked, forecast
from control_center.service import now
from control_center.store import db

LIMIT = 1024  # megabytes
JOBS = {
    "arming": "arming a trigger",
    "forecast": "a forecast of 14 days",
    "backtest": "a backtest of 365 days",
}


async def measure(context: Context) -> list[Row]:
    clients = context.count(100_000, 1_000)
    servers = context.servers
    context.say(f"   {clients:,} clients, {clients * 2:,} records and a year of events are written ...")
    template = await servers.template("p10", Year(clients).seed)

    async def run(job: str) -> Run:
        async with servers.clone(template) as dsn:
            options = {"dsn": dsn, "job": job}
            async with child.contender("bench.p10_forecast", options, servers.log) as process:
                trees = servers.trees | {"process": [process.pid]}
                first = machine.read(trees)
                await process.go()
                result = await process.result()
                usage = machine.between(first, machine.read(trees))
        notes = {name: result[name] for name in ("lines", "peak", "longest")}
        return Run(result["seconds"], clients * 2, usage, notes)

    series = await in_turn(context.rounds, {name: partial(run, name) for name in JOBS}, context.say)
    await servers.drop(template)
    return [row for name, what in JOBS.items() for row in _rows(what, series[name], clients * 2)]


def _rows(what: str, series: Series, count: int) -> list[Row]:
    peaks = Series(series.name, [Run(one.notes["peak"], one.count, one.usage) for one in series.runs])
    whole = Row("P10", f"{what}, {count:,} records", "s", series)
    if series.note("lines"):
        apart = series.note("longest")
        whole.remarks.append(f"{what}: {series.note('lines'):,.0f} lines, progress told at most {apart:.1f} s apart")
    return [whole, Row("P10", f"{what}: peak memory", "MiB", peaks, Goal(LIMIT, at_least=False))]


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """One of the jobs, with the memory that this process held at most."""
    pool = await db.open_pool(options["dsn"], application="bench", size=2)
    beats = [0.0]
    longest = 0.0
    lines = 0

    def progress(_done: int, _total: int) -> None:
        nonlocal longest
        at = time.monotonic()
        longest, beats[0] = max(longest, at - beats[0]), at

    await child.ready()
    stretch = child.Stretch()
    stretch.begin()
    beats[0] = time.monotonic()
    job: str = options["job"]
    match job:
        case "arming":
            table = {**triggers()[1], "name": "One more", "type": None}
            armed = {key: value for key, value in table.items() if value is not None}
            await engine.put(pool, now, "main", armed, by="the bench")
        case "forecast":
            async for _ in forecast(pool, "main", Asked(14), now(), progress=progress):
                lines += 1
        case _:
            trigger = await backtest.stored(pool, "main", "Trigger 1")
            async for _ in backtest.backtest(pool, "main", trigger, now(), days=365, progress=progress):
                lines += 1
    result = stretch.end()
    await pool.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**result, "lines": lines, "peak": peak, "longest": longest}
