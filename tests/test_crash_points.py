"""Points to die at: where they are named, when they are armed, and that they are nothing otherwise."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import timeit
from pathlib import Path
from typing import Final

import pytest

from control_center import crash_points
from control_center.crash_points import POINTS, VARIABLE, armed

ROOT: Final = Path(__file__).resolve().parents[1]
THREE_TIMES: Final = """
from control_center import crash_points
for number in range(3):
    crash_points.reach("after_claim")
    crash_points.reach("after_mark")
    print(number, flush=True)
"""


def died(**environment: str) -> tuple[int, str, str]:
    kept = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", THREE_TIMES],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_process_dies_where_it_is_told_to_as_by_kill_9() -> None:
    assert died(**{VARIABLE: "after_mark"})[:2] == (-signal.SIGKILL, "")
    assert died(**{VARIABLE: "after_mark:3"})[:2] == (-signal.SIGKILL, "0\n1\n")
    assert died(**{VARIABLE: "after_mark:4"})[:2] == (0, "0\n1\n2\n")
    assert died() == (0, "0\n1\n2\n", "")


def test_it_says_so_before_anything_else() -> None:
    assert died(**{VARIABLE: "after_note"})[2] == "this process will kill itself: CONTROL_CENTER_CRASH_AT=after_note\n"


def test_what_systemd_starts_is_never_armed() -> None:
    assert died(**{VARIABLE: "after_mark", "INVOCATION_ID": "4f7c"}) == (0, "0\n1\n2\n", "")


@pytest.mark.parametrize("wrong", ["after_marc", "after_mark:-1", "after_mark:soon", "1"])
def test_a_slip_of_the_pen_is_no_point(wrong: str) -> None:
    code, said, complaint = died(**{VARIABLE: wrong})

    assert (code, said) == (1, "")
    assert f"{VARIABLE} is {wrong!r}; allowed: NAME or NAME:TIMES of after_inbox_commit" in complaint


def test_every_point_stands_in_the_code_once_and_every_one_there_is_named() -> None:
    code = [*(ROOT / "control_center").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]
    reached = [
        name
        for file in code
        if file.name != "crash_points.py"
        for name in re.findall(r'crash_points\.reach\("(\w+)"\)', file.read_text("utf-8"))
    ]

    assert sorted(reached) == sorted(POINTS)


def test_unarmed_a_point_costs_next_to_nothing() -> None:
    assert armed({}) is crash_points.reach
    assert timeit.timeit(lambda: crash_points.reach("after_mark"), number=100_000) < 0.5
