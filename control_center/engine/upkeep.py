"""Settles what crashes, open breakers and the passing of time leave behind, and forgets what is old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import structlog

from control_center.domain.blast import LEARNT_FROM
from control_center.domain.command import Cause, Command, command
from control_center.domain.message import POISON, State
from control_center.domain.prefixes import LET_GO
from control_center.engine import blast, gaps, prefixes, recurring, replies, reports, spending, text_plans
from control_center.engine.reports import Step
from control_center.store import (
    breakers,
    commands,
    db,
    expiry,
    leases,
    message_leases,
    messages,
    pruning,
    riders,
    views_health,
)
from control_center.store import prefixes as stored_prefixes
from control_center.store.expiry import Lapsed

log = structlog.get_logger(__name__)

LEASE_NAME = "upkeep"
OVERDUE = timedelta(minutes=5)  # release has had that long to look at what was due

Prune: TypeAlias = Callable[..., Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds between two rounds of each duty."""

    rescue: float = 2.0
    return_held: float = 2.0
    adopt: float = 5.0
    plans: float = 10.0
    gaps: float = 10.0
    expire: float = 60.0
    prune: float = 600.0
    transactions: float = 60.0


@dataclass(frozen=True, slots=True)
class Ages:
    """How long things are kept."""

    events: timedelta = timedelta(days=30)
    commands: timedelta = timedelta(days=30)
    unheard_reports: timedelta = timedelta(days=30)
    unmatched_receipts: timedelta = timedelta(days=30)
    arrivals: timedelta = timedelta(days=90)
    idempotency_keys: timedelta = timedelta(hours=24)
    release_counts: timedelta = LEARNT_FROM + timedelta(days=1)
    day_shares: timedelta = timedelta(days=8)
    prefixes: timedelta = LET_GO + timedelta(hours=1)


@dataclass(slots=True)
class _Duty:
    """One thing to do again and again; `work` says whether there is more at once. `heavy`: for one process alone."""

    every: float
    work: Callable[[], Awaitable[bool]]
    heavy: bool
    due: float = float("-inf")


