"""What a person decides about a whole list at once: counted first, then done page by page, and told of by reason.

The list is named by a filter, and whoever decides says how many actions it had when they saw it. Where it has another
number nothing is done: a filter that was mistyped, or one that has filled up meanwhile, writes to nobody. What is
decided on is fixed by then: an action that joins the list afterwards is not touched, one that has left it is let be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple, TypeAlias

import msgspec

from control_center.domain.action import PENDING, State
from control_center.domain.errors import Malformed, Refused
from control_center.engine import blast, review
from control_center.engine.release import Release
from control_center.engine.released import Released, tell
from control_center.store import actions, db, views_actions
from control_center.store.rulebooks import Rulebooks
from control_center.store.views_actions import Filter

MOST = 10_000  # actions of one decision
MOST_RELEASED = 1_000_000  # nothing is worked out for what is let go, so that one call does for all that is held
PAGE = 200  # of one transaction
PAGE_RELEASED = 2_000
TIME = timedelta(seconds=40)  # for all pages; no new one is begun afterwards
GROUPS = 50  # reasons told apart
EXAMPLES = 10  # ids told with each


class Deed(str, Enum):
    """What a person decides."""

    PROCESS = "process"
    SKIP = "skip"
    DELETE = "delete"
    RELEASE = "release"

    @property
    def most(self) -> int:
        """How many actions one decision may be about."""
        return MOST_RELEASED if self is Deed.RELEASE else MOST

    @property
    def page(self) -> int:
        """How many are decided in one transaction."""
        return PAGE_RELEASED if self is Deed.RELEASE else PAGE


class Why(msgspec.Struct, frozen=True):
    """A reason for which actions of the list were not done, and the state they are in; `ids` are the first of them."""

    state: str | None
    reason: str
    count: int
    ids: list[str]


class Tally(msgspec.Struct, frozen=True):
    """What became of a list: `count` is the sum of the next four, and `why` gives the reasons of the last three.

    `done` are released, deleted, let go or, where they were skipped, still waiting. `stopped` were checked again and do
    not go (now). `not_applicable` were not waiting or had left the list. `not_reached` is what was not come to.
    """

    count: int
    done: int
    stopped: int
    not_applicable: int
    not_reached: int
    why: list[Why]


class Miscounted(Refused):
    """The list has another number of actions than whoever decides has seen."""

    def __init__(self, expect: int, states: dict[str, int]) -> None:
        self.count = sum(states.values())
        each = ", ".join(f"{number} {state}" for state, number in states.items())
        told = f"{self.count} ({each})" if states else "none"
        super().__init__(f"{expect} were expected and the list has {told}: nothing was done; look at it again")


async def count(pool: db.Pool, studio: str, wanted: Filter) -> dict[str, int]:
    """How many actions the list has, by state."""
    async with db.session(pool) as connection:
        return await views_actions.counts(connection, studio, wanted)


async def decide(
    pool: db.Pool,
    clock: Callable[[], datetime],
    studio: str,
    wanted: Filter,
    deed: Deed,
    *,
    expect: int,
    every: bool = False,
    by: str,
) -> Tally:
    """Process, skip, delete or let go what the list has, as `by` decided; `expect` is how many it had when they saw it.

    Of what is let go only the held is listed, unless states are named; letting go all of a trigger opens its blast
    guard, also where it holds nothing any more. Each page is a transaction: what is done stays done. Raises Malformed
    where the filter leaves nothing out and `every` does not say that this is meant, or where both are given;
    Miscounted and, where somebody else has to let them go, Refused: then nothing was done.
    """
    check(wanted, every=every)
    if deed is Deed.RELEASE and wanted.states is None:
        wanted = wanted.of({State.HELD})
    numbers = await _counted(pool, studio, wanted, deed, expect)
    if deed in (Deed.PROCESS, Deed.RELEASE):
        async with db.session(pool) as connection:
            await blast.refuse_own(connection, studio, numbers, by=by, process=deed is Deed.PROCESS)
    work = _Work(studio, wanted, deed, _work_of(deed, Release(pool, clock, Rulebooks()), clock, by), by)
    ledger = _Ledger(len(numbers))
    until = clock() + TIME
    for start in range(0, len(numbers), deed.page):
        if clock() >= until:
            ledger.not_reached(numbers[start:], f"{TIME.seconds} seconds were over; decide about the rest again")
            break
        try:
            done, fates = await work.page(pool, numbers[start : start + deed.page])
        except (*db.AWAY, *db.MET) as error:
            if start == 0:
                raise
            ledger.not_reached(numbers[start:], f"the database did not take it ({type(error).__name__}); look again")
            break
        tell(done)
        ledger.enter(fates)
    else:
        if deed is Deed.RELEASE and State.HELD in (wanted.states or ()) and not wanted.narrows_within:
            await blast.let_on(pool, studio, wanted.trigger, by=by)
    return ledger.tally()


def check(wanted: Filter, *, every: bool) -> None:
    """Raises Malformed where a filter leaves nothing out and nobody said that this is meant, or where both are so."""
    states = None if wanted.states is None else set(wanted.states)
    narrowed = any((wanted.trigger, wanted.record, wanted.due_from, wanted.due_before, wanted.event_id))
    narrowed = narrowed or (states is not None and not states >= PENDING)
    if not narrowed and not every:
        raise Malformed("all", "this list leaves out nothing that waits; narrow it, or say that all are meant")
    if narrowed and every:
        raise Malformed("all", "the list is narrowed, so not all can be meant; give one or the other")


async def _counted(pool: db.Pool, studio: str, wanted: Filter, deed: Deed, expect: int) -> list[int]:
    """The actions of the list, of which there are `expect`."""
    most = deed.most
    if not 0 <= expect <= most:
        raise Malformed("expect", f"{expect}; at most {most} are decided at once, so narrow the list")
    async with db.session(pool) as connection:
        found = await views_actions.listed(connection, studio, wanted, limit=most + 1)
    if len(found) > most:
        raise Miscounted(expect, await count(pool, studio, wanted))
    if len(found) != expect:
        raise Miscounted(expect, dict(sorted(Counter(state for _, state in found).items())))
    return [number for number, _ in found]


_Deed: TypeAlias = Callable[[db.Connection, Sequence[actions.Due]], Awaitable[Released]]


def _work_of(deed: Deed, release: Release, clock: Callable[[], datetime], by: str) -> _Deed | None:
    """What is done with locked actions that wait; None where they are left as they are."""

    async def process(tx: db.Connection, waiting: Sequence[actions.Due]) -> Released:
        return await release.apply(tx, waiting, by=by)

    async def delete(tx: db.Connection, waiting: Sequence[actions.Due]) -> Released:
        return await review.drop(tx, waiting, by=by, now=clock())

    async def release_(tx: db.Connection, held: Sequence[actions.Due]) -> Released:
        return await review.let_go(tx, held, by=by, now=clock())

    return {Deed.PROCESS: process, Deed.DELETE: delete, Deed.RELEASE: release_, Deed.SKIP: None}[deed]


class _Kind(Enum):
    DONE = "done"
    STOPPED = "stopped"
    NOT_APPLICABLE = "not applicable"
    NOT_REACHED = "not reached"


class _Fate(NamedTuple):
    number: int
    kind: _Kind
    state: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Work:
    """What is done with each page of a list."""

    studio: str
    wanted: Filter
    name: Deed
    deed: _Deed | None
    by: str

    async def page(self, pool: db.Pool, numbers: Sequence[int]) -> tuple[Released, list[_Fate]]:
        """One transaction. The actions are locked first and looked up in the list then: nobody moves them between."""

        async def work(tx: db.Connection) -> tuple[Released, list[_Fate]]:
            picked = await actions.pick(tx, self.studio, numbers)
            listed = await views_actions.still_listed(tx, self.studio, self.wanted, numbers)
            waits = {one.action.action_id: self._waits(one, listed) for one in picked}
            waiting = [one for one in picked if waits[one.action.action_id]]
            left = [one for one in picked if not waits[one.action.action_id]]
            gone = set(numbers) - waits.keys()
            done = Released()
            if self.deed is not None:
                done = await review.decide(tx, self.studio, waiting, self.deed, by=self.by)
            fates = [*_of_work(waiting, done, self.name), *_of_others(left, listed), *map(_gone, sorted(gone))]
            return done, fates

        return await db.retried(pool, work)

    def _waits(self, one: actions.Due, listed: AbstractSet[int]) -> bool:
        waits = review.may_be_let_go(one) if self.name is Deed.RELEASE else one.action.state in PENDING
        return waits and one.action.action_id in listed


_WANTED = {Deed.DELETE: State.DELETED, Deed.RELEASE: State.PLANNED}  # what a deed makes of an action, if it says so


def _of_work(waiting: Iterable[actions.Due], done: Released, deed: Deed) -> Iterable[_Fate]:
    """What was written of each; without a word about it, it is as it was."""
    plans = {change.action.action_id: change.plan for _, change in done.changes}
    for one in waiting:
        number = one.action.action_id
        plan = plans.get(number)
        if plan is None or plan.state is _WANTED.get(deed):
            yield _Fate(number, _Kind.DONE, None, "")
        else:
            yield _Fate(number, _Kind.STOPPED, plan.state.value, plan.reason)


def _of_others(left: Iterable[actions.Due], listed: AbstractSet[int]) -> Iterable[_Fate]:
    for one in left:
        action = one.action
        if action.state in PENDING and action.action_id in listed:
            reason = action.reason if action.state is State.HELD else "it is not held, so there is nothing to let go"
        elif action.state in PENDING:
            reason = "it changed meanwhile, and is no longer in the list"
        else:
            reason = f"it is {action.state.value} already" + (f": {action.reason}" if action.reason else "")
        yield _Fate(action.action_id, _Kind.NOT_APPLICABLE, action.state.value, reason)


def _gone(number: int) -> _Fate:
    return _Fate(number, _Kind.NOT_APPLICABLE, None, "it is no longer kept")


@dataclass(slots=True)
class _Ledger:
    """Counts what became of a list."""

    count: int
    kinds: Counter[_Kind] = field(default_factory=Counter)
    reasons: dict[tuple[str | None, str], list[int]] = field(default_factory=dict)

    def enter(self, fates: Iterable[_Fate]) -> None:
        for fate in fates:
            self.kinds[fate.kind] += 1
            if fate.kind is not _Kind.DONE:
                self.reasons.setdefault((fate.state, fate.reason), []).append(fate.number)

    def not_reached(self, numbers: Iterable[int], reason: str) -> None:
        self.enter(_Fate(number, _Kind.NOT_REACHED, None, reason) for number in numbers)

    def tally(self) -> Tally:
        """The most frequent reasons first; more than can be told apart are one."""
        ordered = sorted(self.reasons.items(), key=lambda one: -len(one[1]))
        why = [_why(state, reason, numbers) for (state, reason), numbers in ordered[:GROUPS]]
        rest = [number for _, numbers in ordered[GROUPS:] for number in numbers]
        if rest:
            why.append(_why(None, f"{len(ordered) - GROUPS} further reasons; explain tells each", rest))
        return Tally(
            count=self.count,
            done=self.kinds[_Kind.DONE],
            stopped=self.kinds[_Kind.STOPPED],
            not_applicable=self.kinds[_Kind.NOT_APPLICABLE],
            not_reached=self.kinds[_Kind.NOT_REACHED],
            why=why,
        )


def _why(state: str | None, reason: str, numbers: Sequence[int]) -> Why:
    return Why(state, reason, len(numbers), [f"a-{number}" for number in numbers[:EXAMPLES]])
