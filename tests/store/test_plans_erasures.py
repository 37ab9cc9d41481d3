"""To erase one client costs what that client has left, however much there is of others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from control_center.embedded import Postgres
from control_center.store import db, erasures
from tests.store.test_plans_bulk import nodes, plan

MANY = 40_000
LARGE = frozenset(
    {"records", "messages", "attempts", "receipts", "answers", "actions", "conversations", "bulk_recipients"}
)

FILL = f"""
INSERT INTO studios (studio_id, name, timezone, country) VALUES ('main', 'Main', 'America/Chicago', 'US');
INSERT INTO records (studio_id, kind, record_id, version, client_id, body, reach, first_version)
SELECT 'main', 'client', 'c-' || n, 1, NULL, '{{}}', ARRAY['+1312' || n], 1 FROM generate_series(1, {MANY}) n
 UNION ALL SELECT 'main', 'session', 's-' || n, 1, 'c-' || n, '{{}}', NULL, 1 FROM generate_series(1, {MANY}) n;
INSERT INTO actions (studio_id, kind, record_id, trigger_id, occurrence, trigger_version, state, activation_at, due_at,
                     use_by, released_at, reason)
SELECT 'main', 'session', 's-' || n, 1, 'x', 1, 'released', now(), now(), now(), now(), 'so'
  FROM generate_series(1, {MANY}) n;
INSERT INTO messages (studio_id, origin, purpose, channel, address, account, sender, recipient, kind, record_id,
                      client_id, state, due_at, use_by, sent_at)
SELECT 'main', 'person', 'transactional', 'sms', '+1312' || n, 'sms/default', '+13125550100', '{{}}', 'session',
       's-' || n, CASE WHEN n % 10 > 0 THEN 'c-' || n END, 'accepted', now(), now(), now()
  FROM generate_series(1, {MANY}) n;
INSERT INTO attempts (studio_id, message_id, number, key, lease_token, body, started_at)
SELECT 'main', n, 1, 'm-' || n, 1, 'x', now() FROM generate_series(1, {MANY}) n;
INSERT INTO receipts (studio_id, account, dedupe_key, fate, body, message_id)
SELECT 'main', 'sms/default', n, 'delivered', 'x', n FROM generate_series(1, {MANY}) n;
INSERT INTO answers (studio_id, message_id, meaning, words)
SELECT 'main', n, 'commented', 'x' FROM generate_series(1, {MANY}) n;
INSERT INTO conversations (studio_id, channel, ours, theirs)
SELECT 'main', 'sms', '+13125550100', '+1312' || n FROM generate_series(1, {MANY}) n;
INSERT INTO bulks (studio_id, name, state, channel, purpose, audience, template, words, account, sender, lasts, made_by)
VALUES ('main', 'Offer', 'review', 'sms', 'marketing', '{{}}', 'offer', '{{}}', 'sms/default', '+13125550100', '1 day',
        'Ada');
INSERT INTO bulk_recipients (studio_id, bulk_id, recipient_id, state, address, kind, record_id, client_id, due_at)
SELECT 'main', 1, n, 'listed', '+1312' || n, 'client', 'c-' || n, 'c-' || n, 'epoch' FROM generate_series(1, {MANY}) n;
ANALYZE;
"""


@pytest.fixture(scope="module")
async def crowded(postgres: Postgres, _template: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    administrator = await asyncpg.connect(postgres.dsn("postgres"))
    await administrator.execute(f"CREATE DATABASE crowded_by_clients TEMPLATE {_template}")
    connection = await asyncpg.connect(postgres.dsn("crowded_by_clients"), server_settings=db.SETTINGS)
    await connection.execute(FILL)
    yield connection
    await connection.close()
    await administrator.execute("DROP DATABASE crowded_by_clients WITH (FORCE)")
    await administrator.close()


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (erasures.RECORDS, ("main", "c-77")),
        (erasures.ADDRESSES, ("main", "c-77")),
        (erasures.MESSAGES, ("main", "c-77", "{+131277}", "{client,session}", "{c-77,s-77}")),
        (erasures.CARRIERS, ("main", "{77}")),
        (erasures.OF_RECORDS, ("main", "{client,session}", "{c-77,s-77}")),
        (erasures.OF_MESSAGES, ("main", "{77}")),
        (erasures.OF_CARRIERS, ("main", "{77}")),
        (erasures.OF_ATTEMPTS, ("main", "{77}")),
        (erasures.OF_RECEIPTS, ("main", "{77}")),
        (erasures.OF_ANSWERS, ("main", "{77}")),
        (erasures.OF_ACTIONS, ("main", "{client,session}", "{c-77,s-77}")),
        (erasures.OF_LADDERS, ("main", "{client,session}", "{c-77,s-77}")),
        (erasures.OF_CONVERSATIONS, ("main", "c-77", "{+131277}")),
        (erasures.OF_LISTS, ("main", "c-77")),
    ],
)
async def test_each_step_finds_its_rows_by_an_index(
    crowded: asyncpg.Connection[Any], statement: str, arguments: tuple[str, ...]
) -> None:
    root = await plan(crowded, statement, *arguments)

    scanned = {one["Relation Name"] for one in nodes(root) if one["Node Type"] == "Seq Scan"}
    assert scanned & LARGE == set()
    assert root["Shared Hit Blocks"] + root["Shared Read Blocks"] < 400
