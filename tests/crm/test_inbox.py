from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from control_center.crm.connection import connect
from control_center.crm.consumer import NARROW
from control_center.crm.inbox import ConsumerMissing, Dead, Inbox
from control_center.crm.topology import Topology, declare
from control_center.domain.errors import ConfigurationError
from control_center.embedded import Rabbitmq
from tests.support.proxy import Proxy

Operate = Callable[..., Awaitable[str]]

QUEUE = Topology().events_queue


@dataclass
class Database:
    """Stands where the intake's transaction stands: what it committed, and how it was made to behave."""

    batches: list[list[bytes]] = field(default_factory=list)
    calls: int = 0
    away: bool = False
    poison: tuple[bytes, ...] = ()
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def commit(self, bodies: Sequence[bytes]) -> Sequence[Dead]:
        self.calls += 1
        if self.away:
            raise ConnectionRefusedError("database away")
        await self.open.wait()
        self.batches.append(list(bodies))
        return [Dead(body, "not JSON", "data") for body in bodies if body in self.poison]

    @property
    def bodies(self) -> list[bytes]:
        return [body for batch in self.batches for body in batch]


async def eventually(fact: Callable[[], bool | Awaitable[bool]], within: float = 15.0) -> None:
    """Wait for a fact; fail with its absence."""
    async with asyncio.timeout(within):
        while not (answer if isinstance(answer := fact(), bool) else await answer):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(inbox: Inbox) -> AsyncIterator[asyncio.Task[None]]:
    """The inbox at work; told to stop, and expected to, when the test has seen enough."""
    stop = asyncio.Event()
    task = asyncio.create_task(inbox.run(stop))
    try:
        yield task
        stop.set()
        await asyncio.wait_for(task, 10)
    finally:
        task.cancel()
        await asyncio.wait([task])


@dataclass
class Crm:
    """The other side: publishes events, and looks into the queues."""

    connection: AbstractConnection

    async def publishes(self, bodies: Iterable[bytes]) -> None:
        async with self.connection.channel(on_return_raises=True) as channel:
            exchange = await channel.get_exchange("crm.events")
            for body in bodies:
                await exchange.publish(aio_pika.Message(body), routing_key="main.session.created")

    async def takes(self, queue: str = QUEUE) -> AbstractIncomingMessage | None:
        async with self.connection.channel() as channel:
            message = await (await channel.get_queue(queue)).get(fail=False)
            if message is not None:
                await message.ack()
            return message

    async def waiting(self) -> int:
        async with self.connection.channel() as channel:
            return (await channel.declare_queue(QUEUE, passive=True)).declaration_result.message_count or 0

    async def deletes_queue(self) -> None:
        async with self.connection.channel() as channel:
            await channel.queue_delete(QUEUE)


@contextlib.asynccontextmanager
async def a_crm(url: str) -> AsyncIterator[Crm]:
    async with await connect(url, "crm") as connection:
        await declare(connection, Topology())
        yield Crm(connection)


@pytest.fixture
async def crm(broker_url: str) -> AsyncIterator[Crm]:
    async with a_crm(broker_url) as crm:
        yield crm


# --- acknowledgement -------------------------------------------------------------------------------------------


async def test_what_was_handled_leaves_the_queue(broker_url: str, crm: Crm) -> None:
    database = Database()

    async with running(Inbox(broker_url, database.commit)):
        await crm.publishes(b"%d" % n for n in range(100))
        await eventually(lambda: len(database.bodies) == 100)

    assert database.bodies == [b"%d" % n for n in range(100)]
    await eventually(lambda: _is(crm.waiting(), 0))


async def test_a_message_is_acknowledged_only_after_its_batch_committed(broker_url: str, crm: Crm) -> None:
    database = Database()
    database.open.clear()
    await crm.publishes([b"precious"])

    dying = asyncio.create_task(Inbox(broker_url, database.commit).run(asyncio.Event()))
    await eventually(lambda: database.calls == 1)
    dying.cancel()
    await asyncio.wait([dying])

    await eventually(lambda: _is(crm.waiting(), 1))
    database.open.set()
    async with running(Inbox(broker_url, database.commit)):
        await eventually(lambda: database.bodies == [b"precious"])


