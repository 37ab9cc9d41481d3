"""What the audit trail says of actions that a person decided about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from control_center.domain.action import State
from control_center.engine.released import Released
from control_center.store.actions import Due
from control_center.store.audit import Entry


def entries(waiting: Iterable[Due], done: Released) -> Iterator[Entry]:
    """One entry for each of these actions: how it waited, and what `done` says that it has become."""
    became = {change.action.action_id: (change.plan.state, change.plan.reason) for _, change in done.changes}
    became |= {one.action.action_id: (State.RELEASED, reason) for one, reason in done.released}
    for one in waiting:
        before = (one.action.state, one.action.reason)
        after = became.get(one.action.action_id, before)
        yield Entry(one.studio, "decide", f"action/a-{one.action.action_id}", _shown(*before), _shown(*after))


def _shown(state: State, reason: str) -> dict[str, str]:
    return {"state": state.value, "reason": reason}
