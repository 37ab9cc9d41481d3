"""Carries commands and reports from the outbox to whoever publishes them, in order per record, at least once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TypeAlias
from uuid import UUID

import structlog

from control_center import crash_points
from control_center.domain.command import BUCKETS, cloud_event, exchange, is_report
from control_center.store import commands, db, leases
from control_center.store.commands import Stored

log = structlog.get_logger(__name__)

LEASES = {f"relay/{bucket}": bucket for bucket in range(BUCKETS)}
LEASE = timedelta(seconds=15)
BATCH = 200  # at the first go; as many more after each that was full and quick …
LARGEST = 10  # … up to so many times that
QUICK, SLOW = 1.0, 3.0  # seconds for a batch: the next is twice as large, or half. Well within the lease
POLL = 1.0  # seconds between looks at the outbox when nobody wakes us
RETRY_EVERY = 10.0  # seconds between looks at what nobody listened for
REVIVED = 1000
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds to leave a broker alone that confirms nothing
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=1)  # of one that was declined while others went
STUBBORN = 5  # tries in vain while others went, about a minute, after which somebody is told
UNHEARD_WAIT, LONGEST_UNHEARD_WAIT = timedelta(minutes=1), timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One command as it is to be published; `command_id` is the same at every try."""

    exchange: str
    routing_key: str
    body: bytes
    command_id: str
    headers: Mapping[str, str | int]


