"""The broker's operator: `rabbitmqctl` on a node that a test has started, and virtual hosts to try things in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import aio_pika

from control_center.embedded import Rabbitmq
from tests.support.broker import DEAD, EVENTS, EXCHANGE

# RabbitMQ 3.10 writes down lazily what exists: a quorum queue made less than about two seconds before a kill never
# finds its leader again, and a binding may be gone. So it is told to, before anybody kills.
WRITE_DOWN: Final = """
    ok = dets:sync(maps:get(directory_rev, maps:get(names, ra_system:fetch(quorum_queues)))),
    dumped = mnesia:dump_log().
"""


class Runs(Protocol):
    """A node that runs: its process, and where rabbitmqctl lies."""

    scripts: Path

    @property
    def pid(self) -> int | None: ...


async def operate(server: Runs, *words: str, program: str = "rabbitmqctl") -> str:
    """Carry out `rabbitmqctl WORDS`, with the environment and the account of the node; it must succeed."""
    assert server.pid is not None
    node = Path(f"/proc/{server.pid}")
    told = node.joinpath("environ").read_text("utf-8").split("\0")
    owner = node.stat()  # noqa: ASYNC240 - /proc answers at once
    account: dict[str, Any] = (
        {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.getuid() == 0 else {}
    )
    process = await asyncio.create_subprocess_exec(
        server.scripts / program,
        "-q",
        *words,
        env=dict(entry.split("=", 1) for entry in told if "=" in entry),
        cwd="/",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        **account,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def write_down(server: Rabbitmq) -> None:
    """Make the node write down now which queues it has."""
    await operate(server, "eval", WRITE_DOWN)


@asynccontextmanager
async def virtual_host(server: Rabbitmq, name: str, **arguments: Any) -> AsyncIterator[str]:
    """The URL of a virtual host in which an administrator made the events' queue, with arguments of his own."""
    await operate(server, "add_vhost", name)
    await operate(server, "set_permissions", "-p", name, "guest", ".*", ".*", ".*")
    url = f"{server.url}/{name}"
    try:
        async with await aio_pika.connect(url) as connection, connection.channel() as channel:
            exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
            dlx = await channel.declare_exchange(f"{EVENTS}.dlx", aio_pika.ExchangeType.FANOUT, durable=True)
            dead = await channel.declare_queue(DEAD, durable=True, arguments={"x-queue-type": "quorum"})
            await dead.bind(dlx)
            arguments = {"x-dead-letter-exchange": dlx.name, **arguments}
            queue = await channel.declare_queue(EVENTS, durable=True, arguments=arguments)
            await queue.bind(exchange, "#")
        await write_down(server)
        yield url
    finally:
        if server.pid is not None:
            await operate(server, "delete_vhost", name)
