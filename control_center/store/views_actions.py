"""Actions as people and the API see them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from control_center.domain.action import State
from control_center.store.db import Connection
from control_center.store.pages import Page, after, page


class Action(msgspec.Struct, frozen=True):
    """One action of contract part 5. `trigger` is its trigger's name, null once that was deleted.

    `released_by` is who processed it by hand, `let_go_by` who let it go past the blast guard.
    """

    id: str
    state: str
    trigger: str | None
    trigger_id: int
    trigger_version: int
    record: str
    occurrence: str
    activation_at: datetime
    due_at: datetime
    use_by: datetime
    reason: str
    event_id: str | None
    released_at: datetime | None
    released_by: str | None
    let_go_by: str | None
    created_at: datetime

    @property
    def number(self) -> int:
        return int(self.id.removeprefix("a-"))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which actions; None means any. Due from `due_from`, before `due_before`."""

    states: Sequence[State] | None = None
    trigger: str | None = None
    record: tuple[str, str] | None = None  # kind, record id
    due_from: datetime | None = None
    due_before: datetime | None = None
    event_id: str | None = None

    @property
    def narrows_within(self) -> bool:
        """Whether it leaves out some actions of a trigger by something else than their state."""
        return any((self.record, self.due_from, self.due_before, self.event_id))

    def of(self, states: Iterable[State]) -> Filter:
        """The same, of these states only."""
        return replace(self, states=sorted(states))


TABLES = """
  FROM actions
  LEFT JOIN triggers ON triggers.studio_id = actions.studio_id AND triggers.trigger_id = actions.trigger_id"""

_ACTIONS = f"""
SELECT action_id, state, triggers.name, actions.trigger_id, trigger_version, actions.kind, record_id, occurrence,
       activation_at, due_at, use_by, reason, event_id, released_at, released_by, let_go_by,
       created_at{TABLES}"""

WANTED = """
 WHERE actions.studio_id = $1
   AND ($2::text[] IS NULL OR state = ANY ($2))
   AND ($3::text IS NULL OR triggers.name = $3)
   AND ($4::text IS NULL OR (actions.kind = $4 AND record_id = $5::text))
   AND ($6::timestamptz IS NULL OR due_at >= $6)
   AND ($7::timestamptz IS NULL OR due_at < $7)
   AND ($8::text IS NULL OR event_id = $8)"""

ACTIONS = f"""{_ACTIONS}{WANTED}
   AND ($9::bigint IS NULL OR action_id < $9)
 ORDER BY action_id DESC
 LIMIT $10"""


async def actions(
    tx: Connection, studio: str, wanted: Filter = Filter(), *, cursor: str | None = None, limit: int = 50
) -> Page[Action]:
    """A page of a studio's actions, newest first. Raises Malformed for a cursor that is none."""
    before = after(cursor, tuple[int])
    rows = await tx.fetch(ACTIONS, studio, *arguments(wanted), before and before[0], limit + 1)
    return page([_action(row) for row in rows], limit, lambda one: [one.number])


ACTIONS_BY_DUE = f"""{_ACTIONS}{WANTED}
   AND ($9::timestamptz IS NULL OR (due_at, action_id) > ($9, $10::bigint))
 ORDER BY due_at, action_id
 LIMIT $11"""


async def by_due(
    tx: Connection, studio: str, wanted: Filter = Filter(), *, cursor: str | None = None, limit: int = 50
) -> Page[Action]:
    """The same, by the time they are due, soonest first. One that is moved meanwhile may come twice or not at all."""
    last = after(cursor, tuple[datetime, int]) or (None, None)
    rows = await tx.fetch(ACTIONS_BY_DUE, studio, *arguments(wanted), *last, limit + 1)
    return page([_action(row) for row in rows], limit, lambda one: [one.due_at, one.number])


ACTIONS_BY_ID = f"""{_ACTIONS}
 WHERE actions.studio_id = $1 AND action_id = ANY ($2::bigint[])
 ORDER BY action_id"""


async def by_id(tx: Connection, studio: str, action_ids: Sequence[int]) -> list[Action]:
    """These actions; unknown ones are left out."""
    return [_action(row) for row in await tx.fetch(ACTIONS_BY_ID, studio, list(action_ids))]


async def action(tx: Connection, studio: str, action_id: int) -> Action | None:
    found = await by_id(tx, studio, [action_id])
    return found[0] if found else None


COUNTS = f"""
SELECT state, count(*){TABLES}{WANTED}
 GROUP BY state
 ORDER BY state"""


async def counts(tx: Connection, studio: str, wanted: Filter = Filter()) -> dict[str, int]:
    """How many actions a list has, by state; states without any are left out."""
    return {row[0]: row[1] for row in await tx.fetch(COUNTS, studio, *arguments(wanted))}


LISTED = f"""
SELECT action_id, state{TABLES}{WANTED}
 ORDER BY due_at, action_id
 LIMIT $9"""


async def listed(tx: Connection, studio: str, wanted: Filter, *, limit: int) -> list[tuple[int, str]]:
    """Number and state of what a list has, soonest due first, up to `limit`."""
    return [(row[0], row[1]) for row in await tx.fetch(LISTED, studio, *arguments(wanted), limit)]


STILL_LISTED = f"""
SELECT action_id{TABLES}{WANTED}
   AND action_id = ANY ($9::bigint[])"""


async def still_listed(tx: Connection, studio: str, wanted: Filter, action_ids: Sequence[int]) -> set[int]:
    """Which of these actions a list has now."""
    return {row[0] for row in await tx.fetch(STILL_LISTED, studio, *arguments(wanted), list(action_ids))}


def arguments(wanted: Filter) -> tuple[Any, ...]:
    """What WANTED asks for, behind the studio."""
    kind, record_id = wanted.record or (None, None)
    return (
        None if wanted.states is None else [state.value for state in wanted.states],
        wanted.trigger,
        kind,
        record_id,
        wanted.due_from,
        wanted.due_before,
        wanted.event_id,
    )


def _action(row: Any) -> Action:
    return Action(
        id=f"a-{row[0]}",
        state=row[1],
        trigger=row[2],
        trigger_id=row[3],
        trigger_version=row[4],
        record=f"{row[5]}/{row[6]}",
        occurrence=row[7],
        activation_at=row[8],
        due_at=row[9],
        use_by=row[10],
        reason=row[11],
        event_id=row[12],
        released_at=row[13],
        released_by=row[14],
        let_go_by=row[15],
        created_at=row[16],
    )
