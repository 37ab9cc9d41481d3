"""However a library says that the broker is gone, to us it is away, and nothing else ends."""

from __future__ import annotations

import asyncio

import pytest
from aiormq.exceptions import AMQPConnectionError, ChannelInvalidStateError

from control_center.crm.connection import BrokerAway, broker_errors, connect

LOSSES = [
    AMQPConnectionError("reset"),
    ChannelInvalidStateError("closed"),
    ConnectionResetError(104, "reset by peer"),
    RuntimeError("connection closed"),
    StopAsyncIteration(),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_every_way_to_lose_a_connection_is_the_broker_being_away(loss: BaseException) -> None:
    async def lose() -> None:
        with broker_errors("publishing"):
            raise loss

    with pytest.raises(BrokerAway, match="publishing"):
        asyncio.run(lose())


@pytest.mark.parametrize("said", [b"", b"\x01", b"\x01\x00\x00\x00\x00\x00", b"AMQP\x00\x00\x09\x01"])
async def test_a_broker_that_closes_in_the_middle_of_its_greeting_is_away(said: bytes) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(BrokerAway):
        await connect(f"amqp://guest:guest@127.0.0.1:{port}/", "test")
    server.close()
    await server.wait_closed()
