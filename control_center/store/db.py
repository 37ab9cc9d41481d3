"""The one door to PostgreSQL: pools with every wait bounded, and transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

import asyncpg
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from control_center.domain.errors import ConfigurationError, Conflict
from control_center.store import servers

Connection: TypeAlias = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
Pool: TypeAlias = asyncpg.Pool
Greeting: TypeAlias = Callable[[Connection], Awaitable[None]]
T = TypeVar("T")

# What it looks like when the database is away, starting, stopping or no longer the primary.
AWAY: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # its disk is full, its memory, or all its connections are taken
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # what a standby says that is asked for the end of its log
    asyncpg.InternalClientError,  # what a connection says that has heard of the end and is not closed yet
)
# Two transactions met: the whole transaction is tried again.
MET: tuple[type[BaseException], ...] = (
    Conflict,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
# What passes by itself: whoever has a next round to wait for waits for it.
PASSES: tuple[type[BaseException], ...] = (*AWAY, *MET)

ACQUIRE_SECONDS = 10.0  # seconds to wait for a free connection; without it a lost database hangs everything
STATEMENT_SECONDS = 60.0
PATIENCE = 25.0  # seconds that a service waits for its database at the start; a boot brings both up at once

# Planned for the size that tables have now: a plan made while they were small would be kept when they have grown, and
# that cost far more than planning each batch (`open_hot_pool` keeps plans, but not for long). Every statement reads by
# key or along an index made for it, so scans, and the joins that need them, are ruled out.
SETTINGS = {
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "idle_in_transaction_session_timeout": "60s",
    # A host that vanishes says no farewell: the server would keep its connections for two hours, and run out of them.
    "tcp_keepalives_idle": "30s",
    "tcp_keepalives_interval": "10s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
    "jit": "off",
    "timezone": "UTC",
    "search_path": "public",
}


# A plan for every value of its parameters knows no LIMIT: it must read the index in its order, and not gather and sort.
HOT_SETTINGS = {
    **SETTINGS,
    "plan_cache_mode": "force_generic_plan",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
}
# How often a connection of a hot pool is used before its plans are made anew: planning then costs an eighth, and a plan
# from an empty table has met a few batches at most when it goes.
USES_OF_A_PLAN = 8


async def open_pool(dsn: str, *, application: str, size: int = 10, greet: Greeting | None = None) -> Pool:
    """Connect. `application` is what the database's own views show, `greet` sees each connection first.

    Raises one of AWAY when nobody answers.
    """
    return await asyncpg.create_pool(
        dsn,
        connect=servers.connect,
        min_size=1,
        max_size=size,
        timeout=ACQUIRE_SECONDS,
        command_timeout=STATEMENT_SECONDS,
        reset=_leave_as_it_is,
        init=greet,
        server_settings={**SETTINGS, "application_name": application},
    )


async def open_hot_pool(dsn: str, *, application: str, size: int = 10, greet: Greeting | None = None) -> Pool:
    """A pool for the few statements of intake, release and delivery, whose plans do not depend on their parameters.

    They are planned once for eight uses of a connection: for batches of one, planning is most of the work otherwise.
    """
    return await asyncpg.create_pool(
        dsn,
        connect=servers.connect,
        min_size=1,
        max_size=size,
        timeout=ACQUIRE_SECONDS,
        command_timeout=STATEMENT_SECONDS,
        reset=_forgetting(),
        init=greet,
        server_settings={**HOT_SETTINGS, "application_name": application},
    )


async def _leave_as_it_is(_connection: Connection) -> None:
    """Spare the round trip of a reset at every release: nothing here ever leaves anything in a session."""


def _forgetting() -> Callable[[Connection], Awaitable[None]]:
    """What lets a pool's connections forget their plans after so many uses."""
    uses: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()

    async def forget(connection: Connection) -> None:
        uses[connection] = (uses.get(connection, 0) + 1) % USES_OF_A_PLAN
        if uses[connection] == 0:
            await connection.execute("DISCARD PLANS")

    return forget


async def connect(dsn: str, *, application: str) -> asyncpg.Connection:
    """A connection of one's own, for LISTEN and for migrations."""
    return await servers.connect(
        dsn,
        timeout=ACQUIRE_SECONDS,
        command_timeout=STATEMENT_SECONDS,
        server_settings={**SETTINGS, "application_name": application},
    )


