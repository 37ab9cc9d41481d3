"""The page of what was measured: one line a row, which a later run replaces and any other run leaves alone."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from bench.table import Row

_LINE: Final = re.compile(r"\| (P\d+) \| ([^|]+) \|")
_HEAD: Final = """\
# What was measured

Written by `./run bench --page docs/reference/performance.md`. A figure means little by itself: what counts is its ratio
to a floor that was measured in the same run, in turn with ours, so that a machine that slows down slows both. Each
figure is the median of its rounds, with the least and the most behind it; the ratio is taken round by round.

| | what | floor | ours | ratio | wanted | met | measured |
| --- | --- | ---: | ---: | ---: | --- | --- | --- |
"""


def write(page: Path, rows: Sequence[Row], now: datetime) -> None:
    """Put these rows on the page; what it says of other rows stays."""
    run = f"{now:%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}"
    before = page.read_text("utf-8") if page.exists() else ""
    fresh = [f"| {' | '.join((*row.cells(), run))} |" for row in rows]
    lines = {key: line for line in (*before.splitlines(), *fresh) if (key := _key(line))}
    page.write_text(_HEAD + "".join(f"{lines[key]}\n" for key in sorted(lines)), "utf-8")


def _key(line: str) -> tuple[int, str] | None:
    """Which row a line is of, in the order of the page."""
    found = _LINE.match(line)
    return (int(found[1][1:]), found[2]) if found else None
