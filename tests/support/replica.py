"""Copies of a database server: a standby that follows it, and its folder as it was."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from control_center.embedded import Postgres
from control_center.embedded.place import borrowed_account, locate
from tests.support.programs import eventually

FOLLOWS: Final = "primary_conninfo = 'host={socket} port=5432 user=cc application_name=standby'\nhot_standby = on\n"
CAUGHT_UP: Final = """
SELECT replay_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication WHERE application_name = 'standby'"""


def _place(base: Path) -> Path:
    return locate(base, borrowed_account("postgres"))


async def copied(server: Postgres, base: Path) -> Path:
    """The folder of a stopped server once more, as another base; returns that base."""
    assert server.pid is None, "what is copied must not change"
    await asyncio.to_thread(_copy, _place(server._base), _place(base))
    return base


async def put_back(base: Path, server: Postgres) -> None:
    """Let a stopped server begin again as it was when `base` was copied from it."""
    assert server.pid is None, "what is replaced must not run"
    await asyncio.to_thread(_copy, _place(base), _place(server._base))


def _copy(source: Path, destination: Path) -> None:
    destination.mkdir(parents=True, exist_ok=True)
    owner = source.stat()
    os.chown(destination, owner.st_uid, owner.st_gid)
    destination.chmod(owner.st_mode & 0o7777)
    shutil.rmtree(destination / "data", ignore_errors=True)
    shutil.copytree(source / "data", destination / "data", copy_function=_with_owner)
    for folder, folders, _ in os.walk(destination / "data"):
        for one in (folder, *(os.path.join(folder, name) for name in folders)):  # noqa: PTH118 - thousands of them
            os.chown(one, owner.st_uid, owner.st_gid)


def _with_owner(source: str, destination: str) -> None:
    shutil.copy2(source, destination)
    owner = os.stat(source)  # noqa: PTH116 - thousands of them
    os.chown(destination, owner.st_uid, owner.st_gid)


async def standby_of(primary: Postgres, base: Path, *, standby: Postgres | None = None) -> Postgres:
    """A server that follows the primary, which is stopped for a moment to be copied."""
    await primary.stop()
    await copied(primary, base)
    await primary.start()
    data = _place(base) / "data"
    owner = data.stat()
    for name, text in (("standby.signal", ""), ("postgresql.auto.conf", FOLLOWS.format(socket=socket_of(primary)))):
        (data / name).write_text(text, "utf-8")
        os.chown(data / name, owner.st_uid, owner.st_gid)
    standby = standby or Postgres(base)
    await standby.start()
    return standby


def socket_of(server: Postgres) -> str:
    return parse_qs(urlsplit(server.dsn()).query)["host"][0]


def either(first: Postgres, second: Postgres, database: str) -> str:
    """The address of whichever of the two takes writes."""
    hosts = f"host={socket_of(first)},{socket_of(second)}&port=5432,5432"
    return f"postgresql://cc@/{database}?{hosts}&target_session_attrs=read-write"


async def caught_up(primary: Postgres) -> None:
    """Wait until the standby has all that the primary has committed."""
    connection = await asyncpg.connect(primary.dsn("postgres"))
    try:

        async def fact() -> bool:
            return bool(await connection.fetchval(CAUGHT_UP))

        await eventually(fact, what="the standby has caught up")
    finally:
        await connection.close()


async def administer(server: Postgres, *statements: str) -> None:
    connection = await asyncpg.connect(server.dsn("postgres"))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
