"""However a library says that the broker is gone, to us it is away, and nothing else ends; of a cluster one will do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from aiormq.exceptions import AMQPConnectionError, ChannelInvalidStateError

from control_center.crm import connection
from control_center.crm.connection import BrokerAway, broker_errors, connect
from control_center.domain.errors import ConfigurationError
from control_center.domain.server_list import each_server

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


@pytest.mark.parametrize(
    ("url", "each"),
    [
        ("amqp://a:b@one/", ["amqp://a:b@one/"]),
        ("amqp://one", ["amqp://one"]),
        (
            "amqp://a:b@one,two:5673/x?heartbeat=5",
            ["amqp://a:b@one/x?heartbeat=5", "amqp://a:b@two:5673/x?heartbeat=5"],
        ),
        ("amqps://a:b%2C@[::1]:1,two:2", ["amqps://a:b%2C@[::1]:1", "amqps://a:b%2C@two:2"]),
    ],
)
def test_an_address_may_name_every_node_of_a_cluster(url: str, each: list[str]) -> None:
    assert each_server(url) == each


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The host and port of somebody who takes a connection and never says a word."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("order", [1, -1])
async def test_of_a_cluster_whichever_node_answers_is_taken_whatever_the_others_do(
    broker_url: str, silent: str, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 9.0)
    monkeypatch.setattr(random, "shuffle", lambda _: None)
    answering = urlsplit(broker_url).netloc.partition("@")[2]
    hosts = ["127.0.0.1:1", silent, answering][::order]

    opened = await connect(broker_url.replace(answering, ",".join(hosts)), "test")

    async with opened, opened.channel() as channel:
        await channel.declare_queue(exclusive=True)


async def test_where_no_node_answers_each_says_why(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.4)
    with pytest.raises(BrokerAway) as raised:
        await connect(f"amqp://guest:canary@127.0.0.1:1,{silent}/", "test")

    assert "127.0.0.1:1: connecting: " in str(raised.value)
    assert f"{silent}: connecting: " in str(raised.value)
    assert "canary" not in str(raised.value)


async def test_a_password_that_one_node_refuses_is_not_tried_at_the_next(broker_url: str) -> None:
    host = urlsplit(broker_url).netloc.partition("@")[2]
    with pytest.raises(ConfigurationError):
        await connect(broker_url.replace("guest:guest", "guest:wrong").replace(host, f"{host},{host}"), "test")
