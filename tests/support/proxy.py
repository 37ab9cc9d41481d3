"""A line to a server (RabbitMQ, PostgreSQL, SMTP) that a test can freeze, cut, slow down or take away."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

CHUNK: Final = 64 * 1024
# Closed with this, a socket sends a reset instead of a farewell.
AT_ONCE: Final = struct.pack("ii", 1, 0)


class Proxy:
    """Owns a port on loopback and everything that is connected through it; leaving it cuts all of that.

    `async with Proxy("127.0.0.1", 5672) as line:` and connect to `line.port`, or to `line.url(url)`. A host that is a
    path is a unix socket; its port means nothing.
    """

    def __init__(self, host: str, port: int, *, at: str = "127.0.0.1") -> None:
        self.at = at  # the address of ours that it listens on
        self.port = 0
        self.latency = 0.0  # seconds that everything takes longer, in either direction
        self.rate = 0.0  # bytes a second, of each connection and direction; 0: as fast as it goes
        self.refusing = False  # who connects from now on is sent away
        self.passed = 0  # bytes so far, in both directions
        self._far = (host, port)
        self._server: asyncio.Server | None = None
        self._live = asyncio.Event()
        self._live.set()
        self._left: int | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._lines: set[asyncio.Task[None]] = set()

    @classmethod
    def before(cls, url: str, *, at: str = "127.0.0.1") -> Proxy:
        """One before the server that this URL is about."""
        return cls(*_place(url), at=at)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._join, self.at, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    def url(self, url: str) -> str:
        """The same, through here."""
        parts = urlsplit(url)
        who = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        return urlunsplit(parts._replace(netloc=f"{who}{self.at}:{self.port}"))

    def lead_to(self, url: str) -> None:
        """Another server, for whoever connects from now on; nobody is left with the one before."""
        self._far = _place(url)
        self.cut()

    @property
    def connections(self) -> int:
        return len(self._lines)

    def freeze(self) -> None:
        """Nothing passes any more, and nobody is told: as when a cable is pulled, or a firewall forgets."""
        self._live.clear()

    def thaw(self) -> None:
        """What was held passes now."""
        self._live.set()

    def cut(self) -> None:
        """End every connection with a reset, and let the next ones pass."""
        for writer in list(self._writers):
            _reset(writer)

    def cut_after(self, size: int | None) -> None:
        """Let so many bytes more pass, then cut every connection once; None: do so no more."""
        self._left = size

    @property
    def to_be_cut(self) -> bool:
        return self._left is not None

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        both = {writer}
        self._writers |= both
        try:
            if not self.refusing:
                await self._live.wait()
                far_reader, far = await self._connect()
                both.add(far)
                self._writers.add(far)
                await asyncio.gather(self._pump(reader, far), self._pump(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # cut, by us or by one of the two ends
        finally:
            for each in both:
                _reset(each)
            self._writers -= both
            self._lines.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._far
        if host.startswith("/"):
            return await asyncio.open_unix_connection(host)
        return await asyncio.open_connection(host, port)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK):
            await self._slowed(len(data))
            await self._live.wait()
            self.passed += len(data)
            if self._left is not None:
                data, self._left = data[: max(0, self._left)], self._left - len(data)
            sink.write(data)
            await sink.drain()
            if self._left is not None and self._left <= 0:
                self._left = None
                self.cut()
                return
        await self._live.wait()
        with suppress(OSError):
            sink.write_eof()

    async def _slowed(self, size: int) -> None:
        wait = self.latency + (size / self.rate if self.rate else 0.0)
        if wait:
            await asyncio.sleep(wait)


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname, url
    assert parts.port, url
    return parts.hostname, parts.port


def _reset(writer: asyncio.StreamWriter) -> None:
    held = writer.get_extra_info("socket")
    with suppress(OSError):
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()
