"""The performance suite still runs: small counts, no judgement of its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from control_center.embedded import find_rabbitmq

ROOT = Path(__file__).resolve().parents[2]


def bench(targets: str, json_file: Path) -> dict[str, dict[str, object]]:
    """Run the suite as an administrator would; its rows by target."""
    words = [sys.executable, "-m", "bench", "--quick", "--no-peers", "--only", targets, "--json", str(json_file)]
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
def test_the_bench_measures_everything_from_the_broker_to_the_provider(tmp_path: Path) -> None:
    if find_rabbitmq() is None:
        pytest.skip("rabbitmq is not here")

    rows = bench("P1,P2,P3,P5,P8", tmp_path / "rows.json")

    assert set(rows) == {"P1", "P2", "P3", "P5", "P8"}
