"""P14: a year of messages behind it, a worker claims as quickly as on its first day; what is old is forgotten in time.

Two databases with the same studio: one is new, the other has lived through a year, month by month, pruned as the
engine prunes it. Reminders of clients from all over the year are then delivered from both in turn, all but the POST.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import uuid4

import asyncpg

from bench import child, history, machine, p5_old_snapshot, p14_pages
from bench.context import Context
from bench.history import MONTHS, History
from bench.machine import Usage
from bench.table import Goal, Row, Run, Series
from control_center.embedded import Postgres
from control_center.engine.upkeep import Upkeep
from control_center.service import now
from control_center.store import db

FORGETS: Final = "bench forgets"
LONGEST: Final = 250.0  # milliseconds that a statement which forgets may take
SLOWER: Final = 1.2
BESIDES: Final = 500  # messages that are on their way beyond those of a slice when it ends, and more
# Of a server for as many messages: a quarter to a third of its database.
LARGE: Final = {"shared_buffers": "4GB", "max_wal_size": "4GB"}


async def measure(context: Context) -> list[Row]:
    """On a server of its own: what others have left behind it would otherwise be here, too."""
    postgres = Postgres(context.servers.folder / "p14", durable=True, settings=LARGE)
    await postgres.start()
    try:
        roomy = replace(context.servers, postgres=postgres, broker=None)
        return await _measure(replace(context, servers=roomy))
    finally:
        await postgres.stop()


async def _measure(context: Context) -> list[Row]:
    past = History(context.year or context.count(10_000_000, 100_000))
    jobs = context.count(30_000, 1_000)
    new = await context.servers.template("p14_new", past.people)
    old = await context.servers.template("p14_old", past.people)
    forgot = await _live(context, old, past)
    lived = {"a new studio": new, "after its year": old}
    series = {name: Series(name) for name in lived}
    for round_ in range(1, context.rounds + 1):
        for name, run in (await _deliver(context, lived, past, jobs, round_)).items():
            series[name].runs.append(run)
            context.say(f"   round {round_}: {name}: {run.figure:.1f}")
    rows = _rows(past, series, forgot)
    rows[0].remarks += await p14_pages.read(context, lived, past, context.rounds + 1)
    rows[0].remarks += await p14_pages.sizes(context, old)
    for database in lived.values():
        await context.servers.drop(database)
    return rows


# The year ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Forgot:
    """What the year's pruning came to: rows, seconds, milliseconds of each statement by its table, locks seen."""

    rows: int = 0
    seconds: float = 0.0
    took: dict[str, list[float]] = field(default_factory=dict)
    locks: set[str] = field(default_factory=set)

    @property
    def longest(self) -> tuple[float, str]:
        return max((max(took), table) for table, took in self.took.items())


async def _live(context: Context, database: str, past: History) -> Forgot:
    """Month by month: what happened is written, what is old is forgotten, and autovacuum has had its turn."""
    forgot = Forgot()
    connection = await asyncpg.connect(context.servers.postgres.dsn(database))
    for number in range(1, MONTHS + 1):
        begun = time.monotonic()
        rows = await past.month(connection, number)
        wrote = time.monotonic() - begun
        await connection.execute("ANALYZE", timeout=7200)  # a month is long enough for that
        before = forgot.rows
        await _forget(context, database, forgot)
        gone = forgot.rows - before
        context.say(f"   month {number:2}: {rows:,} rows in {wrote:.0f} s, {gone:,} forgotten, all in {_since(begun)}")
        await connection.execute("VACUUM (ANALYZE)", timeout=7200)
    await connection.close()
    return forgot


def _since(begun: float) -> str:
    return f"{time.monotonic() - begun:.0f} s"


async def _forget(context: Context, database: str, forgot: Forgot) -> None:
    """As the engine does it, until there is nothing more."""
    dsn = context.servers.postgres.dsn(database)

    def note(query: Any) -> None:
        if query.query.lstrip().startswith("WITH old"):
            table = query.query.partition("DELETE FROM ")[2].split()[0]
            forgot.took.setdefault(table, []).append(query.elapsed * 1000)

    async def listen(connection: Any) -> None:
        connection.add_query_logger(note)

    pool = await db.open_pool(dsn, application=FORGETS, size=1, greet=listen)
    upkeep = Upkeep(pool, now, uuid4())
    watching = asyncio.create_task(_watch_locks(dsn, forgot))
    begun = time.monotonic()
    before = await _held(pool)
    while await upkeep.prune():
        pass
    forgot.seconds += time.monotonic() - begun
    forgot.rows += before - await _held(pool)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    await pool.close()


FORGOTTEN: Final = (
    "events",
    "commands",
    "receipts",
    "arrivals",
    "idempotency_keys",
    "release_counts",
    "day_shares",
)
LOCKS: Final = """
SELECT DISTINCT mode FROM pg_locks JOIN pg_stat_activity USING (pid)
 WHERE application_name = $1 AND locktype = 'relation'"""