class Verdict(Enum):
    PUBLISHED = "published"  # confirmed
    UNCONFIRMED = "unconfirmed"  # may have arrived: to be published again
    UNROUTABLE = "unroutable"  # nobody listens for it


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one parcel, with the reason where it was not published."""

    verdict: Verdict
    reason: str = ""


Publish: TypeAlias = Callable[[Sequence[Parcel]], Awaitable[Sequence[Answer]]]
Kind: TypeAlias = tuple[str, str]  # studio and verb: who listens binds by them


class Relay:
    """Publishes what the outbox holds. Any number of these may run; each bucket of records is one relay's at a time.

    `publish` gives one answer for each parcel and raises nothing for the broker. `counts` says how often each
    verdict was given, for the metrics.
    """

    def __init__(
        self, pool: db.Pool, publish: Publish, owner: UUID, *, lease: timedelta = LEASE, batch: int = BATCH
    ) -> None:
        self.counts: Counter[Verdict] = Counter()
        self._pool = pool
        self._publish = publish
        self._owner = owner
        self._lease = lease
        self._batch = self._least = batch
        self._pause = 0.0
        self._held: list[int] = []
        self._held_at = float("-inf")  # on the loop's clock
        self._unheard: set[Kind] = set()
        self._declined: set[Kind] = set()
        self._retry_at = float("-inf")  # on the loop's clock

    async def run_once(self) -> float:
        """Publish one batch; returns the seconds until the next is worth a look. Raises one of `db.AWAY`."""
        async with db.session(self._pool) as connection:
            buckets = await self._hold(connection)
            if not buckets:
                return self._lease.total_seconds() / 3
            await self._retry(connection, buckets)
            waiting = await commands.next_batch(connection, buckets, limit=self._batch)
        if not waiting.commands:
            return POLL
        began = asyncio.get_running_loop().time()
        await self._carry(waiting.commands)
        self._pace(asyncio.get_running_loop().time() - began, full=waiting.full and not self._pause)
        return self._pause or (0.0 if waiting.full else POLL)

    def _pace(self, took: float, *, full: bool) -> None:
        """What shares a process with much else gets its turn seldom: then it has to take more along at each."""
        if full and took < QUICK:
            self._batch = min(2 * self._batch, LARGEST * self._least)
        elif took > SLOW:
            self._batch = max(self._batch // 2, self._least)

    async def close(self) -> None:
        """Let another relay take over at once."""
        async with db.session(self._pool) as connection:
            await leases.drop(connection, self._owner)

    async def _hold(self, connection: db.Connection) -> Sequence[int]:
        """Take or renew the buckets that are free or ours, where a third of the lease has gone by since the last."""
        now = asyncio.get_running_loop().time()
        if now - self._held_at >= self._lease.total_seconds() / 3:
            held = await leases.hold(connection, list(LEASES), self._owner, lease=self._lease)
            self._held, self._held_at = sorted(LEASES[name] for name in held), now
        return self._held

    async def _retry(self, connection: db.Connection, buckets: Sequence[int]) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._retry_at:
            self._retry_at = now + RETRY_EVERY
            await commands.retry(connection, buckets, limit=self._batch)

    async def _carry(self, waiting: Sequence[Stored]) -> None:
        """Publish a batch in waves: of each record the next command, once the one before it is confirmed."""
        lines = _lines(waiting)
        while lines:
            heads = [line[0] for line in lines]
            answers = await self._publish([_parcel(head) for head in heads])
            self.counts.update(answer.verdict for answer in answers)
            wave = _wave(heads, answers)
            if wave.published:
                crash_points.reach("after_publish_confirm")
            self._pause = self._next_pause(wave)
            buckets = await self._note(wave)
            done = {head.sequence for head in wave.published}
            # Whoever took a bucket over begins with what is not marked: to go on there would only repeat it.
            lines = [
                line[1:]
                for line in lines
                if line[1:] and line[0].sequence in done and line[0].command.bucket in buckets
            ]

    def _next_pause(self, wave: _Wave) -> float:
        """How long to leave the broker alone: grows while it confirms nothing at all, and then ends at once."""
        if wave.published or not wave.unconfirmed:
            if self._pause:
                log.info("relay.resumed")
            return 0.0
        if not self._pause:
            log.warning("relay.paused", reason=wave.unconfirmed[0][1])
        return min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)

    async def _note(self, wave: _Wave) -> set[int]:
        """Write down what became of a wave; returns the buckets that are still ours."""
        async with db.transaction(self._pool) as tx:
            if wave.published:
                await commands.published(tx, [head.command for head in wave.published])
            if heard := {_kind(head) for head in wave.published if head.tries}:
                await commands.revive(tx, sorted(heard), limit=REVIVED)
            if wave.unconfirmed:
                waits = [(head.command, self._wait(head)) for head, _ in wave.unconfirmed]
                await commands.postpone(tx, waits, unroutable=False)
            if wave.unroutable:
                waits = [(head.command, _unheard_wait(head)) for head, _ in wave.unroutable]
                await commands.postpone(tx, waits, unroutable=True)
        self._tell(wave)
        async with db.session(self._pool) as connection:  # by itself: what is rolled back renews nothing
            return set(await self._hold(connection))

    def _tell(self, wave: _Wave) -> None:
        """Say of each kind when nobody begins to listen for it, or it is declined, and when that is over."""
        went = {_kind(head) for head in wave.published}
        for (studio, verb), number, reason in _begun(self._unheard, wave.unroutable):
            log.warning("command.unroutable", studio=studio, verb=verb, commands=number, reason=reason)
        for studio, verb in _over(self._unheard, wave.unroutable, went):
            log.info("command.routable", studio=studio, verb=verb)
        stubborn = [] if self._pause else [one for one in wave.unconfirmed if one[0].tries >= STUBBORN]
        for (studio, verb), number, reason in _begun(self._declined, stubborn):
            log.warning("command.declined", studio=studio, verb=verb, commands=number, reason=reason)
        for studio, verb in _over(self._declined, stubborn, went):
            log.info("command.accepted", studio=studio, verb=verb)

    def _wait(self, head: Stored) -> timedelta:
        """While nothing is confirmed all wait alike, so that the oldest are still the first when the broker is back."""
        if self._pause:
            return timedelta(seconds=self._pause)
        return min(FIRST_WAIT * (1 << min(head.tries, 10)), LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class _Wave:
    """What became of commands published together; where it was not published, with the reason."""

    published: Sequence[Stored]
    unconfirmed: Sequence[tuple[Stored, str]]
    unroutable: Sequence[tuple[Stored, str]]


def _wave(heads: Sequence[Stored], answers: Sequence[Answer]) -> _Wave:
    answered = list(zip(heads, answers, strict=True))
    return _Wave(
        published=[head for head, answer in answered if answer.verdict is Verdict.PUBLISHED],
        unconfirmed=[(head, answer.reason) for head, answer in answered if answer.verdict is Verdict.UNCONFIRMED],
        unroutable=[(head, answer.reason) for head, answer in answered if answer.verdict is Verdict.UNROUTABLE],
    )


def _begun(known: set[Kind], failed: Sequence[tuple[Stored, str]]) -> list[tuple[Kind, int, str]]:
    """The kinds that fail now and did not, with how many and why; they are known from now on."""
    numbers = Counter(_kind(head) for head, _ in failed)
    reasons = {_kind(head): reason for head, reason in failed}
    begun = [(kind, number, reasons[kind]) for kind, number in numbers.items() if kind not in known]
    known.update(numbers)
    return begun


def _over(known: set[Kind], failed: Sequence[tuple[Stored, str]], went: set[Kind]) -> list[Kind]:
    """The kinds that went and failed before, and not any more; they are known no longer."""
    over = (known & went) - {_kind(head) for head, _ in failed}
    known.difference_update(over)
    return sorted(over)


def _lines(waiting: Sequence[Stored]) -> list[list[Stored]]:
    """What must keep its order, line by line: the commands of a record, and its reports."""
    lines: dict[tuple[str, str, bool], list[Stored]] = {}
    for one in waiting:
        lines.setdefault((one.command.studio, one.command.subject, is_report(one.command.verb)), []).append(one)
    return list(lines.values())


def _parcel(one: Stored) -> Parcel:
    command = one.command
    return Parcel(
        exchange=exchange(command.verb),
        routing_key=f"{command.studio}.{command.verb}",
        body=cloud_event(command, sequence=one.sequence, created_at=one.created_at),
        command_id=command.command_id,
        headers={"x-sequence": one.sequence},
    )


def _unheard_wait(one: Stored) -> timedelta:
    return min(UNHEARD_WAIT * (1 << min(one.tries, 10)), LONGEST_UNHEARD_WAIT)


def _kind(one: Stored) -> Kind:
    return one.command.studio, one.command.verb
