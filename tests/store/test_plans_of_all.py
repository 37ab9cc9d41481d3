"""No statement reads a year of messages to find the few that it is about, whatever its parameters are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import asyncpg
import pytest

from control_center.embedded import Postgres
from control_center.store import db
from tests.support.statements import ALL

# What has its reason to walk along all messages, each from where it is told to begin, or as far as its page goes.
WALKS: Final = {
    "message_search.ENDS",
    "message_search.FIRST",
    "message_search.NUMBERS",
    "message_search.SHOWN",
    "studios.HAS_WAITING",
    "views_health.ANSWERS",
    "views_health.STATES",
    "views_messages.ENDS",
    "views_messages.MESSAGES",
    "views_messages.SHOWN",
}

# Those indexes that hold every message, or every one that is gone.
LARGE: Final = {"messages_pkey", "messages_by_number", "messages_by_state", "messages_by_trigger"} | {
    f"messages_by_{key}" for key in ("address", "record", "client")
}

MESSAGES: Final = 20_000
FILL: Final = f"""
INSERT INTO studios (studio_id, name, timezone, country)
SELECT name, name, 'America/Chicago', 'US' FROM unnest('{{{{main,other}}}}'::text[]) AS name;
INSERT INTO messages (studio_id, origin, purpose, action_id, channel, address, account, sender, recipient, kind,
                      record_id, client_id, trigger_id, trigger_version, state, due_at, use_by, sent_at, ended_at)
SELECT CASE WHEN n % 3 = 0 THEN 'other' ELSE 'main' END, 'trigger', 'transactional', n, 'sms', '+1312' || n / 20,
       'sms/default', '+13125550100', '{{{{"role": "client"}}}}', 'session', n / 10, 'c-' || n / 20, n % 60, 1,
       CASE WHEN n % {{each}} = 0 THEN 'queued' ELSE 'delivered' END, now(), now() + interval '1 year', now(), now()
  FROM generate_series(1, {MESSAGES}) AS n;
ANALYZE messages; ANALYZE studios;
"""


@pytest.fixture(scope="module", params=[100, MESSAGES + 1], ids=["some wait", "none waits"])
async def plans(request: pytest.FixtureRequest, postgres: Postgres, _template: str) -> dict[str, dict[str, Any]]:
    """Of each statement the plan that serves any parameters, where one message of so many waits, or none."""
    administrator = await asyncpg.connect(postgres.dsn("postgres"))
    await administrator.execute(f"CREATE DATABASE a_small_year TEMPLATE {_template}")
    connection = await asyncpg.connect(
        postgres.dsn("a_small_year"), server_settings={**db.SETTINGS, "plan_cache_mode": "force_generic_plan"}
    )
    await connection.execute(FILL.format(each=request.param))
    found = {}
    for name, statement in ALL.items():
        number = len((await connection.prepare(statement)).get_parameters())
        await connection.execute(f"PREPARE it AS {statement}")
        values = f"({', '.join(['NULL'] * number)})" if number else ""
        found[name] = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE it{values}"))[0]["Plan"]
        await connection.execute("DEALLOCATE it")
    await connection.close()
    await administrator.execute("DROP DATABASE a_small_year WITH (FORCE)")
    await administrator.close()
    return found


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _reads_all(node: dict[str, Any]) -> bool:
    """Whether this part of a plan may read every message, or every one of a studio."""
    if node["Node Type"] == "Seq Scan":
        return bool(node["Relation Name"] == "messages")
    condition = node.get("Index Cond", "").strip("()")
    no_more_than_the_studio = not condition or (condition.startswith("studio_id") and " AND " not in condition)
    return node.get("Index Name") in LARGE and no_more_than_the_studio


def test_what_a_statement_is_about_is_found_without_reading_all_messages(plans: dict[str, dict[str, Any]]) -> None:
    all_of = {name for name, plan in plans.items() if any(map(_reads_all, _nodes(plan)))}

    assert all_of == WALKS


KEYS: Final = ("lower(address) =", "client_id =", "record_id =")


def test_what_waits_is_read_along_its_indexes_by_their_keys_alone(plans: dict[str, dict[str, Any]]) -> None:
    # With nothing in them they seem to cost nothing, and their dead entries would be walked for each message.
    walked = {
        name
        for name, plan in plans.items()
        for node in _nodes(plan)
        if node.get("Index Name", "").startswith("messages_waiting_by_")
        if not any(key in node.get("Index Cond", "") for key in KEYS)
    }

    assert walked == set()


def test_reading_all_messages_would_be_found() -> None:
    for node in (
        {"Node Type": "Seq Scan", "Relation Name": "messages"},
        {"Node Type": "Index Scan", "Index Name": "messages_pkey"},
        {"Node Type": "Index Scan", "Index Name": "messages_by_address", "Index Cond": "(studio_id = $1)"},
    ):
        assert _reads_all(node), node
    for node in (
        {"Node Type": "Seq Scan", "Relation Name": "studios"},
        {"Node Type": "Index Scan", "Index Name": "messages_due"},
        {
            "Node Type": "Index Scan",
            "Index Name": "messages_pkey",
            "Index Cond": "((studio_id = $1) AND (message_id = $2))",
        },
    ):
        assert not _reads_all(node), node
