"""`python -m tests.soak`: an installation of its own under faults that a seed chooses. Ctrl-C ends it gently."""

# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from control_center.embedded import Postgres, Rabbitmq
from tests.soak.plan import plan
from tests.soak.report import PAGE, Report
from tests.soak.run import Soak, Wish
from tests.soak.stage import staged

SHORT, LONG = 2.0, 60.0  # minutes


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.soak", description=__doc__)
    parser.add_argument("--seed", type=int, help="the same seed draws the same faults; any, where none is given")
    parser.add_argument("--minutes", type=float, help="2, or 60 of a long one, where nothing is said")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="between two faults, on average")
    parser.add_argument("--rate", type=float, default=4.0, help="events a second")
    parser.add_argument("--long", action="store_true", help="with faults that take minutes")
    parser.add_argument("--plan", action="store_true", help="print the faults of this seed and do nothing")
    parser.add_argument("--write", action="store_true", help=f"write the report into {PAGE.name}")
    parser.add_argument("--keep", action="store_true", help="leave the folder with the servers' files where it is")
    chosen = parser.parse_args()
    wish = Wish(
        seed=chosen.seed if chosen.seed is not None else random.randrange(10**6),
        seconds=60 * (chosen.minutes or (LONG if chosen.long else SHORT)),
        every=chosen.every,
        rate=chosen.rate,
        patient=chosen.long,
    )
    if chosen.plan:
        for fault in plan(wish.seed, wish.seconds, every=wish.every, patient=wish.patient):
            print(f"{fault.at:8.1f} {fault}")
        return 0
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # it tells of each connection that is refused
    report = asyncio.run(_run(wish, keep=chosen.keep))
    for line in report.lines():
        print(line)
    if chosen.write:
        PAGE.write_text(report.on_page(PAGE.read_text("utf-8")), "utf-8")
    return 1 if report.wrong else 0


async def _run(wish: Wish, *, keep: bool) -> Report:
    """On servers that nobody else uses."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    folder.chmod(0o711)  # noqa: ASYNC240 - once; the servers may run as another account
    postgres, rabbitmq = Postgres(folder / "postgres"), Rabbitmq(folder / "rabbitmq")
    try:
        await postgres.start()
        await rabbitmq.start()
        async with staged(folder, postgres, rabbitmq, "control_center") as stage:
            soak = Soak(stage, wish, lambda line: print(line, flush=True))
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, soak.stop.set)
            return await soak.run()
    finally:
        await rabbitmq.stop()
        await postgres.stop()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
