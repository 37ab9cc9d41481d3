"""Running contenders in turn, and the table that says how they did."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bench.machine import Usage

Arm: TypeAlias = Callable[[], Awaitable["Run"]]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one contender: its figure, how many pieces of work it did, and what that took of the machine."""

    figure: float
    count: int
    usage: Usage
    notes: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Series:
    """All runs of one contender, in the order of the rounds."""

    name: str
    runs: list[Run] = field(default_factory=list)

    @property
    def figures(self) -> list[float]:
        return [run.figure for run in self.runs]

    @property
    def median(self) -> float:
        return statistics.median(self.figures)

    def note(self, name: str) -> float:
        return statistics.median(run.notes[name] for run in self.runs)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row is to reach; `at_least` False means that less is better."""

    value: float
    at_least: bool = True

    def met(self, reached: float) -> bool:
        return reached >= self.value if self.at_least else reached <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {_number(self.value)}"


@dataclass(slots=True)
class Row:
    """One target: what was measured, against what, and whether it is reached.

    With a floor the goal is of the ratio ours : floor, pair by pair; without one it is of our figure itself.
    """

    target: str
    what: str
    unit: str
    ours: Series
    goal: Goal | None = None
    floor: Series | None = None
    remarks: list[str] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        if self.floor is None:
            return []
        return [ours / floor for ours, floor in zip(self.ours.figures, self.floor.figures, strict=True)]

    @property
    def reached(self) -> float:
        return statistics.median(self.ratios) if self.floor is not None else self.ours.median

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.goal.met(self.reached)

    def cells(self) -> tuple[str, ...]:
        """Target, what, floor, ours, ratio, wanted and met, for people."""
        return (
            self.target,
            f"{self.what}, {self.unit}",
            _range(self.floor.figures) if self.floor else "-",
            _range(self.ours.figures),
            _range(self.ratios) if self.floor else "",
            str(self.goal) if self.goal else "",
            {True: "met", False: "NOT MET", None: ""}[self.met],
        )

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "target": self.target,
            "what": self.what,
            "unit": self.unit,
            "floor": _plain(self.floor) if self.floor else None,
            "ours": _plain(self.ours),
            "ratio": _spread(self.ratios) if self.floor else None,
            "goal": str(self.goal) if self.goal else None,
            "met": self.met,
            "remarks": self.remarks,
        }


async def in_turn(rounds: int, arms: Mapping[str, Arm], say: Callable[[str], None]) -> dict[str, Series]:
    """Run all contenders once, then all again, so that a machine that slows down slows all of them."""
    series = {name: Series(name) for name in arms}
    for number in range(1, rounds + 1):
        for name, arm in arms.items():
            run = await arm()
            series[name].runs.append(run)
            say(f"   round {number}: {name}: {_number(run.figure)}")
    return series


# Printing -------------------------------------------------------------------------------------------------


def show(rows: Sequence[Row]) -> None:
    """The table: one row for each target, and under it what the machine did."""
    print(f"\n{'':4} {'':44} {'floor':>24} {'ours':>24} {'ratio (spread)':>18}  {'wanted':<10}")
    for row in rows:
        target, what, floor, ours, ratio, wanted, met = row.cells()
        print(f"{target:4} {what:44} {floor:>24} {ours:>24} {ratio:>18}  {wanted:<10} {met}")
    print("\nwhere the time went: CPU microseconds for each piece of work, and cores of everything else on the machine")
    for row in rows:
        for side, series in (("floor", row.floor), ("ours", row.ours)):
            if series is not None and series.runs and series.runs[0].usage.cpu:
                print(f"{row.target:4} {side:5} {series.name:28} {_spent(series)}")
        for remark in row.remarks:
            print(f"{row.target:4} {remark}")


def _spent(series: Series) -> str:
    names = list(series.runs[0].usage.cpu)
    each = {
        name: statistics.median(run.usage.cpu[name] / max(run.count, 1) * 1e6 for run in series.runs) for name in names
    }
    others = statistics.median(run.usage.others for run in series.runs)
    load = statistics.median(run.usage.load for run in series.runs)
    spent = "  ".join(f"{name} {micro:,.0f}" for name, micro in each.items())
    return f"{spent}  | others {others:.2f} cores, load {load:.1f}"


def _range(figures: Sequence[float]) -> str:
    if len(figures) == 1:
        return _number(figures[0])
    return f"{_number(statistics.median(figures))} ({_number(min(figures))}-{_number(max(figures))})"


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}" if abs(figure) < 0.1 else f"{figure:.2f}"


def _spread(figures: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(figures), "min": min(figures), "max": max(figures)}


def _plain(series: Series) -> dict[str, Any]:
    return {
        "name": series.name,
        **_spread(series.figures),
        "runs": [
            {
                "figure": run.figure,
                "count": run.count,
                "seconds": run.usage.seconds,
                "cpu": dict(run.usage.cpu),
                "others": run.usage.others,
                "load": run.usage.load,
                **run.notes,
            }
            for run in series.runs
        ],
    }
