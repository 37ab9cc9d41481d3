"""The blast guard's memory: one row for each trigger, locked while a batch of it is released."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from control_center.domain.blast import HELD, Guard, recent
from control_center.store.db import Connection

Key = tuple[str, int]  # studio, trigger id

# The numbers stand in the row that is locked: read beside it, they would be those from before the wait for the lock.
LOCK = """
SELECT guards.studio_id, guards.trigger_id, recent, held_since, reason
  FROM unnest($1::text[], $2::bigint[]) AS wanted (studio_id, trigger_id)
 CROSS JOIN LATERAL (
       SELECT * FROM release_guards
        WHERE release_guards.studio_id = wanted.studio_id AND release_guards.trigger_id = wanted.trigger_id
       OFFSET 0 FOR UPDATE) AS guards"""

ADD = """
INSERT INTO release_guards (studio_id, trigger_id) SELECT * FROM unnest($1::text[], $2::bigint[])
    ON CONFLICT DO NOTHING"""


async def lock(tx: Connection, keys: Iterable[Key]) -> dict[Key, Guard]:
    """The guards of these triggers, theirs alone until the transaction ends, locked in one order."""
    wanted = sorted(set(keys))
    found = await _lock(tx, wanted)
    missing = [key for key in wanted if key not in found]
    if missing:
        await tx.execute(ADD, [key[0] for key in missing], [key[1] for key in missing])
        found |= await _lock(tx, missing)
    return found


async def _lock(tx: Connection, keys: Sequence[Key]) -> dict[Key, Guard]:
    rows = await tx.fetch(LOCK, [key[0] for key in keys], [key[1] for key in keys])
    return {(row[0], row[1]): Guard(recent(row[2]), row[3], row[4]) for row in rows}


SAVE = """
WITH counted AS (
     INSERT INTO release_counts (studio_id, trigger_id, hour, released)
     SELECT studio_id, trigger_id, date_trunc('hour', $7::timestamptz), released
       FROM unnest($1::text[], $2::bigint[], $6::integer[]) AS gone (studio_id, trigger_id, released)
      WHERE released > 0
         ON CONFLICT (studio_id, trigger_id, hour) DO UPDATE SET released = release_counts.released + excluded.released)
UPDATE release_guards
   SET recent = saved.recent, held_since = saved.held_since, reason = saved.reason
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[])
       AS saved (studio_id, trigger_id, recent, held_since, reason)
 WHERE release_guards.studio_id = saved.studio_id AND release_guards.trigger_id = saved.trigger_id"""


async def save(tx: Connection, guards: Mapping[Key, tuple[Guard, int]], now: datetime) -> None:
    """Write locked guards, each with how many go by it now; these count towards the trigger's hour, too."""
    await tx.execute(
        SAVE,
        [key[0] for key in guards],
        [key[1] for key in guards],
        [guard.recent.text for guard, _ in guards.values()],
        [guard.held_since for guard, _ in guards.values()],
        [guard.reason for guard, _ in guards.values()],
        [released for _, released in guards.values()],
        now,
    )


OPEN = """
UPDATE release_guards SET held_since = NULL, reason = '', recent = ''
 WHERE studio_id = $1 AND trigger_id = ANY ($2::bigint[]) AND held_since IS NOT NULL
   AND ($3::boolean OR NOT EXISTS (
       SELECT FROM actions
        WHERE actions.studio_id = release_guards.studio_id AND actions.trigger_id = release_guards.trigger_id
          AND actions.state = 'held' AND starts_with(actions.reason, $4)))
RETURNING coalesce((
       SELECT name FROM triggers WHERE triggers.studio_id = release_guards.studio_id
          AND triggers.trigger_id = release_guards.trigger_id), trigger_id::text)"""


async def open_again(tx: Connection, studio: str, triggers: Iterable[int], *, whatever_is_held: bool) -> list[str]:
    """Open guards that are shut, counting anew from here; returns their triggers' names.

    Unless `whatever_is_held`, a guard stays shut while it still holds an action: a person has yet to decide on it.
    """
    wanted = sorted(set(triggers))
    # Locked in a statement of its own: what a release holds meanwhile must be seen by the next.
    await _lock(tx, [(studio, trigger) for trigger in wanted])
    rows = await tx.fetch(OPEN, studio, wanted, whatever_is_held, HELD)
    return [row[0] for row in rows]


LOCK_SHUT = """
SELECT studio_id, trigger_id FROM release_guards WHERE held_since IS NOT NULL
 ORDER BY studio_id, trigger_id FOR UPDATE SKIP LOCKED"""


async def lock_shut(tx: Connection) -> list[Key]:
    """The guards that are shut, of every studio, locked; those that a release has at hand are left to it."""
    return [(row[0], row[1]) for row in await tx.fetch(LOCK_SHUT)]


