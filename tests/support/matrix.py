"""The fault matrix: which test shows which row, and what the last run saw of it.

A test names its row with `@pytest.mark.fault("F44")` and says what it saw with the fixture `seen`. Rows, in words, are
in tests/faults/matrix.toml; `--faults=FILE` writes them with what this run saw.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

ROWS: Final = Path(__file__).resolve().parents[1] / "faults" / "matrix.toml"
FAULT: Final = "fault"  # under which a report names its row …
SEEN: Final = "seen"  # … and what its test saw

Seen = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One fault: what is done, and what must come of it."""

    number: str
    fault: str
    expected: str


@dataclass(slots=True)
class Shown:
    """What tests have shown of one row."""

    seconds: float = 0.0
    seen: list[str] = field(default_factory=list)
    outcomes: set[str] = field(default_factory=set)


def rows() -> list[Row]:
    return [Row(**one) for one in tomllib.loads(ROWS.read_text("utf-8"))["row"]]


@pytest.fixture
def seen(record_property: Callable[[str, object], None]) -> Seen:
    """`seen("2 of 40 unknown")` goes into the table beside the row that the test shows."""
    return lambda words: record_property(SEEN, words)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", metavar="FILE", help="write the fault matrix with what this run saw of it")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the process that hears all the others writes
        config.pluginmanager.register(_Table(config))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    report.user_properties += [(FAULT, mark.args[0]) for mark in item.iter_markers("fault")]
    return report


class _Table:
    """Hears of every test's report, also of those that another process of the run carried out."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._shown: dict[str, Shown] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = [str(words) for name, words in report.user_properties if name == SEEN]
        for name, number in report.user_properties:
            if name != FAULT:
                continue
            shown = self._shown.setdefault(str(number), Shown())
            shown.seconds += report.duration
            if report.when == "call":
                shown.seen += told
            if report.when == "call" or report.outcome != "passed":
                shown.outcomes.add(report.outcome)

    def pytest_sessionfinish(self) -> None:
        if not (file := self._config.getoption("--faults")):
            return
        length = "long" if self._config.getoption("--long") else "short"
        page = Path(file)
        before = page.read_text("utf-8") if page.exists() else ""
        page.write_text(table(self._shown, f"{datetime.now(UTC):%Y-%m-%d}, {length}", before), "utf-8")


def table(shown: dict[str, Shown], run: str, before: str) -> str:
    """The matrix as a page; a row that this run did not show stays as the page before it has it."""
    kept = {found[1]: line for line in before.splitlines() if (found := _ROW.match(line))}
    return _HEAD + "".join(
        f"{_line(row, shown[row.number], run) if row.number in shown else kept.get(row.number) or _not_run(row)}\n"
        for row in rows()
    )


def _line(row: Row, found: Shown, run: str) -> str:
    words = "; ".join(dict.fromkeys(found.seen)) or "as expected"
    seen = words if found.outcomes == {"passed"} else " and ".join(sorted(found.outcomes))
    return f"| {row.number} | {row.fault} | {row.expected} | {seen} | {found.seconds:.0f} | {run} |"


def _not_run(row: Row) -> str:
    return f"| {row.number} | {row.fault} | {row.expected} | not run | | |"


_ROW: Final = re.compile(r"\| (F\d+) \|")
_HEAD: Final = """\
# The fault matrix

Each row is a test of its number in `tests/faults/`, against a real RabbitMQ, a real PostgreSQL and real processes. At
the end of each, one function holds all that was sent in against all that came out: *lost*, *dup*, *ghost*, *false* and
*stuck* must be none, and whatever may have been sent must be said to be unknown.

Written by the tests: `./run test --long --faults=docs/reference/faults.md`, before a release. The last column says
when a row was last run, and in which length: the long one has the counts and durations that a row is meant for, the
short one (`./run test`) smaller ones, in seconds.

| row | fault | expected | seen | seconds | run |
| --- | --- | --- | --- | ---: | --- |
"""
