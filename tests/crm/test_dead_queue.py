"""What the broker has set aside is told of by itself, copies of ours are not, and it ends once they are collected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection
from structlog.testing import capture_logs

from control_center.crm import dead_letters
from control_center.crm.connection import connect
from control_center.crm.dead_copies import DeadCopies
from control_center.crm.inbox import Dead, Inbox
from control_center.crm.outbox import Parcel
from control_center.crm.topology import Topology, declare
from control_center.embedded import Rabbitmq
from control_center.engine import dead_queue
from control_center.engine.dead_queue import Count
from control_center.store import db
from control_center.store import dead_queue as stored
from tests.support.broker import DEAD, EVENTS, delete_queue, depth, publish, taken_out
from tests.support.programs import eventually

Operate = Callable[..., Awaitable[str]]

AT_ONCE = timedelta(0)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test", size=4)
    yield opened
    await opened.close()


@pytest.fixture
async def connection(broker_url: str) -> AsyncIterator[AbstractConnection]:
    """With queues of which the broker sets aside what was handed out twice in vain."""
    connection = await connect(broker_url, "test")
    await declare(connection, replace(Topology(), delivery_limit=1))
    yield connection
    await connection.close()


async def nothing(_bodies: Sequence[bytes]) -> Sequence[Dead]:
    return []


async def not_understood(bodies: Sequence[bytes]) -> Sequence[Dead]:
    return [Dead(body, "no", "data") for body in bodies]


@asynccontextmanager
async def running(url: str, pool: db.Pool, handler: Any = nothing) -> AsyncIterator[Inbox]:
    """An engine's inbox, attached."""
    inbox, stop = Inbox(url, handler, copying=partial(dead_queue.copying, pool)), asyncio.Event()
    task = asyncio.create_task(inbox.run(stop))
    try:
        await eventually(lambda: _is(inbox.attached), what="attached")
        yield inbox
        stop.set()
        await asyncio.wait_for(task, 60)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _is(fact: bool) -> bool:  # noqa: FBT001 - a fact, not a switch
    return fact


async def looked(pool: db.Pool, inbox: Inbox) -> list[tuple[str, int | None]]:
    """What is told at a look."""

    async def ask() -> Count | None:
        found = await inbox.dead_queue()
        return None if found is None else Count(found.ready, found.consumers)

    return await told(pool, ask)


async def told(pool: db.Pool, ask: dead_queue.Ask) -> list[tuple[str, int | None]]:
    said: list[MutableMapping[str, Any]]
    with capture_logs() as said:
        await dead_queue.watch(pool, ask, every=AT_ONCE, quiet=AT_ONCE)
    return [(line["event"], line.get("events")) for line in said if line["event"].startswith("events.")]


async def counting(ready: int, readers: int = 0) -> Count:
    return Count(ready, readers)


async def others(pool: db.Pool) -> int:
    async with db.session(pool) as tx:
        return (await stored.others(tx))[0]


async def set_aside(connection: AbstractConnection, url: str, *bodies: bytes) -> None:
    """Events that nobody acknowledges, as where the process dies each time."""
    before = (await depth(url, DEAD))[0]
    await publish(url, bodies)
    async with connection.channel() as channel:
        queue = await channel.get_queue(EVENTS)

        async def all_are() -> bool:
            while (message := await queue.get(fail=False)) is not None:
                await message.nack(requeue=True)
            return (await depth(url, DEAD))[0] == before + len(bodies)

        await eventually(all_are)


async def collect(pool: db.Pool, url: str) -> dead_letters.Collected:
    """As `events collect` does."""
    async with db.transaction(pool) as tx:
        begun = await dead_queue.collecting(tx)

    async def keep(_letters: Sequence[dead_letters.Letter]) -> None:
        async with db.transaction(pool) as tx:
            await dead_queue.collecting(tx)

    found = await dead_letters.collect(url, keep)
    await dead_queue.collected(pool, begun, found.copies)
    return found


