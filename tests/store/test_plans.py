"""The claims keep to their indexes, however much waits beside them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from control_center.domain.message import PRIORITIES
from control_center.embedded import Postgres
from control_center.store import (
    actions,
    breakers,
    commands,
    db,
    failovers,
    ladders,
    message_leases,
    messages,
    records,
    senders,
    usage,
)

WAITING = {False: 200_000, True: 1_000_000}  # in a run of minutes, and in a long one

FILL = """
INSERT INTO studios (studio_id, name, timezone, country) VALUES ('main', 'Main', 'America/Chicago', 'US');
INSERT INTO messages (studio_id, origin, purpose, action_id, channel, address, account, sender, recipient, kind,
                      record_id, trigger_id, trigger_version, state, due_at, use_by)
SELECT 'main', 'trigger', 'transactional', n, 'sms', '+1312' || n, 'sms/default', '', '{{}}', 'session', n::text, 1, 1,
       'queued', now() + n * interval '1 second', now() + interval '1 year'
  FROM generate_series(1, {waiting}) n;
INSERT INTO actions (studio_id, kind, record_id, trigger_id, occurrence, trigger_version, state,
                     activation_at, due_at, use_by)
SELECT 'main', 'session', n::text, 1, '2027-06-12', 1, 'planned',
       now() + n * interval '1 second', now() + n * interval '1 second', now() + interval '1 year'
  FROM generate_series(1, {waiting}) n;
INSERT INTO records (studio_id, kind, record_id, version, body, first_version)
SELECT 'main', 'session', n::text, 1, '{{}}', 1 FROM generate_series(1, {waiting} / 10) n;
INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data, state, published_at)
SELECT 'main', n::text, 'session/' || n, 'add_note', n % 8, '{{}}', 'published', now()
  FROM generate_series(1, {waiting} / 10) n;
INSERT INTO ladders (studio_id, action_id, rung, due_at)
SELECT 'main', n, 0, now() + n * interval '1 second' FROM generate_series(1, {waiting} / 10) n;
ANALYZE messages; ANALYZE actions; ANALYZE records; ANALYZE commands; ANALYZE ladders;
"""

# Ten reminders behind twenty thousand texts of bulk, all due, on one account.
BULK_DUE = """
INSERT INTO messages (studio_id, origin, purpose, channel, address, account, sender, recipient, state, due_at, use_by)
SELECT 'main', 'bulk', 'marketing', 'sms', '+1414' || n, 'sms/bulk', '', '{}', 'queued', now() - interval '1 hour',
       now() + interval '1 day'
  FROM generate_series(1, 20000) n;
INSERT INTO messages (studio_id, origin, purpose, action_id, channel, address, account, sender, recipient, kind,
                      record_id, trigger_id, trigger_version, state, due_at, use_by)
SELECT 'main', 'trigger', 'transactional', -n, 'sms', '+1414' || n, 'sms/bulk', '', '{}', 'session', n::text, 1, 1,
       'queued', now(), now() + interval '1 year'
  FROM generate_series(1, 10) n;
ANALYZE messages;
"""


# Of the whole session: where a run has several processes, each comes back to these tests, and would make it again.
@pytest.fixture(scope="session")
async def _crowd(postgres: Postgres, _template: str, pytestconfig: pytest.Config) -> AsyncIterator[str]:
    """A database in which so many messages, and as many actions, wait."""
    administrator = await asyncpg.connect(postgres.dsn("postgres"))
    await administrator.execute(f"CREATE DATABASE crowded TEMPLATE {_template}")
    filling = await asyncpg.connect(postgres.dsn("crowded"))
    await filling.execute(FILL.format(waiting=WAITING[bool(pytestconfig.getoption("--long"))]))
    await filling.close()
    yield postgres.dsn("crowded")
    await administrator.execute("DROP DATABASE crowded WITH (FORCE)")
    await administrator.close()


@pytest.fixture(params=["planned each time", "planned for every value"])
async def crowded(_crowd: str, request: pytest.FixtureRequest) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection to it, with the plans of an ordinary pool or of a hot one."""
    settings = db.SETTINGS if request.param == "planned each time" else db.HOT_SETTINGS
    connection = await asyncpg.connect(_crowd, server_settings=settings)
    yield connection
    await connection.close()


