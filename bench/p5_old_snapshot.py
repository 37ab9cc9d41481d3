"""P5: claims stay quick beside a transaction that holds an old snapshot, so that nothing dead can be cleaned away.

The delivery itself claims, commits its point of no return and settles; only the provider is left out.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from bench import child, machine, seeds
from bench.context import Context
from bench.table import Goal, Row, Run, Series
from control_center.domain.outcome import Accepted, Lookup, NotFoundThere, Outcome
from control_center.service import now
from control_center.store import db
from control_center.store.messages import Claimed
from workers.claims import Claims
from workers.delivery import Delivery


async def measure(context: Context) -> list[Row]:
    waiting, jobs = context.count(1_000_000, 20_000), context.count(300_000, 6_000)
    servers = context.servers
    context.say(f"P5 seeding {waiting:,} messages ...")
    seed = seeds.Waiting(waiting, released=True, records=min(1000, waiting))
    template = await servers.template("p5_ours", seed.seed)
    options: dict[str, Any] = {"dsn": servers.postgres.dsn(template), "jobs": jobs}
    old = await asyncpg.connect(servers.postgres.dsn(template))
    snapshot = old.transaction(isolation="repeatable_read")
    await snapshot.start()
    await old.fetchval("SELECT count(*) FROM studios")
    async with child.contender("bench.p5_old_snapshot", options, servers.log) as process:
        trees = servers.trees | {"process": [process.pid]}
        first = machine.read(trees)
        await process.go()
        result = await process.result()
        usage = machine.between(first, machine.read(trees))
    await snapshot.rollback()
    await old.close()
    await servers.drop(template)
    # The first minute at the full count; at a small one the first fifth, which is all that can be compared.
    early, late = Series("its first minute", []), Series("after all jobs", [])
    early.runs.append(Run(result["early"], jobs, usage))
    late.runs.append(Run(result["late"], jobs, machine.Usage(1.0, {}, 0.0, 0.0)))
    row = Row("P5", f"p99 of a claim after {jobs:,} jobs", "ms", late, Goal(3.0, at_least=False), early)
    row.remarks += [
        f"{waiting:,} waiting, {result['claims']} claims: median {result['median']:.1f}, most {result['most']:.0f} ms",
        f"messages a second, all but the POST: first fifth {result['first']:,.0f}, last fifth {result['last']:,.0f}",
    ]
    return [row]


class _Taken:
    """A provider that takes everything at once."""

    def __init__(self) -> None:
        self._count, self._wanted, self._reached = 0, 0, asyncio.Event()

    async def reaches(self, count: int) -> None:
        self._wanted = count
        self._reached.clear()
        if self._count < count:
            await self._reached.wait()

    async def submit(self, _message: Any, /) -> Outcome:
        self._count += 1
        if self._count >= self._wanted:
            self._reached.set()
        return Accepted("SM0")

    async def lookup(self, _message: Any, _known: Any = (), /) -> Lookup:
        return NotFoundThere()

    async def close(self) -> None:
        """Nothing is open."""


class _Timed(Claims):
    """Claims that note when each began and how many milliseconds it took."""

    def __init__(self, account: str, owner: UUID) -> None:
        super().__init__(account, owner)
        self.took: list[tuple[float, float]] = []

    async def claim(self, connection: db.Connection, priorities: Sequence[int], limit: int) -> list[Claimed]:
        begun = time.monotonic()
        claimed = await super().claim(connection, priorities, limit)
        self.took.append((begun, (time.monotonic() - begun) * 1000))
        return claimed


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Deliver `jobs` messages and look at the claims of the beginning and of the end."""
    jobs = options["jobs"]
    pool = await db.open_hot_pool(options["dsn"], application="bench")
    provider = _Taken()
    owner = uuid4()
    delivery = Delivery(pool, provider, account=seeds.ACCOUNT, owner=owner, clock=now, slots=64)
    claims = delivery._claims = _Timed(seeds.ACCOUNT, owner)  # noqa: SLF001 - what is measured is inside
    stop = asyncio.Event()
    await child.ready()
    marks = [time.monotonic()]
    running = asyncio.create_task(delivery.run(stop))
    for fifth in range(1, 6):
        await provider.reaches(jobs * fifth // 5)
        marks.append(time.monotonic())
    stop.set()
    await running
    await pool.close()
    took = [took for _, took in claims.took]
    minute = max(marks[1], min(marks[0] + 60, marks[4]))
    early = [took for at, took in claims.took if at < minute]
    late = [took for at, took in claims.took if at >= marks[4]]
    return {
        "seconds": marks[5] - marks[0],
        "early": p99(early),
        "late": p99(late),
        "claims": len(took),
        "median": statistics.median(took),
        "most": max(took),
        "first": jobs / 5 / (marks[1] - marks[0]),
        "last": jobs / 5 / (marks[5] - marks[4]),
    }


async def claims(pool: db.Pool, jobs: int) -> list[float]:
    """Deliver so many messages by a worker of its own; how many milliseconds each of its claims took."""
    provider, owner, stop = _Taken(), uuid4(), asyncio.Event()
    delivery = Delivery(pool, provider, account=seeds.ACCOUNT, owner=owner, clock=now, slots=64)
    timed = delivery._claims = _Timed(seeds.ACCOUNT, owner)  # noqa: SLF001 - what is measured is inside
    running = asyncio.create_task(delivery.run(stop))
    async with asyncio.timeout(child.PATIENCE):
        await provider.reaches(jobs)
    stop.set()
    await running
    return [took for _, took in timed.took]


def p99(figures: list[float]) -> float:
    return statistics.quantiles(figures, n=100, method="inclusive")[98] if len(figures) > 1 else figures[0]
