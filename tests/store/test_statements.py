"""Every SQL statement of the store fits the schema; every key and every join has the studio in it.

What is an exception says why, here and on the page about several hosts.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from control_center.embedded import Postgres
from control_center.store import db, migrate
from tests.support.joins import Group, groups
from tests.support.statements import ALL, OF_THE_INSTALLATION

PAGE: Final = Path(__file__).resolve().parents[2] / "docs/explanation/scale-out.md"

# Joins that the studio does not hold together.
ACROSS_STUDIOS: Final = {
    "breakers.RETURN_HELD": "a probe is any of what an account holds, whichever studio it is of",
    "receipts.TAKE_OUT": "a receipt that came too early names no studio; finding out which is what this is for",
    "submissions.STEP_SHARING": "what is compared by the message alone came in with this call, by studio and message",
}
# What reads rows of all studios and locks them. On one server that is one index; over several it would have to be
# asked of each.
LOCKS_OF_ALL_STUDIOS: Final = frozenset({
    "actions.CLAIM_DUE",
    "breakers.RETURN_HELD",
    "bulk_release.CLAIM_DUE",
    "commands.RETRY",
    "event_numbers.TELL",
    "expiry.EXPIRE_ACTIONS",
    "expiry.EXPIRE_MESSAGES",
    "failovers.MOVE",
    "ladders.CLAIM_DUE",
    "message_leases.RESCUE_EXPIRED_LEASES",
    "messages.CLAIM_DUE",
    "prefixes.FORGET",
    "pruning.IDEMPOTENCY_KEYS",
    "pruning.RECEIPTS",
    "pruning.REPORTS",
    "receipts.FIND",
    "receipts.TAKE_OUT",
    "release_guards.LOCK_SHUT",
    "riders.FOLLOW",
})  # fmt: skip
LOCKS: Final = re.compile(r"FOR (NO KEY )?UPDATE|FOR (KEY )?SHARE")


def test_the_statements_are_found() -> None:
    assert {"submissions.STEP", "actions.CLAIM_DUE", "events.REMEMBER"} <= ALL.keys()


async def test_every_statement_can_be_prepared_against_the_schema(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    wrong = {}
    for name, statement in ALL.items():
        try:
            await connection.prepare(statement)
        except asyncpg.PostgresError as error:
            wrong[name] = str(error)
    await connection.close()

    assert wrong == {}


async def test_the_studio_leads_every_key(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("""
        SELECT relation.relname AS table, key.relname AS name, attname AS leads
          FROM pg_index JOIN pg_class relation ON relation.oid = indrelid JOIN pg_class key ON key.oid = indexrelid
          LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
         WHERE indisunique AND relation.relnamespace = 'public'::regnamespace""")
    await connection.close()

    elsewhere = {row["table"] for row in rows if row["leads"] != "studio_id"}
    assert elsewhere == OF_THE_INSTALLATION.keys()


async def test_every_foreign_key_leads_from_a_studio_to_the_same_studio(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("""
        SELECT conrelid::regclass::text AS table, confrelid::regclass::text AS other,
               ARRAY (SELECT (own.attname, theirs.attname) = ('studio_id', 'studio_id')
                        FROM unnest(conkey, confkey) AS pair (one, two)
                        JOIN pg_attribute own ON own.attrelid = conrelid AND own.attnum = pair.one
                        JOIN pg_attribute theirs ON theirs.attrelid = confrelid AND theirs.attnum = pair.two) AS same
          FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace""")
    await connection.close()

    assert len(rows) > 4
    across = [(row["table"], row["other"]) for row in rows if True not in row["same"]]
    assert [pair for pair in across if not OF_THE_INSTALLATION.keys() >= set(pair)] == []


@pytest.fixture(scope="module")
async def joined(postgres: Postgres, _template: str) -> dict[str, list[Group]]:
    """What each statement joins of the studios' tables, by its plan for any parameters."""
    connection = await asyncpg.connect(
        postgres.dsn(_template), server_settings={**db.SETTINGS, "plan_cache_mode": "force_generic_plan"}
    )
    found = {}
    for name, statement in ALL.items():
        number = len((await connection.prepare(statement)).get_parameters())
        await connection.execute(f"PREPARE it AS {statement}")
        values = f"({', '.join(['NULL'] * number)})" if number else ""
        plan = json.loads(await connection.fetchval(f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) EXECUTE it{values}"))
        await connection.execute("DEALLOCATE it")
        found[name] = [of_studios for group in groups(plan[0]["Plan"]) if (of_studios := _of_studios(group)).tables]
    await connection.close()
    return found


def _of_studios(group: Group) -> Group:
    systems = {table for table in group.tables.values() if table.startswith("pg_")}
    return group.without({*OF_THE_INSTALLATION, *systems})


def test_a_join_without_the_studio_would_be_found() -> None:
    scans = [{"Node Type": "Index Scan", "Relation Name": name, "Alias": name} for name in ("actions", "messages")]
    for condition, held_together in (
        ("(actions.action_id = messages.action_id)", False),
        ("((actions.studio_id = messages.studio_id) AND (actions.action_id = messages.action_id))", True),
        ("((actions.studio_id = $1) AND (messages.studio_id = $2))", False),
        ("((actions.studio_id = $1) AND (messages.studio_id = $1))", True),
    ):
        plan = {"Node Type": "Nested Loop", "Join Filter": condition, "Plans": scans}
        assert [group.held_together for group in groups(plan)] == [held_together], condition


def test_the_studio_holds_every_join_together(joined: dict[str, list[Group]]) -> None:
    across = {name for name, all_of_it in joined.items() if not all(group.held_together for group in all_of_it)}

    assert sum(len(group.tables) > 1 for all_of_it in joined.values() for group in all_of_it) > 50
    assert across == ACROSS_STUDIOS.keys()


def test_what_locks_rows_of_all_studios_at_once_is_known(joined: dict[str, list[Group]]) -> None:
    everywhere = {name for name, all_of_it in joined.items() if not all(group.of_named_studios for group in all_of_it)}

    assert {name for name in everywhere if LOCKS.search(ALL[name])} == LOCKS_OF_ALL_STUDIOS


def test_the_page_about_several_hosts_shows_each_table_that_stays_and_each_statement_that_is_different() -> None:
    page = PAGE.read_text("utf-8")

    for name, reason in {**OF_THE_INSTALLATION, **ACROSS_STUDIOS}.items():
        assert f"| `{name}` | {reason} |" in page
    for name in LOCKS_OF_ALL_STUDIOS:
        assert f"`{name}`" in page


def test_every_index_names_the_statement_it_serves() -> None:
    unexplained = []
    lines = migrate.schema().splitlines()
    for number, line in enumerate(lines):
        if not line.startswith(("create index", "create unique index")):
            continue
        comment = []
        while lines[number - 1].startswith("--"):
            number -= 1  # noqa: PLW2901 - walks up through the comment above the index
            comment.append(lines[number])
        served = re.findall(r"store\.(\w+\.[A-Z_]+)", " ".join(comment))
        if not served or not all(name in ALL for name in served):
            unexplained.append((line, served))
    assert unexplained == []


@pytest.mark.parametrize(
    ("table", "column", "states"),
    [
        ("actions", "state", "control_center.domain.action"),
        ("messages", "state", "control_center.domain.message"),
    ],
)
async def test_the_states_in_the_database_are_those_of_the_code(
    database_url: str, table: str, column: str, states: str
) -> None:
    connection = await asyncpg.connect(database_url)
    checks = await connection.fetch(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c'", table
    )
    await connection.close()
    state = importlib.import_module(states).State

    listed = max((row[0] for row in checks if f"({column} = ANY" in row[0]), key=len)

    assert set(re.findall(r"'(\w+)'::text", listed)) == {member.value for member in state}
