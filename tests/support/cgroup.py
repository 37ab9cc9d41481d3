"""A group of processes with little memory, out of which the kernel kills."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.programs import Program

LIMIT: Final = 16 << 20  # bytes; what a process has when it joins does not count, what it asks for afterwards does
ROOT: Final = Path("/sys/fs/cgroup")
# Joins, then takes more than there is; what it takes is written to, or it would cost nothing.
EATER: Final = """
import os, pathlib, sys
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
eaten = [os.urandom(1 << 20) for _ in range(256)]
"""
# By version of the interface: where groups are made, and what limits memory and swap.
_KINDS: Final = (
    (ROOT / "memory", ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "memory.oom_control"),
    (ROOT, ("memory.max", "memory.swap.max"), "memory.events"),
)


class Group:
    """Owns the group."""

    def __init__(self, folder: Path, tells: str) -> None:
        self._procs = folder / "cgroup.procs"
        self._tells = folder / tells

    async def run_out(self, victim: Program) -> int:
        """Let the kernel kill this one for memory; returns its exit code."""
        self._offer(victim.pid)
        eater = await Program.start([sys.executable, "-c", EATER, str(self._procs)], env=os.environ, cwd=Path("/"))
        code = await victim.ended()
        await eater.kill()
        return code

    def _offer(self, pid: int) -> None:
        self._procs.write_text(str(pid))
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")

    def killed(self) -> int:
        """How many processes the kernel has killed in it."""
        counts = dict(line.split() for line in self._tells.read_text().splitlines())
        return int(counts["oom_kill"])


@contextmanager
def cramped(name: str) -> Iterator[Group | None]:
    """A group of that name; None where this account may not make one, or the kernel has none for memory."""
    for parent, limits, tells in _KINDS:
        folder = parent / name
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            if (folder / tells).exists() and (folder / limits[0]).exists():
                for limit in limits:
                    if (folder / limit).exists():
                        (folder / limit).write_text("0" if limit == "memory.swap.max" else str(LIMIT))
                yield Group(folder, tells)
                return
        finally:
            folder.rmdir()
    yield None
