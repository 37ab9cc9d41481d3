"""Actions: one row for each (record, trigger, occurrence), and the verbs that move it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from control_center.domain.action import Action, Add, Change, State
from control_center.store.db import Connection
from control_center.store.records import Key

_COLUMNS = """actions.action_id, actions.trigger_id, actions.trigger_version, actions.occurrence, actions.state,
       actions.activation_at, actions.due_at, actions.use_by, actions.reason, actions.released_at"""

# Record by record along the key, whatever the planner believes of the tables: OFFSET 0 keeps it from joining them.
# What was released counts as said only where a message may have left, by itself, with what it rides with, or behind the
# fence. What is stopped, or will be as its record has moved, has told nobody: nothing of a record that is held passes.
OF_RECORDS = f"""
SELECT actions.studio_id, actions.kind, actions.record_id, {_COLUMNS},
       CASE WHEN actions.state = 'released' THEN (
       SELECT (bool_and(state IN ('queued', 'claimed', 'failed', 'cancelled', 'suppressed', 'expired')
                        OR state = 'held' AND rides_with IS NULL)::integer
               + bool_and(state = 'cancelled' AND asked = 0)::integer)
              * bool_and(forgotten IS DISTINCT FROM 'perhaps')::integer
         FROM messages WHERE messages.studio_id = actions.studio_id AND messages.action_id = actions.action_id) END
  FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (studio_id, kind, record_id)
 CROSS JOIN LATERAL (
       SELECT * FROM actions
        WHERE actions.studio_id = wanted.studio_id AND actions.kind = wanted.kind
          AND actions.record_id = wanted.record_id OFFSET 0) AS actions
 ORDER BY actions.action_id"""


async def of_records(tx: Connection, keys: Iterable[Key]) -> dict[Key, list[Action]]:
    """Every action that these records ever had, by record, oldest first.

    `released_at` is None also where no message has left: nobody was told of that date. `unsent`: nor does any wait.
    """
    wanted = list(keys)
    rows = await tx.fetch(OF_RECORDS, *([key[n] for key in wanted] for n in range(3)))
    found: dict[Key, list[Action]] = {}
    for row in rows:
        known = _action(row[3:-1])
        action = replace(known, released_at=None, unsent=row[-1] == 2) if row[-1] else known
        found.setdefault((row[0], row[1], row[2]), []).append(action)
    return found


ADD = """
INSERT INTO actions (studio_id, kind, record_id, trigger_id, occurrence, trigger_version, state,
                     activation_at, due_at, use_by, reason, event_id, chain)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::integer[], $7::text[],
                     $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::text[], $13::text[])
    ON CONFLICT DO NOTHING"""


async def add(tx: Connection, added: Sequence[tuple[Key, Add, str | None]]) -> None:
    """New occurrences, each with its record and the event that made it. One that exists already stays as it is."""
    plans = [one.plan for _, one, _ in added]
    await tx.execute(
        ADD,
        [key[0] for key, _, _ in added],
        [key[1] for key, _, _ in added],
        [key[2] for key, _, _ in added],
        [plan.trigger_id for plan in plans],
        [plan.occurrence for plan in plans],
        [plan.trigger_version for plan in plans],
        [plan.state.value for plan in plans],
        [plan.activation_at for plan in plans],
        [plan.due_at for plan in plans],
        [plan.use_by for plan in plans],
        [plan.reason for plan in plans],
        [event_id for _, _, event_id in added],
        [" ".join(map(str, one.chain)) for _, one, _ in added],
    )


# IS NOT DISTINCT FROM and coalesce(): the state is a guard, and must not tempt the planner to an index on it.
# Whoever let it go past the blast guard let it go for its time: at another one it counts again.
CHANGE = """
UPDATE actions
   SET state = changed.state, trigger_version = changed.trigger_version, activation_at = changed.activation_at,
       due_at = changed.due_at, use_by = changed.use_by, reason = changed.reason, planned_at = clock_timestamp(),
       let_go_by = CASE WHEN (actions.activation_at, actions.use_by) = (changed.activation_at, changed.use_by)
                        THEN let_go_by END, released_at = NULL, released_by = NULL
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::integer[], $6::timestamptz[],
              $7::timestamptz[], $8::timestamptz[], $9::text[])
       AS changed (studio_id, action_id, leaves, state, trigger_version, activation_at, due_at, use_by, reason)
 WHERE actions.studio_id = changed.studio_id AND actions.action_id = changed.action_id
   AND actions.state IS NOT DISTINCT FROM changed.leaves
