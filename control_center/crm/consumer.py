"""Our consumer on one channel of one connection: what it was given, what is settled, whether it lives."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from aio_pika.abc import AbstractConnection
from aiormq import spec
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import ChannelNotFoundEntity

from control_center.crm.connection import BrokerAway, answering, broker_errors, connect, hang_up, open_channel
from control_center.crm.topology import Topology, declare

HEAVY = 1024 * 1024  # bytes; no event has that many, and a snapshot of history may have eight times as many
NARROW = 8  # the window while such ones come: the broker counts messages, and not what they weigh
HEAVY_FOR = 600.0  # seconds that it stays so after the last one


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as the broker handed it over; `tag` names it on its own channel only."""

    body: bytes
    routing_key: str
    redelivered: bool
    tag: int


@dataclass(frozen=True, slots=True)
class Census:
    """What the broker says of a queue: how many consume from it, how many messages wait to be handed out."""

    consumers: int
    ready: int


class Consumer:
    """Lives from one connection to its loss; whoever finds it lost closes it and opens the next.

    It reads from the aiormq channel underneath aio-pika, whose own callback costs about half as much again for every
    message. What aio-pika would have restored after a loss is therefore restored by the inbox.
    """

    def __init__(
        self, connection: AbstractConnection, channel: AbstractChannel, topology: Topology, wake: asyncio.Event
    ) -> None:
        self.lost: str | None = None
        self.received = 0  # the tag of the last delivery: the broker counts them from 1 on each channel
        self.acknowledged = 0
        self.last_delivery: float | None = None
        self._clock = asyncio.get_running_loop().time
        self._connection = connection
        self._channel = channel
        self._topology = topology
        self._queue = topology.events_queue
        self._wake = wake
        self._gathered: deque[Delivery] = deque()
        self._tag: str | None = None
        self._prefetch = 0
        self._attaching = asyncio.Lock()
        self._narrowing: asyncio.Task[None] | None = None
        self._heavy_at = float("-inf")
        channel.closing.add_done_callback(lambda _: self.lose("the channel was closed"))
        channel.on_consumer_cancel_callbacks.add(self._cancelled)

    @classmethod
    async def open(cls, url: str, topology: Topology, wake: asyncio.Event) -> Consumer:
        """Connect and declare; `wake` is set whenever something arrives or the consumer is lost."""
        connection = await connect(url, "control-center inbox")
        try:
            await declare(connection, topology)
            # One channel, never opened again: tags keep their meaning as long as this object lives.
            return cls(connection, await open_channel(connection), topology, wake)
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
        """Consume with this window, or a narrow one while messages are heavy; does nothing where that is so already."""
        if self._clock() - self._heavy_at < HEAVY_FOR:
            prefetch = min(prefetch, NARROW)
        async with self._attaching:
            if self._tag is not None and self._prefetch == prefetch:
                return
            async with answering("consuming"):
                # A window holds for consumers started after it, so another one means another consumer. The first ends
                # before it: while there are two, the broker deals messages out in turn and they overtake one another.
                # What the first has out stays out: acknowledging goes by channel, not by consumer.
                await self._end()
                await self._channel.basic_qos(prefetch_count=prefetch)
                self._tag = (await self._channel.basic_consume(self._queue, self._receive)).consumer_tag
                self._prefetch = prefetch

    async def detach(self) -> None:
        """Take no more; what is held stays held, neither acknowledged nor given back."""
        async with self._attaching, answering("pausing"):
            await self._end()

    async def _end(self) -> None:
        if self._tag is not None:
            former, self._tag = self._tag, None
            await self._channel.basic_cancel(former)

    async def _narrow(self) -> None:
        """At once: until the batch in hand is committed, a whole window of such messages could come."""
        try:
            if self._tag is not None:  # else somebody has just ended it, and means it
                await self.attach(NARROW)
        except BrokerAway as away:
            self.lose(str(away))

    def take(self, limit: int, size: int) -> list[Delivery]:
        """What was gathered so far, oldest first: at most `limit`, and of more than one at most `size` bytes."""
        batch: list[Delivery] = []
        while self._gathered and len(batch) < limit:
            size -= len(self._gathered[0].body)
            if batch and size < 0:
                break
            batch.append(self._gathered.popleft())
        return batch

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
        """What the broker says of our queue."""
        return await self._count(self._queue) or Census(consumers=0, ready=0)

    async def dead_queue(self) -> Census:
        """What it says of the dead queue. Raises ConfigurationError where that is gone and we may not create it."""
        queue = self._topology.dead_queue
        if (found := await self._count(queue)) is None:
            await declare(self._connection, self._topology)
            found = await self._count(queue)
        return found or Census(consumers=0, ready=0)

    async def _count(self, queue: str) -> Census | None:
        """Ask on a channel of its own: a refused question closes the channel it was put on. No right is needed."""
        async with answering(f"asking for {queue}"), self._connection.channel(publisher_confirms=False) as channel:
            try:
                answer = (await channel.declare_queue(queue, passive=True)).declaration_result
            except ChannelNotFoundEntity:
                return None
            return Census(consumers=answer.consumer_count or 0, ready=answer.message_count or 0)

    def lose(self, reason: str) -> None:
        if self.lost is None:
            self.lost = reason
            self._wake.set()

    async def close(self) -> None:
        """Hang up; what was not acknowledged goes back to the queue by itself."""
        self.lose("closed by us")
        if self._narrowing is not None:
            self._narrowing.cancel()
            await asyncio.wait([self._narrowing])
        await hang_up(self._connection)

    async def _receive(self, message: DeliveredMessage) -> None:
        # No await in here: the order of acknowledgement rests on it.
        tag = message.delivery_tag
        if tag != self.received + 1 or self.lost is not None:
            self.lose(f"delivery {tag} came after delivery {self.received}")
            return
        self.received = tag
        self.last_delivery = self._clock()
        if len(message.body) >= HEAVY:
            self._heavy_at = self.last_delivery
            if self._tag is not None and self._prefetch > NARROW and self._narrowing is None:
                self._narrowing = asyncio.create_task(self._narrow())
                self._narrowing.add_done_callback(self._narrowed)
        self._gathered.append(Delivery(message.body, message.routing_key or "", bool(message.redelivered), tag))
        self._wake.set()

    def _narrowed(self, _: asyncio.Task[None]) -> None:
        self._narrowing = None

    async def _cancelled(self, _: spec.Basic.Cancel) -> None:
        self.lose("the broker cancelled the consumer: the queue was deleted, moved, or we were too slow")
