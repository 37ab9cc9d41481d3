"""A broker that a test of this folder may kill, and a way to speak to it as its operator."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from control_center.crm.connection import connect
from control_center.crm.topology import Topology, declare
from control_center.embedded import Rabbitmq

Operate = Callable[..., Awaitable[str]]

_WRITE_DOWN = """
    ok = dets:sync(maps:get(directory_rev, maps:get(names, ra_system:fetch(quorum_queues)))),
    dumped = mnesia:dump_log().
"""


@pytest.fixture(scope="session")
async def _broker_to_kill(broker: Rabbitmq) -> AsyncIterator[Rabbitmq]:
    folder = tempfile.mkdtemp(prefix="control-center-test-")
    os.chmod(folder, 0o711)  # noqa: PTH101 - for the account that a server started by root runs as
    server = Rabbitmq(Path(folder, "rabbitmq"))
    await server.start()
    async with await connect(server.url, "test") as connection, connection.channel() as channel:
        await declare(connection, Topology())
        queue = await channel.declare_queue("crm.listener", durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind(Topology().commands_exchange, "*.create_task")
    # RabbitMQ 3.10 writes down lazily what exists: a quorum queue made less than about two seconds before a kill never
    # finds its leader again, and a binding may be gone. So all is made here, and written down before anybody kills.
    await _rabbitmqctl(server, "eval", _WRITE_DOWN)
    yield server
    await server.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def broker_to_kill(_broker_to_kill: Rabbitmq) -> Rabbitmq:
    """Running, with the topology and a queue `crm.listener` for tasks; all empty."""
    if _broker_to_kill.pid is None:
        await _broker_to_kill.start()
    async with await connect(_broker_to_kill.url, "test") as connection, connection.channel() as channel:
        for queue in (Topology().events_queue, Topology().dead_queue, "crm.listener"):
            await (await channel.get_queue(queue)).purge()
    return _broker_to_kill


@pytest.fixture
def operate() -> Operate:
    """`await operate(broker, "add_user", "ada", "secret")` runs rabbitmqctl on that broker."""

    return _rabbitmqctl


async def _rabbitmqctl(broker: Rabbitmq, *words: str) -> str:
    assert broker.pid is not None
    env, account = _circumstances(broker.pid)
    process = await asyncio.create_subprocess_exec(
        broker.scripts / "rabbitmqctl",
        "-q",
        *words,
        env=env,
        cwd="/",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        **account,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


def _circumstances(pid: int) -> tuple[dict[str, str], dict[str, Any]]:
    """The environment and the account of a node: with those, rabbitmqctl finds it and its cookie."""
    node = Path(f"/proc/{pid}")
    env = dict(entry.split("=", 1) for entry in node.joinpath("environ").read_text().split("\0") if "=" in entry)
    if os.getuid() != 0:
        return env, {}
    owner = node.stat()
    return env, {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
