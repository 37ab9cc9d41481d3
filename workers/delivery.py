"""SPINE 3. Messages, from the queue to the provider and back.

Claim what is due, decide once more, write the words, pass the point of no return in a transaction that checks
everything again, ask the provider, and settle what it answered. No transaction is open while a provider is asked,
and never more messages are submitting than there are slots, so that a killed worker leaves at most those in doubt.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from control_center import crash_points
from control_center.domain.links import Links
from control_center.domain.message import PRIORITIES, Settlement, State
from control_center.fence import Fence
from control_center.loop import first_of
from control_center.store import breakers, db, fences, message_leases, submissions
from control_center.store.cases import Case
from control_center.store.messages import Claimed
from control_center.store.submissions import Ready
from workers import turns
from workers.blame import Blame
from workers.channel import Channel
from workers.claims import LEASE, Claims
from workers.flight_recorder import FlightRecorder
from workers.preparation import Preparation
from workers.rationing import limited
from workers.sends import Sends
from workers.settling import Answered, doubts_in_a_row, hand_on, note, settlements, tell, written

log = structlog.get_logger(__name__)

CLAIM_LIMIT = 100
MARGIN = timedelta(seconds=45)  # of its lease that a message must have left to pass the point of no return
RENEW = 20.0  # seconds between renewals of what is being prepared
POLL = 1.0  # seconds between looks at the queue when nobody wakes us
DRAIN, FAREWELL = 21.0, 3.0  # seconds for sends under way, when we are to stop, and to write; a service has 25
DOUBTED = 2  # times its slots of doubts in a row: then an account is left alone. A line that breaks once leaves fewer
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds between tries while the database is away


class Delivery:
    """Delivers one provider account's messages, up to `slots` at once. Any number of these may share an account."""

    def __init__(
        self,
        pool: db.Pool,
        channel: Channel,
        *,
        account: str,
        owner: UUID,
        clock: Callable[[], datetime],
        slots: int = 16,
        longest: timedelta = timedelta(seconds=30),
        failover: str | None = None,
        failover_sender: str = "",
        links: Links | None = None,
        fence: Fence | None = None,
        recorder: FlightRecorder | None = None,
    ) -> None:
        self.wake = asyncio.Event()
        self._pool = pool
        self._account = account
        self._owner = owner
        self._clock = clock
        self._slots = slots
        self._failover = failover  # the account that takes over what this one certainly did not send …
        self._failover_sender = failover_sender or None  # … and the number that it goes out from there
        self._settle = partial(settlements, failover=failover is not None, sender=self._failover_sender)
        self._fence = fence
        self._sends = Sends(channel, clock, links=links, recorder=recorder)
        self._blame = Blame()
        self._was_away = True  # the database may be another one than it was
        # While submitting, the lease outlasts the longest call, so that a slow answer is not taken for a dead worker.
        self._submit_lease = longest + LEASE
        self._preparation = Preparation(owner, clock, links=links)
        self._ready: deque[Ready] = deque()
        self._claims = Claims(account, owner)
        self._look_at = self._renewed = float("-inf")  # on the monotonic clock
        self._more = False  # the last claim may have left something, bulk at least
        self._refilling: asyncio.Task[None] | None = None
        self._refused: set[int] = set()  # did not pass in the last step
        self._doubts = 0  # answers in a row, up to now, that proved nothing
        self._strained = False  # the account's breaker has something against us
        self._shut = False  # … and has just opened: what is at hand is not to be tried in vain
        self._strayed = False  # a claim's answer was lost: what it claimed is not at hand, and would wait for its lease
        self._doubtful: list[Ready] = []  # a step's answer was lost: what it marked is unmarked before anything else

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`; then claim nothing more, let what was begun finish, and give the rest back."""
        pause = FIRST_PAUSE
        while not stop.is_set():
            try:
                busy = await self._round()
                if pause > FIRST_PAUSE:
                    log.info("delivery.resumed", account=self._account)
                pause = FIRST_PAUSE
            except (*db.AWAY, *db.MET) as error:
                self._was_away = True
                if pause == FIRST_PAUSE:  # once, and not for as long as it lasts
                    log.warning("delivery.paused", account=self._account, reason=f"{type(error).__name__}: {error}")
                await first_of(stop, wait=pause)
                busy, pause = True, min(pause * 2, LONGEST_PAUSE)
            if not busy:
                await self._rest(stop)
        await self._finish()

    async def _rest(self, stop: asyncio.Event) -> None:
        """Wait for an answer, and for new work where there is room for any: never for nothing, as that is no rest."""
        room = self._refilling is None and self._claims.aside is None and turns.wanted(self._ready, self._slots)
        wait = max(FIRST_PAUSE, self._look_at - time.monotonic())
        await first_of(self._sends.came, stop, *([self.wake] if room else ()), wait=wait)

    async def _round(self) -> bool:
        """One round: refill, settle what was answered, start what may go. Whether there is more to do at once."""
        self._sends.came.clear()
        if self._was_away and self._fence is not None:
            await self._fence.look()
        self._was_away = False
        if self._doubtful:
            await self._unmark()
        if self._shut:
            await self._let_go()
        if self._strayed and self._refilling is None:
            await self._give_back_strays()
        self._tend_refill()
        await self._renew()
        return await self._step()

    # Claiming ---------------------------------------------------------------------------------------------

    def _tend_refill(self) -> None:
        """Keep messages at hand: claimed and prepared beside the sends, so that no slot waits for that."""
        if self._refilling is not None:
            if not self._refilling.done():
                return
            refilled, self._refilling = self._refilling, None
            self._strayed = self._strayed or refilled.exception() is not None
            refilled.result()  # raises what it raised
        if self._claims.aside is not None:
            if not (self._ready or self._sends.begun or self._doubtful):
                self._refill_by(self._prepare_aside())
            return
        priorities = turns.wanted(self._ready, self._slots)
        due = self.wake.is_set() or time.monotonic() >= self._look_at
        if priorities and (due or (self._more and priorities == PRIORITIES)):
            self.wake.clear()
            self._look_at = time.monotonic() + POLL
            self._refill_by(self._refill(priorities))

    def _refill_by(self, work: Coroutine[None, None, None]) -> None:
        self._refilling = asyncio.create_task(work)
        self._refilling.add_done_callback(lambda _: self._sends.came.set())

    async def _give_back_strays(self) -> None:
        """After a lost answer: whatever is claimed by us and not at hand is anybody's again, at once."""
        self._claims.aside = None
        async with db.session(self._pool) as connection:
            await message_leases.drop_claims(connection, self._owner, but=turns.numbers(self._ready, self._doubtful))
        self._strayed = False
        self._look_at = float("-inf")

    async def _refill(self, priorities: Sequence[int] = PRIORITIES) -> None:
        """Claim what is due and prepare it; put back what may not go now."""
        async with db.session(self._pool) as connection:
            limit = await breakers.allowance(connection, self._account, CLAIM_LIMIT)
            claimed = await self._claims.claim(connection, priorities, limit) if limit else []
            # A full claim says that there is more: the next look is due as soon as there is room.
            full = len(claimed) == CLAIM_LIMIT or self._claims.wary
            self._look_at = time.monotonic() + (0 if full else POLL)
            self._more = full or priorities != PRIORITIES
            self._strained = self._strained or limit < CLAIM_LIMIT
            if claimed:
                crash_points.reach("after_claim")
                sound = await self._claims.apart(connection, claimed, turns.numbers(self._ready, self._doubtful))
                await self._prepare(connection, sound)
            if self._failover is not None:
                await hand_on(connection, self._account, self._failover, sender=self._failover_sender)

    async def _prepare_aside(self) -> None:
        """What was lost with its worker before, alone."""
        async with db.session(self._pool) as connection:
            one, self._claims.aside = self._claims.aside, None
            await self._prepare(connection, [one] if one is not None else [])

    async def _prepare(self, connection: db.Connection, claimed: Sequence[Claimed | Case]) -> None:
        ready = await self._preparation.make_ready(connection, claimed, at_hand=self._ready)
        self._ready = turns.in_turn([*self._ready, *ready])

    async def _renew(self) -> None:
        if self._ready and time.monotonic() - self._renewed > RENEW:
            async with db.session(self._pool) as connection:
                await message_leases.renew_leases(connection, self._owner, lease=LEASE)
            self._renewed = time.monotonic()

    # The point of no return, and after -------------------------------------------------------------------

    async def _step(self) -> bool:
        """Settle what was answered and let as many pass as there are free slots. Whether anything was done."""
        answered = self._settle(self._blame.judged(self._sends.answered))
        ready = limited(turns.draw(self._ready, self._sends.waiting, self._slots), self._clock())
        if not answered and not ready:
            return False
        try:
            async with db.session(self._pool) as connection:
                passed = await self._commit(connection, answered, ready)
                stale = [one.case for one in ready if one.case.message_id not in passed]
                if stale and not self._shut:
                    await self._decide_again(connection, stale)
        except (*db.AWAY, *db.MET):
            # Outcomes stay with us and are written again: doing so twice changes nothing. Marks are another matter.
            self._doubtful += ready
            raise
        if passed:
            crash_points.reach("after_mark")
        for one in ready:
            if one.case.message_id in passed:
                self._sends.begin(one)
        # Refused again: somebody has its record, and may have it for a while.
        before, self._refused = self._refused, {one.case.message_id for one in ready} - passed
        return bool(answered or passed or self._refused - before)

    async def _decide_again(self, connection: db.Connection, stale: Sequence[Case]) -> None:
        """What did not pass was changed meanwhile; or nothing passes, and all that is at hand is anybody's again."""
        if await fences.is_open(connection):
            await self._prepare(connection, stale)
        else:
            self._shut = True

    async def _let_go(self) -> None:
        """Breaker or fence: nothing may go, so all that is at hand, or is just being claimed, is anybody's again."""
        if self._refilling is not None:
            await asyncio.wait([self._refilling])
        self._ready.clear()
        self._claims.aside = None
        async with db.session(self._pool) as connection:
            await message_leases.drop_claims(connection, self._owner)
        self._shut = False

    async def _commit(
        self, connection: db.Connection, answered: Sequence[tuple[Answered, Settlement]], ready: Sequence[Ready]
    ) -> set[int]:
        """Write outcomes and marks; free the slots of what is settled; let the account's breaker know first."""
        await note(connection, self._account, answered)
        blocked = [settlement.reason for _, settlement in answered if settlement.blocked]
        doubts = doubts_in_a_row(self._doubts, answered)
        if doubts >= DOUBTED * self._slots:
            blocked = [f"{doubts} in a row may have been sent, and nobody knows"] * breakers.OPENS_AT
            doubts = 0
        if blocked:
            self._strained = True
            self._shut = await breakers.failed(connection, self._account, blocked[-1], times=len(blocked)) or self._shut
        ready = [] if self._shut else ready
        settled = [written(one, settlement) for one, settlement in answered]
        passed = await submissions.step(connection, settled, ready, lease=self._submit_lease, margin=MARGIN)
        self._sends.settled([one for one, _ in answered])
        self._doubts = doubts
        for one, settlement in answered:
            tell(one.ready.case, settlement.state, settlement.reason, due_at=settlement.due_at, key=one.ready.key)
        if not blocked and self._strained and any(settlement.state is State.ACCEPTED for _, settlement in answered):
            await breakers.succeeded(connection, self._account)
            self._strained = False
        return passed

    async def _unmark(self) -> None:
        """After a lost answer: what was marked is ours alone, and we know that we never sent it."""
        doubtful = [one.case for one in self._doubtful]
        async with db.session(self._pool) as connection:
            await submissions.unmark(connection, self._owner, marked=[case.message_id for case in doubtful])
            self._doubtful = []
            await self._prepare(connection, doubtful)

    # Stopping ---------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Give back what was not begun, wait for what was, and write down how it ended: nobody else knows."""
        if self._refilling is not None:
            await asyncio.gather(self._refilling, return_exceptions=True)
        self._ready.clear()
        began = time.monotonic()
        await self._sends.finish(DRAIN)
        await db.insisted(self._write_the_rest, patience=max(FAREWELL, began + DRAIN - time.monotonic()))
        self._sends.close()

    async def _write_the_rest(self) -> None:
        async with db.session(self._pool) as connection:
            if self._doubtful:
                await submissions.unmark(connection, self._owner, marked=turns.numbers(self._doubtful))
                self._doubtful = []
            if self._sends.answered:
                await self._commit(connection, self._settle(self._blame.judged(self._sends.answered)), [])
            await message_leases.drop_claims(connection, self._owner)
