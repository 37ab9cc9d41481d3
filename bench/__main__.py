"""`./run bench`: measure, print the table, and keep the numbers (`--json`) or the table (`--page`)."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import uvloop

from bench import page
from bench.context import Context
from bench.provider import provider
from bench.servers import servers
from bench.table import Row, show

TARGETS: Final = {
    "P1": "p1_intake",
    "P2": "p2_delivery",
    "P3": "p3_latency",
    "P4": "p4_release",
    "P5": "p5_old_snapshot",
    "P6": "p6_matching",
    "P8": "p8_memory",
    "P9": "p9_calendar",
    "P10": "p10_forecast",
    "P11": "p11_bulk",
    "P12": "p12_hub",
    "P13": "p13_load",
    "P14": "p14_year",
}
WITH_BROKER: Final = {"P1", "P2", "P3", "P8", "P11", "P13"}


def main() -> int:
    parser = argparse.ArgumentParser("./run bench", description=__doc__)
    parser.add_argument("--only", default=",".join(TARGETS), help="targets, such as P1,P2")
    parser.add_argument("--quick", action="store_true", help="small counts: shows that it runs, measures nothing")
    parser.add_argument("--rounds", type=int, default=0, help="runs of each contender (3; quick: 1)")
    parser.add_argument("--no-peers", action="store_true", help="leave PgQueuer, dramatiq and Celery out")
    parser.add_argument("--hour", action="store_true", help="P8 watches the memory for an hour")
    parser.add_argument("--bulk", type=int, default=20_000, help="P11's texts of bulk (quick: 200)")
    parser.add_argument(
        "--rate", type=int, default=0, help="P13's events a second (half of what P1 and P2 do together)"
    )
    parser.add_argument("--seconds", type=int, default=600, help="how long P13's events keep coming (quick: 6)")
    parser.add_argument("--year", type=int, default=0, help="P14's messages of a year (10,000,000; quick: 100,000)")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    parser.add_argument("--page", type=Path, help="also put the rows on this page, docs/reference/performance.md")
    asked = parser.parse_args()
    chosen = [name.strip().upper() for name in asked.only.split(",")]
    if unknown := [name for name in chosen if name not in TARGETS]:
        parser.error(f"{', '.join(unknown)}: allowed are {', '.join(TARGETS)}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(_measure(chosen, asked))
    show(rows)
    if asked.json:
        asked.json.write_text(json.dumps({"rows": [row.plain() for row in rows]}, indent=1))
    if asked.page:
        page.write(asked.page, rows, datetime.now(UTC))
    return 0


async def _measure(chosen: Sequence[str], asked: argparse.Namespace) -> list[Row]:
    begun, rows = time.monotonic(), []

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {line}", file=sys.stderr, flush=True)

    say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; starting the servers ...")
    async with (
        servers(broker=bool({"P1", "P2", "P3", "P8", "P11", "P13"} & set(chosen))) as both,
        provider(both.log) as stub,
    ):
        context = Context(
            servers=both,
            provider=stub,
            rounds=asked.rounds or (1 if asked.quick else 3),
            quick=asked.quick,
            peers=not asked.no_peers,
            hour=asked.hour,
            bulk=200 if asked.quick else asked.bulk,
            rate=asked.rate,
            seconds=6 if asked.quick else asked.seconds,
            year=asked.year,
            say=say,
        )
        for name in chosen:
            say(f"{name} ...")
            module: Any = importlib.import_module(f"bench.{TARGETS[name]}")
            rows += await module.measure(context)
    say("done")
    return rows


if __name__ == "__main__":
    sys.exit(main())
