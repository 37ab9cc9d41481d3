"""The whole installation of a soak: servers, programs, each started again as by systemd, and the lines between them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from control_center.embedded import Postgres, Rabbitmq
from tests.soak.far_side import Provider, Relay
from tests.soak.plan import BROKER_LINE, PROGRAMS, PROVIDER_LINE, RELAY_LINE, WORKERS
from tests.support.fake_crm import Crm
from tests.support.fake_sms import ACCOUNT
from tests.support.installation import Installation
from tests.support.operator import write_down
from tests.support.programs import Program
from tests.support.proxy import Proxy

HERE: Final = Path(__file__).resolve().parent
FOR_EVER: Final = 10.0**7
HEARTBEAT: Final = 4  # seconds: a silent broker is given up after fifteen
LINK_KEY: Final = "the same on every host of a soak, and long"
AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
# What a program may say of itself only where it is at fault.
OURS: Final = frozenset(
    {
        "event.fault",
        "action.fault",
        "release.fault",
        "delivery.fault",
        "cli.fault",
        "http.failed",
        "service.duty_failed",
    }
)


class Post:
    """Owns the place of one program: whatever ends there is started again. `crash_at` arms the next one."""

    def __init__(self, name: str, here: Installation, words: Sequence[str], **settings: str) -> None:
        self.name = name
        self.here = here
        self.program: Program | None = None
        self.starts = 0
        self.complaints: Counter[str] = Counter()
        self.crash_at = ""
        self.armed = ""  # what the one that runs is armed with
        self._words = words
        self._settings = settings
        self._closed = asyncio.Event()
        self._started = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self.program.pid if self.program is not None and self.program.code is None else None

    def open(self) -> None:
        self._keeper = asyncio.create_task(self._keep())

    async def ready(self, *, within: float = 180.0) -> None:
        """Until the one that runs does what it is for; one that ends before is replaced and waited for as well."""
        async with asyncio.timeout(within):
            while True:
                await self._started.wait()
                assert self.program is not None
                with suppress(AssertionError):  # it ended
                    if self.name in WORKERS:
                        await self.program.wait_for("worker.ready", within=within)
                    else:
                        await self.program.wait_for_words("control center runs as process", within=within)
                    return
                await asyncio.sleep(0.2)

    async def renew(self, *, within: float = 90.0) -> None:
        """Let the one that runs come to its end, and another one begin."""
        before = self.starts
        if self.program is not None and self.program.code is None:
            await self.program.stop(within=within)
        async with asyncio.timeout(within):
            while self.starts == before:  # noqa: ASYNC110 - seconds, and nobody else waits for it
                await asyncio.sleep(0.1)

    async def close(self, *, within: float = 90.0) -> None:
        """Let the one that runs come to its end, and nobody take its place."""
        self._closed.set()
        if self.program is not None and self.program.code is None:
            await self.program.stop(within=within)
        if self._keeper is not None:
            await self._keeper

    async def _keep(self) -> None:
        while not self._closed.is_set():
            self.armed, self.crash_at = self.crash_at, ""
            settings = {**self._settings, **({"crash_at": self.armed} if self.armed else {})}
            self.program = await self.here.start(*self._words, **settings)
            self.starts += 1
            self._started.set()
            await self.program.ended(within=FOR_EVER)
            self._started.clear()
            self.look(self.program)
            self.here.programs.remove(self.program)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), 0.3)

    def look(self, program: Program) -> None:
        """Note what it said that it should not have to say."""
        for line in program.log:
            if line["event"] in OURS or (line.get("level") in ("error", "critical") and "exception" in line):
                reason = str(line.get("exception") or line.get("reason") or "").strip().splitlines()
                self.complaints[f"{self.name}: {line['event']}: {reason[-1] if reason else ''}"] += 1
        told = "\n".join(program.said)
        if "Traceback" in told:
            self.complaints[f"{self.name}: {told[told.index('Traceback') :][-1500:]}"] += 1


@dataclass
class Desk:
    """What the person in the office has done so far, as far as others must know of it."""

    closed: list[tuple[datetime, datetime]] = field(default_factory=list)  # meanwhile the day was closed for certain
    offered: set[str] = field(default_factory=set)  # the groups that had a bulk
    groups: Callable[[], int] = lambda: 0  # how many there are
    edits: int = 0


@dataclass
class Stage:
    """Everything that a fault may befall, and the office from which it is looked at and operated."""

    office: Installation
    web: Installation
    postgres: Postgres
    rabbitmq: Rabbitmq
    posts: dict[str, Post]
    lines: dict[str, Proxy]
    provider: Provider
    relay: Relay
    crm: Crm
    desk: Desk = field(default_factory=Desk)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)  # one look at the database at a time

    async def sql(self, statement: str, *values: Any, within: float = 300.0) -> list[Any]:
        """Rows of the database, once it answers."""

        async def rows() -> list[Any]:
            async with self.looking:
                return await self.office.sql(statement, *values)

        found: list[Any] = await patiently(rows, within=within)
        return found

    async def value(self, statement: str, *values: Any) -> Any:
        return (await self.sql(statement, *values))[0][0]

    @property
    def complaints(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for post in self.posts.values():
            found += post.complaints
        return found


async def patiently(ask: Callable[[], Awaitable[Any]], *, within: float) -> Any:
    """What is asked for, as soon as it can be had."""
    async with asyncio.timeout(within):
        while True:
            try:
                return await ask()
            except AWAY:
                await asyncio.sleep(0.3)


@asynccontextmanager
async def staged(folder: Path, postgres: Postgres, rabbitmq: Rabbitmq, database: str) -> AsyncIterator[Stage]:
    """An installation on this database, migrated, furnished, and running."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(Provider())
        relay = await stack.enter_async_context(Relay())
        lines = {
            BROKER_LINE: Proxy.before(rabbitmq.url),
            PROVIDER_LINE: Proxy("127.0.0.1", provider.port),
            RELAY_LINE: Proxy("127.0.0.1", relay.port),
            **{f"{one} to database": _before(postgres.dsn(database)) for one in PROGRAMS},
        }
        for line in lines.values():
            await stack.enter_async_context(line)
        settings = _settings(provider, lines)
        hosts: dict[str, Installation] = {}
        for name in ("office", "engine", "release", "web", "workers"):
            one = Installation(
                folder / name, database_url=postgres.dsn(database), broker_url=rabbitmq.url, settings=settings
            )
            one.copies = False
            hosts[name] = await stack.enter_async_context(one)
        await _furnish(hosts["office"])
        posts = {name: _post(name, hosts, lines, database) for name in PROGRAMS}
        crm = Crm(rabbitmq.url, listens=False)
        stage = Stage(hosts["office"], hosts["web"], postgres, rabbitmq, posts, lines, provider, relay, crm)
        provider.here = hosts["web"]
        stack.push_async_callback(_close, stage)
        for post in posts.values():
            post.open()
        await asyncio.gather(*(post.ready() for post in posts.values()))
        await stack.enter_async_context(crm)
        await crm.listen()
        assert posts["engine"].program is not None
        await posts["engine"].program.wait_for("inbox.attached", within=120)
        await write_down(rabbitmq)
        yield stage


