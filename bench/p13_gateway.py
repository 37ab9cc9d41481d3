"""P13's provider: a gateway of docs/how-to/http-gateway.md that takes its time, fails now and then, and keeps books.

Each answer comes after `latency`. Of a hundred submissions one each is throttled, fails, is refused, loses its answer,
and is answered with something unreadable; the last two were taken. Of what was taken a report is called in, until
that is answered with 200. `GET /books` tells everything at once.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, cast
from urllib.parse import urlsplit

from bench import child

LINES: Final = 100  # connections that reports are called in over
AGAIN: Final = 1.0  # seconds until a report is called in again


class Kind(Enum):
    """What a submission meets: the last two digits of a checksum of its reference."""

    THROTTLED = 0
    FAILS = 1
    REFUSED = 2
    LOST = 3
    UNREADABLE = 4
    FINE = 5

    @property
    def takes(self) -> bool:
        return self in (Kind.LOST, Kind.UNREADABLE, Kind.FINE)


def kind(reference: str) -> Kind:
    drawn = zlib.crc32(reference.encode()) % 100
    return Kind(drawn) if drawn < Kind.FINE.value else Kind.FINE


ANSWERS: Final = {
    Kind.THROTTLED: (429, b'{"message":"slower"}'),
    Kind.FAILS: (503, b"<html>"),
    Kind.REFUSED: (422, b'{"cause":"content","code":"30","message":"not this one"}'),
    Kind.UNREADABLE: (202, b"<html>"),
}


@dataclass(slots=True)
class Books:
    """Every submission: when it came, its reference, its words, and whether it was taken."""

    came: list[tuple[float, str, str]] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    reported: int = 0
    refused_reports: int = 0

    def counts(self) -> dict[str, int]:
        """How many were taken, and of how many of these a report got through."""
        return {"taken": sum(self.met[one.name] for one in Kind if one.takes), "reported": self.reported}

    def told(self) -> dict[str, Any]:
        return {
            "came": self.came,
            "met": dict(self.met),
            "reported": self.reported,
            "refused_reports": self.refused_reports,
        }


class _Connection(asyncio.Protocol):
    """One line of the worker's: a request at a time, each answered after a while."""

    def __init__(self, books: Books, taken: Callable[[str], None], latency: float) -> None:
        self._books = books
        self._taken = taken
        self._latency = latency
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own only behaves like one

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while (end := self._heard.find(b"\r\n\r\n")) >= 0:
            head = self._heard[:end]
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._heard) < end + 4 + length:
                return
            body, self._heard = self._heard[end + 4 : end + 4 + length], self._heard[end + 4 + length :]
            if head.startswith(b"POST"):
                self._submitted(body)
            else:
                whole = b"GET /books" in head
                told = self._books.told() if whole else self._books.counts()
                self._write(200, json.dumps(told).encode())

    def _submitted(self, body: bytes) -> None:
        said = json.loads(body)
        reference = said["reference"]
        met = kind(reference)
        self._books.came.append((time.monotonic(), reference, said["text"]))
        self._books.met[met.name] += 1
        if met.takes:
            self._taken(reference)
        asyncio.get_running_loop().call_later(self._latency, self._answer, met, reference)

    def _answer(self, met: Kind, reference: str) -> None:
        if met is Kind.LOST:
            self._transport.close()
            return
        status, body = ANSWERS.get(met) or (202, f'{{"id":"g-{reference}","segments":1}}'.encode())
        self._write(status, body)

    def _write(self, status: int, body: bytes) -> None:
        wait = b"Retry-After: 1\r\n" if status == 429 else b""
        head = b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
        self._transport.write(head % (status, wait, len(body)) + body)


class _Reports:
    """What was taken arrives, and our hook is told so, signed; again and again until it says 200."""

    def __init__(self, books: Books, hook: str, secret: str, latency: float) -> None:
        self._books = books
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._address = urlsplit(hook)
        self._secret = secret.encode()
        self._latency = latency

    def begin(self, reference: str, *, again: bool = False) -> None:
        """It arrives some time after it was answered."""
        wait = AGAIN if again else 2 * self._latency
        asyncio.get_running_loop().call_later(wait, self._waiting.put_nowait, reference)

    async def call(self) -> None:
        """One line of calls, opened anew where it breaks."""
        while True:
            reference = await self._waiting.get()
            try:
                reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
            except OSError:
                self.begin(reference, again=True)
                await asyncio.sleep(AGAIN)
                continue
            try:
                while True:
                    writer.write(self._request(reference))
                    status = await _status(reader)
                    self._books.reported += status == 200
                    if status != 200:
                        self._books.refused_reports += 1
                        self.begin(reference, again=True)
                    reference = await self._waiting.get()
            except (OSError, asyncio.IncompleteReadError):
                self.begin(reference, again=True)
            finally:
                writer.close()

    def _request(self, reference: str) -> bytes:
        body = json.dumps({"type": "message.status", "reference": reference, "status": "delivered"}).encode()
        stamp, call = str(int(time.time())), f"call-{reference}"
        digest = hmac.new(self._secret, f"{call}.{stamp}.".encode() + body, hashlib.sha256).digest()
        head = (
            f"POST {self._address.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"webhook-id: {call}\r\nwebhook-timestamp: {stamp}\r\n"
            f"webhook-signature: v1,{base64.b64encode(digest).decode()}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def _status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
    return int(head.split(b" ", 2)[1])


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Serve on `port` until ended; reports go to `hook`."""
    books, latency = Books(), options["latency"]
    reports = _Reports(books, options["hook"], options["secret"], latency)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(books, reports.begin, latency), "127.0.0.1", options["port"], backlog=512
    )
    await child.ready()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(LINES):
            tasks.create_task(reports.call())
        tasks.create_task(server.serve_forever())
    return {}
