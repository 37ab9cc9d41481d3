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
from control_center.engine.mailroom import Mailroom
from control_center.store import db
from control_center.web import Limits, Parts, application, serve
from tests.web.conftest import LINKS


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


async def test_who_asks_whether_we_are_ready_while_that_is_looked_at_shares_the_look(pool: db.Pool) -> None:
    """Anybody may ask: were each answered by looks of its own, a crowd would leave no connection for a STOP."""
    stop, begun, rest = asyncio.Event(), asyncio.Event(), asyncio.Event()
    opened, looks = asyncio.get_running_loop().create_future(), 0

    async def slow() -> str | None:
        nonlocal looks
        looks += 1
        begun.set()
        await rest.wait()
        return None

    slowly = replace(parts(pool), readiness={"slow": slow})
    serving = asyncio.create_task(
        serve(slowly, host="127.0.0.1", port=0, stop=stop, listening=lambda _, port: opened.set_result(port))
    )
    base = f"http://127.0.0.1:{await opened}"
    head = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with asyncio.timeout(60):
        crowd = [await asyncio.open_connection("127.0.0.1", opened.result()) for _ in range(30)]
        for _, writer in crowd:
            writer.write(head)
        await begun.wait()
        async with aiohttp.ClientSession() as session, session.get(f"{base}/healthz") as answer:
            assert answer.status == 200  # by now the crowd has come in
        rest.set()
        said = [await reader.readline() for reader, _ in crowd]
        assert set(said) == {b"HTTP/1.1 200 OK\r\n"}
        shared = looks
        assert shared < len(crowd) / 2  # one, but for who came late
        async with aiohttp.ClientSession() as session, session.get(f"{base}/readyz") as answer:
            assert (answer.status, looks) == (200, shared + 1)
    for _, writer in crowd:
        writer.close()
        await writer.wait_closed()
    stop.set()
    await serving


async def test_no_more_mails_are_read_at_once_than_there_is_memory_for(pool: db.Pool) -> None:
    """Each may unpack to megabytes before anybody knows who brings it."""
    stop, opened = asyncio.Event(), asyncio.get_running_loop().create_future()
    narrow = replace(parts(pool, mails=1), mailroom=Mailroom(pool, lambda: datetime.now(UTC), LINKS))
    serving = asyncio.create_task(
        serve(narrow, host="127.0.0.1", port=0, stop=stop, listening=lambda _, port: opened.set_result(port))
    )
    base = f"http://127.0.0.1:{await opened}"
    reader, writer = await asyncio.open_connection("127.0.0.1", opened.result())
    writer.write(b"POST /hooks/email/inbound HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")

    async with asyncio.timeout(60), aiohttp.ClientSession() as session:

        async def brings(path: str) -> tuple[int, str | None]:
            async with session.post(f"{base}{path}", data=b"To: us\r\n\r\nHello") as answer:
                return answer.status, answer.headers.get("Retry-After")

        while (said := await brings("/hooks/email/bounce")) == (403, None):
            pass  # the first one has not come in yet
        assert said == (503, "1")
        assert await brings("/hooks/sms/http/inbound") == (403, None)
        writer.write(b"cd")
        assert b" 403 " in await reader.readline()
        assert await brings("/hooks/email/inbound") == (403, None)
    writer.close()
    await writer.wait_closed()
    stop.set()
    await serving


async def test_without_the_compiled_parser_nothing_starts(pool: db.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(ConfigurationError, match="compiled parser"):
        application(parts(pool))
