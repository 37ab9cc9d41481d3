"""Databases ready to run on, servers that may be killed, and installations on both."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final, TypeAlias

import asyncpg
import pytest

from control_center.embedded import Postgres, Rabbitmq
from tests.support import broker as crm
from tests.support.installation import Installation
from tests.support.operator import write_down

Install: TypeAlias = Callable[..., Awaitable[Installation]]
Arrange: TypeAlias = Callable[[Installation], Awaitable[None]]

ALONE: Final = 'broker_url = "none"\n'

_numbers = count(1)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a unix socket may have to fit; and open to the account that root's servers run as."""
    made = Path(tempfile.mkdtemp(prefix="cc-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


# --- a database of each installation ---------------------------------------------------------------------------


async def _administer(server: Postgres, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _migrated(server: Postgres, folder: Path) -> str:
    """A database as `migrate` makes it, with the studio `main` and a trigger that texts whoever books."""
    await _administer(server, "CREATE DATABASE template_for_system")
    here = Installation(folder, database_url=server.dsn("template_for_system"))
    await here.done("migrate")
    await here.furnish()
    return "template_for_system"


@pytest.fixture(scope="session")
async def _furnished(postgres: Postgres, _servers: Path) -> str:
    return await _migrated(postgres, _servers / "furnished")


@pytest.fixture(scope="session")
def _arranged() -> dict[Arrange, str]:
    """The databases that a `given` has made, for the tests after the first."""
    return {}


@pytest.fixture
async def install_alone(
    folder: Path, postgres: Postgres, _furnished: str, _arranged: dict[Arrange, str]
) -> AsyncIterator[Install]:
    """As `install`, on a database only: no broker is started for it."""
    made: list[str] = []
    async with AsyncExitStack() as stack:

        async def arranged(given: Arrange) -> str:
            name = f"given_{next(_numbers)}"
            await _administer(postgres, f"CREATE DATABASE {name}")
            async with Installation(folder / name, database_url=postgres.dsn(name), settings=ALONE) as here:
                await given(here)
            return name

        async def one(
            settings: str = "", *, broker_url: str = "", furnished: bool = True, given: Arrange | None = None
        ) -> Installation:
            if given and given not in _arranged:
                _arranged[given] = await arranged(given)
            template = _arranged[given] if given else _furnished if furnished else ""
            name = f"system_{next(_numbers)}"
            copied = f"TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
            await _administer(postgres, f"CREATE DATABASE {name} {copied}")
            made.append(name)
            text = settings if broker_url else ALONE + settings
            here = Installation(folder / name, database_url=postgres.dsn(name), broker_url=broker_url, settings=text)
            return await stack.enter_async_context(here)

        yield one
    for name in made:
        await _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def install(install_alone: Install, broker_url: str) -> Install:
    """`await install()` is one more installation on the session's servers, furnished, with nothing running yet.

    `furnished=False` leaves its database empty. `given=arrange` makes it what `arrange(installation)` makes of an empty
    one: carried out for the first test that asks, and copied for all others.
    """
    return partial(install_alone, broker_url=broker_url)


@pytest.fixture
async def installation(install: Install) -> Installation:
    return await install()


# --- servers to kill -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
async def _postgres_to_kill(_servers: Path) -> AsyncIterator[Postgres]:
    server = Postgres(_servers / "postgres-to-kill")
    await server.start()
    await _migrated(server, _servers / "furnished-to-kill")
    yield server
    await server.stop()


@pytest.fixture
async def postgres_to_kill(_postgres_to_kill: Postgres) -> AsyncIterator[Postgres]:
    """Running, and keeping its promises: what is committed is on the disk."""
    if _postgres_to_kill.pid is None:
        await _postgres_to_kill.start()
    yield _postgres_to_kill
    if _postgres_to_kill.pid is None:
        await _postgres_to_kill.start()


@pytest.fixture
async def database_to_kill(postgres_to_kill: Postgres) -> AsyncIterator[str]:
    name = f"system_{next(_numbers)}"
    await _administer(postgres_to_kill, f"CREATE DATABASE {name} TEMPLATE template_for_system STRATEGY FILE_COPY")
    yield postgres_to_kill.dsn(name)
    await _administer(postgres_to_kill, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def _broker_to_kill(
    broker: Rabbitmq, _servers: Path, _furnished: str, postgres: Postgres
) -> AsyncIterator[Rabbitmq]:
    server = Rabbitmq(_servers / "rabbitmq-to-kill")
    await server.start()
    await _administer(postgres, f"CREATE DATABASE for_declaring TEMPLATE {_furnished}")
    dsn = postgres.dsn("for_declaring")
    async with Installation(_servers / "declaring", database_url=dsn, broker_url=server.url) as here:
        await (await here.run("engine")).stop()
    await write_down(server)
    yield server
    await server.stop()


@pytest.fixture
async def broker_to_kill(_broker_to_kill: Rabbitmq) -> Rabbitmq:
    """Running, with the topology that an engine declares, and empty."""
    if _broker_to_kill.pid is None:
        await _broker_to_kill.start()
    await crm.empty(_broker_to_kill.url)
    return _broker_to_kill


@pytest.fixture
async def to_kill(folder: Path, database_to_kill: str, broker_to_kill: Rabbitmq) -> AsyncIterator[Installation]:
    """On servers of its own that may be killed; its studio's texts take a provider that is slow."""
    settings = '[accounts.slow]\nchannel = "sms"\nprovider = "sandbox"\nslots = 16\nlatency = 0.2\n'
    async with Installation(
        folder / "one", database_url=database_to_kill, broker_url=broker_to_kill.url, settings=settings
    ) as here:
        await here.furnish(account="slow")
        yield here
