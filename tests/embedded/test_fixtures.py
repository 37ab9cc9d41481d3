from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import aio_pika
import asyncpg
import pytest


@pytest.mark.parametrize("round_", [1, 2])
async def test_each_test_has_a_database_of_its_own(database_url: str, round_: int) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("CREATE TABLE left_behind (n integer)")
    finally:
        await connection.close()


@pytest.mark.parametrize("round_", [1, 2])
async def test_each_test_finds_the_broker_empty(broker_url: str, round_: int) -> None:
    async with await aio_pika.connect(broker_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("control-center.events", durable=True)
        assert queue.declaration_result.message_count == 0
        await channel.default_exchange.publish(aio_pika.Message(b"left behind"), routing_key=queue.name)


def test_no_test_reaches_the_outside_world() -> None:
    with socket.socket() as line, pytest.raises(Exception, match="a test tried to reach"):
        line.connect(("192.0.2.1", 80))


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_what_could_not_be_run_is_listed_last_and_fails_the_run_on_ci(tmp_path: Path, ci: str, code: int) -> None:
    done = _a_run_of("def test_with_it(needs):\n    needs('nonesuch')\ndef test_without(): ...\n", tmp_path, CI=ci)

    summary, last = done.stdout.splitlines()[-2:]
    assert "1 passed, 1 skipped" in summary
    assert last.startswith("not run here: nonesuch: ")
    assert last.endswith("::test_with_it")
    assert done.returncode == code


def test_tests_that_take_minutes_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.long\ndef test_hours(): ...\ndef test_moment(): ...\n"
    assert "1 passed, 1 deselected" in _a_run_of(source, tmp_path).stdout
    assert "2 passed" in _a_run_of(source, tmp_path, "--long").stdout


def test_a_setting_of_the_machine_does_not_reach_the_tests(tmp_path: Path) -> None:
    source = "import os\ndef test_clean(): assert 'CONTROL_CENTER_LISTEN' not in os.environ\n"
    assert "1 passed" in _a_run_of(source, tmp_path, CONTROL_CENTER_LISTEN="0.0.0.0:80").stdout


def _a_run_of(source: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_sample.py").write_text(source)
    root = Path(__file__).parents[2]
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        root / "pyproject.toml",
        "--rootdir",
        folder,
        "-p",
        "conftest",
    ]
    path = f"{root}{os.pathsep}{root / 'tests'}"
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", folder, *arguments],
        env=os.environ | {"PYTHONPATH": path} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