OPEN_EMPTY = """
UPDATE release_guards SET held_since = NULL, reason = ''
  FROM unnest($1::text[], $2::bigint[]) AS wanted (studio_id, trigger_id)
 WHERE release_guards.studio_id = wanted.studio_id AND release_guards.trigger_id = wanted.trigger_id
   AND held_since IS NOT NULL AND NOT EXISTS (
       SELECT FROM actions
        WHERE actions.studio_id = release_guards.studio_id AND actions.trigger_id = release_guards.trigger_id
          AND actions.state = 'held' AND starts_with(actions.reason, $3))
RETURNING release_guards.studio_id, release_guards.trigger_id, coalesce((
       SELECT name FROM triggers WHERE triggers.studio_id = release_guards.studio_id
          AND triggers.trigger_id = release_guards.trigger_id), release_guards.trigger_id::text)"""


async def open_empty(tx: Connection, keys: Iterable[Key]) -> dict[Key, str]:
    """Open those of these locked guards that hold nothing any more, and say their triggers' names.

    What went lately still counts, since nobody was asked.
    """
    wanted = list(keys)
    rows = await tx.fetch(OPEN_EMPTY, [key[0] for key in wanted], [key[1] for key in wanted], HELD)
    return {(row[0], row[1]): row[2] for row in rows}


@dataclass(frozen=True, slots=True)
class Shut:
    """A guard that is shut."""

    trigger_id: int
    since: datetime
    reason: str


SHUT = """
SELECT trigger_id, held_since, reason FROM release_guards WHERE studio_id = $1 AND held_since IS NOT NULL"""


async def shut(tx: Connection, studio: str) -> dict[int, Shut]:
    """The guards of a studio that wait for a person, by trigger."""
    return {row[0]: Shut(*row) for row in await tx.fetch(SHUT, studio)}


OF_STUDIO = "SELECT trigger_id, recent, held_since, reason FROM release_guards WHERE studio_id = $1"


async def of_studio(tx: Connection, studio: str) -> dict[int, Guard]:
    """The guards of a studio as they are now, by trigger, for whoever only looks."""
    return {row[0]: Guard(recent(row[1]), row[2], row[3]) for row in await tx.fetch(OF_STUDIO, studio)}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A trigger of which so many actions wait for a person's word, and who saved its newest version."""

    trigger: str
    number: int
    saved_by: str


BLASTS = """
SELECT triggers.name, held.number, saved_by
  FROM triggers JOIN trigger_versions USING (studio_id, trigger_id, version)
 CROSS JOIN LATERAL (
       SELECT count(*) AS number, bool_or(action_id = ANY ($2::bigint[])) AS asked FROM actions
        WHERE actions.studio_id = triggers.studio_id AND actions.trigger_id = triggers.trigger_id
          AND actions.state = 'held' AND starts_with(actions.reason, $3)) AS held
 WHERE triggers.studio_id = $1 AND held.asked
 ORDER BY triggers.name"""


async def blasts(tx: Connection, studio: str, actions: Sequence[int]) -> list[Waiting]:
    """The triggers whose guard holds any of these actions, each with all that it holds."""
    return [Waiting(*row) for row in await tx.fetch(BLASTS, studio, list(actions), HELD)]


# What waits for its time counts only where it is asked for: it goes without anybody, if that does not come first.
TO_PROCESS = """
WITH asked AS MATERIALIZED (
     SELECT trigger_id, count(*) FILTER (WHERE NOT (state = 'review' OR starts_with(reason, $3))) AS others
       FROM actions
      WHERE studio_id = $1 AND action_id = ANY ($2::bigint[]) AND state IN ('planned', 'review', 'held')
      GROUP BY trigger_id)
SELECT triggers.name, waiting.number + asked.others, saved_by
  FROM asked
  JOIN triggers ON triggers.studio_id = $1 AND triggers.trigger_id = asked.trigger_id
  JOIN trigger_versions ON trigger_versions.studio_id = $1 AND trigger_versions.trigger_id = triggers.trigger_id
   AND trigger_versions.version = triggers.version
 CROSS JOIN LATERAL (
       SELECT count(*) AS number FROM actions
        WHERE actions.studio_id = triggers.studio_id AND actions.trigger_id = triggers.trigger_id
          AND (actions.state = 'review' OR actions.state = 'held' AND starts_with(actions.reason, $3))) AS waiting
 ORDER BY triggers.name"""


async def to_process(tx: Connection, studio: str, actions: Sequence[int]) -> list[Waiting]:
    """The triggers that any of these actions are of, each with all that waits there for a person."""
    return [Waiting(*row) for row in await tx.fetch(TO_PROCESS, studio, list(actions), HELD)]