async def test_it_is_told_of_once_and_of_more_again_until_they_were_collected(
    pool: db.Pool, broker_url: str, connection: AbstractConnection
) -> None:
    await set_aside(connection, broker_url, b"one", b"two")
    async with running(broker_url, pool) as inbox:
        assert await looked(pool, inbox) == [("events.set_aside", 2)]
        assert await looked(pool, inbox) == []
    await set_aside(connection, broker_url, b"three")
    async with running(broker_url, pool) as inbox:
        assert await looked(pool, inbox) == [("events.set_aside", 3)]
        assert await others(pool) == 3

        with capture_logs() as said:
            await collect(pool, broker_url)

        assert [line["event"] for line in said] == ["events.collected"]
        assert (await looked(pool, inbox), await others(pool)) == ([], 0)


async def test_copies_of_ours_are_no_reason_for_an_alarm_and_hide_none(
    pool: db.Pool, broker_url: str, connection: AbstractConnection
) -> None:
    async with running(broker_url, pool, not_understood) as inbox:
        await publish(broker_url, [b"a", b"b", b"c"])
        await eventually(lambda: _lie_there(broker_url, 3))
        assert await looked(pool, inbox) == []
    await set_aside(connection, broker_url, b"one")
    async with running(broker_url, pool, not_understood) as inbox:
        assert await looked(pool, inbox) == [("events.set_aside", 1)]
        await publish(broker_url, [b"d"])
        await eventually(lambda: _lie_there(broker_url, 5))
        assert await looked(pool, inbox) == []

        assert await collect(pool, broker_url) == dead_letters.Collected(1, 4)

        assert (await looked(pool, inbox), await others(pool)) == ([], 0)
    await set_aside(connection, broker_url, b"two")
    async with running(broker_url, pool) as inbox:
        assert await looked(pool, inbox) == [("events.set_aside", 1)]


async def test_copies_that_somebody_else_takes_away_hide_nothing_either(
    pool: db.Pool, broker_url: str, connection: AbstractConnection
) -> None:
    async with running(broker_url, pool, not_understood) as inbox:
        await publish(broker_url, [b"a", b"b"])
        await taken_out(broker_url, 2)
        assert await looked(pool, inbox) == []
    await set_aside(connection, broker_url, b"one")
    async with running(broker_url, pool) as inbox:
        assert await looked(pool, inbox) == [("events.set_aside", 1)]
        await taken_out(broker_url, 1)
        assert await looked(pool, inbox) == [("events.collected", None)]


async def test_a_reader_that_gives_copies_back_alarms_nobody(
    pool: db.Pool, broker_url: str, connection: AbstractConnection
) -> None:
    async with running(broker_url, pool, not_understood) as inbox:
        await publish(broker_url, [b"a", b"b"])
        await eventually(lambda: _lie_there(broker_url, 2))
        assert await looked(pool, inbox) == []
        channel = await connection.channel()
        held: asyncio.Queue[object] = asyncio.Queue()
        await (await channel.get_queue(DEAD)).consume(held.put)
        await held.get()
        await held.get()
        assert await looked(pool, inbox) == []
        await channel.close()
        await eventually(lambda: _lie_there(broker_url, 2))
        assert await looked(pool, inbox) == []


async def test_looking_hands_nothing_out_and_so_wears_nothing_out(
    pool: db.Pool, broker_url: str, connection: AbstractConnection
) -> None:
    await set_aside(connection, broker_url, b"one")
    async with running(broker_url, pool) as inbox:
        for _ in range(30):
            await looked(pool, inbox)

    [(body, headers)] = await taken_out(broker_url, 1)
    assert body == b"one"
    assert not headers.get("x-delivery-count")


async def test_a_user_that_may_not_read_the_queue_counts_it(
    pool: db.Pool, broker_url: str, broker: Rabbitmq, connection: AbstractConnection, operate: Operate
) -> None:
    await set_aside(connection, broker_url, b"one")
    await operate(broker, "add_user", "counting", "counting")
    await operate(broker, "set_permissions", "counting", "^$", ".*dlx$", "^control-center\\.events$")
    try:
        async with running(broker_url.replace("guest:guest", "counting:counting"), pool) as inbox:
            assert await looked(pool, inbox) == [("events.set_aside", 1)]
    finally:
        await operate(broker, "delete_user", "counting")


async def test_a_dead_queue_that_was_deleted_is_created_again_or_what_is_set_aside_would_be_gone(
    pool: db.Pool, broker_url: str, connection: AbstractConnection
) -> None:
    async with running(broker_url, pool) as inbox:
        await delete_queue(broker_url, DEAD)
        assert await looked(pool, inbox) == []
    await set_aside(connection, broker_url, b"one")


