"""Creating and upgrading the database."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from control_center.domain.errors import ConfigurationError
from control_center.store import db, migrate

SHAPE = """
SELECT format('%s %s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT format('%s %s', relname, reloptions) FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
ORDER BY 1"""


async def empty(database_url: str) -> asyncpg.Connection[Any]:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return connection


async def test_upgrading_step_by_step_gives_the_same_database_as_creating_it(database_url: str) -> None:
    connection = await empty(database_url)
    for step in migrate.steps():
        await connection.execute(step.sql)
    upgraded = [row[0] for row in await connection.fetch(SHAPE)]
    await connection.close()

    connection = await empty(database_url)
    await migrate.migrate(database_url)
    created = [row[0] for row in await connection.fetch(SHAPE)]
    await connection.close()

    assert upgraded == created


async def test_migrating_twice_does_nothing_the_second_time(database_url: str) -> None:
    await (await empty(database_url)).close()

    first = await migrate.migrate(database_url)
    second = await migrate.migrate(database_url)

    assert first == [f"created at version {len(migrate.steps())}"]
    assert second == []


async def test_two_migrations_at_once_are_one(database_url: str) -> None:
    await (await empty(database_url)).close()

    done = await asyncio.gather(*(migrate.migrate(database_url) for _ in range(4)))

    assert sorted(len(one) for one in done) == [0, 0, 0, 1]


async def test_an_empty_database_is_refused_with_the_command_to_type(database_url: str) -> None:
    await (await empty(database_url)).close()

    with pytest.raises(ConfigurationError, match="control-center migrate"):
        await migrate.check(database_url)


async def test_an_older_database_is_refused_with_the_command_to_type(database_url: str) -> None:
    connection = await empty(database_url)
    await migrate.migrate(database_url)
    await connection.execute("DELETE FROM schema_version WHERE version = (SELECT max(version) FROM schema_version)")
    await connection.close()

    with pytest.raises(ConfigurationError, match=r"this program needs \d+; upgrade it with: control-center migrate"):
        await migrate.check(database_url)


async def test_a_newer_database_is_refused(database_url: str) -> None:
    connection = await empty(database_url)
    await migrate.migrate(database_url)
    await connection.execute("INSERT INTO schema_version (version, checksum) VALUES (99, 'x')")
    await connection.close()

    with pytest.raises(ConfigurationError, match="newer than this program"):
        await migrate.check(database_url)
    with pytest.raises(ConfigurationError, match="newer than this program"):
        await migrate.migrate(database_url)


async def test_a_step_that_was_edited_after_it_was_taken_is_refused(database_url: str) -> None:
    connection = await empty(database_url)
    await migrate.migrate(database_url)
    await connection.execute("UPDATE schema_version SET checksum = 'another' WHERE version = 1")
    await connection.close()

    with pytest.raises(ConfigurationError, match="was edited"):
        await migrate.migrate(database_url)


async def test_a_step_takes_as_long_as_it_takes(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await empty(database_url)).close()
    await migrate.migrate(database_url)
    long = migrate.Step(len(migrate.steps()) + 1, "9999_long.sql", "SELECT pg_sleep(2)")
    known = [*migrate.steps(), long]
    monkeypatch.setattr(migrate, "steps", lambda: known)
    monkeypatch.setattr(db, "STATEMENT_SECONDS", 0.5)

    assert await migrate.migrate(database_url) == ["took 9999_long.sql"]


async def test_whoever_waits_too_long_for_another_migration_is_told_of_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work = await asyncpg.connect(database_url)
    await at_work.execute(migrate.LOCK_UPGRADE)
    monkeypatch.setattr(db, "STATEMENT_SECONDS", 0.5)

    with pytest.raises(ConfigurationError, match="another `control-center migrate` is at work"):
        await migrate.migrate(database_url)

    await at_work.close()
