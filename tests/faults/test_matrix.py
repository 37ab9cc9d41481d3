"""Every row of the fault matrix is somebody's test, and every test's row exists."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.matrix import Shown, rows, table

HERE = Path(__file__).parent
NAMED = re.compile(r"mark\.fault\(\"(F\d+)\"\)")


def test_each_row_of_the_matrix_has_a_test_and_each_test_a_row() -> None:
    tested = {number for file in HERE.glob("test_*.py") for number in NAMED.findall(file.read_text("utf-8"))}

    assert tested == {row.number for row in rows()}


def test_the_page_takes_what_a_run_saw_and_keeps_what_it_did_not_run() -> None:
    before = table({"F1": Shown(3.2, ["none lost"], {"passed"})}, "2026-01-01, long", "")

    page = table({"F2": Shown(1.0, ["9 copies known", "9 copies known"], {"passed"})}, "2026-01-02, short", before)
    page = table({"F3": Shown(1.0, ["nothing"], {"passed", "failed"})}, "2026-01-03, short", page)

    lines = {line.split(" | ")[0]: line for line in page.splitlines()}
    assert lines["| F1"].endswith(" | none lost | 3 | 2026-01-01, long |")
    assert lines["| F2"].endswith(" | 9 copies known | 1 | 2026-01-02, short |")
    assert lines["| F3"].endswith(" | failed and passed | 1 | 2026-01-03, short |"), "of a failure no claim is kept"
    assert lines["| F4"].endswith(" | not run | | |")
