"""What will go out in the next days, as everything stands now: release run ahead of time, with nothing written.

What waits is read page by page in the order of its time, decided on as release will, and told in that order; what a
closed day pushes back is kept by its new time until the reading has come there. So memory holds a page, and one short
entry for each action that was pushed.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count

from control_center.domain.action import State
from control_center.domain.forecast import End, Fate, Line, lines
from control_center.domain.foreseen_days import Foreseen, ForeseenDays, foreseen, shares_days
from control_center.domain.foreseen_firsts import ForeseenFirsts
from control_center.domain.recipients import Routing
from control_center.domain.record import Picture
from control_center.engine import foreseen_bulks, foreseen_ladders
from control_center.engine.addressing import Sending, routes
from control_center.engine.foreseen_case import Case, following_years
from control_center.engine.foreseen_guard import ForeseenGuards, days_of, foreseen_guards
from control_center.engine.foreseen_ladders import Ahead
from control_center.engine.foreseen_rules import rulebook
from control_center.engine.shadow import scene_of
from control_center.engine.trigger_sweep import Progress
from control_center.engine.triggers import named
from control_center.store import actions, db, records, scores
from control_center.store.actions import Due
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebook

PAGE = 500
_LEAVING = frozenset({Fate.GOES, Fate.SHADOW})


@dataclass(frozen=True, slots=True)
class Asked:
    """What a forecast is about. `closed` are days that it takes for closed; nothing stored knows of them."""

    days: int = 14
    trigger: str | None = None
    client: str | None = None
    closed: tuple[date, ...] = ()


async def forecast(
    pool: db.Pool, studio: str, asked: Asked, now: datetime, *, progress: Progress | None = None
) -> AsyncIterator[Line]:
    """Every line from `now` on, in time. Raises NotFound for a studio or trigger that does not exist."""
    async with db.session(pool) as tx:
        book = await rulebook(tx, studio, asked.closed)
        trigger_id = (await named(tx, studio, asked.trigger)).trigger_id if asked.trigger is not None else None
        until = now + timedelta(days=asked.days)
        total = await actions.count_waiting(tx, studio, until=until, trigger_id=trigger_id)
        guards = await foreseen_guards(tx, studio, now)
        days = await days_of(tx, studio)
    firsts = ForeseenFirsts(book.studio.sms_identify)
    bulks = foreseen_bulks.messages(pool, book, firsts, now, until) if asked.trigger is None else None
    told = progress or (lambda *_: None)
    run = _Run(pool, book, asked, now, until, trigger_id, guards, days, told, total, firsts=firsts, bulks=bulks)
    for state in (State.REVIEW, State.HELD):
        async for found in run.stopped(state):
            yield found
    await run.climbing()
    async for found in run.planned():
        yield found


@dataclass(slots=True)
class _Run:
    """One forecast under way."""

    pool: db.Pool
    book: Rulebook
    asked: Asked
    now: datetime
    until: datetime
    trigger_id: int | None
    guards: ForeseenGuards
    days: ForeseenDays
    progress: Progress
    total: int
    firsts: ForeseenFirsts
    bulks: AsyncIterator[Line | Foreseen] | None
    done: int = 0
    _bulk: Line | Foreseen | None = None  # the next message of a bulk
    _later: list[tuple[datetime, int, Due]] = field(default_factory=list)  # pushed back, by their new time
    # What ladders may do, and messages that share days: by their time, and of one time by their rank.
    _follows: list[tuple[datetime, int, int, Line | Foreseen]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    async def stopped(self, state: State) -> AsyncIterator[Line]:
        """What waits for a person already: told as of now."""
        async for page in self._pages(state):
            cases = await self._cases(page)
            for found in await self._as_sent(await self._told([(one, one.waits(self.now)) for one in cases])):
                yield found

    async def planned(self) -> AsyncIterator[Line]:
        """What waits for its time, each at the time when it goes."""
        async for page in self._pages(State.PLANNED):
            for found in await self._up_to(max(page[-1].action.due_at, self.now), page):
                yield found
        while self._later and self._later[0][0] <= self.until:
            for found in await self._up_to(self._later[0][0] + timedelta(days=1), ()):
                yield found
        while edge := await self._bulks_up_to(self.until, most=PAGE):
            for one in await self._as_sent(self._that_may_follow(edge)):
                yield one
        for one in await self._as_sent(self._that_may_follow(self.until)):
            yield one

    async def _bulks_up_to(self, edge: datetime, *, most: int | None = None) -> datetime | None:
        """Take in what bulks send by then, at most so many; the time of the last one where there may be more."""
        if self.bulks is None:
            return None
        for number in count():
            if self._bulk is None:
                self._bulk = await anext(self.bulks, None)
            if self._bulk is None or foreseen_bulks.time_of(self._bulk) > edge:
                return None
            if self.asked.client in (None, _client(self._bulk)):
                self._keep([self._bulk])
            at, self._bulk = foreseen_bulks.time_of(self._bulk), None
            if number == most:
                return at
        return None

    async def _as_sent(self, found: Sequence[Line]) -> list[Line]:
        """These in the words in which they leave: the first text to a number may say how to stop."""
        numbers = self.firsts.unknown([one.address for one in found if one.leg == "sms"])
        if numbers:
            async with db.session(self.pool) as tx:
                await foreseen_bulks.learn(tx, self.book.studio.studio, self.firsts, numbers)
        return [self.firsts.told(one) for one in found]

    async def climbing(self) -> None:
        """What may follow on what was sent already, kept until its time is told."""
        if not self.book.studio.enabled:
            return
        async for sending, found in foreseen_ladders.under_way(
            self.pool, self.book, self.now, self.until, self.trigger_id
        ):
            if self.asked.client is None or (sending.client and sending.client.record_id == self.asked.client):
                self._keep(found)

    def _keep(self, found: Sequence[Line | Foreseen]) -> None:
        for one in found:
            at, rank = (one.line.at, one.rank) if isinstance(one, Foreseen) else (one.at, 0)
            heapq.heappush(self._follows, (at, rank, next(self._numbers), one))

    def _that_may_follow(self, edge: datetime) -> list[Line]:
        found = []
        while self._follows and self._follows[0][0] <= edge:
            one = heapq.heappop(self._follows)[-1]
            admitted = self.days.admit(one) if isinstance(one, Foreseen) else one
            if isinstance(admitted, Foreseen):
                self._keep([admitted])
            else:
                found.append(admitted)
        return found

    async def _up_to(self, edge: datetime, page: Sequence[Due]) -> list[Line]:
        """Decide on a page and on what was pushed back to before `edge`; what goes later is pushed (again)."""
        batch = [(max(one.action.due_at, self.now), one) for one in page]
        while self._later and self._later[0][0] <= edge:
            start, _, one = heapq.heappop(self._later)
            batch.append((start, one))
        cases = await self._cases([one for _, one in batch])
        going: list[tuple[Case, End]] = []
        for (start, _), case in zip(batch, cases, strict=True):
            end = case.follow(start, self.until)
            if end is not None and end.at > edge:
                self._push(end.at, case.due)
            elif end is not None:
                going.append((case, end))
        going.sort(key=lambda one: (one[1].at, one[0].due.action.action_id))
        for one in await following_years(self.pool, going, self.until, self._numbers):
            self._push(max(one.action.due_at, self.now), one)
        told = await self._told(going)
        await self._bulks_up_to(edge)
        return await self._as_sent(sorted([*told, *self._that_may_follow(edge)], key=lambda one: one.at))

    def _push(self, at: datetime, due: Due) -> None:
        heapq.heappush(self._later, (at, next(self._numbers), due))

    async def _pages(self, state: State) -> AsyncIterator[list[Due]]:
        after = (datetime.min.replace(tzinfo=UTC), 0)
        studio = self.book.studio.studio
        while True:
            async with db.session(self.pool) as tx:
                page = await actions.waiting(
                    tx, studio, state, until=self.until, after=after, trigger_id=self.trigger_id, limit=PAGE
                )
            if page:
                yield page
                self.done += len(page)
                self.progress(self.done, self.total)
                after = (page[-1].action.due_at, page[-1].action.action_id)
            if len(page) < PAGE:
                return

    async def _cases(self, batch: Sequence[Due]) -> list[Case]:
        async with db.session(self.pool) as tx:
            pictures = await records.get(tx, {one.key for one in batch})
            wanted = [(one.action.trigger_id, one.action.trigger_version, pictures.get(one.key)) for one in batch]
            sessions = await scores.sessions(tx, wanted, {self.book.studio.studio: self.book})
        return [
            Case(
                due=one,
                rule=self.book.rules.of(one.action.trigger_id, one.action.trigger_version),
                picture=pictures.get(one.key),
                session=sessions.get(one.key),
            )
            for one in batch
        ]

    # Lines ------------------------------------------------------------------------------------------------

    async def _told(self, ends: Sequence[tuple[Case, End]]) -> list[Line]:
        """The lines of these actions, with their addresses and words."""
        # The others count, too, as far as a guard does: what it holds does not depend on who asks.
        known = [case for case, _ in ends if case.rule is not None and case.picture is not None]
        async with db.session(self.pool) as tx:
            clients = await records.get(tx, {key for case in known if (key := case.client) is not None})
            sendings = [self._sending(case, clients) for case in known]
            routed = {one.due.action.action_id: (one, routing) for one, routing in await routes(tx, sendings)}
            going = {case.due.action.action_id: end.at for case, end in ends if end.fate is Fate.GOES}
            ahead = await foreseen_ladders.ahead(tx, self.book, routed, going)
        return await asyncio.to_thread(self._written, ends, routed, ahead)

    def _written(
        self, ends: Sequence[tuple[Case, End]], routed: Mapping[int, tuple[Sending, Routing]], ahead: Ahead
    ) -> list[Line]:
        """With their words; in a thread, so that whatever else this process does goes on meanwhile."""
        found: list[Line] = []
        for case, end in ends:
            sending, routing = routed.get(case.due.action.action_id, (None, None))
            if sending is None:
                found += [case.of_nothing(end)] if self._is_asked_for(case) else []
                continue
            final = end
            if not self.book.studio.enabled and end.fate in _LEAVING:
                final = replace(end, fate=Fate.HELD, reason=foreseen_bulks.OFF)
            elif routing is not None and not routing.empty and end.fate is Fate.GOES:
                final = self.guards.admit(sending, end)
            if self._is_asked_for(case):
                scene, action = scene_of(sending), case.due.action
                for one in lines(scene, final, routing, action.activation_at):
                    if shares_days(one, scene.studio, scene.trigger.purpose):
                        self._keep([foreseen(one, scene, action.action_id, action.use_by)])
                    elif one.at <= final.at:
                        found.append(one)
                    else:
                        self._keep([one])  # a text that waits for its recipient's hours
                self._keep(ahead.lines(sending, final, self.until))
        return found

    def _is_asked_for(self, case: Case) -> bool:
        if self.asked.client is None:
            return True
        key = case.client
        return key is not None and key[2] == self.asked.client

    def _sending(self, case: Case, clients: dict[Key, Picture]) -> Sending:
        assert case.rule is not None
        assert case.picture is not None
        key = case.client
        return Sending(case.due, self.book, case.rule, case.picture, clients.get(key) if key is not None else None)


def _client(one: Line | Foreseen) -> str | None:
    return one.client if isinstance(one, Line) else one.line.client