async def test_a_batch_whose_connection_was_cut_is_delivered_again(broker_url: str, crm: Crm) -> None:
    database = Database()
    database.open.clear()

    async with Proxy.before(broker_url) as wire, running(Inbox(wire.url(broker_url), database.commit)):
        await crm.publishes([b"twice"])
        await eventually(lambda: database.calls == 1)
        wire.cut()
        database.open.set()
        await eventually(lambda: database.bodies == [b"twice", b"twice"])

    await eventually(lambda: _is(crm.waiting(), 0))


async def test_a_stop_lets_the_running_batch_commit_and_leaves_the_rest_in_the_queue(broker_url: str, crm: Crm) -> None:
    database = Database()
    database.open.clear()
    stop = asyncio.Event()
    inbox = Inbox(broker_url, database.commit)
    task = asyncio.create_task(inbox.run(stop))
    await crm.publishes([b"first"])
    await eventually(lambda: database.calls == 1)
    await crm.publishes([b"second", b"third"])
    await eventually(lambda: inbox.gathered == 2)

    stop.set()
    database.open.set()
    await asyncio.wait_for(task, 10)

    assert database.bodies == [b"first"]
    await eventually(lambda: _is(crm.waiting(), 2))


async def test_however_often_it_dies_every_message_is_handled_and_few_are_handled_twice(
    broker_url: str, crm: Crm
) -> None:
    database = Database()
    await crm.publishes(b"%d" % n for n in range(600))

    for enough in (50, 200, 400):
        dying = asyncio.create_task(
            Inbox(broker_url, database.commit, batch_limit=20, prefetch=60).run(asyncio.Event())
        )
        await eventually(lambda enough=enough: len(database.bodies) >= enough)  # type: ignore[misc]
        dying.cancel()
        await asyncio.wait([dying])
    async with running(Inbox(broker_url, database.commit)):
        await eventually(lambda: len(set(database.bodies)) == 600)

    assert len(database.bodies) <= 600 + 3 * 60
    await eventually(lambda: _is(crm.waiting(), 0))


# --- batches ---------------------------------------------------------------------------------------------------


async def test_while_one_batch_commits_the_next_gathers(broker_url: str, crm: Crm) -> None:
    database = Database()
    database.open.clear()
    inbox = Inbox(broker_url, database.commit)

    async with running(inbox):
        await crm.publishes([b"first"])
        await eventually(lambda: database.calls == 1)
        await crm.publishes(b"%d" % n for n in range(15))
        await eventually(lambda: inbox.gathered == 15)
        database.open.set()
        await eventually(lambda: len(database.bodies) == 16)

    assert [len(batch) for batch in database.batches] == [1, 15]


async def test_a_batch_is_never_larger_than_its_limit(broker_url: str, crm: Crm) -> None:
    database = Database()
    await crm.publishes(b"%d" % n for n in range(100))

    async with running(Inbox(broker_url, database.commit, batch_limit=7, prefetch=50)):
        await eventually(lambda: len(database.bodies) == 100)

    assert max(len(batch) for batch in database.batches) == 7


async def test_until_a_first_batch_has_committed_few_messages_are_at_stake(broker_url: str, crm: Crm) -> None:
    database = Database()
    database.open.clear()
    await crm.publishes(b"%d" % n for n in range(100))
    inbox = Inbox(broker_url, database.commit)

    async with running(inbox):
        await eventually(lambda: database.calls == 1 and _in_hand(inbox) == 20)
        await eventually(lambda: _is(crm.waiting(), 80))
        database.open.set()
        await eventually(lambda: len(database.bodies) == 100)


async def test_a_window_that_two_batches_do_not_fit_is_refused(broker_url: str) -> None:
    with pytest.raises(ConfigurationError, match="two batches of 50 must fit"):
        Inbox(broker_url, Database().commit, batch_limit=50, prefetch=99)


# --- what cannot be understood ---------------------------------------------------------------------------------


