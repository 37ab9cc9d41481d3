"""One bound SMPP session: requests in the order they leave, answers by their number, deliveries answered once kept."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Final

from control_center.domain.wire.smpp import OK
from workers.sms import smpp_pdus as pdus
from workers.sms.smpp_pdus import GarbledError, Pdu

CONNECT = 5.0  # seconds to connect and to bind
ANSWER = 20.0  # seconds that the centre has to answer a request
QUIET = 30.0  # seconds without a word from it, after which we ask whether it is there
LAST_SEQUENCE: Final = 0x7FFFFFFF

Deliver = Callable[[Pdu, "Session"], Awaitable[int]]


class LostError(Exception):
    """No answer will come. `left` says whether the request may have gone out."""

    def __init__(self, reason: str, *, left: bool) -> None:
        super().__init__(reason)
        self.left = left


class NotBoundError(Exception):
    """The centre answered our bind with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the centre refused our bind (0x{status:02X})")
        self.status = status


@dataclass(frozen=True, slots=True)
class Centre:
    """Where a message centre is, and who we are there."""

    host: str
    port: int
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    tls: bool = False


class Session:
    """Owns one connection from its bind to its end. `ended` is set when nothing more will come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, deliver: Deliver) -> None:
        self.name = name
        self.ended = asyncio.Event()
        self.reason = ""
        self._reader = reader
        self._writer = writer
        self._deliver = deliver
        self._sequences = cycle(range(1, LAST_SEQUENCE))
        self._waiting: dict[int, asyncio.Future[Pdu]] = {}
        self._delivering: set[asyncio.Task[None]] = set()
        self._heard = asyncio.Event()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._watch())]

    async def bind(self, centre: Centre) -> None:
        """Introduce ourselves, as one who sends and receives. Raises NotBoundError, LostError."""
        said = await self.ask(
            lambda sequence: pdus.bind(
                sequence, system_id=centre.system_id, password=centre.password, system_type=centre.system_type
            ),
            wait=CONNECT,
        )
        if said.status != OK:
            raise NotBoundError(said.status)

    async def ask(self, unit: Callable[[int], bytes], *, wait: float = ANSWER) -> Pdu:
        """Make one request and wait for its answer. Raises LostError; cancelled, it may have left."""
        if self.ended.is_set():
            raise LostError(self.reason, left=False)
        sequence = next(self._sequences)
        written = unit(sequence)
        answer: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = answer
        try:
            self._writer.write(written)
            async with asyncio.timeout(wait):
                return await answer
        except TimeoutError:
            raise LostError(f"no answer within {wait:g} seconds", left=True) from None
        finally:
            self._waiting.pop(sequence, None)
            answer.cancel()

    async def close(self) -> None:
        """Take our leave, and end the connection."""
        if not self.ended.is_set():
            with suppress(LostError):
                await self.ask(pdus.unbind, wait=1.0)
            self._end("we closed it")
        for task in (*self._tasks, *self._delivering):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._delivering, return_exceptions=True)

    # What comes -------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            while True:
                length = pdus.length_of(await self._reader.readexactly(4))
                self._take(pdus.read(await self._reader.readexactly(length)))
                self._heard.set()
        except asyncio.IncompleteReadError:
            self._end("the centre closed the connection")
        except (OSError, GarbledError) as error:
            self._end(f"{type(error).__name__}: {error}")

    def _take(self, pdu: Pdu) -> None:
        if pdu.command & pdus.ANSWER:
            answer = self._waiting.get(pdu.sequence)
            if answer is not None and not answer.done():
                answer.set_result(pdu)
        elif pdu.command == pdus.DELIVER:
            task = asyncio.create_task(self._hand_over(pdu))
            self._delivering.add(task)
            task.add_done_callback(self._delivering.discard)
        elif pdu.command != pdus.ALERT:  # which wants no answer
            self._writer.write(pdus.answer(pdu))
            if pdu.command == pdus.UNBIND:
                self._end("the centre took its leave")

    async def _hand_over(self, pdu: Pdu) -> None:
        """Answer a delivery once it is kept, or cannot be: unanswered, the centre would bring it again."""
        status = await self._deliver(pdu, self)
        if not self.ended.is_set():
            self._writer.write(pdus.answer(pdu, status))

    async def _watch(self) -> None:
        """Ask a silent centre whether it is there; one that says nothing to that is not."""
        while not self.ended.is_set():
            self._heard.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), QUIET)
                continue
            try:
                await self.ask(pdus.enquire, wait=CONNECT)
            except LostError as lost:
                self._end(str(lost))

    def _end(self, reason: str) -> None:
        """Nothing more will come: whoever waits for an answer learns it at once."""
        if self.ended.is_set():
            return
        self.reason = reason
        self.ended.set()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(LostError(reason, left=True))
        self._writer.close()


_numbers = count(1)


async def connect(centre: Centre, deliver: Deliver, name: str) -> Session:
    """A bound session. Raises OSError, TimeoutError, NotBoundError, LostError."""
    context = ssl.create_default_context() if centre.tls else None
    async with asyncio.timeout(CONNECT):
        reader, writer = await asyncio.open_connection(centre.host, centre.port, ssl=context)
    session = Session(reader, writer, f"{name} {next(_numbers)}", deliver)
    try:
        await session.bind(centre)
    except BaseException:
        await session.close()
        raise
    return session
