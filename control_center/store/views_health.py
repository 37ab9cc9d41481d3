"""How the work flows, for the metrics: what waits and since when, and how providers answered lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from control_center.store.db import Connection

ALIVE = "SELECT 1"


async def alive(tx: Connection) -> None:
    """Ask the database for nothing. Raises one of `db.AWAY`."""
    await tx.fetchval(ALIVE)


OLDEST_DUE_ACTION = """
SELECT min(due_at) FROM actions
 WHERE state = 'planned' AND due_at <= $1
   AND studio_id NOT IN (SELECT studio_id FROM studios WHERE NOT enabled)"""


async def oldest_due_action(tx: Connection, now: datetime) -> datetime | None:
    """Since when the action has been due that release has yet to take longest."""
    found: datetime | None = await tx.fetchval(OLDEST_DUE_ACTION, now)
    return found


QUEUED = """
SELECT account, count(*), min(due_at) FROM messages
 WHERE state = 'queued' AND due_at <= clock_timestamp() GROUP BY account"""


async def queued(tx: Connection) -> list[tuple[str, int, datetime]]:
    """By account: how many messages wait for a worker now, and since when the oldest does."""
    return [tuple(row) for row in await tx.fetch(QUEUED)]


HELD = "SELECT account, count(*) FROM messages WHERE state = 'held' GROUP BY account"


async def held(tx: Connection) -> list[tuple[str, int]]:
    """By account: how many messages are held."""
    return [tuple(row) for row in await tx.fetch(HELD)]


GUARDED = """
SELECT guards.studio_id, coalesce(triggers.name, guards.trigger_id::text), held.number
  FROM release_guards AS guards
  LEFT JOIN triggers ON triggers.studio_id = guards.studio_id AND triggers.trigger_id = guards.trigger_id
 CROSS JOIN LATERAL (
       SELECT count(*) AS number FROM actions
        WHERE actions.studio_id = guards.studio_id AND actions.trigger_id = guards.trigger_id
          AND state = 'held') AS held
 WHERE guards.held_since IS NOT NULL"""


async def guarded(tx: Connection) -> list[tuple[str, str, int]]:
    """By studio and trigger whose blast guard is shut: how many of its actions are held."""
    return [tuple(row) for row in await tx.fetch(GUARDED)]


# Counting the rows of large tables at each look would cost more than the work; PostgreSQL counts inserts anyway.
INSERTED = """
SELECT relname::text, n_tup_ins FROM pg_stat_user_tables WHERE schemaname = 'public' AND relname = ANY ($1::text[])"""


async def inserted(tx: Connection, tables: Sequence[str]) -> dict[str, int]:
    """Rows ever inserted into each of these tables, since the database's statistics began."""
    return {row[0]: row[1] for row in await tx.fetch(INSERTED, list(tables))}


_LATEST = """
SELECT latest.* FROM (SELECT studio_id FROM studios LIMIT 100) AS known
 CROSS JOIN LATERAL (
       SELECT studio_id, message_id, account, state FROM messages
        WHERE messages.studio_id = known.studio_id ORDER BY message_id DESC LIMIT 200) AS latest"""

STATES = f"SELECT account, state, count(*) FROM ({_LATEST}) AS latest GROUP BY account, state"


async def states(tx: Connection) -> list[tuple[str, str, int]]:
    """By account and state: how many of the newest 200 messages of each studio are in it."""
    return [tuple(row) for row in await tx.fetch(STATES)]


@dataclass(frozen=True, slots=True)
class Answers:
    """How one provider account answered the newest messages: how many attempts, and how long they took."""

    account: str
    outcome: str
    attempts: int
    median: float
    slowest: float


ANSWERS = f"""
SELECT account, coalesce(outcome, 'none'), count(*),
       coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY took), 0)::float8, coalesce(max(took), 0)::float8
  FROM (SELECT account, outcome, extract(epoch FROM ended_at - started_at) AS took
          FROM ({_LATEST}) AS latest JOIN attempts USING (studio_id, message_id)) AS answered
 GROUP BY account, 2"""


async def answers(tx: Connection) -> list[Answers]:
    """By account and outcome: the attempts of the newest messages. Seconds."""
    return [Answers(*row) for row in await tx.fetch(ANSWERS)]


# Of this database: what another one's transactions may see is no concern of its tables. Without the rights of
# pg_monitor only the transactions of one's own role are shown.
OLDEST_TRANSACTION = """
SELECT extract(epoch FROM clock_timestamp() - xact_start)::float8, pid, application_name FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
   AND xact_start IS NOT NULL
 ORDER BY xact_start LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One that is open: for how many seconds, in which process of the server, and who it says it is."""

    seconds: float
    pid: int
    application: str


async def oldest_transaction(tx: Connection) -> Transaction | None:
    """What has been open longest, beside this one. What has died since it began cannot be cleaned away."""
    row = await tx.fetchrow(OLDEST_TRANSACTION)
    return None if row is None else Transaction(*row)
