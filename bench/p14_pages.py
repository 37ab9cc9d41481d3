"""What P14's statements touch, in a new database and after the year, and how large the year has become."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import asyncpg

from bench import history, seeds
from bench.context import Context
from bench.history import History
from control_center.domain.message import POISON, PRIORITIES
from control_center.store import (
    actions,
    commands,
    db,
    doubts,
    expiry,
    message_leases,
    messages,
    pruning,
    receipts,
    views_health,
)

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _asked(waiting: list[int]) -> dict[str, tuple[str, list[Any]]]:
    """The statements that run all day, with what they are asked."""
    at = datetime.now(UTC)
    whose = [f"SM{number}" for number in waiting]
    a_month = timedelta(days=30)
    return {
        "claim of messages": (
            messages.CLAIM_DUE,
            [seeds.ACCOUNT, list(PRIORITIES), [BEGINNING] * len(PRIORITIES), 100, uuid4(), timedelta(seconds=90)],
        ),
        "claim of actions": (actions.CLAIM_DUE, [at, [], 500]),
        "messages that expire": (expiry.EXPIRE_MESSAGES, [at, 500]),
        "actions that expire": (expiry.EXPIRE_ACTIONS, [at, at, 500]),
        "leases that ran out": (message_leases.RESCUE_EXPIRED_LEASES, [500, POISON]),
        "receipts' messages": (receipts.FIND, [waiting, whose, seeds.ACCOUNT]),
        "receipts that were early": (receipts.TAKE_OUT, [500]),
        "doubts": (doubts.UNDECIDED, [seeds.ACCOUNT, [], timedelta(minutes=2), timedelta(hours=24), 20]),
        "reports to publish": (commands.NEXT, [list(range(8)), 126, 500]),
        "events to forget": (pruning.EVENTS, [a_month, 500]),
        "reports to forget": (pruning.COMMANDS, [a_month, 500]),
        "unheard to forget": (pruning.REPORTS, [a_month, 500]),
        "metrics: what waits": (views_health.QUEUED, []),
        "metrics: states": (views_health.STATES, []),
        "metrics: answers": (views_health.ANSWERS, []),
        "metrics: reports": (commands.UNPUBLISHED, [10_000]),
    }


async def read(context: Context, lived: dict[str, str], past: History, round_: int) -> list[str]:
    """Pages of 8 KiB that each statement touches, and its milliseconds: in the new database, and after the year."""
    found: dict[str, list[str]] = {}
    for database in lived.values():
        connection = await asyncpg.connect(context.servers.postgres.dsn(database), server_settings=db.SETTINGS)
        await history.wait(connection, 200, past, round_=round_ * 1000)
        first = past.messages + 200 * round_ * 1000
        await connection.execute(_A_DOUBT, first + 200)
        for name, (statement, arguments) in _asked(list(range(first + 1, first + 51))).items():
            pages, took = await _explained(connection, statement, arguments)
            found.setdefault(name, []).append(f"{pages:,} in {took:.1f} ms")
        await connection.close()
    return ["pages that a statement touches, before and after the year:"] + [
        f"  {name}: {before}; {after}" for name, (before, after) in found.items()
    ]


_A_DOUBT: Final = """
WITH lost AS (
     UPDATE messages SET state = 'unknown', reason = 'sent: no answer', asked = 1
      WHERE studio_id = 'main' AND message_id = $1
  RETURNING studio_id, message_id)
INSERT INTO attempts (studio_id, message_id, number, key, lease_token, body, started_at)
SELECT studio_id, message_id, 1, 'm-' || message_id || '.1', 1, 'See you', now() - interval '5 minutes' FROM lost"""


async def _explained(connection: asyncpg.Connection, statement: str, arguments: list[Any]) -> tuple[int, float]:
    """What it touches the second time, when its plan and its pages are at hand. It changes nothing."""
    pages, took = 0, 0.0
    for _ in range(2):
        transaction = connection.transaction()
        await transaction.start()
        text = await connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *arguments, timeout=600
        )
        await transaction.rollback()
        root = json.loads(text)[0]
        pages = root["Plan"]["Shared Hit Blocks"] + root["Plan"]["Shared Read Blocks"]
        took = root["Execution Time"]
    return pages, took


SIZES: Final = """
SELECT relname::text, n_live_tup, pg_table_size(relid)::float8 / 1e6, pg_indexes_size(relid)::float8 / 1e6
  FROM pg_stat_user_tables WHERE pg_total_relation_size(relid) > 1000000
 ORDER BY pg_total_relation_size(relid) DESC"""
HOT: Final = """
SELECT relname::text, pg_relation_size(oid)::float8 / 1e6 FROM pg_class
 WHERE relname IN ('messages_due', 'messages_leased', 'messages_expiring', 'actions_due', 'commands_new')
 ORDER BY relname"""


async def sizes(context: Context, database: str) -> list[str]:
    connection = await asyncpg.connect(context.servers.postgres.dsn(database))
    tables = await connection.fetch(SIZES)
    hot = await connection.fetch(HOT)
    await connection.close()
    total = sum(table + indexes for _, _, table, indexes in tables)
    return [
        f"{total / 1000:,.1f} GB after the year: "
        + ", ".join(f"{name} {rows:,} rows {table:,.0f} + {indexes:,.0f} MB" for name, rows, table, indexes in tables),
        "indexes of what waits: " + ", ".join(f"{name} {size:.1f} MB" for name, size in hot),
    ]
