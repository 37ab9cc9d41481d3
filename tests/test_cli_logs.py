"""`logs`: what was logged is read back as a terminal would have shown it, sifted, and nothing is lost on the way."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from control_center import logs
from control_center.cli.logs import Level
from control_center.logs.reading import Sought, reader
from tests.support.installation import Installation

TRACEBACK = "Traceback (most recent call last):"


def line(event: str = "message.accepted", level: str = "info", **fields: Any) -> str:
    return json.dumps({"timestamp": "2026-11-22T02:54:30.021417Z", "level": level, "event": event, **fields})


ABOUT = {"studio": "main", "action": "a-3", "record": "session/4711", "event_id": "e-2"}
LINES = [
    line("event.received", studio="main", record="session/4711", event_id="e-2"),
    line("trigger.saved", studio="main", trigger="Session reminder"),
    line("message.accepted", message="m-12", **ABOUT),
    TRACEBACK,
    line("message.unknown", "warning", message="m-13", **ABOUT),
    line("message.accepted", message="m-120", **ABOUT | {"studio": "other"}),
    line("loop.paused", "error", loop="release"),
    json.dumps({"anything": "else"}),
]
ALL = "\n".join(LINES).encode()


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "here")


@pytest.fixture
def written(here: Installation) -> str:
    return str(here.write("day.log", ALL.decode()))


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


# --- what is shown ---------------------------------------------------------------------------------------------

read = reader(Sought({}), colours=False, machine=False)


@pytest.mark.usefixtures("_logging_as_before")
@given(
    words=st.text(max_size=40),
    value=st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=20) | st.lists(st.text(max_size=5)),
    failed=st.booleans(),
)
def test_a_line_is_read_back_as_a_terminal_would_have_shown_it(words: str, value: Any, *, failed: bool) -> None:
    shown = {}
    error = ValueError("so it ends") if failed else None
    for style in ("json", "console"):
        stream = io.BytesIO()
        logs.configure(style=style, stream=stream)
        structlog.get_logger().warning("loop.paused", reason=words, found=value, record="session/1", exc_info=error)
        shown[style] = stream.getvalue()

    again = read(shown["json"].removesuffix(b"\n"))

    assert again is not None
    day, clock, rest = again.split(b" ", 2)
    assert rest + b"\n" == shown["console"].split(b" ", 1)[1]
    assert len(day + clock) == len("2026-11-2202:54:30")


def test_the_day_is_shown_with_the_time() -> None:
    shown = read(line(message="m-12").encode())
    assert shown == b"2026-11-22 02:54:30 [info     ] message.accepted         message=m-12"


@given(st.binary(max_size=60).filter(lambda raw: b"\n" not in raw))
def test_what_is_no_log_line_is_shown_as_it_is(raw: bytes) -> None:
    assert read(raw) == raw


@pytest.mark.parametrize(
    "odd",
    [
        {"timestamp": "2026-11-22T02:54:30Z", "event": "message.accepted"},
        {"timestamp": 7, "level": "info", "event": "message.accepted"},
        {"timestamp": "", "level": "grave", "event": "message.accepted"},
        {"timestamp": "", "level": "info", "event": "x", "exc_info": True},
        {"timestamp": "", "level": "info", "event": "x", "stack": ["y"]},
    ],
)
def test_lines_of_others_are_shown_as_they_are(odd: dict[str, Any]) -> None:
    raw = json.dumps(odd).encode()
    assert read(raw) == raw


def test_nothing_in_a_line_moves_the_cursor_whoever_wrote_it() -> None:
    odd: dict[str, Any] = {"re\x1bason": "\x1b[31m", "found": ["\x1b"], "exception": "one\n\x1b[1A\rtwo"}
    shown = read(line("\x1b[2J", **odd).encode())
    assert shown is not None
    assert b"\x1b" not in shown
    assert b"\r" not in shown
    assert shown.endswith(b"\none\n\\u001b[1A\\u000dtwo")


def test_the_levels_are_those_of_the_log() -> None:
    assert [level.value for level in Level] == list(logs.LEVELS)


# --- what is sought --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"message": "m-12"}, [2]),
        ({"record": "session/4711"}, [0, 2, 4, 5]),
        ({"record": "session/4711", "studio": "main"}, [0, 2, 4]),
        ({"record": "session/4711", "studio": "main", "message": "m-120"}, []),
        ({"trigger": "Session reminder"}, [1]),
        ({"studio": "other"}, [5]),
        ({"action": "a-3", "studio": "main"}, [2, 4]),
        ({"event": "e-2", "level": "warning"}, [4]),
        ({"level": "warning"}, [4, 6]),
        ({"level": "error"}, [6]),
    ],
)
async def test_filters_say_what_a_line_must_be_about_all_of_it(
    here: Installation, written: str, asked: dict[str, str], found: list[int]
) -> None:
    done = await here.cli("logs", written, "--json", *(f"--{name}={value}" for name, value in asked.items()))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [LINES[number] for number in found]


async def test_without_a_filter_every_line_is_shown_and_with_one_only_log_lines_are(
    here: Installation, written: str
) -> None:
    everything = (await here.done("logs", written)).out.splitlines()
    assert len(everything) == len(LINES)
    assert everything[3] == TRACEBACK
    assert "message.unknown" in everything[4]

    sifted = (await here.done("logs", written, "--message", "m-13")).out.splitlines()
    assert sifted == [everything[4]]

    for_machines = (await here.done("logs", written, "--json")).out.splitlines()
    assert for_machines == [line for line in LINES if line != TRACEBACK]


# --- where lines come from -------------------------------------------------------------------------------------


async def test_lines_come_from_a_pipe_from_a_file_or_from_stdin_by_name(here: Installation, written: str) -> None:
    expected = (await here.done("logs", written)).out
    assert (await here.done("logs", stdin=ALL)).out == expected
    assert (await here.done("logs", "-", stdin=ALL + b"\n")).out == expected


async def test_a_file_that_is_not_there_is_named_in_one_line(here: Installation) -> None:
    done = await here.cli("logs", "nowhere.log")
    assert (done.code, done.out) == (1, "")
    assert done.complaint == "control-center logs: nowhere.log cannot be read: No such file or directory"
    assert (await here.cli("logs", str(here.folder))).code == 1


async def test_wrong_use_exits_with_2(here: Installation, written: str) -> None:
    for words in ([written, "--unit", "x"], ["-", "--unit", "x"], ["--level", "grave"]):
        done = await here.cli("logs", *words, stdin=b"")
        assert (done.code, bool(done.err)) == (2, True), words


Journal = Callable[[str], None]


@pytest.fixture
def journalctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """Puts a program with this script in the place of journalctl, and nothing else on the path."""

    def put(script: str) -> None:
        program = tmp_path / "journalctl"
        program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return put


async def test_the_journal_is_read_where_it_is_asked_for(here: Installation, journalctl: Journal) -> None:
    journalctl(f"echo \"$*\"; echo '{LINES[2]}'")
    words, shown = (await here.done("logs", "--unit", "postgresql", stdin=ALL)).out.splitlines()
    assert words == "--output=cat --no-pager --unit=postgresql"
    assert "message=m-12" in shown
    assert "--follow" in (await here.done("logs", "--unit", "postgresql", "--follow")).out


async def test_the_journal_of_our_units_is_read_where_nothing_is_piped_in(
    here: Installation, journalctl: Journal
) -> None:
    journalctl('echo "$*"')
    ours, terminal = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "control_center", "logs"),
        stdin=terminal,
        stdout=asyncio.subprocess.PIPE,
        env=here.environment(),
    )
    out, _ = await process.communicate()
    os.close(ours)
    os.close(terminal)
    assert out.decode().split() == ["--output=cat", "--no-pager", "--unit=control-center*"]


async def test_a_journal_that_fails_is_a_failure_and_has_said_why_itself(
    here: Installation, journalctl: Journal
) -> None:
    journalctl("echo 'no journal files were found' >&2; exit 3")
    done = await here.cli("logs", "--unit", "x")
    assert (done.code, done.complaint) == (1, "no journal files were found")


async def test_where_there_is_no_journal_it_says_what_to_type(
    here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = await here.cli("logs", "--unit", "x")
    assert done.code == 1
    assert "control-center logs FILE" in done.complaint


# --- as long as it lasts ---------------------------------------------------------------------------------------


async def test_a_pipe_is_shown_line_by_line_as_it_is_written(here: Installation) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "control_center", "logs"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=here.environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(3):
        whole = line(message=f"m-{number}").encode()
        process.stdin.write(whole[:40])
        await process.stdin.drain()
        process.stdin.write(whole[40:] + b"\n")
        shown = await asyncio.wait_for(process.stdout.readline(), 30)
        assert shown.endswith(f"message=m-{number}\n".encode())
    process.stdin.close()
    assert await process.wait() == 0


async def test_a_file_is_followed_as_it_grows_is_put_aside_and_is_cut_off(here: Installation) -> None:
    file = here.write("now.log", "".join(f"early {number}\n" for number in range(30)))
    async with here:
        program = await here.start("control_center", "logs", str(file), "--follow")
        await program.wait_for_words("early 29")
        assert [said for said in program.said if said.startswith("early")] == [f"early {n}" for n in range(20, 30)]

        with file.open("a") as more:
            more.write(line(message="m-1") + "\n")
        await program.wait_for_words("message=m-1")

        file.rename(here.folder / "now.log.1")
        file.write_text(line(message="m-2") + "\n", "utf-8")
        await program.wait_for_words("message=m-2")

        file.write_text("cut\n", "utf-8")
        await program.wait_for_words("cut")

        await program.stop(signal.SIGINT, within=10)
        assert program.code == 130
        assert len(program.said) == 13


async def test_whoever_has_read_enough_may_go(here: Installation) -> None:
    big = here.write("big.log", f"{LINES[2]}\n" * 20_000)
    theirs, ours = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "control_center", "logs", str(big)),
        stdout=ours,
        stderr=asyncio.subprocess.PIPE,
        env=here.environment(),
    )
    os.close(ours)
    assert await asyncio.to_thread(os.read, theirs, 100)
    os.close(theirs)
    _, said = await process.communicate()
    assert (process.returncode, said) == (0, b"")
