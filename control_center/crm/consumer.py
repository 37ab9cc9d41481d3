"""Our consumer on one channel of one connection: what it was given, what is settled, whether it lives."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from aio_pika.abc import AbstractConnection
from aiormq import spec
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import ChannelNotFoundEntity

from control_center.crm.connection import answering, broker_errors, connect, hang_up
from control_center.crm.topology import Topology, declare


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as the broker handed it over; `tag` names it on its own channel only."""

    body: bytes
    routing_key: str
    redelivered: bool
    tag: int


@dataclass(frozen=True, slots=True)
class Census:
    """What the broker says of the queue: how many consume from it, how many messages wait to be handed out."""

    consumers: int
    ready: int


class Consumer:
    """Lives from one connection to its loss; whoever finds it lost closes it and opens the next.

    It reads from the aiormq channel underneath aio-pika, whose own callback costs about half as much again for every
    message. What aio-pika would have restored after a loss is therefore restored by the inbox.
    """

    def __init__(
        self, connection: AbstractConnection, channel: AbstractChannel, queue: str, wake: asyncio.Event
    ) -> None:
        self.lost: str | None = None
        self.received = 0  # the tag of the last delivery: the broker counts them from 1 on each channel
        self.acknowledged = 0
        self.last_delivery: float | None = None
        self._clock = asyncio.get_running_loop().time
        self._connection = connection
        self._channel = channel
        self._queue = queue
        self._wake = wake
        self._gathered: deque[Delivery] = deque()
        self._tag: str | None = None
        self._prefetch = 0
        channel.closing.add_done_callback(lambda _: self.lose("the channel was closed"))
        channel.on_consumer_cancel_callbacks.add(self._cancelled)

    @classmethod
    async def open(cls, url: str, topology: Topology, wake: asyncio.Event) -> Consumer:
        """Connect and declare; `wake` is set whenever something arrives or the consumer is lost."""
        connection = await connect(url, "control-center inbox")
        try:
            await declare(connection, topology)
            async with answering("opening a channel"):
                # One channel, never opened again: tags keep their meaning as long as this object lives.
                channel = await connection.channel(publisher_confirms=False)
                return cls(connection, await channel.get_underlay_channel(), topology.events_queue, wake)
        except BaseException:
            await hang_up(connection)
            raise

    @property
    def attached(self) -> bool:
        return self._tag is not None and self.lost is None

    @property
    def idle(self) -> bool:
        """Nothing is held: whatever waits in the queue should be on its way here."""
        return self.received == self.acknowledged

    async def attach(self, prefetch: int) -> None:
        """Consume with this window; does nothing when that is how it already is."""
        if self._tag is not None and self._prefetch == prefetch:
            return
        async with answering("consuming"):
            # A window holds for consumers started after it, so a wider one means another consumer. The first ends
            # before it: while there are two, the broker deals messages out in turn and they overtake one another.
            # What the first has out stays out: acknowledging goes by channel, not by consumer.
            await self.detach()
            await self._channel.basic_qos(prefetch_count=prefetch)
            self._tag = (await self._channel.basic_consume(self._queue, self._receive)).consumer_tag
            self._prefetch = prefetch

    async def detach(self) -> None:
        """Take no more; what is held stays held, neither acknowledged nor given back."""
        if self._tag is not None:
            former, self._tag = self._tag, None
            async with answering("pausing"):
                await self._channel.basic_cancel(former)

    def take(self, limit: int) -> list[Delivery]:
        """Everything gathered so far, oldest first, at most `limit`."""
        return [self._gathered.popleft() for _ in range(min(limit, len(self._gathered)))]

    @property
    def gathered(self) -> int:
        return len(self._gathered)

    async def acknowledge(self, last: Delivery) -> None:
        """Settle `last` and everything delivered before it, with one frame.

        This is right only because batches leave in the order of delivery: one reader task takes the frames off the
        socket and starts one callback each; those run in the order they were started, and ours never waits, so
        nothing can overtake (`_receive` makes sure of it). `take` cuts batches off the front, and the next is taken
        after this one was acknowledged. So every tag up to `last` is in a batch that was committed.
        """
        with broker_errors("acknowledging"):
            await self._channel.basic_ack(last.tag, multiple=True)
            self.acknowledged = last.tag

    async def census(self) -> Census:
        """Ask on a channel of its own: a refused question closes the channel it was put on."""
        async with answering("asking for the queue"), self._connection.channel(publisher_confirms=False) as channel:
            try:
                answer = (await channel.declare_queue(self._queue, passive=True)).declaration_result
            except ChannelNotFoundEntity:
                return Census(consumers=0, ready=0)
            return Census(consumers=answer.consumer_count or 0, ready=answer.message_count or 0)

    def lose(self, reason: str) -> None:
        if self.lost is None:
            self.lost = reason
            self._wake.set()

    async def close(self) -> None:
        """Hang up; what was not acknowledged goes back to the queue by itself."""
        self.lose("closed by us")
        await hang_up(self._connection)

    async def _receive(self, message: DeliveredMessage) -> None:
        # No await in here: the order of acknowledgement rests on it.
        tag = message.delivery_tag
        if tag != self.received + 1 or self.lost is not None:
            self.lose(f"delivery {tag} came after delivery {self.received}")
            return
        self.received = tag
        self.last_delivery = self._clock()
        self._gathered.append(Delivery(message.body, message.routing_key or "", bool(message.redelivered), tag))
        self._wake.set()

    async def _cancelled(self, _: spec.Basic.Cancel) -> None:
        self.lose("the broker cancelled the consumer: the queue was deleted, moved, or we were too slow")
