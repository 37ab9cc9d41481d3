"""The fault matrix: which test shows which row, and what the last run saw of it.

A test names its row with `@pytest.mark.fault("F44")` and says what it saw with the fixture `seen`. Rows, in words, are
in tests/faults/matrix.toml; `--faults FILE` writes them with what this run saw.
"""

from __future__ import annotations

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
        file = self._config.getoption("--faults")
        if file:
            Path(file).write_text(table(self._shown, long=bool(self._config.getoption("--long"))), "utf-8")


def table(shown: dict[str, Shown], *, long: bool) -> str:
    """The matrix as a page."""
    run = "`./run test --long`" if long else "`./run test`"
    lines = [
        "# The fault matrix",
        "",
        "Each row is a test of its number in `tests/faults/`, against a real RabbitMQ, a real PostgreSQL and real",
        "processes. At the end of each, one function holds all that was sent in against all that came out:",
        "*lost*, *dup*, *ghost*, *false* and *stuck* must be none, and whatever may have been sent must be said to be",
        "unknown.",
        "",
        f"Written by {run} on {datetime.now(UTC):%Y-%m-%d}.",
        "",
        "| row | fault | expected | seen | seconds |",
        "| --- | --- | --- | --- | ---: |",
    ]
    for row in rows():
        found = shown.get(row.number)
        if found is None or not found.outcomes:
            seen, seconds = "not run", ""
        elif found.outcomes != {"passed"}:
            seen, seconds = " and ".join(sorted(found.outcomes)), f"{found.seconds:.0f}"
        else:
            seen, seconds = "; ".join(dict.fromkeys(found.seen)) or "as expected", f"{found.seconds:.0f}"
        lines.append(f"| {row.number} | {row.fault} | {row.expected} | {seen} | {seconds} |")
    return "\n".join(lines) + "\n"
