"""What P13 makes of its ten minutes: lags, memory, what was held, and the provider's books against the database."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.machine import Usage
from bench.p3_latency import MARK
from bench.p13_gateway import Kind, kind
from bench.p13_watch import ASKED, Look, Watch
from bench.table import Goal, Row, Run, Series

FLAT: Final = 1.1  # so much more memory in the last fifth than in the second is still called flat
STEADY: Final = 1.5  # and so much more of a lag, steady
CALM: Final = 120.0  # seconds after the last event until all is settled: what was throttled is tried again by then
HELD: Final = 500  # events that the engine tells the broker to have out at most
ENDS: Final = {"delivered", "failed", "unknown"}


@dataclass(frozen=True, slots=True)
class Story:
    """What was published when, what the provider has, and what the database says in the end."""

    published: Sequence[float]  # on the monotonic clock, by the number of the event
    even: int  # of these, how many came at an even pace …
    ended: float  # … until then
    out: float  # when the last of all was out
    calm: float  # when all was settled
    held: int  # events in the engine's hands, at most
    books: dict[str, Any]
    messages: dict[str, tuple[str, str]]  # by name: state, and the event that led to it


def rows(story: Story, watch: Watch, usage: Usage) -> list[Row]:
    return [*_lags(story, usage), *_memory(story, watch), *_bounds(story, watch), _kept(story)]


# Time ----------------------------------------------------------------------------------------------------------


def _lags(story: Story, usage: Usage) -> list[Row]:
    """From the publish of an event to its text at the provider, fifth by fifth of the even stream."""
    taken: dict[int, float] = {}
    for at, reference, words in story.books["came"]:
        if kind(reference).takes and (mark := MARK.search(words)):
            taken.setdefault(int(mark[1]), at)
    fifths: list[list[float]] = [[] for _ in range(5)]
    for number, at in taken.items():
        if number < story.even:
            fifths[number * 5 // story.even].append((at - story.published[number]) * 1000)
    made = []
    for name, percent in (("p50", 50), ("p95", 95)):
        cut = [_cut(fifth, percent) for fifth in fifths]
        row = Row(
            "P13",
            f"publish to provider, last : second fifth, {name}",
            "ms",
            _one("last fifth", cut[4], story.even, usage),
            Goal(STEADY, at_least=False),
            _one("second fifth", cut[1], story.even),
        )
        row.remarks.append(f"{name} by fifths: {', '.join(f'{one:,.0f}' for one in cut)} ms")
        made.append(row)
    wait = _one("all settled", story.calm - story.out, 1)
    made.append(Row("P13", "from the last event until all is settled", "s", wait, Goal(CALM, at_least=False)))
    return made


def _cut(figures: list[float], percent: int) -> float:
    return statistics.quantiles(figures, n=100, method="inclusive")[percent - 1] if len(figures) > 1 else 0.0


# Memory and queues -----------------------------------------------------------------------------------------------


def _memory(story: Story, watch: Watch) -> list[Row]:
    begun = story.published[0]
    fifth = (story.ended - begun) / 5
    early = watch.within(begun + fifth, begun + 2 * fifth) or watch.looks
    late = watch.within(story.ended - fifth, story.ended) or watch.looks
    made = []
    for name in watch.pids:
        row = Row(
            "P13",
            f"memory, last : second fifth, {name}",
            "MB",
            _one("last fifth", _most(late, name), 1),
            Goal(FLAT, at_least=False),
            _one("second fifth", _most(early, name), 1),
        )
        first, last = watch.looks[0].resident[name], watch.looks[-1].resident[name]
        row.remarks.append(
            f"{name}: {first:.0f} MB before, {_most(watch.looks, name):.0f} at most, {last:.0f} at the end"
        )
        made.append(row)
    return made


def _most(looks: Sequence[Look], name: str) -> float:
    return max(look.resident[name] for look in looks)


def _bounds(story: Story, watch: Watch) -> list[Row]:
    row = Row("P13", "events held by the engine, at most", "", _one("held", story.held, 1), Goal(HELD, at_least=False))
    even = watch.within(story.published[0], story.ended) or watch.looks
    steady, most, last = (max(look.ready for look in looks) for looks in (even, watch.looks, watch.looks[-1:]))
    burst = len(story.published) - story.even
    row.remarks.append(f"in the broker at most {steady:,}; {most:,} after {burst:,} at once; {last:,} at the end")
    row.remarks.append("at most while the events came evenly, at most in all, and at the end:")
    for name in ASKED:
        three = [max(look.metrics[name] for look in looks) for looks in (even, watch.looks, watch.looks[-1:])]
        row.remarks.append(f"  {name}: {', '.join(f'{one:.1f}' for one in three)}")
    return [row]


# The books -------------------------------------------------------------------------------------------------------


def _kept(story: Story) -> Row:
    found = faults(story)
    total = sum(len(ones) for ones in found.values())
    row = Row("P13", "lost, twice, ghost or false", "", _one("faults", total, 1), Goal(0.0, at_least=False))
    states = Counter(state for state, _ in story.messages.values())
    row.remarks += [
        f"{len(story.published):,} events; messages: {', '.join(f'{n:,} {state}' for state, n in states.items())}",
        f"submissions by what they met: {', '.join(f'{n:,} {name}' for name, n in story.books['met'].items())}",
        f"reports called in: {story.books['reported']:,}, told to come again {story.books['refused_reports']:,}",
        *(f"{name}: {', '.join(ones[:10])}" for name, ones in found.items() if ones),
    ]
    return row


def faults(story: Story) -> dict[str, list[str]]:
    """What must not be, by its name: the provider's books against the database."""
    met: dict[str, list[Kind]] = {}
    for _, reference, _ in story.books["came"]:
        met.setdefault(reference.rpartition(".")[0], []).append(kind(reference))
    told = {event for _, event in story.messages.values()}
    taken = {name: sum(one.takes for one in kinds) for name, kinds in met.items()}
    return {
        "lost": [f"event-{n}" for n in range(len(story.published)) if f"event-{n}" not in told],
        "twice": [name for name, times in taken.items() if times > 1],
        "ghost": [name for name in met if name not in story.messages],
        "false": [
            f"{name} is {state}"
            for name, (state, _) in story.messages.items()
            if state not in ENDS
            or (state == "delivered") != bool(taken.get(name))
            or (state == "unknown" and Kind.FAILS not in met.get(name, ()))
        ],
    }


def _one(name: str, figure: float, count: int, usage: Usage | None = None) -> Series:
    return Series(name, [Run(figure, count, usage or Usage(1.0, {}, 0.0, 0.0))])
