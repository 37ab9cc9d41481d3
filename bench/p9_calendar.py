"""P9: how often a second a calendar and the planner can be asked, on one core. Forecasts and backtests live on them."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bench import calendar, machine
from bench.context import Context
from bench.events import Crm, triggers
from bench.table import Goal, Row, Run, Series
from control_center.domain.blackouts import Blackout, Blackouts
from control_center.domain.event import decode
from control_center.domain.planner import decide, plans
from control_center.domain.record import Picture
from control_center.domain.rules import Rule, Rules
from control_center.domain.trigger import parse
from control_center.domain.zones import zone

GOALS = {
    "next_open on datetimes": Goal(200_000),
    "next_open_epoch on seconds": Goal(500_000),
}


async def measure(context: Context) -> list[Row]:
    rows = []
    for name, rates in calendar.run(context.count(200_000, 20_000)).items():
        series = Series(name, [_run(rates[which]) for which in ("median", "min", "max")])
        rows.append(Row("P9", name, "a second", series, GOALS.get(name)))
    cases = _cases(context.count(20_000, 4_000))
    decided = Series("decide", [_run(_decide_rate(cases)) for _ in range(5)])
    return [*rows, Row("P9", "decide", "a second", decided, Goal(50_000))]


def _run(figure: float) -> Run:
    return Run(figure, 1, machine.Usage(1.0, {}, 0.0, 0.0))


def _cases(count: int) -> list[tuple[Rule, Picture, str, datetime]]:
    """Records of a busy day, each under one rule that matches it, at instants around its time to go."""
    holidays = Blackouts((Blackout.every_year("New Year", "01-01"), Blackout.every_year("Independence Day", "07-04")))
    numbered = [replace(parse(table), trigger_id=n, version=1) for n, table in enumerate(triggers(), 1)]
    rules = Rules(numbered, zone("America/Chicago"), holidays)
    dice, cases = random.Random(1), []
    now = datetime(2026, 11, 22, 17, tzinfo=UTC)
    for _, body in Crm().events(count):
        picture = decode(body).seen[-1]
        for rule in rules.matching(picture.kind, picture.record):
            for wanted in plans(rule, picture, now):
                at = wanted.due_at + timedelta(seconds=dice.randrange(-3600, 48 * 3600))
                cases.append((rule, picture, wanted.occurrence, at))
    return cases


def _decide_rate(cases: list[tuple[Rule, Picture, str, datetime]]) -> float:
    begun = time.process_time()
    for rule, picture, occurrence, at in cases:
        decide(rule, picture, occurrence, at)
    return len(cases) / (time.process_time() - begun)
