"""What is carried out by a copy of the program ends, says and leaves what it would by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fork_server import ForkServer
from tests.support.programs import ROOT, Program, carry_out

TELLS = """
import atexit, os, sys
atexit.register(print, "left")
print(sys.argv[1:], os.getcwd(), sorted(os.environ.keys() - {{'LC_CTYPE'}}), sys.stdin.read())
print(os.getpid() == os.getsid(0))
print("aside", file=sys.stderr)
sys.exit({end})
"""
GOES_ON = """
import os, signal, sys
print(sys.argv[1:], os.getcwd(), os.environ["ALONE"], repr(sys.stdin.read()), sorted(os.listdir("/proc/self/fd")))
print(os.getpid() == os.getsid(0))
sys.stdout.flush()
signal.signal(signal.SIGINT, lambda *_: sys.exit(4))
print('{"event": "worker.ready"}', file=sys.stderr)
while True:
    signal.pause()
"""


@pytest.fixture(scope="module")
def copies() -> Iterator[ForkServer]:
    server = ForkServer("control_center.domain")
    yield server
    server.close()


@pytest.mark.parametrize("end", ["None", "0", "3", "'no such studio'", "1 / 0"])
async def test_a_copy_has_its_own_words_environment_folder_and_streams_and_ends_as_the_program_does(
    copies: ForkServer, tmp_path: Path, end: str
) -> None:
    (tmp_path / "tells.py").write_text(TELLS.format(end=end))
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "ALONE": "yes"}

    copied = await copies.run("tells", ["a", "b c"], env=environment, cwd=tmp_path, stdin=b"given", within=30)
    started = await carry_out(
        [sys.executable, "-m", "tells", "a", "b c"], env=environment, cwd=tmp_path, stdin=b"given", within=30
    )

    assert (copied.code, copied.out) == (started.code, started.out)
    assert copied.err.splitlines()[0] == started.err.splitlines()[0] == "aside"
    assert copied.err.splitlines()[-1] == started.err.splitlines()[-1]


async def test_a_copy_that_takes_too_long_is_killed(copies: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(
        "import os, signal\nopen('number', 'w').write(str(os.getpid()))\nsignal.pause()\n"
    )

    with pytest.raises(TimeoutError):
        await copies.run("waits", [], env={}, cwd=tmp_path, stdin=b"", within=1)

    again = await copies.run("this", [], env={}, cwd=tmp_path, stdin=b"", within=30)
    assert "Zen" in again.out
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "number").read_text()), 0)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_a_copy_that_goes_on_says_what_it_says_and_ends_as_the_program_does(
    copies: ForkServer, tmp_path: Path, how: signal.Signals
) -> None:
    (tmp_path / "goes_on.py").write_text(GOES_ON)
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "ALONE": "yes"}
    started = await Program.start([sys.executable, "-m", "goes_on", "a"], env=environment, cwd=tmp_path)
    beside = await copies.start("goes_on", ["a"], env=environment, cwd=tmp_path)  # nothing of it is open in the next
    copied = Program("goes_on", await copies.start("goes_on", ["a"], env=environment, cwd=tmp_path))

    for one in (started, copied):
        await one.wait_for("worker.ready")
        assert one.code is None
        await one.stop(how)

    assert (copied.code, copied.said) == (started.code, started.said)
    assert beside.returncode is None
    os.kill(beside.pid, signal.SIGKILL)
    assert await beside.wait() == -signal.SIGKILL


async def test_copies_that_go_on_end_with_what_they_are_copies_of(tmp_path: Path) -> None:
    (tmp_path / "goes_on.py").write_text(GOES_ON)
    server = ForkServer("control_center.domain")
    copied = await server.start("goes_on", [], env={"ALONE": "yes"}, cwd=tmp_path)
    assert copied.stdout is not None
    assert copied.stderr is not None
    assert b"ready" in await copied.stderr.readline()

    server.close()

    async with asyncio.timeout(30):
        assert await copied.wait() < 0
        assert b"True" in await copied.stdout.read(), "it ends when nobody has its other end any more"
