"""A provider of texts on loopback, in a process of its own: Twilio's shape, and nothing but counting behind it.

POST anything: 201 with a new id, at once. `GET /seen` tells the count, and the first and last instant on the machine's
monotonic clock; with `?bodies` also each request's instant and body. `GET /forget` begins anew.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import aiohttp

from bench import child

ANSWER = (
    '{"account_sid":"AC0","api_version":"2010-04-01","body":"","date_created":"Sun, 22 Nov 2026 00:00:00 +0000",'
    '"direction":"outbound-api","error_code":null,"error_message":null,"num_media":"0","num_segments":"1",'
    '"price":null,"sid":"SM%032x","status":"queued"}'
)
HEAD = "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


class _Ledger:
    def __init__(self) -> None:
        self.seen: list[tuple[float, bytes]] = []

    def told(self, target: str) -> str:
        if target.startswith("/forget"):
            self.seen.clear()
        first, last = (self.seen[0][0], self.seen[-1][0]) if self.seen else (0.0, 0.0)
        told: dict[str, Any] = {"count": len(self.seen), "first": first, "last": last}
        told["distinct"] = len({body for _, body in self.seen}) if "distinct" in target else None
        if "bodies" in target:
            told["bodies"] = [(at, body.decode()) for at, body in self.seen]
        return json.dumps(told)


class _Connection(asyncio.Protocol):
    def __init__(self, ledger: _Ledger) -> None:
        self._ledger = ledger
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
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST"):
            self._ledger.seen.append((time.monotonic(), body))
            status, text = "201 Created", ANSWER % len(self._ledger.seen)
        else:
            status, text = "200 OK", self._ledger.told(head.split(b" ", 2)[1].decode())
        self._transport.write((HEAD % (status, len(text), text)).encode())


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Serve on `port` until ended."""
    ledger = _Ledger()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(ledger), "127.0.0.1", options["port"])
    await child.ready()
    await server.serve_forever()
    return {}


# The side that asks it ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Provider:
    """The running provider, as the bench sees it."""

    url: str
    pid: int
    _session: aiohttp.ClientSession

    async def seen(self, *, bodies: bool = False, distinct: bool = False) -> dict[str, Any]:
        query = "?bodies" if bodies else "?distinct" if distinct else ""
        async with self._session.get(f"{self.url}/seen{query}") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def forget(self) -> None:
        async with self._session.get(f"{self.url}/forget") as answer:
            await answer.read()

    async def limit(self, seconds: float = 0.5, connections: int = 32) -> float:
        """Requests a second that it answers when asked by something plainer than any contender."""
        await self.forget()
        host, port = "127.0.0.1", int(self.url.rpartition(":")[2])
        request = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024
        stop = time.monotonic() + seconds

        async def ask() -> None:
            reader, writer = await asyncio.open_connection(host, port)
            while time.monotonic() < stop:
                writer.write(request * 8)
                for _ in range(8):
                    await reader.readuntil(b'"queued"}')
            writer.close()

        await asyncio.gather(*(ask() for _ in range(connections)))
        count: int = (await self.seen())["count"]
        await self.forget()
        return count / seconds


@asynccontextmanager
async def provider(log: BinaryIO) -> AsyncIterator[Provider]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with (
        child.contender("bench.provider", {"port": port}, log) as process,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        await process.go()
        yield Provider(f"http://127.0.0.1:{port}", process.pid, session)
