"""Fuzzing: inputs made of a few real ones by chance, a judge of what becomes of each, and the smallest that fails.

A surface is where bytes of somebody else's making come in: one function that takes them, and the errors by which it may
refuse them. Whatever else it raises, a second of work, or a heap of memory is a defect; so is what it takes and the
stage behind it does not.
"""

from __future__ import annotations

import gc
import logging
import resource
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final

from structlog.testing import capture_logs

from tests.support.mutations import made_by

SECONDS: Final = 1.0  # of our own work on one input, whatever else the machine does meanwhile
MEGABYTES: Final = 96  # by which one input may raise the most that the process ever held …
GROWTH: Final = 512  # … and all inputs of one run together
SHRINKING: Final = 20.0  # seconds spent on making a failing input small
SAID: Final = frozenset({"receipt.contradicts"})  # said on purpose, of what a provider takes back
STUCK: Final = 120.0  # seconds
LARGEST: Final = 20_000  # bytes of what is printed of an input that cannot be made small

Take = Callable[[bytes], Any]
Store = Callable[[Sequence[tuple[bytes, Any]]], Awaitable[None]]
Make = Callable[[Random], bytes]


class HungError(BaseException):
    """An input took longer than it may. No Exception: what catches those of a library must not catch this."""


@dataclass(frozen=True)
class Surface:
    """Where bytes come in. `take` understands them or raises one of `refusals`; `words` are what its format is made of.

    `make` writes an input from nothing, where mutation alone would hardly get past the first check.
    """

    name: str
    corpus: Sequence[bytes]
    take: Take
    refusals: tuple[type[Exception], ...] = ()
    words: Sequence[bytes] = ()
    make: Make | None = None
    seconds: float = SECONDS