async def plan(connection: asyncpg.Connection[Any], statement: str, *arguments: Any) -> dict[str, Any]:
    """What PostgreSQL did for a statement, run under the plan that is kept, and rolled back."""
    transaction = connection.transaction()
    await transaction.start()
    types = [parameter.name for parameter in (await connection.prepare(statement)).get_parameters()]
    await connection.execute(f"PREPARE tested {_listed(types)} AS {statement}")
    values = _listed([literal(value) for value in arguments])
    found = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE tested {values}")
    await connection.execute("DEALLOCATE tested")
    await transaction.rollback()
    root: dict[str, Any] = json.loads(found)[0]["Plan"]
    return root


def _listed(given: list[str]) -> str:
    return f"({', '.join(given)})" if given else ""


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return f"'{{{','.join(map(str, value))}}}'"
    return str(value) if isinstance(value, int) else f"'{value}'"


def nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(inner for child in node.get("Plans", ()) for inner in nodes(child))]


def scans(node: dict[str, Any]) -> set[str]:
    """Tables read from end to end."""
    return {one["Relation Name"] for one in nodes(node) if one["Node Type"] == "Seq Scan"}


def indexes(node: dict[str, Any]) -> set[str]:
    return {one["Index Name"] for one in nodes(node) if "Index Name" in one}


async def test_claiming_messages_reads_only_what_is_due(crowded: asyncpg.Connection[Any]) -> None:
    done = await plan(
        crowded,
        messages.CLAIM_DUE,
        "sms/default",
        list(PRIORITIES),
        [datetime(1970, 1, 1, tzinfo=UTC)] * len(PRIORITIES),
        100,
        uuid4(),
        timedelta(seconds=90),
    )

    assert "messages_due" in indexes(done)
    assert not scans(done)
    # Of a hundred messages, each with its entries in the indexes: not one page of those that wait.
    assert done["Shared Hit Blocks"] + done["Shared Read Blocks"] < 50 * 100
    # Each priority is a scan of its own, bounded on both sides, that yields its rows in order.
    assert not [one for one in nodes(done) if one["Node Type"] in {"Sort", "Incremental Sort", "Bitmap Heap Scan"}]
    (scan,) = [one for one in nodes(done) if one.get("Index Name") == "messages_due"]
    assert all(bound in scan["Index Cond"] for bound in ("account =", "priority =", "due_at <=", "due_at >="))
    assert scan.get("Rows Removed by Filter", 0) == 0
    assert scan["Actual Rows"] * scan["Actual Loops"] <= 100


async def test_a_crowd_of_bulk_that_is_due_costs_a_claim_of_reminders_nothing(
    crowded: asyncpg.Connection[Any],
) -> None:
    transaction = crowded.transaction()
    await transaction.start()
    await crowded.execute(BULK_DUE)
    reminders = await plan(
        crowded, messages.CLAIM_DUE, "sms/bulk", [1], [datetime(1970, 1, 1, tzinfo=UTC)], 100, uuid4(), timedelta(0)
    )
    everything = await plan(
        crowded,
        messages.CLAIM_DUE,
        "sms/bulk",
        list(PRIORITIES),
        [datetime(1970, 1, 1, tzinfo=UTC)] * len(PRIORITIES),
        10,
        uuid4(),
        timedelta(0),
    )
    await transaction.rollback()

    (scan,) = [one for one in nodes(reminders) if one.get("Index Name") == "messages_due"]
    assert scan["Shared Hit Blocks"] + scan["Shared Read Blocks"] < 30
    # With enough that is more urgent, bulk is not even looked at.
    (scan,) = [one for one in nodes(everything) if one.get("Index Name") == "messages_due"]
    assert (scan["Actual Loops"], not scans(everything)) == (2, True)


async def test_claiming_actions_reads_only_what_is_due(crowded: asyncpg.Connection[Any]) -> None:
    done = await plan(crowded, actions.CLAIM_DUE, datetime.now(UTC), [], 500)

    assert "actions_due" in indexes(done)
    assert not scans(done)


async def test_what_is_due_next_is_the_first_entry_of_its_index(crowded: asyncpg.Connection[Any]) -> None:
    done = await plan(crowded, actions.NEXT_DUE, [])

    assert indexes(done) == {"actions_due"}
    assert done["Shared Hit Blocks"] + done["Shared Read Blocks"] < 10


async def test_claiming_ladders_reads_only_what_is_due_and_the_actions_and_messages_of_that(
    crowded: asyncpg.Connection[Any],
) -> None:
    due = await plan(crowded, ladders.CLAIM_DUE, datetime.now(UTC) + timedelta(minutes=5), [], 200)
    sent = await plan(crowded, ladders.SENT, ["main"] * 200, list(range(1, 201)))
    noted = await plan(crowded, ladders.NOTE, ["main"] * 200, list(range(1, 201)), ["said"] * 200)

    assert "ladders_due" in indexes(due)
    assert not scans(due) | scans(sent) | scans(noted)