async def test_a_body_set_aside_is_copied_to_the_dead_queue_with_reason_and_field(broker_url: str, crm: Crm) -> None:
    database = Database(poison=(b"\xff\x00",))

    async with running(Inbox(broker_url, database.commit)):
        await crm.publishes([b"good", b"\xff\x00", b"fine"])
        await eventually(lambda: len(database.bodies) == 3)

    copy = await crm.takes("control-center.events.dead")
    assert copy is not None
    assert copy.body == b"\xff\x00"
    assert copy.headers["x-reason"] == "not JSON"
    assert copy.headers["x-field"] == "data"
    assert copy.routing_key == "main.session.created"
    assert await crm.takes("control-center.events.dead") is None
    await eventually(lambda: _is(crm.waiting(), 0))


async def test_a_copy_that_cannot_be_published_holds_nothing_up(broker_url: str, crm: Crm) -> None:
    async def set_all_aside(bodies: Sequence[bytes]) -> Sequence[Dead]:
        return [Dead(body, "lone surrogate \ud800", "data") for body in bodies]

    inbox = Inbox(broker_url, set_all_aside)
    async with running(inbox):
        await crm.publishes(b"%d" % n for n in range(10))
        await eventually(lambda: inbox.handled == 10)

    await eventually(lambda: _is(crm.waiting(), 0))


# --- the database is away --------------------------------------------------------------------------------------


async def test_while_the_database_is_away_nothing_is_taken_lost_or_counted_as_delivered(
    broker_url: str, crm: Crm
) -> None:
    database = Database()
    inbox = Inbox(broker_url, database.commit)

    async with running(inbox):
        await crm.publishes([b"before"])
        await eventually(lambda: inbox.handled == 1)
        database.away = True
        await crm.publishes([b"during"])
        await eventually(lambda: inbox.paused and not inbox.attached)
        await crm.publishes(b"%d" % n for n in range(50))
        await eventually(lambda: database.calls >= 5)
        await eventually(lambda: _is(crm.waiting(), 50))  # nothing more is taken

    await eventually(lambda: _is(crm.waiting(), 51))
    held = [message for _ in range(51) if (message := await crm.takes())]
    counts = Counter(message.headers.get("x-delivery-count", 0) for message in held)
    assert counts == {0: 50, 1: 1}  # the one came back when the process stopped, not with every try


async def test_intake_goes_on_with_the_same_batch_when_the_database_is_back(broker_url: str, crm: Crm) -> None:
    database = Database(away=True)
    await crm.publishes(b"%d" % n for n in range(40))
    inbox = Inbox(broker_url, database.commit)

    async with running(inbox):
        await eventually(lambda: database.calls >= 3)
        database.away = False
        await eventually(lambda: len(database.bodies) == 40)
        await eventually(lambda: inbox.attached)

    assert database.bodies == [b"%d" % n for n in range(40)]
    await eventually(lambda: _is(crm.waiting(), 0))


async def test_an_absent_database_is_tried_ever_more_rarely(broker_url: str, crm: Crm) -> None:
    database = Database(away=True)
    await crm.publishes([b"x"])

    async with running(Inbox(broker_url, database.commit)):
        await eventually(lambda: database.calls == 1)
        await asyncio.sleep(2)  # the rule is about how much happens in a time

    assert 3 <= database.calls <= 8


# --- the broker fails ------------------------------------------------------------------------------------------


async def test_a_broker_killed_in_the_middle_and_started_again_loses_no_event(broker_to_kill: Rabbitmq) -> None:
    database = Database()
    confirmed: list[bytes] = []

    async def publish(numbers: Iterable[int]) -> None:
        async with a_crm(broker_to_kill.url) as crm:
            for number in numbers:
                await crm.publishes([b"%d" % number])
                confirmed.append(b"%d" % number)

    inbox = Inbox(broker_to_kill.url, database.commit)
    async with running(inbox):
        await publish(range(50))
        storm = asyncio.create_task(publish(range(50, 100_000)))
        await eventually(lambda: len(confirmed) >= 120)
        await broker_to_kill.kill()
        await asyncio.wait([storm])
        assert storm.exception() is not None
        await eventually(lambda: not inbox.attached)
        await broker_to_kill.start()
        await eventually(lambda: inbox.attached, within=60)
        await publish(range(100_000, 100_050))
        await eventually(lambda: set(confirmed) <= set(database.bodies))


