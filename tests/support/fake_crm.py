"""The CRM as the contract has it: it says what happens, says it again when asked, and hears commands and reports.

What it said and was confirmed is in its log; what it heard is in its ledger, once for each `x-command-id`, as the
contract asks of whoever consumes at least once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError
from aiormq.abc import ArgumentsType

from tests.support.broker import one_of, publish
from tests.support.programs import POLL, eventually

COMMANDS: Final = "crm.commands"
REPORTS: Final = "control-center.reports"
QUEUE: Final = "the-crm"
_AWAY: Final = (AMQPError, OSError, RuntimeError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Heard:
    """One delivery of a command or a report."""

    command_id: str
    message_id: str
    exchange: str
    sequence: int
    event: dict[str, Any]

    def __str__(self) -> str:
        what = self.event["type"].removeprefix("control_center.")
        return f"{what} of {self.event['subject']} ({self.event['data'].get('message') or ''}, {self.sequence})"

    @property
    def line(self) -> tuple[str, str, str, str]:
        """What must stay in order: the commands about a record, and what is told or noted of one message or action.

        A number is given before its transaction commits. Of two messages that have nothing to do with each other the
        one is told of first whose transaction was quicker, whatever their numbers. A note begins with what it is of.
        """
        told = self.event["data"]
        of = str(told.get("message") or told.get("action") or "") if self.exchange == REPORTS else ""
        if self.event["type"].endswith(".add_note"):
            of = str(told.get("text") or "").partition(": ")[0]
        return self.event["studio"], self.event["subject"], self.exchange, of


class Crm:
    """Owns a queue of the broker and its consumer, which comes back when the broker does."""

    def __init__(self, url: str, *, listens: bool = True, quorum: bool = False) -> None:
        self.said: list[bytes] = []
        self.heard: dict[str, Heard] = {}  # by x-command-id, in the order of first arrival
        self.deliveries: list[Heard] = []
        self._url = url
        self._listening = listens
        self._arguments: ArgumentsType = {"x-queue-type": "quorum"} if quorum else {}
        self._bound = asyncio.Event()
        self._lost = asyncio.Event()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._listening:
            await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        self._lost.set()
        if self._task is not None:
            await self._task
            with suppress(*_AWAY):
                connection = await aio_pika.connect(one_of(self._url), timeout=10)
                async with connection, connection.channel() as channel:
                    await channel.queue_delete(QUEUE)

    # What it says -----------------------------------------------------------------------------------------

    async def say(self, bodies: Sequence[bytes], **options: Any) -> None:
        """Publish events until each is confirmed."""
        await publish(self._url, bodies, **options)
        self.said += bodies

    async def replay(self, **options: Any) -> None:
        """Say everything once more."""
        await publish(self._url, self.said, **options)

    # What it hears ----------------------------------------------------------------------------------------

    @property
    def repeats(self) -> int:
        """How often something was published again; what the broker brought again by itself is left out."""
        return len({one.message_id for one in self.deliveries}) - len(self.heard)

    def events(self, verb: str) -> list[dict[str, Any]]:
        return [one.event for one in self.heard.values() if str(one.event["type"]).endswith(f".{verb}")]

    def out_of_order(self) -> list[str]:
        """Commands and reports that first came after a later one of the same record."""
        latest: dict[tuple[str, str, str, str], Heard] = {}
        wrong = []
        for one in self.heard.values():
            before = latest.get(one.line)
            if before is not None and before.sequence > one.sequence:
                wrong.append(f"{one} came after {before}")
            latest[one.line] = one if before is None else max(before, one, key=lambda heard: heard.sequence)
        return wrong

    async def listen(self) -> None:
        """Bind a queue to everything and consume it from now on."""
        self._task = asyncio.create_task(self._stay())
        await asyncio.wait_for(self._bound.wait(), 60)

    async def hears(self, number: int, *, within: float = 60.0) -> None:
        """Until so many different commands and reports have come."""

        async def fact() -> bool:
            return len(self.heard) >= number

        await eventually(fact, within=within, what=f"the CRM hears {number}")

    async def _stay(self) -> None:
        while not self._ended.is_set():
            with suppress(*_AWAY):
                await self._consume()
            with suppress(TimeoutError):  # the broker is away: nobody tells us when it is back
                await asyncio.wait_for(self._ended.wait(), POLL * 4)

    async def _consume(self) -> None:
        self._lost.clear()
        connection = await aio_pika.connect(one_of(self._url), timeout=10)
        connection.close_callbacks.add(lambda *_: self._lost.set())
        async with connection, connection.channel() as channel:
            channel.close_callbacks.add(lambda *_: self._lost.set())
            queue = await channel.declare_queue(QUEUE, durable=True, arguments=self._arguments)
            for name in (COMMANDS, REPORTS):
                await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)
                await queue.bind(name, "#")
            await queue.consume(self._hear)
            self._bound.set()
            if not self._ended.is_set():
                await self._lost.wait()

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        one = Heard(
            command_id=str(message.headers["x-command-id"]),
            message_id=str(message.message_id),
            exchange=str(message.exchange),
            sequence=int(str(message.headers["x-sequence"])),
            event=json.loads(message.body),
        )
        self.deliveries.append(one)
        self.heard.setdefault(one.command_id, one)
        await message.ack()