async def test_what_waits_for_a_plan_is_read_along_its_index(crowded: asyncpg.Connection[Any]) -> None:
    holding = await plan(crowded, usage.HOLDING)
    free = await plan(crowded, usage.LET_GO, ["main"], [500])

    assert "messages_over_plan" in indexes(holding) & indexes(free)
    assert not scans(holding) | scans(free)


async def test_another_account_takes_over_by_the_indexes_of_what_is_held_and_queued(
    crowded: asyncpg.Connection[Any],
) -> None:
    done = await plan(crowded, failovers.MOVE, "sms/default", "sms/backup", "+13125550199", 100)

    assert "messages_held" in indexes(done)
    assert "messages" not in scans(done)


async def test_the_number_used_last_with_somebody_is_found_by_their_address(crowded: asyncpg.Connection[Any]) -> None:
    await crowded.execute("UPDATE studios SET numbers = '{+13125550100,+13125550101}'")
    done = await plan(crowded, senders.LAST, ["main"] * 100, [f"+1312{n}" for n in range(100)])
    await crowded.execute("UPDATE studios SET numbers = '{}'")

    assert "messages_waiting_by_address" in indexes(done)
    assert "messages" not in scans(done)


async def test_rescuing_reads_only_what_is_leased(crowded: asyncpg.Connection[Any]) -> None:
    done = await plan(crowded, message_leases.RESCUE_EXPIRED_LEASES, 100, 3)

    assert "messages_leased" in indexes(done)
    assert not scans(done)


async def test_a_records_actions_are_read_by_their_key(crowded: asyncpg.Connection[Any]) -> None:
    keys = [str(n) for n in range(1, 201)]

    done = await plan(crowded, actions.OF_RECORDS, ["main"] * 200, ["session"] * 200, keys)

    assert "actions_pkey" in indexes(done)
    assert not scans(done)


async def test_records_are_locked_by_their_key(crowded: asyncpg.Connection[Any]) -> None:
    done = await plan(crowded, records.LOCK, ["main"] * 200, ["session"] * 200, [str(n) for n in range(200)])

    assert "records" not in scans(done)


async def test_the_relay_reads_only_what_is_not_published(crowded: asyncpg.Connection[Any]) -> None:
    done = await plan(crowded, commands.NEXT, list(range(8)), 51, 200)

    assert "commands" not in scans(done)


async def test_a_hot_pool_makes_its_plans_anew_after_some_uses(database_url: str) -> None:
    pool = await db.open_hot_pool(database_url, application="test", size=1)
    said: list[str] = []
    async with db.session(pool) as connection:
        connection.add_query_logger(lambda one: said.append(one.query))

    for _ in range(2 * db.USES_OF_A_PLAN):
        async with db.session(pool) as connection:
            await connection.fetchval("SELECT 1")
    await pool.close()

    assert said.count("DISCARD PLANS") == 2


# A studio's plan is used up: of what is held for an account, hardly anything waits for the account itself.
HELD_BY_A_PLAN = """
INSERT INTO messages (studio_id, origin, purpose, channel, address, account, sender, recipient, state, reason, due_at,
                      use_by)
SELECT 'main', 'bulk', 'marketing', 'sms', '+1515' || n, 'sms/full', '', '{}', 'held',
       CASE WHEN n > 19990 THEN 'breaker: refused' ELSE 'plan: 1,000 of 1,000 texts' END, now(),
       now() + interval '1 year'
  FROM generate_series(1, 20000) n;
ANALYZE messages;
"""


async def test_what_waits_for_its_account_is_found_without_a_look_at_what_waits_for_a_plan(
    crowded: asyncpg.Connection[Any],
) -> None:
    transaction = crowded.transaction()
    await transaction.start()
    await crowded.execute(HELD_BY_A_PLAN)
    returned = await plan(crowded, breakers.RETURN_HELD, 500, breakers.FIRST_WAIT, breakers.LONGEST_WAIT)
    moved = await plan(crowded, failovers.MOVE, "sms/full", "sms/backup", None, 500)
    await transaction.rollback()

    for done in (returned, moved):
        assert done["Actual Rows"] == 10
        assert "messages_held" in indexes(done)
        assert sum(one.get("Rows Removed by Filter", 0) for one in nodes(done)) < 100
