"""The composition root of `control-center run`: servers, the engine's duties, the web, and workers as children."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from control_center.daemon import children, place, servers
from control_center.daemon.duties import Duties
from control_center.daemon.place import Endpoints
from control_center.daemon.servers import Say
from control_center.daemon.studio import first_studio
from control_center.domain.errors import ConfigurationError
from control_center.domain.links import Links
from control_center.engine import zone_sweep
from control_center.engine.upkeep import Ages
from control_center.fence import Fence, recognise
from control_center.loop import Loop
from control_center.service import Service, now
from control_center.settings import PREFIX, Settings, link_key
from control_center.store import db
from control_center.store.clock import Clock

ROLES: Final = ("engine", "release", "sms", "email", "web")
CHANNELS: Final = ("sms", "email")
CONNECTIONS: Final = 12
CONNECTIONS_OF_THE_SPINE: Final = 6


@dataclass(frozen=True, slots=True)
class Running:
    """What `beside` may work with: the installation as it runs."""

    life: Service
    pool: db.Pool
    endpoints: Endpoints


async def run(
    settings: Settings,
    roles: Collection[str] = ROLES,
    *,
    say: Say,
    prepare: Callable[[db.Pool], Awaitable[None]] | None = None,
    beside: Callable[[Running], None] | None = None,
) -> None:
    """Run these roles until SIGTERM or SIGINT.

    `say` takes lines for people. `prepare` is called on the database before anything comes in, `beside` once all is
    up. Raises ConfigurationError where it cannot begin, and whatever ended a duty.
    """
    async with AsyncExitStack() as stack:
        dsn, broker_url = await stack.enter_async_context(_ground(settings, say))
        life = Service()
        pool, hot = await stack.enter_async_context(_pools(dsn))
        if prepare is not None:
            await prepare(pool)
        await first_studio(pool, settings)
        fence = Fence(pool, settings.data_dir)
        if not await fence.look():
            say("nothing is sent: the fence is closed; see why with: control-center fence show")
        clock = Clock(pool, now)
        await clock.tend()
        if "release" in roles:
            await zone_sweep.follow_release(pool, clock.now())
        ages = Ages(events=timedelta(days=settings.keep_events_days))
        duties = Duties(life, pool, hot, dsn, broker_url, clock.now, ages)
        _key(settings, roles)
        key = link_key.find(settings)
        duties.links = Links(settings.links_base, key) if key is not None else None
        http = await _served(settings, duties) if "web" in roles else ""
        for name, tend in (("fence", fence.tend), ("clock", clock.tend)):
            life.start(name, Loop(name, tend, life.stop, away=db.PASSES).run())
        _start(settings, roles, duties)
        endpoints = Endpoints(http, str(settings.data_dir / place.TOKEN), dsn, broker_url, os.getpid())
        place.write_endpoints(settings.data_dir, endpoints)
        try:
            if beside is not None:
                beside(Running(life, pool, endpoints))
            await life.run(ready=f"running {', '.join(roles)}")
        finally:
            place.remove_endpoints(settings.data_dir)


def _key(settings: Settings, roles: Collection[str]) -> None:
    """The key of links is made where they are answered; another one, made beside it, would lead nowhere."""
    if "web" in roles:
        link_key.keep(settings)
    elif "email" in roles and link_key.find(settings) is None:
        raise ConfigurationError(
            f"{PREFIX}LINK_KEY is empty: mail needs the key of the installation for its links; take it from "
            f"{link_key.FILE} in the data folder of the host that runs web"
        )


async def _served(settings: Settings, duties: Duties) -> str:
    from control_center.daemon.site import served  # noqa: PLC0415 - half of all there is to load: not where it is not run

    return await served(settings, duties)


def _start(settings: Settings, roles: Collection[str], duties: Duties) -> None:
    if "release" in roles:
        duties.release()
    if "engine" in roles:
        duties.engine()
        if any(one.provider == "sandbox" for channel in CHANNELS for one in settings.carriers(channel).values()):
            duties.carrier(settings.data_dir / "sandbox")
    environment = {f"{PREFIX}DATA_DIR": str(settings.data_dir)}
    if not settings.database_url.get_secret_value():
        # Only the private one, which has no password; a configured one the worker reads where we did.
        environment[f"{PREFIX}DATABASE_URL"] = duties.dsn
    for channel in CHANNELS:
        if channel in roles:
            duties.life.start(f"{channel}-worker", children.tend(channel, environment, duties.life.stop))


@asynccontextmanager
async def _ground(settings: Settings, say: Say) -> AsyncIterator[tuple[str, str]]:
    """The data folder, the database and the broker: the last two start side by side."""
    async with AsyncExitStack() as stack:
        stack.enter_context(place.occupied(settings.data_dir))
        try:
            async with asyncio.TaskGroup() as starting:
                dsn = starting.create_task(stack.enter_async_context(servers.database(settings, say)))
                broker_url = starting.create_task(stack.enter_async_context(servers.broker(settings, say)))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # the other one was only cancelled because of it
        yield dsn.result(), broker_url.result()


@asynccontextmanager
async def _pools(dsn: str) -> AsyncIterator[tuple[db.Pool, db.Pool]]:
    """The pool of everything, and that of the spine."""
    async with AsyncExitStack() as stack:
        pool = await db.open_pool(dsn, application="control-center run", size=CONNECTIONS, greet=recognise)
        stack.push_async_callback(pool.close)
        spine = CONNECTIONS_OF_THE_SPINE
        hot = await db.open_hot_pool(dsn, application="control-center spine", size=spine, greet=recognise)
        stack.push_async_callback(hot.close)
        yield pool, hot
