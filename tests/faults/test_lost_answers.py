"""The answer of the database to a mark is lost: the mark stands, or does not, or comes to stand late."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.support.bookings import bookings
from tests.support.checker import check
from tests.support.installation import RUN_OUT, Installation
from tests.support.matrix import Seen

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

ANSWER, MARK, LATE = "its answer", "the mark", "the connection, and the mark is carried out late"

SLOTS: Final = 16
# The name under which a connection prepares the one statement that marks, and its use.
PREPARED: Final = re.compile(rb"P.{4}(__asyncpg_\w+__)\x00\s*WITH settled AS [^\x00]*submitted AS \(", re.DOTALL)
USED: Final = rb"B.{4}\x00%b\x00"
ASKED: Final = b"S\x00\x00\x00\x04"  # Sync: now it is the server's turn …
ANSWERED: Final = b"Z\x00\x00\x00\x05"  # … and now no longer
CHUNK: Final = 1 << 20
AT_WORK: Final = "SELECT count(*) FROM messages WHERE state IN ('queued', 'claimed')"


class LosingLine:
    """Owns a socket before PostgreSQL's. Of every so many-th mark that goes over it, it loses what `loses` says."""

    def __init__(self, far: Path, *, loses: str, every: int) -> None:
        self.lost = 0
        self._far = far
        self._loses = loses
        self._every = every
        self._marks = 0
        self._held: tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be one connection of a worker's, until either end has enough, or something of it was to be lost."""
        far_reader, far = await asyncio.open_unix_connection(str(self._far))
        back = asyncio.create_task(_pass_on(far_reader, writer))
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._asks(reader, writer, far_reader, far, back)
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            writer.transport.abort()
            if self._held is None or self._held[2] is not far:
                far.transport.abort()

    async def _asks(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far: asyncio.StreamWriter,
        back: asyncio.Task[None],
    ) -> None:
        name, said = b"", b""
        while data := await reader.read(CHUNK):
            said = (said + data)[-CHUNK:]
            name = found[-1] if (found := PREPARED.findall(said)) else name
            if name and re.search(USED % re.escape(name), data, re.DOTALL):
                await self._carry_out_late()
                self._marks += 1
                if self._marks % self._every == 1:
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                    await self._lose(await _whole(reader, data), far_reader, far)
                    writer.transport.abort()
                    return
            far.write(data)
            await far.drain()

    async def _lose(self, mark: bytes, far_reader: asyncio.StreamReader, far: asyncio.StreamWriter) -> None:
        self.lost += 1
        if self._loses == ANSWER:
            await _carried_out(mark, far_reader, far)
        if self._loses == LATE:
            self._held = (mark, far_reader, far)

    async def _carry_out_late(self) -> None:
        """What was held back, right before the worker marks again: it has looked, and has found nothing marked."""
        if self._held is not None:
            mark, far_reader, far = self._held
            await _carried_out(mark, far_reader, far)
            self._held = None
            far.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _whole(reader: asyncio.StreamReader, data: bytes) -> bytes:
    """With the rest of what is asked for."""
    while not data.endswith(ASKED):
        data += await reader.read(CHUNK)
    return data


async def _carried_out(asked: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(asked)
    said = b""
    while ANSWERED not in said:
        said += await reader.read(CHUNK)


@asynccontextmanager
async def losing(here: Installation, folder: Path, *, loses: str, every: int) -> AsyncIterator[tuple[LosingLine, str]]:
    """A line that loses something, and the database's URL over it."""
    parts = urlsplit(here.database_url)
    socket = Path(parse_qs(parts.query)["host"][0])
    line = LosingLine(socket / ".s.PGSQL.5432", loses=loses, every=every)
    near = folder / "line"
    near.mkdir()
    server = await asyncio.start_unix_server(line.join, near / ".s.PGSQL.5432")
    try:
        yield line, parts._replace(query=f"host={quote(str(near), safe='')}&port=5432").geturl()
    finally:
        server.close()


@pytest.mark.fault("F26")
@pytest.mark.parametrize("number", [60, pytest.param(2000, marks=pytest.mark.long)])
@pytest.mark.parametrize("loses", [ANSWER, MARK, LATE])
async def test_f26_a_mark_whose_answer_is_lost_is_taken_back_and_the_message_goes_once(
    install: Install, folder: Path, loses: str, number: int, seen: Seen
) -> None:
    here = await install(f'[accounts.slow]\nchannel = "sms"\nprovider = "sandbox"\nslots = {SLOTS}\nlatency = 0.1\n')
    await here.furnish(account="slow")
    await here.run("engine", "release")
    bodies = bookings(number)
    await here.publish(bodies)
    await here.holds("SELECT count(*) = $1 FROM messages", number, within=240)

    async with losing(here, folder, loses=loses, every=4) as (line, url):
        worker = await here.start("workers", "sms", database_url=url)
        await here.holds(f"SELECT ({AT_WORK}) = 0", within=300)
        if loses == LATE:  # whoever lives leaves such a mark to the rescue of leases
            await here.sql(RUN_OUT)
        await here.calm(within=300)
        assert line.lost >= 1
        assert worker.code is None
        findings = await check(here, bodies)
        await worker.stop()

    assert not findings.faults
    assert len(here.outbox()) + len(findings.unknown) == number
    if loses == LATE:
        assert len(findings.unknown) <= SLOTS * line.lost
    else:
        assert findings.unknown == []
    seen(f"{line.lost} marks lost {loses}: {len(findings.unknown)} of {number} unknown, none twice")
