"""The private servers that all contenders share: PostgreSQL as in production (every commit on disk), and RabbitMQ."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import aio_pika
import asyncpg

from bench import floor_schema
from control_center import logs
from control_center.crm.topology import Topology, declare
from control_center.embedded import Postgres, Rabbitmq, ensure_rabbitmq
from control_center.embedded.process import tail
from control_center.store import migrate

Seed: TypeAlias = Callable[[asyncpg.Connection], Awaitable[None]]
IN_FLIGHT = 400
# What a server is given that has hundreds of messages a second to carry. With the 64 MB of the private server a claim
# waits for pages to be written.
MEMORY = {"shared_buffers": "512MB"}


@dataclass(slots=True)
class Servers:
    """Both servers, a folder for scratch files, and the log that contenders write to."""

    postgres: Postgres
    broker: Rabbitmq | None
    folder: Path
    log: BinaryIO

    @property
    def trees(self) -> dict[str, list[int]]:
        """What `machine.read` takes."""
        assert self.postgres.pid is not None
        trees = {"postgres": [self.postgres.pid]}
        if self.broker is not None and self.broker.pid is not None:
            trees["rabbitmq"] = [self.broker.pid]
        return trees

    @property
    def broker_url(self) -> str:
        if self.broker is None:
            raise RuntimeError("there is no RabbitMQ here: install rabbitmq-server")
        return self.broker.url

    async def template(self, name: str, seed: Seed, *, product: bool = True) -> str:
        """A database with the product's schema, or the floors', seeded and vacuumed; to be cloned for each run."""
        await self.administer(f"CREATE DATABASE {name}")
        dsn = self.postgres.dsn(name)
        if product:
            await migrate.migrate(dsn)
        connection = await asyncpg.connect(dsn)
        try:
            if not product:
                await connection.execute(floor_schema.SCHEMA)
            await seed(connection)
            await _vacuum(connection)
        finally:
            await connection.close()
        return name

    @asynccontextmanager
    async def clone(self, template: str) -> AsyncIterator[str]:
        """The DSN of a fresh copy, dropped on leaving. The copy is on disk before anything is measured."""
        name = f"{template}_run"
        await self.administer(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        await self.administer("CHECKPOINT")
        try:
            yield self.postgres.dsn(name)
        finally:
            await self.administer(f"DROP DATABASE {name} WITH (FORCE)")

    async def drop(self, name: str) -> None:
        await self.administer(f"DROP DATABASE {name} WITH (FORCE)")

    async def administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self.postgres.dsn("postgres"))
        try:
            await connection.execute(statement, timeout=300)
        finally:
            await connection.close()

    async def fill(self, queues: Sequence[str], messages: Sequence[tuple[str, bytes]]) -> None:
        """Put the same messages, each an id and a body, into each of these quorum queues: the exchange copies them."""
        connection = await aio_pika.connect(self.broker_url)
        async with connection:
            for queue in queues:
                await declare(connection, Topology(events_queue=queue))
            channel = await connection.channel(publisher_confirms=True)
            exchange = await channel.get_exchange(Topology().events_exchange, ensure=False)
            for start in range(0, len(messages), IN_FLIGHT):
                page = messages[start : start + IN_FLIGHT]
                await asyncio.gather(
                    *(exchange.publish(persistent(body, name), "main.session.updated") for name, body in page)
                )

    async def remove(self, queues: Sequence[str]) -> None:
        connection = await aio_pika.connect(self.broker_url)
        async with connection, connection.channel() as channel:
            for queue in queues:
                await channel.queue_delete(queue)


async def _vacuum(connection: asyncpg.Connection) -> None:
    """As autovacuum would: what has rows. An empty table keeps the planner's guess of a table never looked at."""
    tables = await connection.fetch("SELECT relid::regclass::text FROM pg_stat_user_tables")
    for (table,) in tables:
        if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table} OFFSET 200)"):
            await connection.execute(f"VACUUM (ANALYZE) {table}", timeout=300)


def persistent(body: bytes, name: str) -> aio_pika.Message:
    return aio_pika.Message(body, message_id=name, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


@asynccontextmanager
async def servers(*, broker: bool) -> AsyncIterator[Servers]:
    """Start what is needed, in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="control-center-bench-"))
    os.chmod(folder, 0o711)  # noqa: PTH101 - for the accounts that servers started by root run as
    postgres = Postgres(folder / "postgres", durable=True, settings=MEMORY)
    rabbitmq = Rabbitmq(folder / "rabbitmq") if broker and await ensure_rabbitmq(print) else None
    try:
        with (folder / "contenders.log").open("ab") as log:
            logs.configure(style="json", level="warning", stream=log)
            await asyncio.gather(postgres.start(), *([rabbitmq.start()] if rabbitmq else []))
            yield Servers(postgres, rabbitmq, folder, log)
    except BaseException:
        print(tail(folder / "contenders.log"), file=sys.stderr)
        raise
    finally:
        await asyncio.gather(postgres.stop(), *([rabbitmq.stop()] if rabbitmq else []))
        shutil.rmtree(folder, ignore_errors=True)


def settings(**values: str) -> Mapping[str, str]:
    """Settings of the product as its environment."""
    return {f"CONTROL_CENTER_{name.upper()}": value for name, value in values.items()}
