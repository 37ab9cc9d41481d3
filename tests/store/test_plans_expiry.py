"""What nobody can use any more is found by its use-by, however much waits or was sent long ago."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from control_center.embedded import Postgres
from control_center.store import db, expiry

WAITING = 100_000
LATE = 20

FILL = """
INSERT INTO studios (studio_id, name, timezone, country) VALUES ('main', 'Main', 'America/Chicago', 'US');
INSERT INTO messages (studio_id, origin, purpose, action_id, channel, address, account, sender, recipient, kind,
                      record_id, trigger_id, trigger_version, state, due_at, use_by, sent_at)
SELECT 'main', 'trigger', 'transactional', n, 'sms', '+1312' || n, 'sms/default', '', '{{}}', 'session', n::text, 1, 1,
       CASE WHEN n % 10 = 0 THEN 'held' WHEN n % 10 < 6 THEN 'queued' ELSE 'delivered' END,
       now() + n * interval '1 second',
       CASE WHEN n % 10 >= 6 OR n % ({waiting} / {late}) = 5 THEN now() - interval '1 hour'
            ELSE now() + interval '1 year' END,
       CASE WHEN n % 10 >= 6 THEN now() END
  FROM generate_series(1, {waiting}) n;
ANALYZE messages;
"""


@pytest.fixture(scope="module", params=["as the product plans", "with every way open"])
async def crowded(
    request: pytest.FixtureRequest, postgres: Postgres, _template: str
) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A database in which a hundred thousand messages wait or were sent, and a few of them have waited too long."""
    administrator = await asyncpg.connect(postgres.dsn("postgres"))
    await administrator.execute(f"CREATE DATABASE crowded_by_late_ones TEMPLATE {_template}")
    settings = db.SETTINGS if request.param == "as the product plans" else {"plan_cache_mode": "force_custom_plan"}
    connection = await asyncpg.connect(postgres.dsn("crowded_by_late_ones"), server_settings=settings)
    await connection.execute(FILL.format(waiting=WAITING, late=LATE))
    yield connection
    await connection.close()
    await administrator.execute("DROP DATABASE crowded_by_late_ones WITH (FORCE)")
    await administrator.close()


async def plan(connection: asyncpg.Connection[Any], *, limit: int) -> dict[str, Any]:
    """What PostgreSQL does for EXPIRE_MESSAGES, done and rolled back."""
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(f"PREPARE tested (timestamptz, bigint) AS {expiry.EXPIRE_MESSAGES}")
    now = datetime.now(UTC)
    found = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE tested ('{now}', {limit})")
    await connection.execute("DEALLOCATE tested")
    await transaction.rollback()
    root: dict[str, Any] = json.loads(found)[0]["Plan"]
    return root


def nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(inner for child in node.get("Plans", ()) for inner in nodes(child))]


@pytest.mark.parametrize("limit", [5, 500])
async def test_expiring_messages_reads_only_those_whose_use_by_is_past(
    crowded: asyncpg.Connection[Any], limit: int
) -> None:
    done = await plan(crowded, limit=limit)

    found = nodes(done)
    assert done["Actual Rows"] == min(limit, LATE)
    indexes = {one["Index Name"] for one in found if "Index Name" in one}
    assert "messages_expiring" in indexes
    assert indexes <= {"messages_expiring", "messages_pkey", "messages_by_number"}  # to them by their keys
    assert not [one for one in found if one["Node Type"] in ("Seq Scan", "Bitmap Heap Scan")]
    assert not [one for one in found if one.get("Rows Removed by Filter")]
    assert done["Shared Hit Blocks"] + done["Shared Read Blocks"] < 60 * LATE
