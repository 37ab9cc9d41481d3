"""What a person does with actions: process now, let go what was held, or drop for good.

Skipping is leaving them where they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import TypeAlias

from control_center.domain.action import PAUSED, PENDING, Action, Change, State
from control_center.domain.errors import NotFound, Outdated
from control_center.engine import blast, decisions, recurring
from control_center.engine.editions import edition
from control_center.engine.lines import RELEASE_CHANNEL
from control_center.engine.release import Release
from control_center.engine.released import Released, tell
from control_center.store import actions, audit, db
from control_center.store.rulebooks import Rulebooks

Clock: TypeAlias = Callable[[], datetime]
Read: TypeAlias = Collection[str] | None


async def process(
    pool: db.Pool, clock: Clock, studio: str, action_ids: Sequence[int], *, by: str, read: Read = None
) -> dict[int, tuple[State, str]]:
    """Run actions now, as `by` decided: window and weekdays do not apply, everything else is checked again.

    Returns the state and reason each has afterwards. Raises NotFound for an id that names none, Refused where somebody
    else has to, and Outdated where one is none of the editions `read` any more.
    """
    release = Release(pool, clock, Rulebooks())

    async def deed(tx: db.Connection, pending: Sequence[actions.Due]) -> Released:
        await blast.refuse_own(tx, studio, action_ids, by=by, process=True)
        return await release.apply(tx, pending, by=by)

    return await _decided(pool, studio, action_ids, deed, by=by, read=read)


async def delete(
    pool: db.Pool, clock: Clock, studio: str, action_ids: Sequence[int], *, by: str, read: Read = None
) -> dict[int, tuple[State, str]]:
    """Drop actions for good: the occurrence counts as handled and sends nothing. Raises as `process`."""

    async def deed(tx: db.Connection, pending: Sequence[actions.Due]) -> Released:
        return await drop(tx, pending, by=by, now=clock())

    return await _decided(pool, studio, action_ids, deed, by=by, read=read)


async def release(
    pool: db.Pool, clock: Clock, studio: str, action_ids: Sequence[int], *, by: str, read: Read = None
) -> dict[int, tuple[State, str]]:
    """Let go what was held: it is due again, and goes as it would have, window and all. Raises NotFound."""

    async def deed(tx: db.Connection, held: Sequence[actions.Due]) -> Released:
        await blast.refuse_own(tx, studio, action_ids, by=by)
        return await let_go(tx, held, by=by, now=clock())

    return await _decided(pool, studio, action_ids, deed, by=by, read=read, on=may_be_let_go)


def edition_of(state: str, due_at: datetime, version: int) -> str:
    """What an action is to whoever decides on it: how it stands, when it is due, by which version of its trigger."""
    return edition([state, due_at, version])


def check_read(action: Action, read: Read) -> None:
    """Raises Outdated where an action is none of the editions `read` any more; None is whatever was read."""
    if read is not None and edition_of(action.state.value, action.due_at, action.trigger_version) not in read:
        due = f"due at {action.due_at.isoformat(timespec='minutes')}"
        raise Outdated(f"action a-{action.action_id} is {action.state.value} by now, {due}; look at it again")


def may_be_let_go(one: actions.Due) -> bool:
    """Whether it is held; what waits for its trigger to be switched on again needs that, and no other decision."""
    return one.action.state is State.HELD and one.action.reason != PAUSED


def _waits(one: actions.Due) -> bool:
    return one.action.state in PENDING


_Deed: TypeAlias = Callable[[db.Connection, Sequence[actions.Due]], Awaitable[Released]]


async def _decided(
    pool: db.Pool,
    studio: str,
    action_ids: Sequence[int],
    deed: _Deed,
    *,
    by: str,
    read: Read,
    on: Callable[[actions.Due], bool] = _waits,
) -> dict[int, tuple[State, str]]:
    """Do a deed to those of the actions that it is `on`; the state and reason of all afterwards."""

    async def work(tx: db.Connection) -> tuple[Released, list[actions.Due]]:
        due = await _picked(tx, studio, action_ids)
        for one in due:
            check_read(one.action, read)
        done = await decide(tx, studio, [one for one in due if on(one)], deed, by=by)
        return done, await _picked(tx, studio, action_ids)

    done, after = await db.retried(pool, work)
    tell(done)
    return {one.action.action_id: (one.action.state, one.action.reason) for one in after}


async def decide(tx: db.Connection, studio: str, on: Sequence[actions.Due], deed: _Deed, *, by: str) -> Released:
    """Do a deed to locked actions, and open the blast guards that hold nothing more because of it."""
    done = await deed(tx, on)
    await audit.write(tx, by, *decisions.entries(on, done))
    done.opened += [(studio, trigger, by) for trigger in await blast.decided(tx, studio, on)]
    return done


async def let_go(tx: db.Connection, held: Sequence[actions.Due], *, by: str, now: datetime) -> Released:
    """Locked actions that are held are planned again, past the blast guard; the reason says who did, and when."""
    reason = f"let go by {by} at {now.isoformat(timespec='seconds')}"
    changes = [(one.studio, Change(one.action, one.action.turned(State.PLANNED, reason))) for one in held]
    if held:
        await actions.let_go(tx, held[0].studio, [one.action.action_id for one in held], by=by, reason=reason)
        await db.notify(tx, RELEASE_CHANNEL)
    return Released(due=len(held), changes=changes)


async def drop(tx: db.Connection, pending: Sequence[actions.Due], *, by: str, now: datetime) -> Released:
    """Drop locked actions that wait; the reason says who did, and when."""
    reason = f"deleted by {by} at {now.isoformat(timespec='seconds')}"
    changes = [(one.studio, Change(one.action, one.action.turned(State.DELETED, reason))) for one in pending]
    await actions.change(tx, changes)
    await recurring.plan_next(tx, [(one.key, one.action.occurrence) for one in pending], now)
    return Released(due=len(pending), changes=changes)


async def _picked(tx: db.Connection, studio: str, action_ids: Sequence[int]) -> list[actions.Due]:
    due = await actions.pick(tx, studio, action_ids)
    missing = set(action_ids) - {one.action.action_id for one in due}
    if missing:
        raise NotFound(f"there is no action {', '.join(f'a-{one}' for one in sorted(missing))}")
    return due
