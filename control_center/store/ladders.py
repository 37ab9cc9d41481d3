"""Ladders: one row for each released action that may still be taken further, with the rung that is next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from control_center.domain.catalogue_actions import Leg
from control_center.domain.ladder import Sent
from control_center.domain.message import State
from control_center.domain.people import Recipient
from control_center.store.actions import DUE, Due, due_of
from control_center.store.db import Connection


@dataclass(frozen=True, slots=True)
class Place:
    """Where an action stands on its ladder: the next rung, from 0, and when it is looked at."""

    studio: str
    action_id: int
    rung: int
    due_at: datetime
    reason: str = ""


ADD = """
INSERT INTO ladders (studio_id, action_id, rung, due_at)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::timestamptz[])
    ON CONFLICT DO NOTHING"""


async def add(tx: Connection, places: Sequence[Place]) -> None:
    """Put actions onto their ladders, in the transaction that releases them."""
    await tx.execute(
        ADD,
        [one.studio for one in places],
        [one.action_id for one in places],
        [one.rung for one in places],
        [one.due_at for one in places],
    )


@dataclass(frozen=True, slots=True)
class Climber:
    """An action whose rung has come, and the person who processed it, if one did."""

    due: Due
    rung: int
    released_by: str | None


CLAIM_DUE = f"""
WITH come AS MATERIALIZED (
     SELECT studio_id, action_id, rung, due_at FROM ladders
      WHERE due_at <= $1 AND studio_id <> ALL ($2::text[])
      ORDER BY due_at, action_id LIMIT $3 FOR UPDATE SKIP LOCKED)
SELECT come.rung, actions.released_by, {DUE}
  FROM come
 CROSS JOIN LATERAL (
       SELECT * FROM actions
        WHERE actions.studio_id = come.studio_id AND actions.action_id = come.action_id OFFSET 0) AS actions
 ORDER BY come.due_at, come.action_id"""


async def claim_due(tx: Connection, now: datetime, *, without: Sequence[str], limit: int) -> list[Climber]:
    """Ladders that are due, oldest first, locked until this transaction ends; `without` are studios switched off."""
    rows = await tx.fetch(CLAIM_DUE, now, list(without), limit)
    return [Climber(due_of(row[2:]), row[0], row[1]) for row in rows]


OF_STUDIO = f"""
SELECT ladders.rung, actions.released_by, {DUE}
  FROM ladders
  JOIN actions ON actions.studio_id = ladders.studio_id AND actions.action_id = ladders.action_id
 WHERE ladders.studio_id = $1 AND ladders.due_at <= $2 AND ladders.action_id > $4
   AND ($3::bigint IS NULL OR actions.trigger_id = $3)
 ORDER BY ladders.action_id LIMIT $5"""


async def of_studio(
    tx: Connection, studio: str, *, until: datetime, trigger_id: int | None, after: int, limit: int
) -> list[Climber]:
    """A page of a studio's ladders that are looked at by `until`, of one trigger or of all; nothing is locked."""
    rows = await tx.fetch(OF_STUDIO, studio, until, trigger_id, after, limit)
    return [Climber(due_of(row[2:]), row[0], row[1]) for row in rows]


OF_TRIGGER = f"""
SELECT ladders.rung, actions.released_by, {DUE}
  FROM ladders
  JOIN actions ON actions.studio_id = ladders.studio_id AND actions.action_id = ladders.action_id
 WHERE ladders.studio_id = $1 AND actions.trigger_id = $2 AND ladders.action_id > $3
 ORDER BY ladders.action_id LIMIT $4
   FOR UPDATE OF ladders"""


async def of_trigger(tx: Connection, studio: str, trigger_id: int, *, after: int, limit: int) -> list[Climber]:
    """A page of a trigger's ladders, locked until this transaction ends."""
    return [
        Climber(due_of(row[2:]), row[0], row[1]) for row in await tx.fetch(OF_TRIGGER, studio, trigger_id, after, limit)
    ]


# What ended while nobody knew whether it had gone has not been proven to come to nothing by that.
SENT = """
SELECT messages.studio_id, messages.action_id, channel, address, recipient,
       CASE WHEN forgotten = 'perhaps' AND state NOT IN ('accepted', 'delivered', 'undelivered') THEN 'unknown'
            ELSE state END
  FROM unnest($1::text[], $2::bigint[]) AS wanted (studio_id, action_id)
 CROSS JOIN LATERAL (
       SELECT * FROM messages
        WHERE messages.studio_id = wanted.studio_id AND messages.action_id = wanted.action_id OFFSET 0) AS messages"""


async def sent(tx: Connection, wanted: Sequence[Due]) -> dict[tuple[str, int], list[Sent]]:
    """The messages of these actions, by studio and action, as they stand."""
    rows = await tx.fetch(SENT, [one.studio for one in wanted], [one.action.action_id for one in wanted])
    found: dict[tuple[str, int], list[Sent]] = {}
    for studio, action_id, channel, address, recipient, state in rows:
        role = msgspec.json.decode(recipient, type=Recipient).role
        found.setdefault((studio, action_id), []).append(Sent(Leg(channel), address, role, State(state)))
    return found


MOVE = """
UPDATE ladders SET rung = moved.rung, due_at = moved.due_at, reason = moved.reason
  FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::timestamptz[], $5::text[])
       AS moved (studio_id, action_id, rung, due_at, reason)
 WHERE ladders.studio_id = moved.studio_id AND ladders.action_id = moved.action_id"""


async def move(tx: Connection, places: Sequence[Place]) -> None:
    """They are looked at again, at this rung and time."""
    await tx.execute(
        MOVE,
        [one.studio for one in places],
        [one.action_id for one in places],
        [one.rung for one in places],
        [one.due_at for one in places],
        [one.reason for one in places],
    )


LOOK_AGAIN = "UPDATE ladders SET due_at = $2 WHERE studio_id = $1 AND due_at > $2"


async def look_again(tx: Connection, studio: str, now: datetime) -> None:
    """Look at all of a studio's now: whose time has not come is given the one that it has by now."""
    await tx.execute(LOOK_AGAIN, studio, now)


CLOSE = """
DELETE FROM ladders USING unnest($1::text[], $2::bigint[]) AS done (studio_id, action_id)
 WHERE ladders.studio_id = done.studio_id AND ladders.action_id = done.action_id"""


async def close(tx: Connection, done: Sequence[Due]) -> None:
    """There is nothing more to climb for."""
    await tx.execute(CLOSE, [one.studio for one in done], [one.action.action_id for one in done])


# Beside what the release said of the action: both are told wherever an action is shown.
NOTE = """
UPDATE actions SET reason = concat_ws('; ', nullif(actions.reason, ''), said.reason)
  FROM unnest($1::text[], $2::bigint[], $3::text[]) AS said (studio_id, action_id, reason)
 WHERE actions.studio_id = said.studio_id AND actions.action_id = said.action_id"""


async def note(tx: Connection, said: Sequence[tuple[Due, str]]) -> None:
    """Write down with the action what its ladder did, and why."""
    await tx.execute(
        NOTE,
        [due.studio for due, _ in said],
        [due.action.action_id for due, _ in said],
        [reason for _, reason in said],
    )


OF_ACTION = "SELECT rung, due_at, reason FROM ladders WHERE studio_id = $1 AND action_id = $2"


async def of_action(tx: Connection, studio: str, action_id: int) -> Place | None:
    """Where an action stands; None where it has no ladder, or has left it."""
    row = await tx.fetchrow(OF_ACTION, studio, action_id)
    return None if row is None else Place(studio, action_id, *row)
