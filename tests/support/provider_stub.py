"""Twilio's Messages API on loopback, doing per request what the test's script says.

A step is the triple "accept? answer? delay?". Its ledger of accepted texts is the truth that a test compares
with what the product believes.
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
from email.utils import format_datetime
from typing import Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Answer:
    """What goes back. `body` None: the message as Twilio shows it. `cut`: that many bytes short, then closed."""

    status: int = 201
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    cut: int = 0
    raw: bytes | None = None  # instead of all that; b"" closes without a word


CREATED = Answer()
DROP = Answer(raw=b"")


def problem(status: int, code: int, message: str = "refused", **headers: str) -> Answer:
    body = json.dumps({"code": code, "message": message, "more_info": "", "status": status}).encode()
    return Answer(status, body, tuple((name.replace("_", "-"), value) for name, value in headers.items()))


@dataclass(frozen=True)
class Step:
    accept: bool = True
    answer: Answer = CREATED
    delay: float = 0.0


def refuse(status: int, code: int, message: str = "refused", **headers: str) -> Step:
    return Step(accept=False, answer=problem(status, code, message, **headers))


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    form: dict[str, str]
    user: str
    connection: int


@dataclass(frozen=True)
class Taken:
    """One text that this Twilio has accepted, whatever it answered."""

    sid: str
    form: dict[str, str]
    at: datetime
    status: str = "queued"

    def shown(self) -> dict[str, object]:
        return {
            "sid": self.sid,
            "status": self.status,
            "body": self.form.get("Body"),
            "to": self.form.get("To"),
            "from": self.form.get("From"),
            "messaging_service_sid": self.form.get("MessagingServiceSid"),
            "num_segments": "1",
            "date_created": format_datetime(self.at),
            "error_code": None,
        }


@dataclass
class ProviderStub:
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    default: Step = field(default_factory=Step)
    requests: list[Request] = field(default_factory=list)
    accepted: list[Taken] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    def __post_init__(self) -> None:
        self._steps: deque[Step] = deque()
        self._heard = asyncio.Condition()
        self._closing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._closing.set()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def script(self, *steps: Step) -> None:
        """What the next POSTs meet, one step each; afterwards `default` again."""
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
            with suppress(ConnectionError, asyncio.IncompleteReadError):
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
        basic = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        async with self._heard:
            self.requests.append(Request(method, target, form, basic, number))
            self._heard.notify_all()
        step = self._step(method, target)
        if method == "POST" and step.accept:
            self.accepted.append(Taken(f"SM{len(self.accepted) + 1:032x}", form, self.clock()))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), step.delay)
        return await self._answer(writer, step.answer)

    def _step(self, method: str, target: str) -> Step:
        if method == "POST":
            return self._steps.popleft() if self._steps else self.default
        query = dict(parse_qsl(urlsplit(target).query))
        listed = [
            taken.shown()
            for taken in reversed(self.accepted)
            if taken.form["To"] == query["To"] and taken.form.get("From") == query.get("From", taken.form.get("From"))
        ]
        return Step(answer=Answer(200, json.dumps({"messages": listed, "next_page_uri": None}).encode()))

    async def _answer(self, writer: asyncio.StreamWriter, answer: Answer) -> bool:
        if answer.raw is not None:
            writer.write(answer.raw)
            await writer.drain()
            return False
        body = answer.body
        if body is None:
            body = json.dumps(self.accepted[-1].shown() if self.accepted else {}).encode()
        lines = [f"HTTP/1.1 {answer.status} X", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body[: len(body) - answer.cut])
        await writer.drain()
        return not answer.cut
