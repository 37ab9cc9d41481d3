"""P2: waiting texts drained through the worker, point of no return included, against claim-POST-mark and the peers."""

from __future__ import annotations

import asyncio
from functools import partial

import asyncpg

from bench import child, floor_schema, seeds
from bench.context import Context
from bench.drain import until_seen
from bench.peers import PEERS, Peer, ready_to_run
from bench.table import Arm, Goal, Row, Run, Series, in_turn
from bench.worker import workers

TABLE = 3401 / 1872  # floor to PgQueuer on the machine that the goals were set on
BODY = "x" * 1024
IN_DOUBT = "SELECT count(*) FROM messages WHERE lease_until IS NOT NULL AND state = 'submitting'"
ENDS = "SELECT state, count(*) FROM messages GROUP BY state"


async def measure(context: Context) -> list[Row]:
    count = context.count(20_000, 1_500)
    servers = context.servers
    waiting = seeds.Waiting(count, released=True)
    ours = await servers.template("p2_ours", waiting.seed)
    floor = await servers.template(
        "p2_floor", lambda connection: floor_schema.waiting(connection, count, BODY), product=False
    )
    most: dict[str, int] = {}

    def product(slots: int, processes: int) -> Arm:
        return lambda: _ours(context, ours, count, most, slots=slots, processes=processes)

    arms: dict[str, Arm] = {
        "claim 100, POST, mark": lambda: _floor(context, floor, count),
        "16 slots": product(16, 1),
        "32 slots": product(32, 1),
        "32 slots in two workers": product(16, 2),
    }
    arms |= await _peers(context, count)
    series = await in_turn(context.rounds, arms, context.say)
    await servers.drop(ours)
    await servers.drop(floor)
    return _rows(series, most, await context.provider.limit())


async def alone(context: Context, count: int) -> float:
    """Texts a second that two workers of 16 slots deliver, by us alone and once."""
    template = await context.servers.template("p2_alone", seeds.Waiting(count, released=True).seed)
    run = await _ours(context, template, count, {}, slots=16, processes=2)
    await context.servers.drop(template)
    return run.figure


async def _peers(context: Context, count: int) -> dict[str, Arm]:
    if not context.peers:
        return {}
    python = await ready_to_run(context.say, context.servers.log)
    return {peer.name: partial(_peer, context, peer, python, count) for peer in PEERS}


async def _floor(context: Context, template: str, count: int) -> Run:
    await context.provider.forget()
    async with context.servers.clone(template) as dsn:
        options = {"dsn": dsn, "url": f"{context.provider.url}/", "count": count}
        async with child.contender("bench.floor_claim", options, context.servers.log) as process:
            await process.go()
            run = await until_seen(context, count, [process.pid])
            await process.result()
            return run


async def _ours(
    context: Context, template: str, count: int, most: dict[str, int], *, slots: int, processes: int
) -> Run:
    await context.provider.forget()
    async with context.servers.clone(template) as dsn:
        database = await asyncpg.connect(dsn)
        async with workers(context, dsn, slots=slots, processes=processes) as pids:
            watch = asyncio.create_task(_watch_doubt(dsn, f"{slots} x {processes}", most))
            try:
                run = await until_seen(context, count, pids)
            finally:
                watch.cancel()
            await _settled(database, count)
        seen = await context.provider.seen(distinct=True)
        await database.close()
    assert (seen["count"], seen["distinct"]) == (count, count), f"of {count} texts the provider has {seen}"
    return run


async def _watch_doubt(dsn: str, name: str, most: dict[str, int]) -> None:
    """How many messages a kill at that instant would leave in doubt; looked at twice a second."""
    database = await asyncpg.connect(dsn)
    while True:
        most[name] = max(most.get(name, 0), await database.fetchval(IN_DOUBT))
        await asyncio.sleep(0.5)


async def _settled(database: asyncpg.Connection, count: int) -> None:
    """All of them end accepted, and the product knows it."""
    async with asyncio.timeout(30):
        while (ends := {row[0]: row[1] for row in await database.fetch(ENDS)}) != {"accepted": count}:
            assert set(ends) <= {"queued", "claimed", "submitting", "accepted"}, ends
            await asyncio.sleep(0.1)


async def _peer(context: Context, peer: Peer, python: str, count: int) -> Run:
    await context.provider.forget()
    async with peer.loaded(context, python, count) as start, start() as pids:
        return await until_seen(context, count, pids)


def _rows(series: dict[str, Series], most: dict[str, int], limit: float) -> list[Row]:
    floor, slots_16, slots_32, two = (series.pop(name) for name in list(series)[:4])
    goals = {slots_16.name: (slots_16, 0.6), slots_32.name: (slots_32, 0.75), two.name: (two, 0.75)}
    rows = [
        Row("P2", f"drain of texts, {name}", "a second", ours, Goal(goal), floor)
        for name, (ours, goal) in goals.items()
    ]
    rows += [
        Row("P2", f"... {slots_32.name} against {peer.name}", "a second", slots_32, Goal(1.3), peer)
        for peer in series.values()
    ]
    doubt = ", ".join(f"{name}: {found}" for name, found in most.items())
    rows[0].remarks += [
        f"most texts in doubt at any look, by slots x workers: {doubt}",
        f"the provider by itself answers {limit:,.0f} a second",
    ]
    queuer = next((peer for peer in series.values() if peer.name.startswith("PgQueuer")), None)
    if queuer is not None:
        ratio = floor.median / queuer.median
        counts = "counts" if ratio >= 0.8 * TABLE else "DOES NOT COUNT: mend it first"
        rows[0].remarks.append(
            f"the floor {counts}: it reaches {ratio:.2f} x {queuer.name}, needed 0.8 x {TABLE:.2f} = {0.8 * TABLE:.2f}"
        )
    return rows
