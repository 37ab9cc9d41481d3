"""An action: one (record, trigger, occurrence), a decision waiting for its time.

planned ──▶ released            its messages and commands exist
   │ ▲ └──▶ review ──▶ released a person processes it
   │ │       held  ──▶ released a person releases it
   │ └────── lapsed             no longer qualified; returns when it qualifies again before its use-by
   ├──────▶ expired             ended without a send; returns only when its date moves to a later one
   └──────▶ deleted             a person dropped it
baselined                       was past when the trigger was saved or the record first seen
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class State(str, Enum):
    """The states of contract part 5; what each means stands beside the column in schema.sql."""

    PLANNED = "planned"
    REVIEW = "review"
    HELD = "held"
    RELEASED = "released"
    LAPSED = "lapsed"
    EXPIRED = "expired"
    DELETED = "deleted"
    BASELINED = "baselined"


PENDING = frozenset({State.PLANNED, State.REVIEW, State.HELD})
HANDLED = frozenset({State.RELEASED, State.EXPIRED, State.DELETED, State.BASELINED})  # not queued again for that time

# BASELINED: an edit changed whom the trigger matches, and the new activation is already past.
_ENDS = frozenset({State.RELEASED, State.LAPSED, State.EXPIRED, State.DELETED, State.BASELINED})

# Every move that is allowed, each a named verb guarded by the state it leaves; store.actions has no other.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.PLANNED: _ENDS | {State.PLANNED, State.REVIEW, State.HELD},
    State.REVIEW: _ENDS | {State.PLANNED, State.REVIEW, State.HELD},
    State.HELD: _ENDS | {State.PLANNED, State.HELD},
    State.LAPSED: frozenset({State.PLANNED, State.HELD, State.BASELINED}),
    State.BASELINED: frozenset({State.PLANNED}),
    # Only while every message of it was stopped before anybody was asked to take it.
    State.RELEASED: frozenset({State.PLANNED, State.HELD, State.BASELINED}),
    State.EXPIRED: frozenset({State.PLANNED, State.HELD}),  # by a date that was wrong, and is put right
    State.DELETED: frozenset(),
}

# Why a baselined action is baselined: only the first is undone when an older version proves it wrong.
BEFORE_US = "before us: it was already past when we first heard of this record"
BEFORE_TRIGGER = "before the trigger: it was already past when the trigger was switched on"
IN_SNAPSHOT = "snapshot: history that was loaded, not news"
# Why a held action is held that goes on by itself when its trigger is switched on again.
RECORDED = "shadow:"  # how the reason of a released action begins of which nothing left: it was only recorded
PAUSED = "paused: its trigger is switched off and holds what waits"


@dataclass(frozen=True, slots=True)
class Action:
    """One row of `actions`, as deciding needs it."""

    action_id: int
    trigger_id: int
    trigger_version: int
    occurrence: str
    state: State
    activation_at: datetime
    due_at: datetime
    use_by: datetime
    reason: str
    released_at: datetime | None
    unsent: bool = False  # released, and every message of it was stopped before anybody was asked to take it

    @property
    def may_return(self) -> bool:
        """Whether nothing came of it, so that it goes on where its record qualifies again."""
        return self.state is State.LAPSED or self.unsent

    @property
    def recorded(self) -> bool:
        """Whether it was released in shadow mode, so that nobody was told anything."""
        return self.state is State.RELEASED and self.reason.startswith(RECORDED)

    @property
    def times(self) -> tuple[datetime, datetime]:
        """What a plan is compared by; `due_at` follows from the first with the calendar."""
        return self.activation_at, self.use_by

    def turned(self, state: State, reason: str) -> Plan:
        """The same action in another state, its times untouched."""
        return Plan(
            trigger_id=self.trigger_id,
            trigger_version=self.trigger_version,
            occurrence=self.occurrence,
            state=state,
            activation_at=self.activation_at,
            due_at=self.due_at,
            use_by=self.use_by,
            reason=reason,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What an action is to be: a new row, or the new content of one that exists."""

    trigger_id: int
    trigger_version: int
    occurrence: str
    state: State
    activation_at: datetime
    due_at: datetime
    use_by: datetime
    reason: str

    @property
    def times(self) -> tuple[datetime, datetime]:
        return self.activation_at, self.use_by


@dataclass(frozen=True, slots=True)
class Add:
    """A new occurrence. `chain` are the ids of the triggers that led to it, the first of them first."""

    plan: Plan
    chain: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """An existing action moves from `action.state` to `plan.state`, possibly with other times."""

    action: Action
    plan: Plan
