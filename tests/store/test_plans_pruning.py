"""What is old is forgotten by its keys, also where a table was empty when anybody last looked at it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from control_center.embedded import Postgres
from control_center.store import db, pruning

ROWS = 20_000
LIMIT = 500

FILL = f"""
INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data, state, created_at, published_at)
SELECT 'main', 'm-' || n || ' message.sent', 'session/' || n, 'message.sent', n % 8, '{{}}',
       CASE WHEN n % 2 = 0 THEN 'published' ELSE 'unroutable' END, now() - interval '40 days',
       CASE WHEN n % 2 = 0 THEN now() - interval '40 days' END
  FROM generate_series(1, {ROWS}) n;
INSERT INTO receipts (studio_id, account, dedupe_key, key, fate, body, received_at)
SELECT '', 'sms/default', n::text, 'm-' || n || '.1', 'delivered', '{{}}', now() - interval '40 days'
  FROM generate_series(1, {ROWS}) n
"""


@pytest.fixture
async def refilled(postgres: Postgres, _template: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A database whose tables were full, then empty when their statistics were made, and are full again."""
    administrator = await asyncpg.connect(postgres.dsn("postgres"))
    await administrator.execute(f"CREATE DATABASE filled_again TEMPLATE {_template}")
    connection = await asyncpg.connect(postgres.dsn("filled_again"), server_settings=db.SETTINGS)
    await connection.execute(FILL)
    await connection.execute("DELETE FROM commands; DELETE FROM receipts")
    for table in ("commands", "receipts"):
        await connection.execute(f"VACUUM (ANALYZE) {table}")
    await connection.execute(FILL)
    # Whether it may gather rows from two indexes is a matter of cost, and turns over with the size of the table.
    await connection.execute("SET enable_indexscan = off")
    yield connection
    await connection.close()
    await administrator.execute("DROP DATABASE filled_again WITH (FORCE)")
    await administrator.close()


@pytest.mark.parametrize("statement", [pruning.COMMANDS, pruning.REPORTS, pruning.RECEIPTS])
async def test_each_row_that_is_forgotten_is_found_by_its_key(
    refilled: asyncpg.Connection[Any], statement: str
) -> None:
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
    done = json.loads(await refilled.fetchval(explain, timedelta(days=30), LIMIT))[0]["Plan"]
    left = await refilled.fetchrow("SELECT (SELECT count(*) FROM commands), (SELECT count(*) FROM receipts)")

    assert sum(left) == 2 * ROWS - LIMIT
    # The way down an index and its row, for each; not one walk through all of an index.
    assert done["Shared Hit Blocks"] + done["Shared Read Blocks"] < 20 * LIMIT


@pytest.mark.parametrize("statement", [pruning.COMMANDS, pruning.REPORTS])
async def test_where_nothing_is_old_enough_next_to_nothing_is_read(
    refilled: asyncpg.Connection[Any], statement: str
) -> None:
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
    done = json.loads(await refilled.fetchval(explain, timedelta(days=60), LIMIT))[0]["Plan"]

    assert done["Shared Hit Blocks"] + done["Shared Read Blocks"] < 20
