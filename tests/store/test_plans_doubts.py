"""What a provider is asked about is found without reading what its account has sent in years."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from control_center.embedded import Postgres
from control_center.store import db, doubts

SENT = 100_000
TO_EACH = 50

FILL = f"""
INSERT INTO studios (studio_id, name, timezone, country, numbers)
SELECT 'studio-' || n, 'Studio', 'America/Chicago', 'US', ARRAY['+1312555' || lpad(n::text, 4, '0')]
  FROM generate_series(1, 100) n;
INSERT INTO messages (studio_id, origin, purpose, action_id, channel, address, account, sender, recipient, kind,
                      record_id, trigger_id, trigger_version, state, due_at, use_by, asked, provider_id, sent_at)
SELECT 'studio-1', 'trigger', 'transactional', n, 'sms', '+1312' || n % ({SENT} / {TO_EACH}), 'sms/default',
       '+13125550001', '{{}}', 'session', n::text, 1, 1, CASE n WHEN 1 THEN 'unknown' ELSE 'delivered' END, now(),
       now(), 1, CASE WHEN n > 1 THEN 'SM' || n END, CASE WHEN n > 1 THEN now() END
  FROM generate_series(1, {SENT}) n;
INSERT INTO attempts (studio_id, message_id, number, key, lease_token, body, started_at)
SELECT studio_id, message_id, 1, 'm-' || message_id || '.1', 1, 'See you', now() - interval '5 minutes'
  FROM messages WHERE state = 'unknown';
ANALYZE messages; ANALYZE attempts; ANALYZE studios;
"""


@pytest.fixture(params=["planned each time", "planned for every value"])
async def years(
    request: pytest.FixtureRequest, postgres: Postgres, _template: str
) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A database whose one account has sent a hundred thousand texts, of which one is in doubt."""
    administrator = await asyncpg.connect(postgres.dsn("postgres"))
    await administrator.execute(f"CREATE DATABASE years_of_texts TEMPLATE {_template}")
    settings = db.SETTINGS if request.param == "planned each time" else db.HOT_SETTINGS
    connection = await asyncpg.connect(postgres.dsn("years_of_texts"), server_settings=settings)
    await connection.execute(FILL)
    yield connection
    await connection.close()
    await administrator.execute("DROP DATABASE years_of_texts WITH (FORCE)")
    await administrator.close()


async def test_the_texts_that_a_doubtful_one_is_told_from_are_read_by_their_address(
    years: asyncpg.Connection[Any],
) -> None:
    types = "(text, bigint[], interval, interval, bigint)"
    await years.execute(f"PREPARE tested {types} AS {doubts.UNDECIDED}")
    run = "EXECUTE tested ('sms/default', '{}', '2 minutes', '24 hours', 20)"
    (found,) = await years.fetch(run)
    plan = json.loads(await years.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {run}"))[0]["Plan"]

    assert len(found["known"]) == TO_EACH - 1
    # A page or two for each text to this address, and not one for what went to others.
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 10 * TO_EACH