async def test_a_broker_that_is_not_there_yet_is_waited_for(broker_to_kill: Rabbitmq) -> None:
    url = broker_to_kill.url
    await broker_to_kill.kill()
    database = Database()
    inbox = Inbox(url, database.commit)

    async with running(inbox) as task:
        await broker_to_kill.start()
        await eventually(lambda: inbox.attached, within=60)
        assert not task.done()


async def test_a_queue_deleted_by_somebody_is_made_again_and_consumed(broker_url: str, crm: Crm) -> None:
    database = Database()
    inbox = Inbox(broker_url, database.commit)

    async with running(inbox):
        await eventually(lambda: inbox.attached)
        await crm.deletes_queue()
        await eventually(lambda: not inbox.attached)
        await eventually(lambda: inbox.attached)
        await crm.publishes([b"after"])
        await eventually(lambda: database.bodies == [b"after"])


async def test_a_line_gone_silent_is_noticed_and_replaced(broker_url: str, crm: Crm) -> None:
    database = Database()

    async with Proxy.before(broker_url) as wire:
        inbox = Inbox(f"{wire.url(broker_url)}?heartbeat=1", database.commit)
        async with running(inbox):
            await eventually(lambda: inbox.attached)
            wire.freeze()
            await crm.publishes([b"unheard"])
            await eventually(lambda: not inbox.attached, within=3 * (1 + 1) + 5)
            wire.cut()
            wire.thaw()
            await eventually(lambda: b"unheard" in database.bodies, within=30)


async def test_events_come_in_while_the_broker_takes_no_more_from_publishers(
    broker_to_kill: Rabbitmq, operate: Operate
) -> None:
    database = Database(poison=(b"poison",))
    inbox = Inbox(broker_to_kill.url, database.commit)

    async with a_crm(broker_to_kill.url) as crm, running(inbox):
        await eventually(lambda: inbox.attached)
        database.open.clear()
        await crm.publishes([b"poison", *(b"%d" % n for n in range(10))])
        await operate(broker_to_kill, "set_vm_memory_high_watermark", "0.00001")
        database.open.set()
        await eventually(lambda: inbox.handled == 11)
        await eventually(lambda: _is(crm.waiting(), 0))
        await operate(broker_to_kill, "set_vm_memory_high_watermark", "0.4")


# --- the watchdog ----------------------------------------------------------------------------------------------


async def test_a_consumer_that_the_broker_forgot_is_replaced_before_anything_waits(broker_url: str, crm: Crm) -> None:
    database = Database()
    inbox = Inbox(broker_url, database.commit, watch_interval=0.3)

    async with running(inbox):
        await eventually(lambda: inbox.attached)
        await _silently_cancel(inbox)
        await _replaced(inbox)
        await crm.publishes([b"after"])
        await eventually(lambda: database.bodies == [b"after"])


async def test_a_line_that_dies_during_a_look_leaves_the_watchdog_awake(broker_url: str, crm: Crm) -> None:

    async with Proxy.before(broker_url) as wire:
        inbox = Inbox(f"{wire.url(broker_url)}?heartbeat=1", Database().commit, watch_interval=0.3)
        async with running(inbox):
            await eventually(lambda: inbox.attached)
            wire.freeze()
            await eventually(lambda: not inbox.attached)
            wire.cut()
            wire.thaw()
            await eventually(lambda: inbox.attached)
            await _silently_cancel(inbox)
            await _replaced(inbox)


