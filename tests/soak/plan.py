"""What goes wrong in a soak, and when: from a seed alone, so that a run that found something can be had again.

The same seed gives the same faults in the same order at the same seconds, and a longer run begins as a shorter one.
What the installation makes of them depends on the machine, as it should.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

WORKERS: Final = ("text-1", "text-2", "mail")
PROGRAMS: Final = ("engine", "release", "web", *WORKERS)
BROKER_LINE, PROVIDER_LINE, RELAY_LINE = "engine to broker", "texts to provider", "mails to relay"
LINES: Final = (*(f"{one} to database" for one in PROGRAMS), BROKER_LINE, PROVIDER_LINE, RELAY_LINE)
# Who comes by each crash point.
POINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "after_inbox_commit": ("engine",),
    "before_inbox_ack": ("engine",),
    "after_publish_confirm": ("engine",),
    "after_release_commit": ("release",),
    "after_claim": WORKERS,
    "after_mark": WORKERS,
    "after_note": WORKERS,
    "after_answer": WORKERS,
}
# What a submission meets at the provider, in words; `far_side` knows what is done.
ANSWERS: Final = (
    "takes it and closes without a word",
    "takes it and answers 500",
    "takes it and answers 502 in HTML",
    "takes it and breaks off the answer",
    "takes it and answers nonsense",
    "takes it and thinks for a while",
    "takes it and thinks for longer than anybody waits",
    "answers 500 and takes nothing",
    "closes without a word and takes nothing",
    "answers 429",
    "answers 429 and says when",
    "answers 503",
    "refuses the recipient",
    "does not know us",
)
STAGES: Final = (
    "hangs up on whoever connects",
    "hangs up at EHLO",
    "hangs up at MAIL",
    "hangs up at RCPT",
    "hangs up at DATA",
    "hangs up at the dot and takes nothing",
    "hangs up at the dot and takes it",
    "resets at the dot and takes it",
    "takes it and thinks for a while",
    "hangs up after its 250",
    "hangs up at QUIT",
    "puts off the recipient",
    "puts off the mail at the dot",
    "refuses the recipient",
)
RECEIPTS: Final = ("twice", "out of order", "late", "before the answer")
DEEDS: Final = ("pauses a trigger", "edits a trigger", "closes the day", "sends a bulk")
OUTLIVES: Final = "longer than its leases"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. Nothing else befalls its `target` until it is over."""

    number: int
    at: float  # seconds from the begin
    kind: str
    target: str
    seconds: float = 0.0  # 0: an instant
    what: str = ""  # which of its kind
    times: int = 1

    def __str__(self) -> str:
        parts = [f"#{self.number}", self.kind, f"({self.target})", self.what]
        parts += [f"x{self.times}"] * (self.times > 1) + [f"{self.seconds:.1f} s"] * (self.seconds > 0)
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class _Kind:
    weight: int
    draw: Callable[[Random], dict[str, Any]]


def _program(chance: Random) -> dict[str, Any]:
    return {"target": chance.choice(PROGRAMS)}


def _frozen(chance: Random) -> dict[str, Any]:
    target = chance.choice(PROGRAMS)
    outlives = target in WORKERS and chance.random() < 0.6
    return {"target": target, "seconds": chance.uniform(1, 8), "what": OUTLIVES if outlives else ""}


def _outlived(chance: Random) -> dict[str, Any]:
    """As long as it takes: nobody turns the leases' clock."""
    return {"target": chance.choice(WORKERS[:2]), "seconds": chance.uniform(130, 180), "what": OUTLIVES}


def _crash(chance: Random) -> dict[str, Any]:
    point = chance.choice(tuple(POINTS))
    times = chance.choice((1, 1, 2, 5, 20))
    return {"target": chance.choice(POINTS[point]), "what": point, "times": times, "seconds": 15.0}


def _silent(chance: Random) -> dict[str, Any]:
    return {"target": chance.choice(LINES), "seconds": chance.uniform(1, 12)}


