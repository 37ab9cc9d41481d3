"""Creating and upgrading the database: from schema.sql where there is none, step by step where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Final

from control_center.domain.errors import ConfigurationError
from control_center.store.db import Connection, connect, refusals

LOCK_UPGRADE = "SELECT pg_advisory_lock(7241920413)"
# Seconds. A step may build an index over years of messages, and an upgrade that is cut short would never be done.
AS_LONG_AS_IT_TAKES: Final = 7 * 86_400.0
HAS_SCHEMA = "SELECT to_regclass('public.schema_version') IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Step:
    """One migration. The last one's version is the version of schema.sql."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


def steps() -> list[Step]:
    """All migrations in order; their files are numbered without gaps."""
    folder = files("control_center.store").joinpath("migrations")
    found = sorted((int(file.name.partition("_")[0]), file) for file in folder.iterdir() if file.name.endswith(".sql"))
    return [Step(version, file.name, file.read_text("utf-8")) for version, file in found]


def schema() -> str:
    """The text of schema.sql: beside the packages in a checkout, inside the package where installed."""
    beside = Path(__file__).resolve().parents[2] / "schema.sql"
    if beside.exists():
        return beside.read_text("utf-8")
    return files("control_center").joinpath("package_data").joinpath("schema.sql").read_text("utf-8")


# Only after HAS_SCHEMA, and therefore not among the statements that every database can prepare.
_TAKEN = "SELECT version, checksum FROM schema_version ORDER BY version"
_TAKE = "INSERT INTO schema_version (version, checksum) VALUES ($1, $2)"


async def migrate(dsn: str) -> list[str]:
    """Create or upgrade; returns what was done, nothing where nothing was to do. Safe to run twice at once.

    Raises ConfigurationError where the database is newer than this code or took a step that was edited since, and
    where somebody else has been at it for a minute.
    """
    connection = await connect(dsn, application="control-center migrate")
    try:
        await _alone(connection)
        known = steps()
        taken = await _taken(connection)
        if taken is None:
            async with connection.transaction():
                await connection.execute(schema(), timeout=AS_LONG_AS_IT_TAKES)
                for step in known:
                    await connection.execute(_TAKE, step.version, step.checksum)
            return [f"created at version {known[-1].version}"]
        _check_taken(taken, known)
        done = []
        for step in known[len(taken) :]:
            async with connection.transaction():
                await connection.execute(step.sql, timeout=AS_LONG_AS_IT_TAKES)
                await connection.execute(_TAKE, step.version, step.checksum)
            done.append(f"took {step.name}")
        return done
    finally:
        await connection.close()


async def _alone(connection: Connection) -> None:
    try:
        await connection.execute(LOCK_UPGRADE)
    except TimeoutError:
        raise ConfigurationError(
            "another `control-center migrate` is at work in this database: let it end, and type it again"
        ) from None


async def check(dsn: str) -> int:
    """The version of a database that fits this code.

    Raises ConfigurationError, saying what to type, where the database is older, newer, not ours, or refuses us.
    """
    with refusals():
        connection = await connect(dsn, application="control-center check")
        try:
            taken = await _taken(connection)
        finally:
            await connection.close()
    if taken is None:
        raise ConfigurationError("the database is empty; create it with: control-center migrate")
    known = steps()
    _check_taken(taken, known)
    if len(taken) < len(known):
        raise ConfigurationError(
            f"the database is at version {len(taken)}, this program needs {len(known)}; "
            "upgrade it with: control-center migrate"
        )
    return len(taken)


async def _taken(connection: Connection) -> dict[int, str] | None:
    if not await connection.fetchval(HAS_SCHEMA):
        return None
    return {row[0]: row[1] for row in await connection.fetch(_TAKEN)}


def _check_taken(taken: dict[int, str], known: list[Step]) -> None:
    if len(taken) > len(known):
        raise ConfigurationError(
            f"the database is at version {len(taken)}, newer than this program, which knows {len(known)}; "
            "install the newer program"
        )
    for step in known[: len(taken)]:
        if taken.get(step.version) != step.checksum:
            raise ConfigurationError(f"{step.name} was edited after this database took it; restore the file")
