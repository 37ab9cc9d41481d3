"""What a person does with actions: process now, or drop for good. Skipping is leaving them where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from control_center.domain.action import PENDING, Action, Change, Plan, State
from control_center.domain.errors import NotFound
from control_center.engine.release import Release, Released, tell
from control_center.store import actions, db
from control_center.store.rulebooks import Rulebooks


async def process(
    pool: db.Pool, clock: Callable[[], datetime], studio: str, action_ids: Sequence[int], *, by: str
) -> dict[int, tuple[State, str]]:
    """Run actions now, as `by` decided: window and weekdays do not apply, everything else is checked again.

    Returns the state and reason each has afterwards. Raises NotFound for an id that names none.
    """
    release = Release(pool, clock, Rulebooks())

    async def work(tx: db.Connection) -> tuple[Released, list[actions.Due]]:
        due = await _picked(tx, studio, action_ids)
        pending = [one for one in due if one.action.state in PENDING]
        return await release.apply(tx, pending, by=by), await _picked(tx, studio, action_ids)

    done, after = await db.retried(pool, work)
    tell(done)
    return {one.action.action_id: (one.action.state, one.action.reason) for one in after}


async def delete(
    pool: db.Pool, clock: Callable[[], datetime], studio: str, action_ids: Sequence[int], *, by: str
) -> dict[int, tuple[State, str]]:
    """Drop actions for good: the occurrence counts as handled and sends nothing. Raises NotFound."""

    async def work(tx: db.Connection) -> tuple[Released, list[actions.Due]]:
        due = await _picked(tx, studio, action_ids)
        pending = [one for one in due if one.action.state in PENDING]
        return await drop(tx, pending, by=by, now=clock()), await _picked(tx, studio, action_ids)

    done, after = await db.retried(pool, work)
    tell(done)
    return {one.action.action_id: (one.action.state, one.action.reason) for one in after}


async def drop(tx: db.Connection, pending: Sequence[actions.Due], *, by: str, now: datetime) -> Released:
    """Drop locked actions that wait; the reason says who did, and when."""
    reason = f"deleted by {by} at {now.isoformat(timespec='seconds')}"
    changes = [
        (one.studio, Change(one.action, replace(_as_is(one.action), state=State.DELETED, reason=reason)))
        for one in pending
    ]
    await actions.change(tx, changes)
    return Released(due=len(pending), changes=changes)


async def _picked(tx: db.Connection, studio: str, action_ids: Sequence[int]) -> list[actions.Due]:
    due = await actions.pick(tx, studio, action_ids)
    missing = set(action_ids) - {one.action.action_id for one in due}
    if missing:
        raise NotFound(f"there is no action {', '.join(f'a-{one}' for one in sorted(missing))}")
    return due


def _as_is(action: Action) -> Plan:
    return Plan(
        action.trigger_id,
        action.trigger_version,
        action.occurrence,
        action.state,
        action.activation_at,
        action.due_at,
        action.use_by,
        action.reason,
    )