def _cut(chance: Random) -> dict[str, Any]:
    target = chance.choice(LINES)
    if chance.random() < 0.5:
        return {"target": target, "what": "at once"}
    return {"target": target, "what": "after so many bytes", "times": chance.randint(1, 5000)}


def _slow(chance: Random) -> dict[str, Any]:
    milliseconds = chance.randint(50, 400)
    return {
        "target": chance.choice(LINES),
        "what": "by milliseconds",
        "times": milliseconds,
        "seconds": chance.uniform(2, 10),
    }


def _refused(chance: Random) -> dict[str, Any]:
    return {"target": chance.choice(LINES), "seconds": chance.uniform(1, 6)}


def _database(chance: Random) -> dict[str, Any]:
    how = chance.choice(("stopped", "stopped at once", "killed"))
    return {"target": "database", "what": how, "seconds": chance.uniform(0.1, 3)}


def _broker(chance: Random) -> dict[str, Any]:
    return {"target": "broker", "what": chance.choice(("stopped", "killed")), "seconds": chance.uniform(0.1, 3)}


def _terminated(chance: Random) -> dict[str, Any]:
    return {"target": "database", "what": chance.choice(("everybody's", "half of all", "listeners'"))}


def _answers(chance: Random) -> dict[str, Any]:
    return {"target": "provider", "what": chance.choice(ANSWERS), "times": chance.randint(1, 6)}


def _stages(chance: Random) -> dict[str, Any]:
    return {"target": "relay", "what": chance.choice(STAGES), "times": chance.randint(1, 3)}


def _receipts(chance: Random) -> dict[str, Any]:
    return {"target": "receipts", "what": chance.choice(RECEIPTS), "seconds": chance.uniform(3, 10)}


def _deeds(chance: Random) -> dict[str, Any]:
    return {"target": "operator", "what": chance.choice(DEEDS), "seconds": chance.uniform(2, 8)}


KINDS: Final[Mapping[str, _Kind]] = {
    "kill -9": _Kind(14, _program),
    "SIGTERM": _Kind(8, _program),
    "stands still": _Kind(12, _frozen),
    "dies at a point": _Kind(14, _crash),
    "line falls silent": _Kind(9, _silent),
    "line is cut": _Kind(9, _cut),
    "line is slow": _Kind(5, _slow),
    "line is refused": _Kind(5, _refused),
    "PostgreSQL restarts": _Kind(6, _database),
    "RabbitMQ restarts": _Kind(3, _broker),
    "connections are terminated": _Kind(6, _terminated),
    "provider": _Kind(16, _answers),
    "relay": _Kind(10, _stages),
    "receipts": _Kind(6, _receipts),
    "operator": _Kind(10, _deeds),
}
# Minutes for one fault: only where there are hours.
PATIENT: Final[Mapping[str, _Kind]] = {"stands still for minutes": _Kind(4, _outlived)}


def plan(seed: int, seconds: float, *, every: float, patient: bool = False) -> tuple[Fault, ...]:
    """The faults of a run of so many seconds, on average one in `every` of them, in their order."""
    kinds = {**KINDS, **PATIENT} if patient else KINDS
    return tuple(_until(seconds, _drawn(Random(f"faults of {seed}"), every, kinds)))


def _until(seconds: float, faults: Iterator[Fault]) -> Iterator[Fault]:
    for one in faults:
        if one.at >= seconds:
            return
        yield one


def _drawn(chance: Random, every: float, kinds: Mapping[str, _Kind]) -> Iterator[Fault]:
    names, weights = list(kinds), [one.weight for one in kinds.values()]
    number, at = 0, 0.0
    while True:
        number, at = number + 1, at + every * chance.uniform(0.5, 1.5)
        (kind,) = chance.choices(names, weights)
        yield Fault(number, round(at, 3), kind, **kinds[kind].draw(chance))