@dataclass
class Tally:
    """What became of the inputs of one run."""

    surface: str
    seed: int
    inputs: int = 0
    taken: int = 0
    slowest: float = 0.0
    accepted: list[tuple[bytes, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        share = 100 * self.taken // max(self.inputs, 1)
        return (
            f"{self.surface}: {self.inputs:,} inputs of seed {self.seed}, {share} % taken, "
            f"the slowest in {1000 * self.slowest:.0f} ms"
        )


def accept(surface: Surface, data: bytes) -> None:
    """Hand one input to a surface: whatever it may not do with it is raised. For a fuzzer of another kind."""
    with quiet_logs() as complaints:
        _taken(surface, data)
    assert not complaints, complaints


def fuzz(surface: Surface, count: int, seed: int) -> Tally:
    """Hand so many inputs to a surface; the first that it fails on is an AssertionError with its smallest form."""
    tally = Tally(surface.name, seed)
    for _ in inputs(surface, count, seed, tally):
        tally.accepted.clear()
    return tally


async def fuzz_and_store(
    surface: Surface, count: int, seed: int, store: Store, *, batch: int = 250, one_in: int = 1
) -> Tally:
    """The same, and what was taken is handed on in batches: one of so many, since storing costs more than reading.

    A batch that cannot be stored is handed on again one by one, which names the input.
    """
    tally = Tally(surface.name, seed)
    chance = Random(seed)
    kept: list[tuple[bytes, Any]] = []
    for _ in inputs(surface, count, seed, tally):
        kept += (one for one in tally.accepted if one_in == 1 or chance.randrange(one_in) == 0)
        tally.accepted.clear()
        if len(kept) >= batch:
            await _stored(surface, seed, kept, store)
            kept = []
    await _stored(surface, seed, kept, store)
    return tally


async def _stored(surface: Surface, seed: int, kept: Sequence[tuple[bytes, Any]], store: Store) -> None:
    if not kept:
        return
    with quiet_logs() as complaints:
        try:
            await store(kept)
        except Exception as error:  # noqa: BLE001 - of a whole batch; the one at fault is looked for
            complaints.append(f"{type(error).__name__}: {error}")
    if not complaints:
        return
    for one in kept:
        with quiet_logs() as again:
            try:
                await store([one])
            except Exception as error:
                raise AssertionError(_told(surface, seed, one[0], "it was taken, and breaks the next stage")) from error
        if again:
            raise AssertionError(_told(surface, seed, one[0], f"it was taken, and behind that: {again[0]}"))
    raise AssertionError(f"{surface.name}, seed {seed}: a batch of {len(kept)} as a whole: {complaints[0]}")


CHUNK: Final = 250


def inputs(surface: Surface, count: int, seed: int, tally: Tally) -> Iterator[None]:
    """Work through so many inputs, stopping after each chunk of them for whoever stores what was taken."""
    chance = Random(seed)
    before = _held()
    done = 0
    while done < count:
        some = [made_by(surface, chance) for _ in range(min(CHUNK, count - done))]
        with quiet_logs() as complaints:
            for data in some:
                _judge(surface, data, tally)
                if complaints:
                    raise AssertionError(_told(surface, seed, data, f"it was logged as an error: {complaints[0]}"))
        done += len(some)
        if _held() - before > GROWTH:
            raise AssertionError(f"{surface.name}, seed {seed}: {_held() - before} MB more after {done} inputs")
        yield


def _judge(surface: Surface, data: bytes, tally: Tally) -> None:
    peak, begun = _peak(), time.process_time()
    try:
        found = _taken(surface, data)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        small = shrunk(data, partial(_fails_alike, surface, type(error)))
        raise AssertionError(_told(surface, tally.seed, small, f"{type(error).__name__}: {error}")) from error
    if _peak() - peak > MEGABYTES:
        raise AssertionError(_told(surface, tally.seed, data, f"it took {_peak() - peak} MB"))
    tally.inputs += 1
    tally.slowest = max(tally.slowest, time.process_time() - begun)
    if found is not _REFUSED:
        tally.taken += 1
        tally.accepted.append((data, found))


_REFUSED: Final = object()


def _taken(surface: Surface, data: bytes) -> Any:
    try:
        with deadline(surface.seconds):
            return surface.take(data)
    except surface.refusals:
        return _REFUSED


def _fails_alike(surface: Surface, kind: type[BaseException], data: bytes) -> bool:
    try:
        _taken(surface, data)
    except BaseException as found:  # noqa: BLE001 - the same kind of failure as before is what is looked for
        return type(found) is kind
    return False


def _told(surface: Surface, seed: int, data: bytes, what: str) -> str:
    shown = repr(data) if len(data) <= LARGEST else f"{data[:LARGEST]!r}… ({len(data)} bytes)"
    return f"{surface.name}, seed {seed}: {what}\n{shown}"


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """HungError after so many seconds of this process' own work; a neighbour that needs the machine costs nothing.

    Who waits does no work: a wait is over after STUCK seconds on the wall.
    """

    def over(*_: object) -> None:
        raise HungError(f"more than {seconds:g} seconds")

    clocks = ((signal.ITIMER_PROF, signal.SIGPROF, seconds), (signal.ITIMER_REAL, signal.SIGALRM, STUCK))
    before = [signal.signal(number, over) for _, number, _ in clocks]
    for clock, _, limit in clocks:
        signal.setitimer(clock, limit)
    try:
        yield
    finally:
        for (clock, number, _), handler in zip(clocks, before, strict=True):
            signal.setitimer(clock, 0)
            signal.signal(number, handler)


class _Complaints(logging.Handler):
    """Collects what any library, or the event loop, logs as an error."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        self._found.append(f"{record.name}: {record.getMessage()}")


@contextmanager
def quiet_logs() -> Iterator[list[str]]:
    """What was logged as an error meanwhile, in words; the list fills while it goes on for what others log."""
    found: list[str] = []
    handler = _Complaints(found)
    logging.getLogger().addHandler(handler)
    try:
        with capture_logs() as logs:
            yield found
            errors = [one for one in logs if one["log_level"] in ("error", "critical")]
            found += [str(one) for one in errors if one["event"] not in SAID]
    finally:
        logging.getLogger().removeHandler(handler)


def _peak() -> int:
    """The most that this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _held() -> int:
    """What this process holds now, in MB."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - read thousands of times
        return int(file.read().split()[1]) * resource.getpagesize() // 2**20


# Making a failing one small ---------------------------------------------------------------------------------


def shrunk(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """The smallest input that fails alike, found by leaving out ever smaller pieces, for as long as there is time."""
    until = time.monotonic() + SHRINKING
    size = max(len(data) // 2, 1)
    while size and time.monotonic() < until:
        place = 0
        while place < len(data) and time.monotonic() < until:
            without = data[:place] + data[place + size :]
            if fails(without):
                data = without
            else:
                place += size
        size //= 2
    return data


def storable(value: Any) -> None:
    """Assert that PostgreSQL could hold each text of a value: a NUL or half a letter in one is found only there."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            assert "\0" not in one, f"a NUL in {one[:80]!r}"
            one.encode()
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
        elif hasattr(one, "__dataclass_fields__"):
            waiting += [getattr(one, name) for name in one.__dataclass_fields__]
