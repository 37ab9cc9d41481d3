"""An HTTP API on loopback, doing per request what the test's script says.

A step is the triple "accept? answer? delay?". The ledger of accepted texts is the truth that a test compares with
what the product believes. Each provider's stub says what is a submission, what it keeps of it, and what it answers.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Answer:
    """What goes back. `body` None: what the provider says of the text. `cut`: that many bytes short, then closed."""

    status: int | None = None  # None: the provider's
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    cut: int = 0
    raw: bytes | None = None  # instead of all that; b"" closes without a word


DROP = Answer(raw=b"")


@dataclass(frozen=True)
class Step:
    accept: bool = True
    answer: Answer = Answer()
    delay: float = 0.0


def refusal(status: int, body: object, **headers: str) -> Step:
    """Not taken, and answered so. `body` is JSON, or bytes as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Step(accept=False, answer=Answer(status, raw, named))


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def user(self) -> str:
        """`user:password` of HTTP Basic."""
        return base64.b64decode(self.headers.get("authorization", "").removeprefix("Basic ")).decode()


@dataclass
class HttpStub:
    """Subclasses say what a submission is, keep what they accept, and answer as their provider does."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    default: Step = field(default_factory=Step)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    port: int = 0  # 0: any that is free

    def submits(self, request: Request) -> bool:
        raise NotImplementedError

    def take(self, request: Request) -> None:
        """Accept this text."""
        raise NotImplementedError

    def shown(self, request: Request) -> tuple[int, bytes]:
        """Status and body as the provider answers, after `take` where it was a submission."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        self._steps: deque[Step] = deque()
        self._heard = asyncio.Condition()
        self._closing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._closing.set()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def script(self, *steps: Step) -> None:
        """What the next submissions meet, one step each; afterwards `default` again."""
        self._steps.extend(steps)

    async def heard(self, count: int, within: float = 5.0) -> None:
        """Until that many requests have come in whole."""
        async with asyncio.timeout(within), self._heard:
            await self._heard.wait_for(lambda: len(self.requests) >= count)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        self.connections += 1
        number = self.connections
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer, number):
                    pass
        finally:
            self._calls.discard(call)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, target, headers, body, number)
        async with self._heard:
            self.requests.append(request)
            self._heard.notify_all()
        step = Step()
        if self.submits(request):
            step = self._steps.popleft() if self._steps else self.default
            if step.accept:
                self.take(request)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), step.delay)
        return await self._answer(writer, step.answer, request)

    async def _answer(self, writer: asyncio.StreamWriter, answer: Answer, request: Request) -> bool:
        if answer.raw is not None:
            writer.write(answer.raw)
            await writer.drain()
            return False
        status, shown = self.shown(request)
        body = shown if answer.body is None else answer.body
        status = status if answer.status is None else answer.status
        lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body[: len(body) - answer.cut])
        await writer.drain()
        return not answer.cut