async def test_a_dead_consumer_is_noticed_though_others_consume_from_the_queue(broker_url: str, crm: Crm) -> None:
    database, theirs = Database(), Database()
    theirs.open.clear()
    async with running(Inbox(broker_url, theirs.commit, batch_limit=1, prefetch=2, first_prefetch=2)):
        await crm.publishes([b"a", b"b"])
        await eventually(lambda: theirs.calls == 1)  # the other engine has its hands full
        inbox = Inbox(broker_url, database.commit, watch_interval=0.3)
        async with running(inbox):
            await eventually(lambda: inbox.attached)
            await _silently_cancel(inbox)
            await crm.publishes([b"waits"])
            await eventually(lambda: b"waits" in database.bodies)
        theirs.open.set()


async def test_without_a_consumer_three_looks_in_a_row_the_inbox_gives_up(
    broker: Rabbitmq, broker_url: str, crm: Crm, operate: Operate
) -> None:
    await operate(broker, "add_user", "plain", "plain")
    await operate(broker, "set_permissions", "plain", "^$", ".*", ".*")
    inbox = Inbox(broker_url.replace("guest:guest", "plain:plain"), Database().commit, watch_interval=0.2)
    task = asyncio.create_task(inbox.run(asyncio.Event()))
    await eventually(lambda: inbox.attached)

    await crm.deletes_queue()  # and this user may not make it again

    with pytest.raises(ConsumerMissing, match=r"queue 'control-center\.events'"):
        await asyncio.wait_for(task, 15)
    await operate(broker, "delete_user", "plain")


async def test_a_mistake_that_shows_at_the_start_ends_the_inbox_at_once(broker_url: str) -> None:
    inbox = Inbox(broker_url.replace("guest:guest", "guest:wrong"), Database().commit)

    with pytest.raises(ConfigurationError, match="password"):
        await asyncio.wait_for(inbox.run(asyncio.Event()), 15)


async def _is(count: Awaitable[int], expected: int) -> bool:
    return await count == expected


def _in_hand(inbox: Inbox) -> int:
    consumer = inbox._consumer
    return 0 if consumer is None else consumer.received - consumer.acknowledged


async def _silently_cancel(inbox: Inbox) -> None:
    """As when a notice of cancellation is lost: the broker hands out nothing more, and we still believe."""
    consumer = inbox._consumer
    assert consumer is not None
    assert consumer._tag is not None
    await consumer._channel.basic_cancel(consumer._tag)
    assert inbox.attached


async def _replaced(inbox: Inbox) -> None:
    former = inbox._consumer
    await eventually(lambda: inbox.attached and inbox._consumer is not former)


# --- what is heavy ------------------------------------------------------------------------------------------------


async def test_a_batch_is_no_heavier_than_a_snapshot_may_be(broker_url: str, crm: Crm) -> None:
    """History is loaded by the megabyte: many at once would take more memory than the process may have."""
    database = Database()
    heavy = [b"%d" % number + b" " * 3_000_000 for number in range(12)]
    await crm.publishes([*heavy, b" " * 20_000_000, *(b"%d" % number for number in range(100))])

    async with running(Inbox(broker_url, database.commit)):
        await eventually(lambda: len(database.bodies) == 113, within=60)

    assert max(sum(map(len, batch)) for batch in database.batches if len(batch) > 1) <= 8 * 1024 * 1024
    assert [len(body) for body in database.bodies[:13]] == [*map(len, heavy), 20_000_000], "in their order"


async def test_while_heavy_ones_come_few_are_held_and_all_are_taken_in(broker_url: str, crm: Crm) -> None:
    database = Database()
    inbox = Inbox(broker_url, database.commit)
    async with running(inbox):
        await crm.publishes([b"light"])
        await eventually(lambda: len(database.bodies) == 1, within=60)
        database.open.clear()  # a transaction that lasts
        await crm.publishes([b" " * 2_000_000])
        await eventually(lambda: database.calls == 2, within=60)
        await eventually(lambda: _window(inbox) == NARROW, within=60)

        await crm.publishes([b" " * 2_000_000] * 40)
        await eventually(lambda: inbox.gathered == NARROW, within=60)

        assert inbox.attached, "those who look whether we are ready see nothing of it"
        database.open.set()
        await eventually(lambda: len(database.bodies) == 42, within=60)


def _window(inbox: Inbox) -> int:
    return 0 if inbox._consumer is None else inbox._consumer._prefetch
