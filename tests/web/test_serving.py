"""The life of the application on its port."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import http_parser

from control_center.domain.errors import ConfigurationError
from control_center.engine.conversations import Conversations
from control_center.engine.intake import Intake
from control_center.store import db
from control_center.web import Limits, Parts, application, serve


def parts(pool: db.Pool, **limits: float) -> Parts:
    def clock() -> datetime:
        return datetime.now(UTC)

    intake, conversations = Intake(pool, clock), Conversations(pool, clock)
    return Parts(pool, clock, intake, conversations, "http://127.0.0.1", limits=Limits(**limits))  # type: ignore[arg-type]


async def test_a_call_begun_before_the_stop_is_answered(pool: db.Pool) -> None:
    stop, begun, rest = asyncio.Event(), asyncio.Event(), asyncio.Event()
    opened = asyncio.get_running_loop().create_future()

    async def slow() -> None:
        begun.set()
        await rest.wait()

    slowly = replace(parts(pool), readiness={"slow": slow})
    serving = asyncio.create_task(
        serve(slowly, host="127.0.0.1", port=0, stop=stop, listening=lambda _, port: opened.set_result(port))
    )
    port = await opened
    async with aiohttp.ClientSession() as session:
        call = asyncio.create_task(session.get(f"http://127.0.0.1:{port}/readyz"))
        await begun.wait()
        stop.set()
        rest.set()
        assert (await call).status == 200
    await serving
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_port_that_is_taken_is_said_in_words(pool: db.Pool) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
        await serve(parts(pool), host="127.0.0.1", port=port, stop=asyncio.Event())
    server.close()
    await server.wait_closed()


async def test_more_calls_than_allowed_at_once_are_told_to_come_again(pool: db.Pool) -> None:
    stop, opened = asyncio.Event(), asyncio.get_running_loop().create_future()
    full = parts(pool, in_flight=0)
    serving = asyncio.create_task(
        serve(full, host="127.0.0.1", port=0, stop=stop, listening=lambda _, port: opened.set_result(port))
    )
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{await opened}/api/v1/messages") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        async with session.get(f"http://127.0.0.1:{opened.result()}/healthz") as answer:
            assert answer.status == 200
    stop.set()
    await serving


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: a"])
async def test_who_connects_and_never_finishes_asking_is_hung_up_on(pool: db.Pool, begun: bytes) -> None:
    stop, opened = asyncio.Event(), asyncio.get_running_loop().create_future()
    patient = parts(pool, idle_seconds=0.5)
    serving = asyncio.create_task(
        serve(patient, host="127.0.0.1", port=0, stop=stop, listening=lambda _, port: opened.set_result(port))
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", await opened)
    writer.write(begun)

    async with asyncio.timeout(60):
        assert await reader.read() == b""

    writer.close()
    stop.set()
    await serving


async def test_without_the_compiled_parser_nothing_starts(pool: db.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(ConfigurationError, match="compiled parser"):
        application(parts(pool))
