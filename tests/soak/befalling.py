"""How each kind of fault is done to an installation, and undone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from control_center.embedded.process import runs
from tests.soak.office import DONE_BY
from tests.soak.plan import OUTLIVES, PATIENT, POINTS, Fault
from tests.soak.stage import Post, Stage
from tests.support.programs import eventually

# As if the time of their leases had gone by: of one worker, which stands still.
RUN_OUT: Final = (
    "UPDATE messages SET lease_until = clock_timestamp() WHERE lease_owner::text = ANY ($1) AND lease_until IS NOT NULL"
)
OURS: Final[Mapping[str, str]] = {
    "everybody's": "true",
    "half of all": "pid % 2 = 0",
    "listeners'": "application_name LIKE '%wakes'",
}
TERMINATE: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE application_name LIKE 'control-center%' AND datname = current_database() AND """
QUIET: Final = 12.0  # seconds for which what was scripted waits for somebody to meet it

Befall = Callable[[Stage, Fault], Awaitable[None]]


async def _signalled(stage: Stage, fault: Fault) -> None:
    post = stage.posts[fault.target]
    how = signal.SIGKILL if fault.kind == "kill -9" else signal.SIGTERM
    before = post.starts
    if post.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(post.pid, how)
        await _replaced(post, before)


async def _stands_still(stage: Stage, fault: Fault) -> None:
    post = stage.posts[fault.target]
    pid = post.pid
    if pid is None:
        return
    before = post.starts
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    try:
        if fault.what == OUTLIVES and fault.kind not in PATIENT:
            await stage.sql(RUN_OUT, flights(pid))
        await asyncio.sleep(fault.seconds)
    finally:
        if post.starts == before:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def flights(pid: int) -> list[str]:
    """Under which names a worker holds leases: those of the flight recorders that it has open."""
    found: set[str] = set()
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                file = entry.readlink()
                found.update({file.stem} if file.suffix == ".flight" else ())
    return sorted(found)


async def _dies_at_a_point(stage: Stage, fault: Fault) -> None:
    """Armed is the next one that starts; where it never comes by, it is replaced by one that is not armed."""
    assert fault.what in POINTS
    post = stage.posts[fault.target]
    post.crash_at = f"{fault.what}:{fault.times}"
    await post.renew()
    before = post.starts

    async def died() -> bool:
        return post.starts > before

    with suppress(AssertionError):
        await eventually(died, within=fault.seconds)
        return
    await post.renew()


async def _falls_silent(stage: Stage, fault: Fault) -> None:
    line = stage.lines[fault.target]
    line.freeze()
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        line.thaw()


async def _is_cut(stage: Stage, fault: Fault) -> None:
    line = stage.lines[fault.target]
    if fault.what == "at once":
        line.cut()
        return
    line.cut_after(fault.times)
    await _met(lambda: not line.to_be_cut)
    line.cut_after(None)


async def _is_slow(stage: Stage, fault: Fault) -> None:
    line = stage.lines[fault.target]
    line.latency = fault.times / 1000
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        line.latency = 0.0


async def _is_refused(stage: Stage, fault: Fault) -> None:
    line = stage.lines[fault.target]
    line.refusing = True
    try:
        line.cut()
        await asyncio.sleep(fault.seconds)
    finally:
        line.refusing = False


async def _database_restarts(stage: Stage, fault: Fault) -> None:
    server = stage.postgres
    stage.office.hang_up()
    match fault.what:
        case "stopped":
            await server.stop()
        case "stopped at once":
            if server.pid is not None:
                os.kill(server.pid, signal.SIGQUIT)
                await eventually(_ended(server.pid), within=30)
            await server.kill()
        case _:
            await server.kill()
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        await server.start()


def _ended(pid: int) -> Callable[[], Awaitable[bool]]:
    async def ended() -> bool:
        return not runs(pid)

    return ended


async def _broker_restarts(stage: Stage, fault: Fault) -> None:
    await (stage.rabbitmq.stop() if fault.what == "stopped" else stage.rabbitmq.kill())
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        await stage.rabbitmq.start()


async def _terminated(stage: Stage, fault: Fault) -> None:
    await stage.sql(TERMINATE + OURS[fault.what])


async def _provider(stage: Stage, fault: Fault) -> None:
    stage.provider.misbehave(fault)
    await _met(lambda: stage.provider.scripted == 0)
    stage.provider.behave()


async def _relay(stage: Stage, fault: Fault) -> None:
    stage.relay.misbehave(fault)
    await _met(lambda: stage.relay.scripted == 0)
    stage.relay.behave()


async def _met(done: Callable[[], bool]) -> None:
    async def fact() -> bool:
        return done()

    with suppress(AssertionError):
        await eventually(fact, within=QUIET)


async def _receipts(stage: Stage, fault: Fault) -> None:
    stage.provider.manner = fault.what
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        stage.provider.manner = ""
        stage.provider.report()


async def _operates(stage: Stage, fault: Fault) -> None:
    await DONE_BY[fault.what](stage, fault)


async def _replaced(post: Post, before: int) -> None:
    async def fact() -> bool:
        return post.starts > before

    await eventually(fact, within=120, what=f"{post.name} is started again")


BEFALL: Final[Mapping[str, Befall]] = {
    "kill -9": _signalled,
    "SIGTERM": _signalled,
    "stands still": _stands_still,
    "stands still for minutes": _stands_still,
    "dies at a point": _dies_at_a_point,
    "line falls silent": _falls_silent,
    "line is cut": _is_cut,
    "line is slow": _is_slow,
    "line is refused": _is_refused,
    "PostgreSQL restarts": _database_restarts,
    "RabbitMQ restarts": _broker_restarts,
    "connections are terminated": _terminated,
    "provider": _provider,
    "relay": _relay,
    "receipts": _receipts,
    "operator": _operates,
}
