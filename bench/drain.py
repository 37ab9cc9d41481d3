"""Waiting work goes out to the provider, and the provider says how fast: the same yardstick for every contender."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from bench import machine
from bench.context import Context
from bench.table import Run

PATIENCE = 300.0
LOOK = 0.05


async def until_seen(context: Context, count: int, pids: Iterable[int]) -> Run:
    """Wait until the provider has had `count` requests; requests a second from the first to the last.

    CPU is counted from the first request on, so that nobody's start is.
    """
    trees = context.servers.trees | {"process": list(pids), "provider": [context.provider.pid]}
    deadline = time.monotonic() + PATIENCE
    while not (seen := await context.provider.seen())["count"]:
        await asyncio.sleep(LOOK / 5)
        _check(deadline, seen["count"], count)
    first, begun = machine.read(trees), seen["count"]
    while (seen := await context.provider.seen())["count"] < count:
        await asyncio.sleep(LOOK)
        _check(deadline, seen["count"], count)
    usage = machine.between(first, machine.read(trees))
    return Run((count - 1) / (seen["last"] - seen["first"]), count - begun, usage)


def _check(deadline: float, seen: int, count: int) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"the provider has had {seen} of {count} requests after {PATIENCE:.0f} s")
