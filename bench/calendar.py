"""How many times a second a calendar can be asked when it opens next.

The instants are spread over ten years, so they fall on every kind of day and on both sides of every clock change.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from control_center.domain.blackouts import Blackout, Blackouts
from control_center.domain.windows import Calendar, Window, closing, next_open, next_open_all, next_open_epoch
from control_center.domain.zones import instant, zone

ROUNDS = 5
FIRST = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
LAST = int(datetime(2036, 1, 1, tzinfo=UTC).timestamp())


def run(count: int = 200_000) -> dict[str, dict[str, float]]:
    """Calls a second of each variant over `count` random instants: median, min and max of five rounds."""
    dice = random.Random(1)
    seconds = [dice.randrange(FIRST, LAST) for _ in range(count)]
    instants = [instant(second) for second in seconds]
    studio, always = _studio(), Calendar(zone("America/New_York"))
    recipient = Calendar(zone("America/Los_Angeles"), Window.parse("08:00-21:00"))
    return {
        "next_open on datetimes": _rate(lambda at: next_open(studio, at), instants),
        "next_open_epoch on seconds": _rate(lambda at: next_open_epoch(studio, at), seconds),
        "closing on datetimes": _rate(lambda at: closing(studio, at), instants),
        "closing of one that never closes": _rate(lambda at: closing(always, at), instants),
        "next_open_all of two calendars": _rate(lambda at: next_open_all((studio, recipient), at), instants),
        "a new calendar and one next_open": _rate(lambda at: next_open(_studio(), at), instants[: count // 10]),
    }


def _studio() -> Calendar:
    """Build what a studio may have: hours, a free weekend, holidays, a fortnight off."""
    blackouts = (
        Blackout.every_year("New Year", "01-01"),
        Blackout.every_year("Independence Day", "07-04"),
        Blackout.every_year("Christmas", "12-25"),
        *(Blackout.on("Thanksgiving", date(year, 11, 26)) for year in range(2026, 2036)),
        Blackout.between("Summer", date(2027, 8, 1), date(2027, 8, 14)),
    )
    return Calendar(zone("America/New_York"), Window.parse("09:00-18:00"), frozenset({5, 6}), Blackouts(blackouts))


def _rate(call: Callable[[Any], object], arguments: Sequence[Any]) -> dict[str, float]:
    rates = sorted(len(arguments) / _time(call, arguments) for _ in range(ROUNDS))
    return {"median": round(statistics.median(rates)), "min": round(rates[0]), "max": round(rates[-1])}


def _time(call: Callable[[Any], object], arguments: Iterable[Any]) -> float:
    start = time.process_time()
    for argument in arguments:
        call(argument)
    return time.process_time() - start


def main() -> None:
    results = run()
    if "--json" in sys.argv:
        print(json.dumps(results))
        return
    for name, rate in results.items():
        print(f"{name:<36}{rate['median']:>12,.0f}/s   (min {rate['min']:,.0f}, max {rate['max']:,.0f})")


if __name__ == "__main__":
    main()
