"""A turn of the pump reads what it takes, however long the list is and however much was sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from control_center.embedded import Postgres
from control_center.store import bulk_release, bulks, db

LONG = 100_000
SENT = 50_000
BESIDES = 2_000  # texts that persons wrote, and that wait for something else

FILL = f"""
INSERT INTO studios (studio_id, name, timezone, country) VALUES ('main', 'Main', 'America/Chicago', 'US');
INSERT INTO bulks (studio_id, name, state, channel, purpose, audience, template, words, account, sender, start_at,
                   use_by, lasts, next_at, made_by, released_by, ended_at)
SELECT 'main', 'Offer', CASE WHEN n = 1 THEN 'running' ELSE 'done' END, 'sms', 'marketing', '{{}}', 'offer', '{{}}',
       'sms/default', '+13125550100', now(), now() + interval '1 day', interval '1 day',
       CASE WHEN n = 1 THEN now() END, 'Ada', 'Ada', CASE WHEN n > 1 THEN now() END
  FROM generate_series(1, 5000) n;
INSERT INTO messages (studio_id, origin, purpose, channel, address, account, sender, recipient, bulk_id, state, due_at,
                      use_by, sent_at)
SELECT 'main', 'bulk', 'marketing', 'sms', '+1312' || n, 'sms/default', '+13125550100', '{{}}', 1,
       CASE WHEN n > {SENT} - 5 THEN 'queued' ELSE 'accepted' END, now(), now() + interval '1 day', now()
  FROM generate_series(1, {SENT}) n;
INSERT INTO messages (studio_id, origin, purpose, channel, address, account, sender, recipient, state, reason, due_at,
                      use_by, made_by)
SELECT 'main', 'person', 'transactional', 'sms', '+1414' || n, 'sms/default', '+13125550100', '{{}}', 'held',
       'breaker: open', now(), now() + interval '1 day', 'Ada'
  FROM generate_series(1, {BESIDES}) n;
INSERT INTO bulk_recipients (studio_id, bulk_id, recipient_id, state, address, kind, record_id, client_id, due_at,
                             message_id)
SELECT 'main', 1, n, CASE WHEN n <= {SENT} THEN 'released' ELSE 'listed' END, '+1312' || n, 'client', 'c-' || n,
       'c-' || n, 'epoch', CASE WHEN n <= {SENT} THEN n END
  FROM generate_series(1, {LONG}) n;
ANALYZE;
"""


@pytest.fixture(scope="module")
async def crowded(postgres: Postgres, _template: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    administrator = await asyncpg.connect(postgres.dsn("postgres"))
    await administrator.execute(f"CREATE DATABASE crowded_by_bulk TEMPLATE {_template}")
    connection = await asyncpg.connect(postgres.dsn("crowded_by_bulk"), server_settings=db.SETTINGS)
    await connection.execute(FILL)
    yield connection
    await connection.close()
    await administrator.execute("DROP DATABASE crowded_by_bulk WITH (FORCE)")
    await administrator.close()


@pytest.mark.parametrize(
    ("statement", "arguments", "index"),
    [
        (bulk_release.CLAIM_DUE, (datetime.now(UTC), []), "bulks_due"),
        (bulk_release.NEXT_DUE, (), "bulks_due"),
        (bulk_release.TAKE, ("main", 1, datetime.now(UTC), 5), "bulk_recipients_listed"),
        (bulk_release.FIRST_DUE, ("main", 1), "bulk_recipients_listed"),
        (bulk_release.AHEAD, ("main", datetime.now(UTC)), "bulks_due"),
        (bulk_release.LISTED, ("main", 1, datetime(1, 1, 1, tzinfo=UTC), 0, 50), "bulk_recipients_listed"),
        (bulk_release.WAITING, ("main", "sms", timedelta(seconds=10)), "messages_of_bulk"),
        (bulk_release.UNDER_WAY, ("main", 1), "messages_of_bulk"),
        (bulks.HOLD, ("main", 1, datetime.now(UTC)), "messages_of_bulk"),
        (bulks.RECALL, ("main", 1, "cancelled by Ada"), "messages_of_bulk"),
    ],
)
async def test_a_turn_reads_what_it_takes(
    crowded: asyncpg.Connection[Any], statement: str, arguments: tuple[Any, ...], index: str
) -> None:
    done = await plan(crowded, statement, *arguments)

    found = nodes(done)
    assert {one["Index Name"] for one in found if "Index Name" in one} == {index}
    assert not [one for one in found if one["Node Type"] == "Seq Scan"]
    assert done["Shared Hit Blocks"] + done["Shared Read Blocks"] < 400


async def plan(connection: asyncpg.Connection[Any], statement: str, *arguments: Any) -> dict[str, Any]:
    """What PostgreSQL does for a statement, done and rolled back."""
    transaction = connection.transaction()
    await transaction.start()
    types = [one.name for one in (await connection.prepare(statement)).get_parameters()]
    declared = f"({', '.join(types)})" if types else ""
    await connection.execute(f"PREPARE tested {declared} AS {statement}")
    values = ", ".join(str(one) if isinstance(one, int) else "'{}'" if one == [] else f"'{one}'" for one in arguments)
    called = f"tested ({values})" if values else "tested"
    found = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {called}")
    await connection.execute("DEALLOCATE tested")
    await transaction.rollback()
    root: dict[str, Any] = json.loads(found)[0]["Plan"]
    return root


def nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(inner for child in node.get("Plans", ()) for inner in nodes(child))]
