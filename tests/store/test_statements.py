"""Every SQL statement of the store fits the schema, and every key leads with the studio."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import asyncpg
import pytest

from control_center import store
from control_center.store import migrate

# Tables that belong to the installation and not to a studio, each with its reason beside it in schema.sql.
OF_THE_INSTALLATION = {"schema_version", "dead_events", "breakers", "fence", "leases", "users", "tokens"}


SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


def statements() -> Iterator[tuple[str, str]]:
    """Every capital constant of the store that is SQL; private ones are pieces of others."""
    for found in pkgutil.iter_modules(store.__path__):
        module = importlib.import_module(f"control_center.store.{found.name}")
        for name, value in vars(module).items():
            if re.fullmatch(r"[A-Z][A-Z_]*", name) and isinstance(value, str) and SQL.match(value):
                yield f"{found.name}.{name}", value


ALL = dict(statements())


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
        SELECT relation.relname AS table, key.conname AS name, key.contype,
               (SELECT attname FROM pg_attribute
                 WHERE attrelid = key.conrelid AND attnum = key.conkey[1]) AS leads
          FROM pg_constraint key JOIN pg_class relation ON relation.oid = key.conrelid
         WHERE key.contype IN ('p', 'u', 'f') AND relation.relnamespace = 'public'::regnamespace""")
    await connection.close()

    elsewhere = {(row["table"], row["name"]) for row in rows if row["leads"] != "studio_id"}
    assert {table for table, _ in elsewhere} <= OF_THE_INSTALLATION


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