async def _held(pool: db.Pool) -> int:
    """Rows in all tables of which something is forgotten."""
    total = 0
    for table in FORGOTTEN:
        total += await pool.fetchval(f"SELECT count(*) FROM {table}", timeout=600)
    return total


async def _watch_locks(dsn: str, forgot: Forgot) -> None:
    connection = await asyncpg.connect(dsn)
    while True:
        forgot.locks |= {row[0] for row in await connection.fetch(LOCKS, FORGETS)}
        await asyncio.sleep(0.05)


# The day after -------------------------------------------------------------------------------------------------


WRITTEN: Final = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8"


async def _deliver(context: Context, lived: dict[str, str], past: History, jobs: int, round_: int) -> dict[str, Run]:
    """As many reminders are delivered from each as were just written there; the p99 of the worker's claims."""
    servers = context.servers
    dsns = {name: servers.postgres.dsn(database) for name, database in lived.items()}
    slices = context.count(20, 2)
    options = {"dsns": dsns, "jobs": jobs, "slices": slices, "messages": past.messages, "round": round_}
    await servers.administer("CHECKPOINT")
    async with child.contender("bench.p14_year", options, servers.log) as process:
        trees = servers.trees | {"process": [process.pid]}
        first = machine.read(trees)
        await process.go()
        result = await process.result()
        usage = machine.between(first, machine.read(trees))
    return {name: Run(result[name]["p99"], 2 * jobs, usage, result[name]) for name in dsns}


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Deliver `jobs` messages from each of `dsns`, a few from the one and a few from the other in turn.

    So both meet the same machine, whatever else it is doing: what slows it down for a while slows down both. Those of a
    slice are written just before it, as a message is written when it is due and claimed a moment later.
    """
    past, each = History(options["messages"]), options["jobs"] // options["slices"]
    pools = {name: await db.open_hot_pool(dsn, application="bench") for name, dsn in options["dsns"].items()}
    took: dict[str, list[float]] = {name: [] for name in pools}
    seconds, wrote, writing = dict.fromkeys(pools, 0.0), dict.fromkeys(pools, 0.0), dict.fromkeys(pools, 0.0)
    await child.ready()
    order = list(pools)
    for number in range(options["slices"]):
        order.reverse()
        for name in order:
            pool = pools[name]
            begun = time.monotonic()
            async with db.session(pool) as connection:
                await history.wait(
                    connection, each + BESIDES, past, round_=options["round"] * options["slices"] + number
                )
            writing[name] += time.monotonic() - begun
            begun, before = time.monotonic(), await pool.fetchval(WRITTEN)
            took[name] += await p5_old_snapshot.claims(pool, each)
            seconds[name] += time.monotonic() - begun
            wrote[name] += await pool.fetchval(WRITTEN) - before
    for pool in pools.values():
        await pool.close()
    return {
        name: {
            "p99": p5_old_snapshot.p99(ones),
            "median": statistics.median(ones),
            "most": max(ones),
            "claims": len(ones),
            "rate": options["jobs"] / seconds[name],
            "log": wrote[name] / options["jobs"] / 1000,
            "writing": 1000 * writing[name] / (each + BESIDES) / options["slices"],
        }
        for name, ones in took.items()
    }


def _rows(past: History, series: dict[str, Series], forgot: Forgot) -> list[Row]:
    new, old = series.values()
    claims = Row("P14", f"p99 of a claim, {past.messages:,} behind", "ms", old, Goal(SLOWER, at_least=False), new)
    for one in (new, old):
        words = f"median {one.note('median'):.1f}, most {one.note('most'):.0f} ms"
        words += f"; {one.note('rate'):,.0f} messages a second, all but the POST, {one.note('log'):.1f} kB of log each"
        words += f"; written with its action in {one.note('writing'):.2f} ms"
        claims.remarks.append(f"{one.name}: {one.note('claims'):.0f} claims a round: {words}")
    longest, table = forgot.longest
    idle = Usage(forgot.seconds, {}, 0.0, 0.0)
    forgets = Row(
        "P14",
        "longest statement that forgets",
        "ms",
        Series("upkeep", [Run(longest, forgot.rows, idle)]),
        Goal(LONGEST, at_least=False),
    )
    rate = forgot.rows / max(forgot.seconds, 1e-9)
    forgets.remarks += [
        f"{forgot.rows:,} rows forgotten, {rate:,.0f} a second; the longest statement was of {table}",
        f"locks on tables while forgetting: {', '.join(sorted(forgot.locks))}",
        "milliseconds of its statements, median and most: "
        + ", ".join(f"{table} {_middle(took):.1f} {max(took):.0f}" for table, took in sorted(forgot.took.items())),
    ]
    return [claims, forgets]


def _middle(took: list[float]) -> float:
    return sorted(took)[len(took) // 2]
