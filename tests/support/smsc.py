"""A message centre that speaks SMPP 3.4 on loopback, written from the specification and sharing no code with ours."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

SUBMIT, DELIVER, BIND, UNBIND, ENQUIRE = 0x04, 0x05, 0x09, 0x06, 0x15
ANSWER = 0x80000000


@dataclass
class Submitted:
    """A submit_sm, read."""

    service: str
    source: tuple[int, int, str]
    to: tuple[int, int, str]
    esm_class: int
    validity: str
    registered: int
    coding: int
    words: bytes

    @property
    def header(self) -> bytes:
        return self.words[: self.words[0] + 1] if self.esm_class & 0x40 else b""

    @property
    def text(self) -> str:
        """ASCII stands for itself in GSM's alphabet, save for a few that tests leave out."""
        return self.words[len(self.header) :].decode("utf-16-be" if self.coding == 8 else "ascii")


@dataclass
class Session:
    """One bound client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answers: dict[int, asyncio.Future[int]] = field(default_factory=dict)
    sequences: count[int] = field(default_factory=lambda: count(1))

    def write(self, command: int, status: int, sequence: int, body: bytes = b"") -> None:
        self.writer.write(struct.pack("!IIII", 16 + len(body), command, status, sequence) + body)


class Smsc:
    """Takes binds and texts. `statuses` are answered to the next submissions, "lost" closes instead of answering,
    "silent" answers nothing, "confused" something else; then all are taken.
    """

    def __init__(self) -> None:
        self.statuses: list[int | str] = []
        self.bind_status = 0
        self.texts: list[Submitted] = []
        self.sessions: list[Session] = []
        self.enquiries = 0
        self.binds: list[tuple[str, str, str, int]] = []
        self.port = 0
        self.bound = asyncio.Event()
        self.named: Callable[[int], str] = "id-{}".format  # how it calls the texts it takes, by their number
        self._ids = count(1)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every session."""
        if self._server is not None:
            self._server.close()
            self.drop()
            await self._server.wait_closed()
            self._server = None

    def drop(self) -> None:
        for session in self.sessions:
            session.writer.close()
        self.sessions.clear()
        self.bound.clear()

    async def deliver(
        self,
        words: bytes,
        *,
        sender: str = "13125550188",
        to: str = "13125550100",
        esm_class: int = 0,
        coding: int = 0,
        tags: bytes = b"",
    ) -> int:
        """Bring a text or a receipt to the newest session; returns the status that it is answered with."""
        session = self.sessions[-1]
        number = next(session.sequences)
        body = b"\0" + b"\x01\x01" + sender.encode() + b"\0" + b"\x01\x01" + to.encode() + b"\0"
        body += bytes([esm_class, 0, 0]) + b"\0\0" + bytes([0, 0, coding, 0, len(words)]) + words + tags
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        session.answers[number] = answer
        session.write(DELIVER, 0, number, body)
        async with asyncio.timeout(10):
            return await answer

    async def receipt(
        self, known: str, stat: str = "DELIVRD", *, err: str = "000", tags: bytes = b"", sender: str = "13125550188"
    ) -> int:
        words = (
            f"id:{known} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:{stat} err:{err} text:See"
        )
        return await self.deliver(words.encode(), esm_class=0x04, tags=tags, sender=sender)

    async def enquire(self) -> int:
        session = self.sessions[-1]
        number = next(session.sequences)
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        session.answers[number] = answer
        session.write(ENQUIRE, 0, number)
        async with asyncio.timeout(10):
            return await answer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(reader, writer)
        try:
            while True:
                length, command, status, sequence = struct.unpack("!IIII", await reader.readexactly(16))
                body = await reader.readexactly(length - 16)
                if command & ANSWER:
                    answer = session.answers.pop(sequence, None)
                    if answer is not None and not answer.done():
                        answer.set_result(status)
                elif not self._take(session, command, sequence, body):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            if session in self.sessions:
                self.sessions.remove(session)

    def _take(self, session: Session, command: int, sequence: int, body: bytes) -> bool:
        match command:
            case 0x09:
                system_id, password, system_type, rest = body.split(b"\0", 3)
                self.binds.append((system_id.decode(), password.decode(), system_type.decode(), rest[0]))
                session.write(BIND | ANSWER, self.bind_status, sequence, b"smsc\0")
                if self.bind_status == 0:
                    self.sessions.append(session)
                    self.bound.set()
            case 0x04:
                return self._submit(session, sequence, body)
            case 0x15:
                self.enquiries += 1
                session.write(ENQUIRE | ANSWER, 0, sequence)
            case 0x06:
                session.write(UNBIND | ANSWER, 0, sequence)
                return False
            case _:
                session.write(ANSWER, 0x03, sequence)
        return True

    def _submit(self, session: Session, sequence: int, body: bytes) -> bool:
        status = self.statuses.pop(0) if self.statuses else 0
        if status in (0, "lost", "silent"):
            self.texts.append(_read(body))
        if status == "lost":
            return False
        if status == "confused":
            session.write(ENQUIRE | ANSWER, 0, sequence)
        if isinstance(status, int):
            known = f"{self.named(next(self._ids))}\0".encode() if status == 0 else b""
            session.write(SUBMIT | ANSWER, status, sequence, known)
        return True


def _read(body: bytes) -> Submitted:
    place = 0

    def text() -> str:
        nonlocal place
        end = body.index(b"\0", place)
        found, place = body[place:end].decode(), end + 1
        return found

    def number() -> int:
        nonlocal place
        place += 1
        return body[place - 1]

    service = text()
    source = (number(), number(), text())
    to = (number(), number(), text())
    esm_class, _, _ = number(), number(), number()
    text()
    validity = text()
    registered, _, coding, _ = number(), number(), number(), number()
    length = number()
    assert place + length == len(body), "nothing but the words follows"
    return Submitted(service, source, to, esm_class, validity, registered, coding, body[place:])


@asynccontextmanager
async def running() -> AsyncIterator[Smsc]:
    smsc = Smsc()
    await smsc.start()
    try:
        yield smsc
    finally:
        await smsc.stop()
