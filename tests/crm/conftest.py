"""A broker that a test of this folder may kill, and a way to speak to it as its operator."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from control_center.crm.connection import connect
from control_center.crm.topology import Topology, declare
from control_center.embedded import Rabbitmq
from tests.support.operator import operate, write_down

Operate = Callable[..., Awaitable[str]]


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
    await write_down(server)
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


@pytest.fixture(name="operate")
def _operate() -> Operate:
    """`await operate(broker, "add_user", "ada", "secret")` runs rabbitmqctl on that broker."""
    return operate
