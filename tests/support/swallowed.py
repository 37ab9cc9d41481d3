"""A line to the broker on which confirmations get lost: what was published arrives, and who published is never told."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

CHUNK: Final = 64 * 1024
# basic.publish to the exchange of commands, as it begins on the wire: class, method, a reserved word, the name.
PUBLISH: Final = bytes((0, 60, 0, 40, 0, 0)) + bytes((len("crm.commands"),)) + b"crm.commands"


class SwallowedConfirms:
    """Owns a port on loopback. `async with SwallowedConfirms(url) as line:` and connect to `line.url`."""

    def __init__(self, url: str) -> None:
        self._far = urlsplit(url)
        self._swallow = 0  # connections still to be robbed of what the broker says
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self.swallowed = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    @property
    def url(self) -> str:
        assert self._server is not None
        who = self._far.netloc.rpartition("@")[0]
        port = self._server.sockets[0].getsockname()[1]
        return urlunsplit(self._far._replace(netloc=f"{who}@127.0.0.1:{port}"))

    def swallow(self, connections: int = 1) -> None:
        """On the next connections that publish a command, nothing that the broker says passes from then on."""
        self._swallow += connections

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        deaf = asyncio.Event()
        with suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await asyncio.open_connection(self._far.hostname, self._far.port)
            try:
                await asyncio.gather(self._up(reader, far_writer, deaf), self._down(far_reader, writer, deaf))
            finally:
                far_writer.close()
        writer.close()
        self._lines.discard(task)

    async def _up(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
        while data := await source.read(CHUNK):
            if self._swallow and not deaf.is_set() and PUBLISH in data:
                self._swallow -= 1
                deaf.set()
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError

    async def _down(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
        while data := await source.read(CHUNK):
            if deaf.is_set():
                self.swallowed += 1
                continue
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError
