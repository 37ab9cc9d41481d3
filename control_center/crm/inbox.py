"""CloudEvents arrive from RabbitMQ, in batches as they come; acknowledged only after their commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from control_center import crash_points
from control_center.crm.connection import BrokerAway, elapsed, pauses
from control_center.crm.consumer import Census, Consumer, Delivery
from control_center.crm.dead_copies import Announce, DeadCopies
from control_center.crm.outbox import Parcel
from control_center.crm.topology import Topology
from control_center.domain.errors import ConfigurationError, ControlCenterError

log = structlog.get_logger()

LONGEST_BROKER_PAUSE = 10.0
LONGEST_HANDLER_PAUSE = 5.0
SETTLED_SECONDS = 30.0  # a consumer that lived this long was a good one: its loss is answered at once
MISSES_ALLOWED = 3
BATCH_BYTES = 8 * 1024 * 1024  # a transaction takes a dozen times as much memory as the bodies it takes in
REASON_CHARACTERS = 1000  # a header must fit into one frame


@dataclass(frozen=True, slots=True)
class Dead:
    """A body that was set aside: stored with reason and field by the handler, to be copied to the dead queue."""

    body: bytes
    reason: str
    field: str


Handler = Callable[[Sequence[bytes]], Awaitable[Sequence[Dead]]]


class ConsumerMissing(ControlCenterError):  # noqa: N818 - reads as the sentence "raise ConsumerMissing(...)"
    """The broker is there but we do not get to consume from it; a new process is the last thing to try."""


class Inbox:
    """Takes events in for as long as the process lives, whatever happens to broker, queue or database.

    `handler` commits a batch and returns what it set aside; it is called with one batch at a time. When it raises,
    the batch is handed to it again until it succeeds, so it must be safe to repeat, as redelivery needs anyway.
    While it works the next batch gathers: no linger, and one transaction for however many came.

    `prefetch` bounds what we hold unacknowledged; two batches must fit into it, or nothing could gather. Until the
    first batch of a process has committed it is `first_prefetch`: a process that dies at each start then wears out
    the delivery limit of few messages only.

    `copying` is told, before copies are put into the dead queue, how many: whoever counts what lies there has to know.
    """

    def __init__(
        self,
        url: str,
        handler: Handler,
        *,
        copying: Announce | None = None,
        topology: Topology | None = None,
        batch_limit: int = 250,
        prefetch: int = 500,
        first_prefetch: int = 20,
        watch_interval: float = 30.0,
    ) -> None:
        if 2 * batch_limit > prefetch:
            raise ConfigurationError(f"prefetch {prefetch} is too small: two batches of {batch_limit} must fit")
        self.paused = False
        self.handled = 0
        self._url = url
        self._handler = handler
        self._topology = topology or Topology()
        self._batch_limit = batch_limit
        self._prefetch = prefetch
        self._first_prefetch = first_prefetch
        self._watch_interval = watch_interval
        self._wake = asyncio.Event()
        self._consumer: Consumer | None = None
        self._ever_attached = False
        self._proven = False
        self._obstacle: ConfigurationError | None = None
        self._stuck_at: tuple[Consumer, int] | None = None
        self._copies = DeadCopies(url, self._topology, copying)

    @property
    def attached(self) -> bool:
        """The broker hands us messages right now."""
        return self._consumer is not None and self._consumer.attached

    @property
    def last_delivery(self) -> float | None:
        """When the last message came on the present connection, by the event loop's clock."""
        return None if self._consumer is None else self._consumer.last_delivery

    @property
    def gathered(self) -> int:
        """Messages in memory that wait for the running batch to commit."""
        return 0 if self._consumer is None else self._consumer.gathered

    async def dead_queue(self) -> Census | None:
        """What lies in the dead queue, and how many read it; None where the broker cannot be asked now.

        One that is gone is created again, since what the broker sets aside would be gone as well.
        """
        consumer = self._consumer
        if consumer is None or not consumer.attached:
            return None
        try:
            return await consumer.dead_queue()
        except BrokerAway:
            return None
        except ConfigurationError as error:
            log.error("inbox.broker_misconfigured", reason=str(error))  # noqa: TRY400 - the sentence says it all
            return None

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; the batch in hand is finished, what else was delivered goes back to the queue.

        Raises ConfigurationError when the first attempt shows a mistake that only an administrator mends, and
        ConsumerMissing when the broker answers but we were without a consumer three looks in a row.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._wake_at(stop))
                tasks.create_task(self._watch(stop))
                tasks.create_task(self._copies.run(stop))
                tasks.create_task(self._consume(stop))
        except BaseExceptionGroup as group:
            # One of ours failed and took the others with it: callers want its name, not the group around it.
            raise group.exceptions[0] from None

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _consume(self, stop: asyncio.Event) -> None:
        clock = asyncio.get_running_loop().time
        waits = pauses(LONGEST_BROKER_PAUSE)
        while not stop.is_set():
            began = clock()
            await self._live_once(stop)
            if clock() - began > SETTLED_SECONDS:
                waits = pauses(LONGEST_BROKER_PAUSE)
            # Also after a consumer that did attach: one that is cancelled each time it comes must not spin.
            await elapsed(stop, next(waits))
        await self._copies.end()

    async def _live_once(self, stop: asyncio.Event) -> None:
        """One consumer from attaching to its loss, or to `stop`."""
        try:
            consumer = await Consumer.open(self._url, self._topology, self._wake)
        except BrokerAway as away:
            log.warning("inbox.broker_away", reason=str(away))
            return
        except ConfigurationError as error:
            if not self._ever_attached:
                raise
            # It worked before, so somebody is at work on the broker: they get until the watchdog has looked thrice.
            self._obstacle = error
            log.error("inbox.broker_misconfigured", reason=str(error))  # noqa: TRY400 - the sentence says it all
            return
        try:
            await consumer.attach(self._window())
            self._consumer, self._obstacle, self._ever_attached = consumer, None, True
            log.info("inbox.attached", queue=self._topology.events_queue)
            await self._take_in(consumer, stop)
        except BrokerAway as away:
            consumer.lose(str(away))
        finally:
            self._consumer = None
            if consumer.lost:
                log.warning("inbox.consumer_lost", reason=consumer.lost)
            await consumer.close()

    async def _take_in(self, consumer: Consumer, stop: asyncio.Event) -> None:
        while not stop.is_set() and consumer.lost is None:
            batch = consumer.take(self._batch_limit, BATCH_BYTES)
            if not batch:
                await self._wake.wait()
                self._wake.clear()
                continue
            dead = await self._commit(batch, consumer, stop)
            if dead is None:
                return
            crash_points.reach("after_inbox_commit")
            self._proven = True
            self.handled += len(batch)
            self._offer_copies(dead, batch)
            crash_points.reach("before_inbox_ack")
            await consumer.acknowledge(batch[-1])
            await consumer.attach(self._window())

    def _window(self) -> int:
        return self._prefetch if self._proven else self._first_prefetch

    async def _commit(
        self, batch: Sequence[Delivery], consumer: Consumer, stop: asyncio.Event
    ) -> Sequence[Dead] | None:
        """Hand the batch over until it is committed; None when `stop` came first.

        Giving the messages back instead would count one delivery for each try, until the broker sets them aside.
        """
        bodies = [delivery.body for delivery in batch]
        waits = pauses(LONGEST_HANDLER_PAUSE)
        try:
            while True:
                try:
                    return await self._handler(bodies)
                except Exception as error:  # noqa: BLE001 - whatever it was, the batch is not committed
                    log.warning("inbox.paused", reason=f"{type(error).__name__}: {error}", batch=len(batch))
                if not self.paused:
                    self.paused = True
                    with contextlib.suppress(BrokerAway):
                        await consumer.detach()
                if not await elapsed(stop, next(waits)):
                    return None
        finally:
            self.paused = False

    def _offer_copies(self, dead: Sequence[Dead], batch: Sequence[Delivery]) -> None:
        if not dead:
            return
        keys = {delivery.body: delivery.routing_key for delivery in batch}
        for each in dead:
            parcel = Parcel(
                exchange=self._topology.dlx,
                routing_key=keys.get(each.body, ""),
                body=each.body,
                headers={"x-reason": each.reason[:REASON_CHARACTERS], "x-field": each.field[:REASON_CHARACTERS]},
                content_type="application/octet-stream",
            )
            if not self._copies.offer(parcel):
                log.warning("inbox.copy_dropped", reason="too many wait", field=each.field)

    async def _watch(self, stop: asyncio.Event) -> None:
        """Look whether the broker agrees that we consume: a client may miss that it was cancelled."""
        misses = 0
        while await elapsed(stop, self._watch_interval):
            fault = await self._fault()
            if fault is None:
                misses = 0
                continue
            misses += 1
            log.error("inbox.consumer_missing", reason=fault, misses=misses)
            if misses == MISSES_ALLOWED:
                raise ConsumerMissing(f"no consumer on {self._topology.events_queue}: {fault}")
            if self._consumer is not None:
                self._consumer.lose(f"the watchdog saw: {fault}")

    async def _fault(self) -> str | None:
        """What is wrong; None when all is well or nobody can say, as while the broker is away."""
        consumer = self._consumer
        if self.paused:
            return None
        if consumer is None:
            return None if self._obstacle is None else str(self._obstacle)
        if not consumer.attached:  # it is widening its window, or already lost and about to be replaced
            return None
        try:
            census = await consumer.census()
        except BrokerAway:
            return None
        if census.consumers == 0:
            return "the broker knows of none"
        # With several engines on the queue the count says nothing about ours: it is dead when messages wait, we hold
        # none, and since the last look none has come.
        before, self._stuck_at = self._stuck_at, None
        if census.ready and consumer.idle:
            self._stuck_at = (consumer, consumer.received)
        return "messages wait and none comes" if before and before == self._stuck_at else None
