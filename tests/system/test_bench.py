"""The performance suite still runs: small counts, no judgement of its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench import page
from bench.machine import Usage
from bench.table import Goal, Row, Run, Series
from control_center.embedded import find_rabbitmq

ROOT = Path(__file__).resolve().parents[2]


def bench(targets: str, json_file: Path, *more: str) -> dict[str, dict[str, object]]:
    """Run the suite as an administrator would; its rows by target, the last one of each."""
    words = [sys.executable, "-m", "bench", "--quick", "--no-peers", "--only", targets, "--json", str(json_file), *more]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "where the time went" in done.stdout
    return {row["target"]: row for row in json.loads(json_file.read_text())["rows"]}


def test_the_bench_measures_release_matching_and_calendars(tmp_path: Path) -> None:
    rows = bench("P4,P6,P9", tmp_path / "rows.json")

    assert set(rows) == {"P4", "P6", "P9"}
    assert rows["P4"]["ratio"] is not None


def test_the_bench_measures_what_looks_ahead_and_what_plays_the_past(tmp_path: Path) -> None:
    rows = bench("P10", tmp_path / "rows.json")

    assert rows["P10"]["met"] is True


def test_the_bench_measures_the_lists_and_searches_of_the_hub(tmp_path: Path) -> None:
    assert set(bench("P12", tmp_path / "rows.json")) == {"P12"}


@pytest.mark.long
def test_the_bench_measures_claims_after_a_year_of_messages(tmp_path: Path) -> None:
    assert set(bench("P14", tmp_path / "rows.json", "--year", "12000")) == {"P14"}


@pytest.mark.long
def test_under_load_with_every_kind_of_error_nothing_is_lost_and_nothing_goes_twice(tmp_path: Path) -> None:
    if find_rabbitmq() is None:
        pytest.skip("rabbitmq is not here")

    rows = bench("P13", tmp_path / "rows.json")

    assert rows["P13"]["what"] == "lost, twice, ghost or false"
    assert rows["P13"]["met"] is True, rows["P13"]["remarks"]


@pytest.mark.long
def test_the_bench_measures_everything_from_the_broker_to_the_provider(tmp_path: Path) -> None:
    if find_rabbitmq() is None:
        pytest.skip("rabbitmq is not here")

    rows = bench("P1,P2,P3,P5,P8,P11", tmp_path / "rows.json")

    assert set(rows) == {"P1", "P2", "P3", "P5", "P8", "P11"}


def a_row(target: str, ours: float, floor: float) -> Row:
    usage = Usage(seconds=1.0, cpu={}, others=0.0, load=0.0)
    both = [Series(name, [Run(figure, 1, usage)]) for name, figure in (("ours", ours), ("floor", floor))]
    return Row(target, "texts", "per second", both[0], Goal(0.75), both[1])


def test_the_page_takes_the_rows_of_a_run_and_keeps_those_it_did_not_measure(tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    page.write(file, [a_row("P10", 8, 10), a_row("P2", 5, 10)], datetime(2026, 1, 1, tzinfo=UTC))

    page.write(file, [a_row("P2", 9, 10)], datetime(2026, 1, 2, tzinfo=UTC))

    first, second = (line.split(" | ") for line in file.read_text("utf-8").splitlines() if line.startswith("| P"))
    assert first[:7] == ["| P2", "texts, per second", "10.00", "9.00", "0.90", ">= 0.75", "met"]
    assert second[:7] == ["| P10", "texts, per second", "10.00", "8.00", "0.80", ">= 0.75", "met"]
    assert (first[7][:10], second[7][:10]) == ("2026-01-02", "2026-01-01")
