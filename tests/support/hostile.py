"""Fuzzing: inputs made of a few real ones by chance, a judge of what becomes of each, and the smallest that fails.

A surface is where bytes of somebody else's making come in: one function that takes them, and the errors by which it may
refuse them. Whatever else it raises, a second of work, or a heap of memory is a defect; so is what it takes and the
stage behind it does not.
"""

from __future__ import annotations

import gc
import json
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

SECONDS: Final = 1.0  # of our own work on one input, whatever else the machine does meanwhile
MEGABYTES: Final = 96  # by which one input may raise the most that the process ever held …
GROWTH: Final = 512  # … and all inputs of one run together
SHRINKING: Final = 20.0  # seconds spent on making a failing input small
SAID: Final = frozenset({"receipt.contradicts"})  # said on purpose, of what a provider takes back
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
        some = [_made(surface, chance) for _ in range(min(CHUNK, count - done))]
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
    """HungError after so many seconds of this process' own work; a neighbour that needs the machine costs nothing."""

    def over(*_: object) -> None:
        raise HungError(f"more than {seconds:g} seconds")

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


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


# Making inputs ----------------------------------------------------------------------------------------------

# No index of PostgreSQL takes so long a word: it cannot be packed.
LONG: Final = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=6000))
# What has broken readers before: of numbers, of days, of letters, of markup, of sizes.
HOSTILE: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 10**400, 0.1, -0.0, 1e308),
    *(float("nan"), float("inf"), "", " ", "\0", "a\0b", "\ud800", "\udc80x", "\ufeff", "\u202e", "\u2028"),
    *("0", "-1", "007", "9" * 400, "1e999", "NaN", "٣", "½", "true", "null", "None", "[]", "{}"),
    *("2027-02-29", "2027-02-30T14:00", "0001-01-01", "9999-12-31T23:59:59Z", "1900-01-01", "9000-01-01", "24:00"),
    *("2026-W47-6", "2027-03-14T02:30", "2027-11-07T01:30", "2027-06-12T14:00:60Z", "2027-06-12T14:00+99:99"),
    *("2027-06-12T14:00:00.123456789+14:00", "20270612", "12:00", "-0001-01-01", "2027-06-12T14:00-23:59"),
    *("+13125550188", "+1", "+" + "1" * 40, "00493012345678", "tel:+13125550188;ext=1", "١٢٣", "STOP", "yes", "10"),
    *("jo@mail.example", "a@b", "@", "jo@" + "x" * 300 + ".example", '"a b"@mail.example', "jö@münchen.example"),
    *("jo@mail.example\r\nBcc: all@mail.example", "a,b@mail.example", "<script>alert(1)</script>", "../../etc/passwd"),
    *("{{ client.first_name }}", "{{ 7 | times: 7 }}", "{% for a in b %}", "{{", "%}", "${x}", "%s%n", "'; --", "\\"),
    *(
        "é",
        "e\u0301" * 50,
        "👩‍👩‍👧‍👦",
        "ﷺ",
        "x" * 201,
        LONG,
        LONG[:400],
        "\r\n",
        "\t",
        "\x7f",
        "\x1b[31m",
        [],
        {},
        [[]],
        [None],
    ),
    *({"a": None}, [{}], {"": ""}, ["x"] * 500, "session", "client", "crm.snapshot", "Booked", "main", "client/c-12"),
)
_TEXTS: Final = tuple(
    one.encode("utf-8", "surrogatepass") if isinstance(one, str) else json.dumps(one).encode()
    for one in HOSTILE
    if not isinstance(one, str) or one
)
_BYTES: Final = (
    b"\0",
    b"\xff",
    b"\x80",
    b"\r\n",
    b"\n",
    b'"',
    b"'",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b";",
    b",",
    b"=",
    b"&",
)


def _made(surface: Surface, chance: Random) -> bytes:
    if surface.make is not None and chance.random() < 0.4:
        data = surface.make(chance)
        return data if chance.random() < 0.6 else mutated(data, surface, chance)
    return mutated(chance.choice(surface.corpus), surface, chance)


