"""PostgreSQL and RabbitMQ: the configured ones, else private ones that live as long as we do."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from control_center.domain.errors import ConfigurationError
from control_center.embedded import Postgres, Rabbitmq, find_rabbitmq
from control_center.settings import PREFIX, Settings
from control_center.store import db, migrate

Say: TypeAlias = Callable[[str], None]

PRIVATE: Final = f"{PREFIX}PRIVATE_SERVERS"


def refuse_private(name: str, instead: str) -> None:
    """Raise ConfigurationError where the units of this machine say that all its servers have an address.

    One whose address got lost would take the CRM's events, and what people said, to where nobody looks.
    """
    if os.environ.get(PRIVATE) == "no":
        raise ConfigurationError(f"{PREFIX}{name} is empty, and {PRIVATE}=no: no private one is started; {instead}")


@asynccontextmanager
async def database(settings: Settings, say: Say) -> AsyncIterator[str]:
    """The URL of a database that fits this program. A private one is created and upgraded, a configured one is not.

    Raises ConfigurationError with the command to type where the configured one is older than the program, and one of
    `db.AWAY` where it does not answer for `db.PATIENCE`.
    """
    configured = settings.database_url.get_secret_value()
    if configured:
        await db.reach(configured, application="control-center start", patience=db.PATIENCE)
        await migrate.check(configured)
        yield configured
        return
    async with private_database(settings, say) as dsn:
        yield dsn


@asynccontextmanager
async def private_database(settings: Settings, say: Say) -> AsyncIterator[str]:
    """The private PostgreSQL of the data folder, with the newest schema."""
    refuse_private("DATABASE_URL", "name the database")
    say("starting a private PostgreSQL ...")
    server = Postgres(settings.data_dir / "postgres")
    dsn = await server.start()
    try:
        await migrate.migrate(dsn)
        yield dsn
    finally:
        await server.stop()


@asynccontextmanager
async def broker(settings: Settings, say: Say) -> AsyncIterator[str]:
    """The URL of the broker, empty where there is none and events come over HTTP."""
    configured = settings.broker_url.get_secret_value()
    if configured == "none":
        yield ""
    elif configured:
        yield configured
    else:
        refuse_private("BROKER_URL", "name the broker, or `none`")
        async with private_broker(settings, say) as url:
            yield url


@asynccontextmanager
async def private_broker(settings: Settings, say: Say) -> AsyncIterator[str]:
    """The private RabbitMQ of the data folder; empty where this machine has no programs for one."""
    if find_rabbitmq() is None:
        say("no RabbitMQ here: events come over HTTP (set CONTROL_CENTER_BROKER_URL, or install rabbitmq-server)")
        yield ""
    else:
        say("starting a private RabbitMQ (ten seconds or so) ...")
        server = Rabbitmq(settings.data_dir / "rabbitmq")
        try:
            yield await server.start()
        finally:
            await server.stop()