async def test_where_we_may_not_create_it_the_missing_queue_is_named_and_events_come_in_as_before(
    pool: db.Pool, broker_url: str, broker: Rabbitmq, connection: AbstractConnection, operate: Operate
) -> None:
    await operate(broker, "add_user", "counting", "counting")
    await operate(broker, "set_permissions", "counting", "^$", ".*dlx$", "^control-center\\.events$")
    try:
        async with running(broker_url.replace("guest:guest", "counting:counting"), pool) as inbox:
            await delete_queue(broker_url, DEAD)
            with capture_logs() as said:
                assert await inbox.dead_queue() is None
            assert [line["event"] for line in said] == ["inbox.broker_misconfigured"]
            assert "queue 'control-center.events.dead'" in said[0]["reason"]
            await publish(broker_url, [b"one"])
            await eventually(lambda: _is(inbox.handled == 1))
    finally:
        await operate(broker, "delete_user", "counting")


async def test_without_a_broker_to_ask_nothing_is_told_and_nothing_taken_back(pool: db.Pool) -> None:
    async def away() -> Count | None:
        return None

    assert await told(pool, partial(counting, 2)) == [("events.set_aside", 2)]
    assert await told(pool, away) == []
    assert await others(pool) == 2


async def test_a_count_that_was_overtaken_by_another_look_or_by_a_collection_is_thrown_away(pool: db.Pool) -> None:
    async def meanwhile_another_looks() -> Count | None:
        assert await told(pool, partial(counting, 5)) == [("events.set_aside", 5)]
        return Count(2, 0)

    assert await told(pool, meanwhile_another_looks) == []
    assert await others(pool) == 5

    async def meanwhile_somebody_collects() -> Count | None:
        async with db.transaction(pool) as tx:
            await dead_queue.collecting(tx)
        return Count(0, 0)

    assert await told(pool, meanwhile_somebody_collects) == []
    assert await told(pool, partial(counting, 0)) == [], "nobody counts while somebody collects"
    assert await others(pool) == 5


async def test_copies_that_are_announced_while_somebody_collects_are_remembered(pool: db.Pool) -> None:
    async with db.transaction(pool) as tx:
        begun = await dead_queue.collecting(tx)
    await dead_queue.copying(pool, 3)
    await dead_queue.collected(pool, begun, 2)

    assert await told(pool, partial(counting, 5)) == []
    assert await told(pool, partial(counting, 6)) == [("events.set_aside", 1)]


async def _lie_there(url: str, number: int) -> bool:
    return (await depth(url, DEAD))[0] == number


async def test_copies_wait_until_it_was_written_down_that_they_come(broker_url: str) -> None:
    tries: list[int] = []

    async def away_at_first(number: int) -> None:
        tries.append(number)
        if len(tries) < 3:
            raise ConnectionRefusedError("database away")
        assert (await depth(broker_url, DEAD))[0] == 0

    inbox, stop = Inbox(broker_url, not_understood, copying=away_at_first), asyncio.Event()
    task = asyncio.create_task(inbox.run(stop))
    try:
        await eventually(lambda: _is(inbox.attached))
        await publish(broker_url, [b"a"])
        await eventually(lambda: _lie_there(broker_url, 1))
        assert tries == [1, 1, 1]
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def test_what_somebody_else_put_there_is_told_of_too(
    pool: db.Pool, broker_url: str, connection: AbstractConnection
) -> None:
    async with running(broker_url, pool) as inbox:
        async with connection.channel() as channel:
            await channel.default_exchange.publish(aio_pika.Message(b"bare"), DEAD)
        await eventually(lambda: _lie_there(broker_url, 1))
        assert await looked(pool, inbox) == [("events.set_aside", 1)]


def test_copies_that_wait_are_bounded_by_what_they_weigh_too() -> None:
    copies = DeadCopies("amqp://nowhere", Topology())
    heavy = Parcel("dlx", "", b" " * 8 * 1024 * 1024)

    assert [copies.offer(heavy) for _ in range(10)] == [True] * 8 + [False] * 2
    assert not copies.offer(Parcel("dlx", "", b"1"))