async def reach(dsn: str, *, application: str, patience: float) -> None:
    """Wait until the database answers, as at a boot where it comes up after us.

    Raises one of AWAY after `patience`, and ConfigurationError where it answers and refuses.
    """
    tries = AsyncRetrying(
        retry=retry_if_exception_type(AWAY),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=stop_after_delay(patience),
        reraise=True,
    )
    async for attempt in tries:
        with attempt, refusals():
            connection = await connect(dsn, application=application)
            await connection.close()


@contextmanager
def refusals() -> Iterator[None]:
    """While we begin, what PostgreSQL refuses is for whoever set it up: a wrong password, a right that is missing."""
    try:
        yield
    except AWAY:
        raise
    except asyncpg.PostgresError as error:
        raise ConfigurationError(f"PostgreSQL says: {' '.join(str(error).split())}") from None


@asynccontextmanager
async def session(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for statements that are a transaction each."""
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        yield connection


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection inside one transaction: committed on leaving, rolled back on any exception."""
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection, connection.transaction():
        yield connection


class _Inside:
    """What `inside` hands out."""

    def __init__(self, tx: Connection) -> None:
        self._tx = tx

    @asynccontextmanager
    async def acquire(self, *, timeout: float | None = None) -> AsyncIterator[Connection]:  # noqa: ARG002, ASYNC109 - as a pool's; nothing is waited for
        async with self._tx.transaction():
            yield self._tx


def inside(tx: Connection) -> Pool:
    """A pool for work that is to stand or fall with this transaction: each of its connections is this one.

    What fails is undone as far as its own acquiring, and may be tried again. One after the other, never at once.
    """
    return cast("Pool", _Inside(tx))


async def retried(pool: Pool, work: Callable[[Connection], Awaitable[T]], *, tries: int = 8) -> T:
    """Run `work` in a transaction, again where two transactions met. Raises the last of MET after `tries`.

    Between tries is a pause of random length, so that those who met do not meet again: a second or two in all.
    """

    async def once() -> T:
        async with transaction(pool) as tx:
            return await work(tx)

    again = AsyncRetrying(
        retry=retry_if_exception_type(MET),
        wait=wait_random_exponential(multiplier=0.01, max=1),
        stop=stop_after_attempt(tries),
        reraise=True,
    )
    return await again(once)


async def insisted(work: Callable[[], Awaitable[T]], *, patience: float) -> T:
    """Do it again while the database is away, or two transactions meet, for so many seconds.

    Only what may be done twice. Raises the last of PASSES after that time.
    """
    again = AsyncRetrying(
        retry=retry_if_exception_type(PASSES),
        wait=wait_random_exponential(multiplier=0.2, max=2),
        stop=stop_after_delay(patience),
        reraise=True,
    )
    return await again(work)


# One channel for each hand-over, so that nobody wakes for what is not theirs. A hint only: polling is the truth.
NOTIFY = "SELECT pg_notify($1, '')"


async def notify(tx: Connection, channel: str) -> None:
    """Wake whoever listens on `channel`, once this transaction commits. Once a batch, never once a row."""
    await tx.execute(NOTIFY, channel)


class Listener:
    """Sets an event when another process has work for us. Lost with its connection, and then opened again."""

    def __init__(self, dsn: str, channels: dict[str, asyncio.Event], *, application: str) -> None:
        self._dsn = dsn
        self._channels = channels
        self._application = application
        self._connection: asyncpg.Connection | None = None

    async def tend(self) -> None:
        """Connect where necessary, and find out whether the connection still lives. Raises one of AWAY."""
        try:
            await self._tend()
        except AWAY:
            await self.close()  # one that is silent is as lost as one that is closed: the next look opens another
            raise

    async def _tend(self) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._dsn, application=self._application)
            for channel in self._channels:
                await self._connection.add_listener(channel, self._wake)
            for event in self._channels.values():
                event.set()  # what came while nobody listened
        await self._connection.execute("SELECT 1", timeout=5)

    def _wake(self, _connection: Any, _pid: int, channel: str, _payload: str) -> None:
        self._channels[channel].set()

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.terminate()
