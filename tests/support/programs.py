"""Processes as an administrator starts them: what they say, line by line as it comes, and how they end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

ROOT: Final = Path(__file__).resolve().parents[2]
PROC: Final = Path("/proc")
POLL: Final = 0.05  # seconds between two looks at a fact that nobody tells us about
LONGEST_LINE: Final = 4 * 1024 * 1024

T = TypeVar("T")


async def eventually(fact: Callable[[], Awaitable[T]], *, within: float = 60.0, what: str = "") -> T:
    """Look until the fact is there (true, or not empty), and return it. Fails with what was seen last."""
    deadline = time.monotonic() + within
    while True:
        seen = await fact()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what or getattr(fact, '__name__', fact)} (saw {seen!r})")
        await asyncio.sleep(POLL)


async def suspended(pid: int) -> None:
    """Stop a process, whole: its other threads go on until one of them has had its turn, and with it the signal."""
    os.kill(pid, signal.SIGSTOP)

    async def stands_still() -> bool:
        return _states(pid) == {"T"}

    await eventually(stands_still, what=f"process {pid} stands still")


def _states(pid: int) -> set[str]:
    """What the threads of a process are at, in the kernel's letters."""
    threads = Path("/proc", str(pid), "task").glob("*/stat")
    return {one.read_text("utf-8").rpartition(")")[2].split()[0] for one in threads}


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line on stderr. Fails where there is none, or more."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, f"one line was to be said, not:\n{self.err}"
        return lines[0]


class Process(Protocol):
    """What is asked of a process, whoever started it."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def stdout(self) -> asyncio.StreamReader | None: ...
    @property
    def stderr(self) -> asyncio.StreamReader | None: ...
    async def wait(self) -> int: ...


class Program:
    """Owns a process that runs until it is told to end. It ends with us, however we end."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.log: list[dict[str, Any]] = []  # JSON lines of stderr
        self.said: list[str] = []  # everything else, from stderr and stdout
        self._process = process
        self._news = asyncio.Condition()
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [asyncio.create_task(self._read(stream)) for stream in (process.stdout, process.stderr)]

    @classmethod
    async def start(cls, words: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Program:
        setpriv = shutil.which("setpriv")
        with_us = [setpriv, "--pdeathsig=TERM", "--"] if setpriv else []
        process = await asyncio.create_subprocess_exec(
            *with_us, *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=dict(env), cwd=cwd,
            start_new_session=True, limit=LONGEST_LINE,
        )  # fmt: skip
        return cls(" ".join(words[2:]), process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.returncode

    async def wait_for(self, event: str, *, within: float = 60.0, **fields: Any) -> dict[str, Any]:
        """The first log line with this event and these fields, said already or still to come."""

        def wanted(line: Mapping[str, Any]) -> bool:
            return line["event"] == event and all(line.get(name) == value for name, value in fields.items())

        return await self._found(lambda: next(filter(wanted, self.log), None), f"{event} {fields or ''}", within)

    async def wait_for_words(self, words: str, *, within: float = 60.0) -> str:
        """The first line for people that contains these words."""
        return await self._found(lambda: next((line for line in self.said if words in line), None), words, within)

    async def _found(self, look: Callable[[], T | None], what: str, within: float) -> T:
        try:
            async with asyncio.timeout(within), self._news:
                while (found := look()) is None:
                    if all(reader.done() for reader in self._readers):
                        raise AssertionError(f"{self.name} ended ({self.code}) without {what}:\n{self.tail()}")
                    await self._news.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"{self.name}: not within {within:g} s: {what}\n{self.tail()}") from None

    def lines(self, event: str = "", **fields: Any) -> list[dict[str, Any]]:
        """The log lines so far with this event, or with any, and these fields."""
        return [
            line
            for line in self.log
            if event in ("", line["event"]) and all(line.get(name) == value for name, value in fields.items())
        ]

    def tail(self, lines: int = 25) -> str:
        return "\n".join([*self.said[-lines:], *(json.dumps(line) for line in self.log[-lines:])])

    async def stop(self, how: signal.Signals = signal.SIGTERM, *, within: float = 40.0) -> float:
        """Ask it to end, and wait; returns the seconds that took."""
        began = time.monotonic()
        with suppress(ProcessLookupError):
            os.kill(self.pid, how)
        await self.ended(within=within)
        return time.monotonic() - began

    async def kill(self) -> None:
        """kill -9: nothing is said, nothing is finished."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        await self.ended(within=20)

    async def ended(self, *, within: float = 60.0) -> int:
        """Wait until it has ended and everything it said was read; returns the exit code."""
        try:
            async with asyncio.timeout(within):
                code = await self._process.wait()
        except TimeoutError:
            raise AssertionError(f"{self.name} did not end within {within:g} s:\n{self.tail()}") from None
        # Its children hold the same pipes; what they still say may come for a little longer.
        await asyncio.wait(self._readers, timeout=10)
        return code

    async def _read(self, stream: asyncio.StreamReader) -> None:
        try:
            while raw := await stream.readline():
                text = raw.decode("utf-8", "replace").rstrip("\n")
                line = _as_log(text)
                async with self._news:
                    if line is None:
                        self.said.append(text)
                    else:
                        self.log.append(line)
                    self._news.notify_all()
        finally:
            async with self._news:
                self._news.notify_all()


def _as_log(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "event" in line else None


async def carry_out(
    words: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: bytes = b"", within: float = 60.0
) -> Done:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=dict(env), cwd=cwd, start_new_session=True
    )
    try:
        async with asyncio.timeout(within):
            out, err = await process.communicate(stdin)
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Done(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


# Who runs -------------------------------------------------------------------------------------------------


def family(pid: int) -> dict[int, str]:
    """This process and all it started, each with its start: a number that is given out again is another process."""
    children: dict[int, list[int]] = {}
    for entry in PROC.glob("[0-9]*"):
        with suppress(OSError):
            children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found, ahead = {pid}, [pid]
    while ahead:
        offspring = children.get(ahead.pop(), [])
        found.update(offspring)
        ahead += offspring
    return {one: began for one in found if (began := _began(one)) is not None}


def still_running(members: Mapping[int, str]) -> list[str]:
    """The command lines of those that have not ended."""
    return [_words(pid) for pid, began in members.items() if _began(pid) == began]


def carriers(mark: str) -> list[str]:
    """The command lines of all processes with these words in their command line or environment."""
    return [
        _words(pid)
        for pid in _numbers()
        if pid != os.getpid() and _began(pid) and any(mark.encode() in text for text in _texts(pid))
    ]


def _numbers() -> Iterable[int]:
    return [int(entry.name) for entry in PROC.glob("[0-9]*")]


def _texts(pid: int) -> list[bytes]:
    found = []
    for source in ("cmdline", "environ"):
        with suppress(OSError):
            found.append((PROC / str(pid) / source).read_bytes())
    return found


def _words(pid: int) -> str:
    with suppress(OSError):
        return f"{pid} " + (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return str(pid)


def _began(pid: int) -> str | None:
    """When a process began, None where it has ended; one that only waits to be reaped has ended."""
    try:
        stat = _stat(pid)
    except OSError:
        return None
    return None if stat[0] in "ZX" else stat[19]


def _stat(pid: int) -> list[str]:
    """From the state on; what stands before is the name, which may hold anything."""
    return (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
