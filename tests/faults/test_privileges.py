"""The rights of docs/how-to/give-each-its-rights.md, typed as they stand there: enough to work, and no more."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import aio_pika
import aiohttp
import asyncpg
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused

from control_center.embedded import Postgres, Rabbitmq
from tests.support.bookings import bookings
from tests.support.broker import publish
from tests.support.checker import check
from tests.support.installation import Installation
from tests.support.matrix import Seen
from tests.support.operator import operate
from tests.support.programs import ROOT, eventually

pytestmark = pytest.mark.process

PAGE: Final = (ROOT / "docs/how-to/give-each-its-rights.md").read_text("utf-8")
EVENTS, DEAD, DLX = "control-center.events", "control-center.events.dead", "control-center.events.dlx"
FORBIDDEN: Final = (
    "CREATE TABLE mine (id int)",
    "DROP TABLE messages",
    "ALTER TABLE messages ADD COLUMN mine int",
    "CREATE INDEX mine ON messages (state)",
    "TRUNCATE messages",
    "CREATE SCHEMA mine",
    "CREATE TEMP TABLE mine (id int)",
    "CREATE OR REPLACE FUNCTION texts_spent(text, date) RETURNS bigint LANGUAGE sql AS 'SELECT 0'",
    "UPDATE audit SET who = 'nobody'",
    "DELETE FROM audit",
    "DELETE FROM consents",
    "UPDATE schema_version SET version = 99",
    "COPY messages TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/passwd')",
)


def typed(mark: str) -> str:
    """What the page tells to type at this mark."""
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found, mark
    return found[1]


@dataclass(frozen=True, slots=True)
class Rights:
    """A database with an owner and a service, by their addresses, and a virtual host by the addresses of its users."""

    owner: str
    service: str
    broker_url: str
    crm_url: str
    operator_url: str


@pytest.fixture(scope="module")
async def rights(postgres: Postgres, broker: Rabbitmq) -> AsyncIterator[Rights]:
    """As the page makes them, from the first line to the last; the engine has created what the broker needs."""
    name = f"rights_{os.getpid()}"
    owner, service = (re.sub("//cc@", f"//{name}_{role}@", postgres.dsn(name)) for role in ("owner", "service"))
    host = f"{name}-control-center"

    async def type_at_broker(mark: str) -> None:
        for line in typed(mark).splitlines():
            words = shlex.split(line.replace('"$password"', "secret"))[1:]
            await operate(broker, *(f"{name}-{one}" if one in ("crm", "control-center") else one for one in words))

    def url(user: str) -> str:
        return f"{broker.url.replace('guest:guest', user)}/{host}"

    for statement in filter(str.strip, typed("as: postgres").replace("control_center", name).split(";")):
        await _sql(postgres.dsn("postgres"), statement)
    await _sql(owner, typed("as: owner").replace("control_center", name))
    await type_at_broker("run: before")
    await type_at_broker("run: crm")
    await operate(broker, "set_permissions", "-p", host, "guest", ".*", ".*", ".*")
    made = Rights(owner, service, url(f"{host}:secret"), url(f"{name}-crm:secret"), url("guest:guest"))
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        async with Installation(Path(folder), database_url=service, broker_url=made.broker_url) as here:
            refused = await here.cli("migrate")
            assert (refused.code, "permission denied" in refused.complaint) == (1, True), "only the owner migrates"
            await here.done("migrate", database_url=owner)
            await _sql(owner, typed("as: owner, migrated").replace("control_center", name))
            await (await here.run("engine")).stop()
    await type_at_broker("run: after")
    yield made
    await _sql(postgres.dsn("postgres"), f"DROP DATABASE {name} WITH (FORCE)")
    await _sql(postgres.dsn("postgres"), f"DROP ROLE {name}_owner; DROP ROLE {name}_service")
    for verb, one in (("delete_vhost", "control-center"), ("delete_user", "control-center"), ("delete_user", "crm")):
        await operate(broker, verb, f"{name}-{one}")


async def test_a_service_that_may_only_read_and_write_rows_does_all_its_work(
    rights: Rights, folder: Path, seen: Seen
) -> None:
    async with Installation(folder / "one", database_url=rights.service, broker_url=rights.broker_url) as here:
        await here.furnish()
        crm_hears = await _listening(rights)
        running = await here.run()
        bodies = bookings(20)
        await publish(rights.crm_url, [*bodies, b"this is no event"])
        await here.sent(20)
        await here.calm()
        await here.api("POST", "/blackouts", body={"name": "Retreat", "date": "2031-05-01"})
        await here.holds("SELECT count(*) = 1 FROM dead_events")
        await here.holds("SELECT count(*) = 0 FROM commands WHERE published_at IS NULL")
        assert (await check(here, bodies)).faults == {}
        assert await eventually(lambda: _depth(rights.operator_url, DEAD), what="the copy of what was set aside") == 1
        assert await _depth(rights.operator_url, crm_hears) >= 20
        complaints = [line for line in running.log if "permission denied" in str(line) or "ACCESS_REFUSED" in str(line)]
        assert complaints == []
        await running.stop()
        seen("20 texts, their reports and a dead event, by a role without DDL and a user that configures nothing")


async def test_what_the_broker_set_aside_is_told_of_by_a_user_that_may_not_read_it(
    rights: Rights, folder: Path
) -> None:
    async with Installation(folder / "two", database_url=rights.service, broker_url=rights.broker_url) as here:
        running = await here.run("engine", "web")
        await publish(rights.crm_url, [b"this is no event, and a copy of it is none of the broker's doing"])
        await here.holds("SELECT count(*) > 0 FROM dead_events")
        await here.holds("SELECT copies > 0 AND others = 0 AND look_at > now() FROM dead_queue")
        connection = await aio_pika.connect(rights.operator_url)
        async with connection, connection.channel() as channel:
            # As the broker puts it there; a limit of a hundred deliveries is a long way.
            message = aio_pika.Message(b"{}", headers={"x-death": [{"reason": "expired", "queue": EVENTS}]})
            await (await channel.get_exchange(DLX)).publish(message, "main.session.created")
        said = await running.wait_for("events.set_aside", within=120)
        assert (said["level"], said["events"], said["hint"]) == ("error", 1, "control-center events collect")
        assert (await _ready(here)).get("warnings") == [
            "the broker has set 1 event(s) aside; see: control-center events collect"
        ]
        assert "FAILED  events" in (await here.cli("check")).out
        refused = await here.cli("events", "collect")
        assert (refused.code, "may not read" in refused.complaint) == (1, True)

        # As the page says, for this once, beside the service that runs with its own user.
        for_once = f"broker_url={rights.operator_url}"
        assert await here.json("events", "collect", "--set", for_once) == {"collected": 1}

        # Nothing is told of it until somebody has made an event of it, or has said that nobody needs it.
        await here.holds("SELECT others = 0 FROM dead_queue")
        assert (await _ready(here)).get("warnings") == [
            "1 event(s) the broker had set aside wait to be replayed; see: control-center events dead"
        ]
        brought = await here.value("SELECT dead_id FROM dead_events WHERE by_broker")
        await here.done("events", "discard", str(brought), "--reason", "an empty one")
        assert "warnings" not in await _ready(here)
        assert "FAILED  events" not in (await here.cli("check")).out
        await running.stop()


async def test_the_service_may_neither_change_the_schema_nor_rewrite_what_is_only_added_to(rights: Rights) -> None:
    allowed = []
    for statement in FORBIDDEN:
        try:
            await _sql(rights.service, statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        allowed.append(statement)

    assert allowed == []


async def test_the_brokers_user_reads_one_queue_writes_three_exchanges_and_may_do_nothing_else(rights: Rights) -> None:
    tries: dict[str, Callable[[AbstractChannel], Awaitable[object]]] = {
        "create a queue": lambda channel: channel.declare_queue("mine"),
        "create an exchange": lambda channel: channel.declare_exchange("mine"),
        "delete its queue": lambda channel: channel.queue_delete(EVENTS),
        "delete an exchange": lambda channel: channel.exchange_delete("crm.commands"),
        "read what was set aside": lambda channel: _read(channel, DEAD),
        "forge an event": lambda channel: _write(channel, "crm.events"),
        "write past the exchanges": lambda channel: _write(channel, ""),
        "bind its queue elsewhere": lambda channel: _bind(channel, EVENTS, "crm.commands"),
    }
    allowed = [what for what, attempt in tries.items() if await _may(rights.broker_url, attempt)]

    assert allowed == []
    for exchange in ("crm.commands", "control-center.reports", DLX):
        assert await _may(rights.broker_url, partial(_write, exchange=exchange)), exchange
    assert await _may(rights.broker_url, lambda channel: _read(channel, EVENTS))


async def test_the_crms_user_writes_events_and_can_neither_read_them_nor_forge_commands(rights: Rights) -> None:
    await _listening(rights)

    assert await _may(rights.crm_url, lambda channel: _write(channel, "crm.events"))
    assert not await _may(rights.crm_url, lambda channel: _read(channel, EVENTS))
    assert not await _may(rights.crm_url, lambda channel: _write(channel, "crm.commands"))
    assert not await _may(rights.crm_url, lambda channel: channel.queue_delete(EVENTS))


async def _ready(here: Installation) -> dict[str, Any]:
    endpoints = json.loads((here.data_dir / "endpoints.json").read_text("utf-8"))
    async with aiohttp.ClientSession() as session, session.get(f"{endpoints['http']}/readyz") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def _listening(rights: Rights) -> str:
    """The CRM's own queue, bound by its own user."""
    connection = await aio_pika.connect(rights.crm_url)
    async with connection, connection.channel() as channel:
        queue = await channel.declare_queue("crm.inbox", durable=True)
        for exchange in ("crm.commands", "control-center.reports"):
            await queue.bind(exchange, "#")
    return "crm.inbox"


async def _depth(url: str, queue: str) -> int:
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        found = await channel.declare_queue(queue, durable=True, passive=True)
        return found.declaration_result.message_count or 0


async def _may(url: str, attempt: Callable[[AbstractChannel], Awaitable[object]]) -> bool:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        try:
            async with asyncio.timeout(20):
                await attempt(channel)
        except ChannelAccessRefused:
            return False
        return True


async def _read(channel: AbstractChannel, queue: str) -> object:
    return await (await channel.get_queue(queue, ensure=False)).get(fail=False)


async def _write(channel: AbstractChannel, exchange: str) -> object:
    to = channel.default_exchange if not exchange else await channel.get_exchange(exchange, ensure=False)
    return await to.publish(aio_pika.Message(b"{}"), EVENTS if not exchange else "main.test", mandatory=False)


async def _bind(channel: AbstractChannel, queue: str, exchange: str) -> object:
    return await (await channel.get_queue(queue, ensure=False)).bind(exchange, "#")


async def _sql(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()