class Upkeep:
    """Does what is due of all this, for one database. Any number of these may run at once."""

    def __init__(
        self,
        pool: db.Pool,
        clock: Callable[[], datetime],
        owner: UUID,
        *,
        intervals: Intervals = Intervals(),
        ages: Ages = Ages(),
        batch: int = 500,
        old_transaction: timedelta = timedelta(minutes=5),
        lease: timedelta = timedelta(
            minutes=3
        ),  # longer than the heavy duties are apart, so that they stay in one place
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._owner = owner
        self._ages = ages
        self._batch = batch
        self._lease = lease
        self._old_transaction = old_transaction
        self._warned_of = 0  # the process of the server that a warning was about
        self._duties = [
            _Duty(intervals.rescue, self.rescue, heavy=False),
            _Duty(intervals.return_held, self.return_held, heavy=False),
            _Duty(intervals.return_held, self.follow_riders, heavy=False),
            _Duty(intervals.adopt, self.adopt, heavy=False),
            _Duty(intervals.plans, self.heed_plans, heavy=True),
            _Duty(intervals.gaps, self.watch_gaps, heavy=True),
            _Duty(intervals.expire, self.expire_messages, heavy=True),
            _Duty(intervals.expire, self.expire_actions, heavy=True),
            _Duty(intervals.prune, self.prune, heavy=True),
            _Duty(min(intervals.transactions, old_transaction.total_seconds()), self.look_back, heavy=True),
        ]

    async def run_once(self) -> float:
        """Do what is due; returns the seconds until something is due again. Raises one of `db.AWAY`."""
        clock = asyncio.get_running_loop().time
        due = [duty for duty in self._duties if duty.due <= clock()]
        ours = any(duty.heavy for duty in due) and await self._hold()
        for duty in due:
            more = await duty.work() if ours or not duty.heavy else False
            duty.due = clock() + (0.0 if more else duty.every)
        return max(0.0, min(duty.due for duty in self._duties) - clock())

    async def close(self) -> None:
        """Let another process take over at once."""
        async with db.session(self._pool) as connection:
            await leases.drop(connection, self._owner)

    async def _hold(self) -> bool:
        async with db.session(self._pool) as connection:
            return bool(await leases.hold(connection, [LEASE_NAME], self._owner, lease=self._lease))

    async def rescue(self) -> bool:
        """Settle what lost workers left, and tell the CRM of what may have been sent."""

        async def work(tx: db.Connection) -> list[message_leases.Rescued]:
            rescued = await message_leases.rescue_expired_leases(tx, poison=POISON, limit=self._batch)
            told = [one for one in rescued if one.state is not State.QUEUED]
            await reports.tell(tx, [Step(one.studio, one.message_id, one.state) for one in told])
            if len(told) < len(rescued):
                await db.notify(tx, messages.WORK_CHANNEL)
            return rescued

        rescued = await db.retried(self._pool, work)
        for one in rescued:
            log.warning(
                _EVENTS[one.state],
                studio=one.studio,
                message=f"m-{one.message_id}",
                action=f"a-{one.action_id}",
                record=f"{one.kind}/{one.record_id}",
                reason="its worker was lost",
            )
        return len(rescued) == self._batch

    async def return_held(self) -> bool:
        """Queue what waited for a breaker: one message as a probe when its time has come, all when it has closed."""

        async def work(tx: db.Connection) -> int:
            returned = await breakers.return_held(tx, limit=self._batch)
            if returned:
                await db.notify(tx, messages.WORK_CHANNEL)
            return len(returned)

        number = await db.retried(self._pool, work)
        if number:
            log.info("breaker.returned", messages=number)
        return number >= self._batch

    async def follow_riders(self) -> bool:
        """Settle what another message said, too, on a calm day."""

        async def work(tx: db.Connection) -> list[riders.Followed]:
            followed = await riders.follow(tx, limit=self._batch)
            gone = [one for one in followed if one.state is State.ACCEPTED]
            await reports.tell(tx, [Step(one.studio, one.message_id, one.state) for one in gone])
            if len(gone) < len(followed):
                await db.notify(tx, messages.WORK_CHANNEL)
            return followed

        followed = await db.retried(self._pool, work)
        for one in followed:
            log.info(_EVENTS[one.state], studio=one.studio, message=f"m-{one.message_id}", reason=one.reason)
        return len(followed) == self._batch

    async def adopt(self) -> bool:
        """Fold receipts that came before anybody knew their message."""
        return await replies.adopt(self._pool, limit=self._batch) == self._batch

    async def heed_plans(self) -> bool:
        """Warn studios whose plan of texts is nearly used up, and let go on what waited for it."""
        now = self._clock()
        await text_plans.warn(self._pool, now)
        more = await text_plans.let_go(self._pool, now, limit=self._batch)
        return await spending.let_go(self._pool, now, limit=self._batch) or more

    async def watch_gaps(self) -> bool:
        """Tell of events that were counted by their source and never came."""
        await gaps.watch(self._pool)
        return False

    async def expire_messages(self) -> bool:
        """End messages whose use-by passed while they waited."""

        async def work(tx: db.Connection) -> list[expiry.Ended]:
            ended = await expiry.expire_messages(tx, self._clock(), limit=self._batch)
            await reports.tell(tx, [Step(one.studio, one.message_id, State.EXPIRED) for one in ended])
            return ended

        ended = await db.retried(self._pool, work)
        await prefixes.open_empty(self._pool)
        for one in ended:
            log.info("message.expired", studio=one.studio, message=f"m-{one.message_id}", reason=one.reason)
        return len(ended) >= self._batch

    async def expire_actions(self) -> bool:
        """End actions whose use-by passed while they waited for a person, or for a studio that is switched off.

        A blast guard that holds nothing any more is open again.
        """

        async def work(tx: db.Connection) -> tuple[list[Lapsed], list[blast.Opened]]:
            now = self._clock()
            ended = await expiry.expire_actions(tx, now, overdue=now - OVERDUE, limit=self._batch)
            await commands.enqueue(tx, [_lapsed(one) for one in ended])
            await recurring.plan_next(
                tx, [((one.studio, one.kind, one.record_id), one.occurrence) for one in ended], now
            )
            return ended, await blast.open_empty(tx)

        ended, opened = await db.retried(self._pool, work)
        blast.tell_opened(opened)
        for one in ended:
            log.info(
                "action.expired",
                studio=one.studio,
                action=f"a-{one.action_id}",
                record=f"{one.kind}/{one.record_id}",
                event_id=one.event_id,
                reason=one.reason,
            )
        return len(ended) >= self._batch

    async def look_back(self) -> bool:
        """Warn of a transaction that has been open for long, once: what dies under it slows the queue down."""
        async with db.session(self._pool) as connection:
            found = await views_health.oldest_transaction(connection)
        if found is None or found.seconds < self._old_transaction.total_seconds():
            self._warned_of = 0
        elif found.pid != self._warned_of:
            self._warned_of = found.pid
            log.warning(
                "database.held_back", pid=found.pid, application=found.application, seconds=round(found.seconds)
            )
        return False

    async def prune(self) -> bool:
        """Forget what is old, one bounded step of each kind."""
        ages = self._ages
        steps: list[tuple[str, Prune, timedelta]] = [
            ("events", pruning.events, ages.events),
            ("commands", pruning.commands, ages.commands),
            ("unheard_reports", pruning.unheard_reports, ages.unheard_reports),
            ("unmatched_receipts", pruning.unmatched_receipts, ages.unmatched_receipts),
            ("arrivals", pruning.arrivals, ages.arrivals),
            ("idempotency_keys", pruning.idempotency_keys, ages.idempotency_keys),
            ("release_counts", pruning.release_counts, ages.release_counts),
            ("day_shares", pruning.day_shares, ages.day_shares),
            ("prefixes", stored_prefixes.forget, ages.prefixes),
        ]
        more = False
        for name, forget, age in steps:
            async with db.session(self._pool) as connection:
                number = await forget(connection, older_than=age, limit=self._batch)
            if number:
                log.info("upkeep.pruned", what=name, rows=number)
            more = more or number == self._batch
        return more


_EVENTS = {state: f"message.{state.value}" for state in State}


def _lapsed(one: Lapsed) -> Command:
    """The report that an action ended without a send; it ends so only once."""
    action = f"a-{one.action_id}"
    return command(
        one.studio,
        f"{one.kind}/{one.record_id}",
        "action.lapsed",
        {"action": action, "state": "expired", "reason": one.reason},
        cause=Cause(None, one.trigger_version, action, one.event_id),
        of=f"{action} expired {one.reason}",  # it may come back, and expire by another date
    )
