"""Every row of the fault matrix is somebody's test, and every test's row exists."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.matrix import rows

HERE = Path(__file__).parent
NAMED = re.compile(r"mark\.fault\(\"(F\d+)\"\)")


def test_each_row_of_the_matrix_has_a_test_and_each_test_a_row() -> None:
    tested = {number for file in HERE.glob("test_*.py") for number in NAMED.findall(file.read_text("utf-8"))}

    assert tested == {row.number for row in rows()}