def mutated(data: bytes, surface: Surface, chance: Random) -> bytes:
    """One to four changes: of its tree where it is JSON, else of its lines, its words and its bytes."""
    if data[:1] in (b"{", b"[") and chance.random() < 0.75:
        data = _with_another_tree(data, chance)
        if chance.random() < 0.9:
            return data
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        data = chance.choice(_CHANGES)(data, surface, chance)
    return data


def _with_another_tree(data: bytes, chance: Random) -> bytes:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return data
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
        tree = _grafted(tree, chance)
    return json.dumps(tree, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _grafted(tree: Any, chance: Random) -> Any:
    """One node somewhere in a tree replaced, removed, doubled, added, or moved there from elsewhere."""
    places = list(_places(tree))
    if not places:
        return hostile(chance)
    inside, key = chance.choice(places)
    match chance.randrange(8):
        case 0:
            del inside[key]
        case 1 if isinstance(inside, list):
            inside.insert(key, inside[key])
        case 1 | 2 if isinstance(inside, dict):
            inside[str(hostile(chance))[:300]] = inside[key]
        case 3:
            other, name = chance.choice(places)
            inside[key] = json.loads(json.dumps(other[name])) if name in _keys(other) else None
        case 4:
            inside[key] = [inside[key]] if chance.random() < 0.5 else {"id": inside[key]}
        case _:
            inside[key] = hostile(chance)
    return tree


def hostile(chance: Random) -> Any:
    """A value that has broken readers before; one's own, to be changed further."""
    found = chance.choice(HOSTILE)
    return json.loads(json.dumps(found)) if isinstance(found, dict | list) else found


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    waiting = [tree]
    while waiting:
        inside = waiting.pop()
        for key in _keys(inside):
            yield inside, key
            if isinstance(inside[key], dict | list):
                waiting.append(inside[key])


def _keys(inside: Any) -> Sequence[Any]:
    return list(inside) if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()


def _place(data: bytes, chance: Random, longest: int = 40) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.randrange(1, longest))


def _flipped(data: bytes, _: Surface, chance: Random) -> bytes:
    if not data:
        return bytes([chance.randrange(256)])
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def _cut(data: bytes, _: Surface, chance: Random) -> bytes:
    start, end = _place(data, chance)
    return data[:start] + data[end:]


def _ended(data: bytes, _: Surface, chance: Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _repeated(data: bytes, _: Surface, chance: Random) -> bytes:
    start, end = _place(data, chance)
    return data[:end] + data[start:end] * chance.choice((1, 1, 2, 10, 200)) + data[end:]


def _put_in(data: bytes, surface: Surface, chance: Random) -> bytes:
    start, _ = _place(data, chance)
    return data[:start] + _word(surface, chance) + data[start:]


def _put_over(data: bytes, surface: Surface, chance: Random) -> bytes:
    start, end = _place(data, chance, 12)
    return data[:start] + _word(surface, chance) + data[end:]


def _spliced(data: bytes, surface: Surface, chance: Random) -> bytes:
    other = chance.choice(surface.corpus)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def _lined(data: bytes, surface: Surface, chance: Random) -> bytes:
    """Another order of lines, one twice, one missing, one of another input, or the words behind its `:` or `=`."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    place = chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            del lines[place]
        case 1:
            lines.insert(chance.randrange(len(lines)), lines[place])
        case 2:
            lines.insert(place, chance.choice(chance.choice(surface.corpus).splitlines(keepends=True) or [b""]))
        case _:
            for sign in (b":", b"=", b" "):
                head, found, rest = lines[place].partition(sign)
                if found:
                    end = b"\r\n" if rest.endswith(b"\r\n") else b"\n"
                    lines[place] = head + found + (b" " if sign == b":" else b"") + _word(surface, chance) + end
                    break
    return b"".join(lines)


def _word(surface: Surface, chance: Random) -> bytes:
    kind = chance.random()
    if surface.words and kind < 0.5:
        return chance.choice(surface.words)
    return chance.choice(_TEXTS) if kind < 0.8 else chance.choice(_BYTES) * chance.choice((1, 1, 2, 50))


_CHANGES: Final = (
    _flipped,
    _cut,
    _ended,
    _repeated,
    _put_in,
    _put_in,
    _put_over,
    _put_over,
    _spliced,
    _lined,
    _lined,
    _lined,
)


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
