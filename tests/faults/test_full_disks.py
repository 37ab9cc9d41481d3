"""The disk is full: of the database, and nothing goes without its mark; of the log, and nothing depends on that."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from control_center.embedded import Postgres
from tests.support.bookings import bookings
from tests.support.checker import check
from tests.support.installation import Installation
from tests.support.matrix import Seen
from tests.support.programs import Program, eventually

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

SIZE: Final = "160m"
SLOW: Final = '[accounts.slow]\nchannel = "sms"\nprovider = "sandbox"\nslots = 4\nlatency = 0.2\n'
WITHOUT_BROKER: Final = 'broker_url = "none"\n'
ROOM: Final = 1 << 20  # bytes that a ballast grows by
SETTLED: Final = "SELECT count(*) = $1 FROM messages WHERE state IN ('delivered', 'unknown')"
TO_NOWHERE: Final = ("/bin/sh", "-c", 'exec "$@" 2>/dev/full', "sh", sys.executable, "-m")


@pytest.fixture
def small_disk(folder: Path, record_property: Callable[[str, object], None]) -> Iterator[Path]:
    """A file system of its own, which can be full without anybody else's taking harm."""
    where = folder / "disk"
    where.mkdir()
    options = f"size={SIZE},mode=0711"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", where], capture_output=True, check=False)
    if done.returncode != 0:
        record_property("not here", "mount (CAP_SYS_ADMIN)")
        pytest.skip("a small file system cannot be mounted here")
    yield where
    subprocess.run(["umount", "--lazy", where], check=True)


@pytest.fixture
async def cramped(small_disk: Path) -> AsyncIterator[Postgres]:
    """A server that keeps its log and its data on the small disk."""
    server = Postgres(small_disk / "postgres")
    await server.start()
    yield server
    await server.stop()


def fill(disk: Path) -> Path:
    """A file that takes all that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        for size in (ROOM, 1 << 12, 1):
            with suppress(OSError):
                while file.write(b"\1" * size) == size:
                    pass
    return ballast


async def use_up_the_log(server: Postgres) -> str:
    """Ask for new segments until there is no room for another one; what the server said last."""
    said = ""
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection = await asyncpg.connect(server.dsn("postgres"), timeout=20)
        try:
            for number in range(64):
                await connection.execute(f"SELECT pg_logical_emit_message(false, 'test', '{number}'), pg_switch_wal()")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            said = str(error)
        finally:
            connection.terminate()
    return said


@pytest.mark.fault("F39")
@pytest.mark.parametrize("number", [60, pytest.param(600, marks=pytest.mark.long)])
async def test_f39_with_the_databases_disk_full_nothing_is_sent_and_with_room_again_everything_is_once(
    folder: Path, small_disk: Path, cramped: Postgres, number: int, seen: Seen
) -> None:
    here = Installation(folder / "one", database_url=cramped.dsn(), settings=WITHOUT_BROKER + SLOW)
    async with here:
        await here.done("migrate")
        await here.furnish(account="slow")
        engine = await here.run("engine", "release", "web")
        worker = await here.start("workers", "sms")
        bodies = bookings(number)
        await here.done("emit", "-", stdin=b"\n".join(bodies) + b"\n")
        await here.sent(10, within=240)

        ballast = await asyncio.to_thread(fill, small_disk)
        said = await use_up_the_log(cramped)
        await worker.wait_for("delivery.paused", within=240)
        # What it had marked may still leave; after that nothing does, as nothing can be marked.
        marked = len(here.outbox())
        here.hang_up()

        ballast.unlink()
        if not await answers(cramped):
            await cramped.kill()
            await cramped.start()
        await worker.wait_for("delivery.resumed", within=240)
        await here.holds(SETTLED, number, within=300)
        await here.calm(within=300)

        findings = await check(here, bodies)
        assert not findings.faults
        assert findings.unknown == []
        assert len(here.outbox()) == number
        assert marked < number
        assert (engine.code, worker.code) == (None, None), "nobody gave up"
        seen(f"stopped after {marked} of {number} ({said or 'the server was gone'}); all sent once when there was room")


async def answers(server: Postgres) -> bool:
    """Whether it takes connections by itself, once its recovery is over."""

    async def over() -> str:
        if server.pid is None:
            return "it has ended"
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await (await asyncpg.connect(server.dsn("postgres"), timeout=5)).close()
            return "it answers"
        return ""

    with suppress(AssertionError):
        return await eventually(over, within=30) == "it answers"
    return False


@pytest.mark.fault("F39")
@pytest.mark.parametrize("number", [40, pytest.param(2000, marks=pytest.mark.long)])
async def test_f39_with_the_disk_of_the_log_full_everything_goes_on_and_goes_once(
    install: Install, number: int, seen: Seen
) -> None:
    here = await install(SLOW.replace("slots = 4", "slots = 16"))
    await here.furnish(account="slow")
    await (await here.run("engine")).stop()  # has declared the queue
    programs = [
        await unheard(here, "control_center", "run", "engine", "release"),
        await unheard(here, "workers", "sms"),
    ]
    bodies = bookings(number)
    await programs[0].wait_for_words("control center runs as process", within=240)
    await here.publish(bodies, within=240)

    await here.taken_in(number, within=240)
    await here.holds(SETTLED, number, within=240)
    await here.calm(within=240)

    findings = await check(here, bodies)
    assert not findings.faults
    assert findings.unknown == []
    assert len(here.outbox()) == number
    assert [one.code for one in programs] == [None, None]
    assert [one.log for one in programs] == [[], []]
    for one in programs:
        await one.stop()
    assert [one.code for one in programs] == [0, 0]
    seen(f"no line of a log could be written: {number} of {number} sent once, engine and worker went on")


async def unheard(here: Installation, *words: str) -> Program:
    """One of our programs, whose log goes to where there is no room."""
    program = await Program.start([*TO_NOWHERE, *words], env=here.environment(), cwd=here.folder)
    here.programs.append(program)
    return program
