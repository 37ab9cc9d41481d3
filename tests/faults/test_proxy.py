"""The line that other tests break does what they think it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.programs import eventually
from tests.support.proxy import Proxy


@pytest.fixture
async def line() -> AsyncIterator[Proxy]:
    """To a server that says everything again."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1024):
                writer.write(data)
        except OSError:
            pass  # the line was cut
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with Proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as made:
        yield made
    server.close()


async def test_what_a_frozen_line_holds_passes_when_it_thaws(line: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"
    line.freeze()
    writer.write(b"two")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)

    line.thaw()
    assert await asyncio.wait_for(reader.readexactly(3), 10) == b"two"
    writer.close()


async def test_a_frozen_line_tells_neither_end_that_the_other_has_gone(line: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
    writer.write(b"one")
    await reader.readexactly(3)
    line.freeze()
    writer.write_eof()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)

    line.thaw()
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_a_line_is_cut_in_the_middle_and_the_next_one_holds(line: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
    line.cut_after(14)
    writer.write(b"0123456789")
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(10), 10)
    writer.close()

    async def nobody() -> bool:
        return line.connections == 0

    await eventually(nobody, within=10)
    reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
    writer.write(b"again")
    assert await asyncio.wait_for(reader.readexactly(5), 10) == b"again"
    writer.close()


async def test_a_line_that_refuses_sends_everybody_away(line: Proxy) -> None:
    line.refusing = True
    reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 10)
    writer.close()


def test_a_url_through_a_line_keeps_everything_but_where_it_leads() -> None:
    line = Proxy.before("amqp://guest:p%40ss@10.0.0.1:5672/vhost?heartbeat=3")
    line.port = 4711
    assert line.url("amqp://guest:p%40ss@10.0.0.1:5672/vhost?heartbeat=3") == (
        "amqp://guest:p%40ss@127.0.0.1:4711/vhost?heartbeat=3"
    )
