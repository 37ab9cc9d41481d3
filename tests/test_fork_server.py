"""A command that is carried out by a copy of the program ends, says and leaves what it would by itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fork_server import ForkServer
from tests.support.programs import ROOT, carry_out

TELLS = """
import atexit, os, sys
atexit.register(print, "left")
print(sys.argv[1:], os.getcwd(), sorted(os.environ.keys() - {{'LC_CTYPE'}}), sys.stdin.read())
print(os.getpid() == os.getsid(0))
print("aside", file=sys.stderr)
sys.exit({end})
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
