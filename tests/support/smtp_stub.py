"""An SMTP relay on loopback that misbehaves at the step a test names, and keeps a ledger of what it took."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Self

from tests.support.ledger import Brought, Taken


class Place(Enum):
    GREETING = "greeting"
    EHLO = "ehlo"
    RSET = "rset"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    AFTER = "after"  # once the 250 to the dot has been written
    QUIT = "quit"


@dataclass(frozen=True)
class Act:
    """What happens at a place: a reply line, or silence; then the connection stays or goes.

    `accept` says whether the dot puts the mail into the ledger, whatever is answered; `delay` is of the answer, in
    seconds.
    """

    reply: bytes = b""
    close: bool = False
    reset: bool = False
    stall: bool = False
    accept: bool = False
    delay: float = 0.0


DROP = Act(close=True)
RESET = Act(reset=True)
STALL = Act(stall=True)
TAKEN_THEN_DROP = Act(close=True, accept=True)
TAKEN_THEN_STALL = Act(stall=True, accept=True)


def says(code: int, text: str) -> Act:
    return Act(f"{code} {text}\r\n".encode(), close=code == 421)


@dataclass(frozen=True)
class Letter:
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    connection: int


_MESSAGE_ID: Final = re.compile(rb"^Message-ID: <(m-[0-9]+)\.", re.MULTILINE)


def _named(letter: Letter) -> str:
    found = _MESSAGE_ID.search(letter.content)
    return found[1].decode() if found else f"no message of ours, to {', '.join(letter.recipients)}"


_USUAL = {
    Place.GREETING: Act(b"220 stub ESMTP\r\n"),
    Place.EHLO: Act(b"250-stub\r\n250 SIZE 10000000\r\n"),
    Place.RSET: Act(b"250 2.0.0 Ok\r\n"),
    Place.MAIL: Act(b"250 2.1.0 Ok\r\n"),
    Place.RCPT: Act(b"250 2.1.5 Ok\r\n"),
    Place.DATA: Act(b"354 go ahead\r\n"),
    Place.AFTER: Act(),
    Place.QUIT: Act(b"221 2.0.0 Bye\r\n", close=True),
}


class _Gone(Exception):  # noqa: N818 - the end of a conversation, not an error
    pass


@dataclass
class SmtpStub:
    port: int = 0
    accepted: list[Letter] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    unwanted: set[str] = field(default_factory=set)  # senders that may not use it

    def __post_init__(self) -> None:
        self._acts: dict[Place, deque[Act]] = {}
        self._closing = asyncio.Event()
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._closing.set()
        talks = list(self._talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    def on(self, place: Place, *acts: Act) -> None:
        """What the next visits to that place meet, one each; then all is well again."""
        self._acts.setdefault(place, deque()).extend(acts)

    def taken(self) -> list[Taken]:
        """Its books: it learns the name of a message alone, and tells nobody what became of it."""
        return [Taken(_named(letter), None) for letter in self.accepted]

    def brought(self) -> list[Brought]:
        return []

    def hang_up(self) -> None:
        """Close every connection, as a relay does that is restarted or tired of waiting."""
        for writer in self._talks.values():
            writer.close()

    async def until_open(self, count: int, within: float = 5.0) -> None:
        """Until that many connections are open."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: self.open == count)

    async def until_command(self, command: str, within: float = 5.0) -> None:
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: any(line.startswith(command) for line in self.commands))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks[talk] = writer
        self.connections += 1
        await self._count(1)
        try:
            with suppress(_Gone, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._talk(reader, writer, self.connections)
        finally:
            del self._talks[talk]
            writer.close()
            await self._count(-1)

    async def _count(self, by: int) -> None:
        async with self._changed:
            self.open += by
            self._changed.notify_all()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await self._act(Place.GREETING, writer)
        sender, recipients = "", list[str]()
        while line := (await reader.readline()).decode().strip():
            async with self._changed:
                self.commands.append(line)
                self._changed.notify_all()
            place = Place(line.split(" ")[0].split(":")[0].lower())
            if place is Place.MAIL:
                sender, recipients = line.partition(":")[2].strip("<>"), []
            if place is Place.RCPT:
                recipients.append(line.partition(":")[2].strip("<>"))
            if place is Place.MAIL and sender in self.unwanted:
                await self._perform(Act(b"550 5.7.1 this sender may not\r\n"), writer)
                continue
            act = await self._act(place, writer)
            if place is Place.DATA and act.reply.startswith(b"354"):
                content = await reader.readuntil(b"\r\n.\r\n")
                await self._dot(Letter(sender, tuple(recipients), content, number), writer)

    async def _dot(self, letter: Letter, writer: asyncio.StreamWriter) -> None:
        acts = self._acts.get(Place.DOT)
        usual = Act(f"250 2.0.0 Ok: queued as STUB{len(self.accepted) + 1}\r\n".encode(), accept=True)
        act = acts.popleft() if acts else usual
        if act.accept:
            self.accepted.append(letter)
        await self._perform(act, writer)
        if act is usual:
            await self._act(Place.AFTER, writer)

    async def _act(self, place: Place, writer: asyncio.StreamWriter) -> Act:
        acts = self._acts.get(place)
        act = acts.popleft() if acts else _USUAL[place]
        await self._perform(act, writer)
        return act

    async def _perform(self, act: Act, writer: asyncio.StreamWriter) -> None:
        if act.stall:
            await self._closing.wait()
        if act.delay:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), act.delay)
        if act.reset:
            writer.transport.abort()
            raise _Gone
        writer.write(act.reply)
        await writer.drain()
        if act.close:
            raise _Gone
