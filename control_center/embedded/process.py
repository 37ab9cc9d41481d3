"""The processes of a private server: they do not outlive us, and they end with everything they started."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from control_center.domain.errors import ConfigurationError
from control_center.embedded.place import Account, digest

PROC = Path("/proc")
POLL_SECONDS = 0.02
ORPHAN_GRACE_SECONDS = 10.0
LOG_LIMIT_BYTES = 10_000_000


async def spawn(
    command: Sequence[str | Path],
    *,
    account: Account | None,
    on_our_death: signal.Signals,
    log: Path,
    env: Mapping[str, str],
) -> Process:
    """Start a server in a session of its own, so that a Ctrl-C is ours to handle and not its.

    The kernel sends it `on_our_death` when the calling *thread* ends, so call this from the main thread.
    """
    _turn_over(log)
    with log.open("ab") as sink:
        return await asyncio.create_subprocess_exec(
            *as_account(account, on_our_death),
            *command,
            stdin=DEVNULL,
            stdout=sink,
            stderr=sink,
            env=dict(env),
            cwd="/",
            start_new_session=True,
        )


def as_account(account: Account | None, on_our_death: signal.Signals) -> list[str]:
    """The words before a command that make it die with us and run as that account.

    `setpriv` rather than `preexec_fn`: it works under every event loop, and runs nothing of ours after the fork.
    """
    setpriv = shutil.which("setpriv", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if setpriv is None and account:
        raise ConfigurationError("root needs `setpriv` (package util-linux) to start a server without root's rights")
    if setpriv is None or sys.platform != "linux":
        return []
    drop = [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"] if account else []
    return [setpriv, f"--pdeathsig={on_our_death.name.removeprefix('SIG')}", *drop, "--"]


async def until(fact: Callable[[], Awaitable[bool]], *, within: float, unless_ended: Process | None = None) -> bool:
    """Wait for a fact; False when time runs out or the process that should bring it about has ended."""
    ended: asyncio.Future[int] = (
        asyncio.ensure_future(unless_ended.wait()) if unless_ended else asyncio.get_running_loop().create_future()
    )
    try:
        async with asyncio.timeout(within):
            while not await fact():
                if ended.done():
                    return False
                await asyncio.wait({ended}, timeout=POLL_SECONDS)
            return True
    except TimeoutError:
        return False
    finally:
        ended.cancel()


async def kill_tree(pids: Iterable[int], *, within: float = 10.0) -> None:
    """SIGKILL these processes and all they started, and return when they are gone.

    Each is stopped before its children are listed, so that it cannot start one more in between.
    """
    victims: list[int] = []
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            victims += [pid, *descendants(pid)]
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await gone(victims, within=within)


async def gone(pids: Iterable[int], *, within: float) -> bool:
    """Wait until none of these processes runs; zombies that only wait to be reaped count as gone."""
    waited = list(pids)

    async def none_runs() -> bool:
        return not any(runs(pid) for pid in waited)

    return await until(none_runs, within=within)


def runs(pid: int) -> bool:
    try:
        return _stat(pid)[0] not in "ZX"
    except OSError:
        if PROC.joinpath("self").exists():
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in PROC.glob("[0-9]*"):
        with suppress(OSError):
            children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found, ahead = [], [pid]
    while ahead:
        offspring = children.get(ahead.pop(), [])
        found += offspring
        ahead += offspring
    return found


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log, to be shown with the error it explains."""
    with suppress(OSError):
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
    return "(no log)"


class Occupancy:
    """Holds a base folder for one owner: an flock that the kernel gives back however the owner ends.

    `marker` stands in the command line or the environment of every process of the server, and nowhere else: a
    noted number would prove nothing, for the kernel gives numbers out again.
    """

    def __init__(self, base: Path, what: str) -> None:
        self.marker = f"control-center-{digest(base.resolve())}"
        self._file = base / "occupied"
        self._what = what
        self._handle: int | None = None

    async def begin(self) -> None:
        """Take the folder, and end what an owner that was killed has left running there."""
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 20).decode().strip() or "unknown"
            os.close(handle)
            raise ConfigurationError(
                f"{self._what} in {self._file.parent} is already run by process {owner}: "
                "stop that one first, or choose another data folder"
            ) from None
        self._handle = handle
        os.truncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        if not await gone(_carriers(self.marker), within=ORPHAN_GRACE_SECONDS):
            await self.clear()

    async def clear(self) -> None:
        """SIGKILL whatever of the server still runs."""
        await kill_tree(_carriers(self.marker))

    def end(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _carriers(marker: str) -> list[int]:
    found = []
    for entry in PROC.glob("[0-9]*"):
        for source in ("cmdline", "environ"):
            with suppress(OSError):
                if marker.encode() in (entry / source).read_bytes():
                    found.append(int(entry.name))
                    break
    return found


def _stat(pid: int) -> tuple[str, int]:
    """State letter and parent; what follows the name, which may itself hold spaces and brackets."""
    fields = (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return fields[0], int(fields[1])


def _turn_over(log: Path) -> None:
    with suppress(OSError):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
