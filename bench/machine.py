"""What processes, and the machine as a whole, spend: read from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from control_center.embedded.process import descendants

PROC = Path("/proc")
TICK = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds so far: of each named tree of processes, and of the whole machine; on the monotonic clock."""

    at: float
    spent: Mapping[str, float]
    machine: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent between two readings: seconds of wall, CPU seconds by name, and cores that others used."""

    seconds: float
    cpu: Mapping[str, float]
    others: float
    load: float


def read(trees: Mapping[str, Iterable[int]]) -> Reading:
    """`trees` names processes by their roots; what they started, and what of that has ended, counts as theirs."""
    spent = {name: sum(_tree(pid) for pid in pids) for name, pids in trees.items()}
    fields = [int(field) for field in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return Reading(time.monotonic(), spent, (sum(fields) - idle) * TICK)


def between(first: Reading, last: Reading) -> Usage:
    seconds = max(last.at - first.at, 1e-9)
    cpu = {name: spent - first.spent.get(name, 0.0) for name, spent in last.spent.items()}
    others = (last.machine - first.machine - sum(cpu.values())) / seconds
    return Usage(seconds, cpu, max(0.0, others), os.getloadavg()[0])


def resident(pid: int) -> float:
    """Megabytes of memory that a process holds; 0 when it is gone."""
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE / 1e6
    except OSError:
        return 0.0


def _tree(root: int) -> float:
    return sum(_of(pid) for pid in (root, *descendants(root)))


def _of(pid: int) -> float:
    try:
        fields = (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(fields[n]) for n in (11, 12, 13, 14)) * TICK  # its own, and that of its children that have ended
