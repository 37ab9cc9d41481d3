"""Fuzzing that is guided by what each input reaches: it keeps what found a new branch and goes on from there.

Finds what chance does not, in minutes where chance would need days. What it learned stays in .build/guided, so that the
next run goes on from it. The first input that fails is printed, made small, and kept.
"""

# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.guided import tool
from tests.guided.surfaces import EACH, REAL

EXAMPLE: Final = "example: python -m tests.guided calendars templates --minutes 10"
SECONDS_MORE: Final = 120  # until a run is given up that should have ended: instrumenting, starting, the last input
_RUNS: Final = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
_COVERED: Final = re.compile(r"\bcov: (\d+)")


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one surface: inputs tried, branches reached, and what it said of the one that failed."""

    surface: str
    inputs: int
    branches: int
    failure: str = ""

    def __str__(self) -> str:
        return f"{self.surface}: {self.inputs:,} inputs, {self.branches:,} branches reached" + (
            f"\n{self.failure}" if self.failure else ""
        )


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.guided", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("surface", nargs="*", choices=[[], *REAL], help="all of them where none is named")
    parser.add_argument("--minutes", type=float, default=2.0, help="for each surface (2)")
    chosen = parser.parse_args()
    place = tool.ready(print)
    if place is None:
        return os.EX_UNAVAILABLE
    failed = 0
    for name in chosen.surface or REAL:
        found = run(name, place, seconds=int(60 * chosen.minutes))
        print(found, flush=True)
        failed += bool(found.failure)
    return 1 if failed else 0


def run(name: str, place: Path, *, seconds: int, inputs: int = -1, folder: Path | None = None) -> Found:
    """One surface, until the time is up, so many inputs are through (-1: any number), or one fails."""
    folder = folder or tool.BUILD / EACH[name].name
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "tests.guided.child", name, str(folder), str(seconds), str(inputs)]
    with (folder / "log").open("w+", errors="replace") as log:
        code = subprocess.run(
            words, check=False, env=tool.environment(place), stdout=log, stderr=log, timeout=seconds + SECONDS_MORE
        ).returncode
        log.seek(0)
        said = log.read()
    runs, covered = _RUNS.findall(said), _COVERED.findall(said)
    return Found(name, int(runs[-1]) if runs else 0, int(covered[-1]) if covered else 0, _failure(said) if code else "")


def _failure(said: str) -> str:
    """What was said from the traceback on, without the statistics."""
    _, mark, rest = said.partition("=== Uncaught Python exception: ===")
    return (mark + rest if mark else said[-3000:]).strip()


if __name__ == "__main__":
    sys.exit(main())
