"""P13: ten minutes of events, each a text at once, to a provider that is slow and fails. Nothing grows or is lost.

The installation is the one an administrator starts: `control-center run engine release web`, and workers beside it.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import aio_pika
import aiohttp
import asyncpg

from bench import child, events, machine, p1_intake, p2_delivery, p13_books, seeds
from bench.context import Context
from bench.p3_latency import AT_ONCE, empty_queue
from bench.p13_books import Story
from bench.p13_watch import Watch, settled
from bench.servers import settings
from bench.table import Row
from control_center.crm.topology import Topology
from control_center.daemon import place
from control_center.embedded.process import until

LATENCY: Final = 0.2  # seconds
SPARE: Final = 1.5  # slots, over what rate and latency need
LEAST: Final = 200  # events a second
WORKERS: Final = 2
BURST: Final = 5  # seconds' worth of events that come at once in the end
SECRET: Final = "not-a-secret-but-long-enough"
CONFIG: Final = """\
[accounts.bench]
provider = "http"
url = "{url}/texts"
secret = "{secret}"
from = "+13125550100"
slots = {slots}
"""


async def measure(context: Context) -> list[Row]:
    rate = await _rate(context)
    slots = math.ceil(rate * LATENCY * SPARE / WORKERS)
    context.say(f"   {rate} events a second for {context.seconds} s, {WORKERS} workers of {slots} slots each")
    await empty_queue(context)
    triggers = [AT_ONCE, *events.triggers()]
    template = await context.servers.template("p13", lambda connection: seeds.a_studio(connection, triggers))
    async with context.servers.clone(template) as dsn:
        rows = await _load(context, dsn, rate, slots)
    await context.servers.drop(template)
    rows[0].remarks.insert(0, f"{rate} events a second for {context.seconds} s, {WORKERS} x {slots} slots")
    return rows


async def _rate(context: Context) -> int:
    """Events a second: as asked for, else half of what intake and delivery together reach on this machine now."""
    if context.rate or context.quick:
        return context.rate or 40
    intake = await p1_intake.alone(context, 10_000)
    delivery = await p2_delivery.alone(context, 6_000)
    together = 1 / (1 / intake + 1 / delivery)
    context.say(f"   intake {intake:,.0f}, delivery {delivery:,.0f}, one after the other {together:,.0f} a second")
    return max(LEAST, round(together / 2))


async def _load(context: Context, dsn: str, rate: int, slots: int) -> list[Row]:
    async with AsyncExitStack() as stack:
        place_ = await stack.enter_async_context(_installation(context, dsn, slots))
        watch = Watch(place_.http, context.servers.broker_url, dsn, place_.pids)
        watching = asyncio.create_task(watch.run())
        trees = context.servers.trees | {name: [pid] for name, pid in place_.pids.items()}
        first = machine.read(trees)
        story = await _stream(context, dsn, rate, place_, watch)
        usage = machine.between(first, machine.read(trees))
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    return p13_books.rows(story, watch, usage)


# The installation ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    http: str
    gateway: str
    pids: dict[str, int]


@asynccontextmanager
async def _installation(context: Context, dsn: str, slots: int) -> AsyncIterator[_Place]:
    """Provider, engine with web, and workers, each a process of its own."""
    servers = context.servers
    folder = servers.folder / "p13"
    folder.mkdir()
    port, web = _free_port(), _free_port()
    gateway, http = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{web}"
    config = folder / "p13.toml"
    config.write_text(CONFIG.format(url=gateway, secret=SECRET, slots=slots))
    common = {
        "config": str(config),
        "database_url": dsn,
        "broker_url": servers.broker_url,
        "public_url": "https://control-center.example",
        "listen": f"127.0.0.1:{web}",
        "log_format": "json",
    }
    options = {"port": port, "hook": f"{http}/hooks/sms/http/bench/status", "secret": SECRET, "latency": LATENCY}
    run = (sys.executable, "-m", "control_center", "run", "engine", "release", "web")
    work = (sys.executable, "-m", "workers", "sms")
    async with AsyncExitStack() as stack:
        await _somebody_listens(servers.broker_url)
        provider = await stack.enter_async_context(child.contender("bench.p13_gateway", options, servers.log))
        await provider.go()
        data = folder / "engine"
        engine = await stack.enter_async_context(
            child.program(run, servers.log, settings(**common, data_dir=str(data)))
        )

        async def up() -> bool:
            return place.read_endpoints(data) is not None

        assert await until(up, within=120), "the engine did not start"
        pids = {"engine and web": engine.pid}
        for number in range(1, WORKERS + 1):
            environment = settings(**common, data_dir=str(folder / f"worker-{number}"))
            worker = await stack.enter_async_context(child.program(work, servers.log, environment))
            pids[f"worker {number}"] = worker.pid
        assert await until(partial(_all_listen, dsn), within=120), "the workers did not start"
        yield _Place(http, gateway, pids)


LISTENING: Final = """
SELECT count(*) FROM pg_stat_activity WHERE application_name = 'control-center sms worker wakes'
   AND datname = current_database()"""


async def _all_listen(dsn: str) -> bool:
    database = await asyncpg.connect(dsn)
    try:
        return bool(await database.fetchval(LISTENING) == WORKERS)
    finally:
        await database.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _somebody_listens(broker_url: str) -> None:
    """A CRM that hears every report and keeps the last thousand: what nobody hears is another story."""
    connection = await aio_pika.connect(broker_url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("bench.p13.crm", durable=True, arguments={"x-max-length": 1000})
        for exchange in (Topology().reports_exchange, Topology().commands_exchange):
            await queue.bind(exchange, "#")


# The stream ---------------------------------------------------------------------------------------------------


async def _stream(context: Context, dsn: str, rate: int, here: _Place, watch: Watch) -> Story:
    """Ten minutes at an even pace, then some seconds' worth at once, and then until all is settled."""
    servers, file = context.servers, context.servers.folder / "p13" / "published.json"
    burst = BURST * rate
    options = {
        "broker_url": servers.broker_url,
        "rate": rate,
        "seconds": context.seconds,
        "burst": burst,
        "file": str(file),
    }
    async with child.contender("bench.p13_stream", options, servers.log) as stream:
        await stream.go()
        result = await stream.result()
    count = rate * context.seconds + burst
    held = [await watch.held(count)]
    settling = asyncio.create_task(settled(dsn, count, within=1800))
    while not settling.done():
        held.append(await watch.held(count))
        if held[-1]:
            context.say(f"   {held[-1]} events in the engine's hands, {watch.looks[-1].ready} in the broker's")
        await asyncio.wait([settling], timeout=1)
    calm = settling.result()
    assert await until(partial(_all_reported, here.gateway), within=120), "reports do not get through"
    books = await _asked(f"{here.gateway}/books")
    published = json.loads(file.read_text())
    messages = await _messages(dsn)
    return Story(published, result["even"], result["ended"], result["all"], calm, max(held), books, messages)


async def _all_reported(gateway: str) -> bool:
    counts = await _asked(f"{gateway}/counts")
    return bool(counts["taken"] == counts["reported"])


async def _asked(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        found: dict[str, Any] = await answer.json()
        return found


MESSAGES: Final = """
SELECT 'm-' || message_id, messages.state, event_id FROM messages JOIN actions USING (studio_id, action_id)"""


async def _messages(dsn: str) -> dict[str, tuple[str, str]]:
    database = await asyncpg.connect(dsn)
    messages = {row[0]: (row[1], row[2]) for row in await database.fetch(MESSAGES)}
    await database.close()
    return messages