RETURNING actions.action_id"""


# What comes back is put onto its ladder when it is released again.
LEAVE_LADDER = """
DELETE FROM ladders USING unnest($1::text[], $2::bigint[]) AS back (studio_id, action_id)
 WHERE ladders.studio_id = back.studio_id AND ladders.action_id = back.action_id"""


async def change(tx: Connection, changes: Sequence[tuple[str, Change]]) -> set[int]:
    """Move actions, each with its studio, out of the state it was read in; returns the ids that still were in it."""
    rows = await tx.fetch(
        CHANGE,
        [studio for studio, _ in changes],
        [one.action.action_id for _, one in changes],
        [one.action.state.value for _, one in changes],
        [one.plan.state.value for _, one in changes],
        [one.plan.trigger_version for _, one in changes],
        [one.plan.activation_at for _, one in changes],
        [one.plan.due_at for _, one in changes],
        [one.plan.use_by for _, one in changes],
        [one.plan.reason for _, one in changes],
    )
    back = [(studio, one.action.action_id) for studio, one in changes if one.action.state is State.RELEASED]
    if back:
        await tx.execute(LEAVE_LADDER, [studio for studio, _ in back], [action_id for _, action_id in back])
    return {row[0] for row in rows}


@dataclass(frozen=True, slots=True)
class Due:
    """An action whose time has come, with its record."""

    studio: str
    kind: str
    record_id: str
    event_id: str | None
    let_go_by: str | None  # the person who let it go past the blast guard
    chain: tuple[int, ...]  # the triggers that led to it
    action: Action

    @property
    def key(self) -> Key:
        return (self.studio, self.kind, self.record_id)


DUE = f"""actions.studio_id, actions.kind, actions.record_id, actions.event_id, actions.let_go_by, actions.chain,
       {_COLUMNS}"""

CLAIM_DUE = f"""
SELECT {DUE}
  FROM actions
 WHERE state = 'planned' AND due_at <= $1 AND studio_id <> ALL ($2::text[])
 ORDER BY due_at, action_id
 LIMIT $3
   FOR UPDATE SKIP LOCKED"""


async def claim_due(tx: Connection, now: datetime, *, without: Sequence[str], limit: int) -> list[Due]:
    """Actions that are due, oldest first, locked until this transaction ends; `without` are studios switched off."""
    return [due_of(row) for row in await tx.fetch(CLAIM_DUE, now, list(without), limit)]


PICK = f"""
SELECT {DUE} FROM actions
 WHERE studio_id = $1 AND action_id = ANY ($2::bigint[]) ORDER BY due_at, action_id
   FOR UPDATE"""


async def pick(tx: Connection, studio: str, action_ids: Sequence[int]) -> list[Due]:
    """These actions whatever their state, locked, for a person who processes or deletes them."""
    return [due_of(row) for row in await tx.fetch(PICK, studio, list(action_ids))]


RELEASE = """
UPDATE actions
   SET state = 'released', released_at = $4, released_by = $5, reason = released.reason
  FROM unnest($1::text[], $2::bigint[], $3::text[]) AS released (studio_id, action_id, reason)
 WHERE actions.studio_id = released.studio_id AND actions.action_id = released.action_id
   AND coalesce(actions.state, '') IN ('planned', 'review', 'held')"""


async def release(tx: Connection, released: Sequence[tuple[Due, str]], *, now: datetime, by: str | None) -> None:
    """Their messages and commands exist now. `by` is the person who processed them, if one did."""
    await tx.execute(
        RELEASE,
        [due.studio for due, _ in released],
        [due.action.action_id for due, _ in released],
        [reason for _, reason in released],
        now,
        by,
    )


LET_GO = """
UPDATE actions
   SET state = 'planned', let_go_by = $3, reason = $4
 WHERE studio_id = $1 AND action_id = ANY ($2::bigint[]) AND coalesce(state, '') = 'held'"""


async def let_go(tx: Connection, studio: str, action_ids: Sequence[int], *, by: str, reason: str) -> None:
    """What was held is due again, past the blast guard, because `by` says so."""
    await tx.execute(LET_GO, studio, list(action_ids), by, reason)


OF_TRIGGER = f"""
SELECT {DUE} FROM actions
 WHERE studio_id = $1 AND trigger_id = $2 AND state = ANY ($3::text[]) AND action_id > $4
 ORDER BY action_id
 LIMIT $5
   FOR UPDATE"""


async def of_trigger(
    tx: Connection, studio: str, trigger_id: int, *, states: Iterable[State], after: int, limit: int
) -> list[Due]:
    """A page of what a trigger has, locked."""
    names = [state.value for state in states]
    return [due_of(row) for row in await tx.fetch(OF_TRIGGER, studio, trigger_id, names, after, limit)]


STAMP = """
UPDATE actions
   SET trigger_version = $3
 WHERE studio_id = $1 AND trigger_id = $2 AND state IN ('planned', 'review', 'held') AND trigger_version <> ALL (
       SELECT version FROM trigger_versions WHERE studio_id = $1 AND trigger_id = $2 AND kept)"""


async def stamp(tx: Connection, studio: str, trigger_id: int, version: int) -> None:
    """Let what waits name the version that it goes by, save for what an earlier one was kept for."""
    await tx.execute(STAMP, studio, trigger_id, version)


COUNT_OF_TRIGGER = """
SELECT count(*) FROM actions WHERE studio_id = $1 AND trigger_id = $2 AND state = ANY ($3::text[])"""


async def count_of_trigger(tx: Connection, studio: str, trigger_id: int, *, states: Iterable[State]) -> int:
    """How many actions a trigger has in these states."""
    count: int = await tx.fetchval(COUNT_OF_TRIGGER, studio, trigger_id, [state.value for state in states])
    return count


COUNT_DUE = """
SELECT count(*) FROM actions WHERE studio_id = $1 AND trigger_id = $2 AND state = 'planned' AND due_at <= $3"""


async def count_due(tx: Connection, studio: str, trigger_id: int, now: datetime) -> int:
    """How many actions of a trigger are due."""
    count: int = await tx.fetchval(COUNT_DUE, studio, trigger_id, now)
    return count


WAITING = f"""
SELECT {DUE} FROM actions
 WHERE studio_id = $1 AND state = $2 AND due_at <= $3 AND (due_at, action_id) > ($4, $5)
   AND ($6::bigint IS NULL OR trigger_id = $6)
 ORDER BY due_at, action_id
 LIMIT $7"""


async def waiting(
    tx: Connection,
    studio: str,
    state: State,
    *,
    until: datetime,
    after: tuple[datetime, int],
    trigger_id: int | None,
    limit: int,
) -> list[Due]:
    """A page of what is looked at by `until` in this state, by time; nothing is locked."""
    return [due_of(row) for row in await tx.fetch(WAITING, studio, state.value, until, *after, trigger_id, limit)]


COUNT_WAITING = """
SELECT count(*) FROM actions
 WHERE studio_id = $1 AND state IN ('planned', 'review', 'held') AND due_at <= $2
   AND ($3::bigint IS NULL OR trigger_id = $3)"""


async def count_waiting(tx: Connection, studio: str, *, until: datetime, trigger_id: int | None) -> int:
    """How many actions `waiting` has, in all of its states."""
    count: int = await tx.fetchval(COUNT_WAITING, studio, until, trigger_id)
    return count


# Not min(due_at): where there is one studio, a plan for any $1 expects none to be left, and reads all that waits.
NEXT_DUE = """
SELECT due_at FROM actions WHERE state = 'planned' AND studio_id <> ALL ($1::text[]) ORDER BY due_at LIMIT 1"""


async def next_due(tx: Connection, *, without: Sequence[str]) -> datetime | None:
    """When release has something to do next."""
    found: datetime | None = await tx.fetchval(NEXT_DUE, list(without))
    return found


def due_of(row: Any) -> Due:
    """A row of the columns DUE."""
    return Due(row[0], row[1], row[2], row[3], row[4], tuple(map(int, row[5].split())), _action(row[6:]))


def _action(row: Any) -> Action:
    action_id, trigger_id, version, occurrence, state, activation_at, due_at, use_by, reason, released_at = row
    return Action(
        action_id, trigger_id, version, occurrence, State(state), activation_at, due_at, use_by, reason, released_at
    )