async def _close(stage: Stage) -> None:
    await asyncio.gather(*(post.close() for post in stage.posts.values()))
    stage.office.hang_up()


def _before(dsn: str) -> Proxy:
    """A line to a PostgreSQL that listens on a unix socket."""
    return Proxy(parse_qs(urlsplit(dsn).query)["host"][0] + "/.s.PGSQL.5432", 0)


def _settings(provider: Provider, lines: dict[str, Proxy]) -> str:
    table = provider.table.replace(f":{provider.port}/", f":{lines[PROVIDER_LINE].port}/")
    return f'smtp_url = "smtp://127.0.0.1:{lines[RELAY_LINE].port}"\n{table}'


def _post(name: str, hosts: dict[str, Installation], lines: dict[str, Proxy], database: str) -> Post:
    here = hosts["workers" if name in WORKERS else name]
    words = ("workers", "email" if name == "mail" else "sms") if name in WORKERS else ("control_center", "run", name)
    broker = f"amqp://guest:guest@127.0.0.1:{lines[BROKER_LINE].port}/?heartbeat={HEARTBEAT}"
    dsn = f"postgresql://cc@127.0.0.1:{lines[f'{name} to database'].port}/{database}"
    return Post(name, here, words, database_url=dsn, broker_url=broker, link_key=LINK_KEY)


async def _furnish(office: Installation) -> None:
    await office.done("migrate", within=120)
    await office.furnish(account=ACCOUNT)  # makes the studio; its one trigger is replaced with ours
    await office.done("templates", "apply", str(HERE / "templates"), within=120)
    await office.done("triggers", "apply", str(HERE / "triggers.toml"), "--yes", within=120)
