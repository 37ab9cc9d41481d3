"""The CRM's side of the broker: publishing until it is confirmed, and looking into queues."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import aio_pika
from aio_pika.exceptions import AMQPError

EVENTS: Final = "control-center.events"
DEAD: Final = "control-center.events.dead"
EXCHANGE: Final = "crm.events"
EXCHANGES: Final = (EXCHANGE, "crm.commands", "control-center.reports", "control-center.events.dlx")
AT_ONCE: Final = 200

# A dying connection also cancels the calls that wait on it.
_AWAY = (AMQPError, OSError, RuntimeError, TimeoutError, asyncio.CancelledError)


def one_of(url: str) -> str:
    """The address of any node of a cluster, where the URL names one."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    host = random.choice(hosts.split(","))
    return urlunsplit(parts._replace(netloc=f"{user}{at}{host}"))


async def publish(
    url: str, bodies: Sequence[bytes], *, key: str = "main.session.created", within: float = 90.0
) -> None:
    """Publish each until the broker has confirmed it: what is confirmed may come twice, and never gets lost."""
    waiting = list(bodies)
    async with asyncio.timeout(within):
        while waiting:
            try:
                waiting = await _publish(url, waiting, key)
            except _AWAY:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
                await asyncio.sleep(0.2)  # the broker is away: nobody tells us when it is back


async def _publish(url: str, bodies: list[bytes], key: str) -> list[bytes]:
    """Publish in order; returns what was not confirmed, because the broker went."""
    connection = await aio_pika.connect(one_of(url), timeout=10)
    try:
        channel = await connection.channel()
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        for first in range(0, len(bodies), AT_ONCE):
            some = bodies[first : first + AT_ONCE]
            sent = await asyncio.gather(
                *(
                    exchange.publish(
                        aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT), key, timeout=30
                    )
                    for body in some
                ),
                return_exceptions=True,
            )
            left = [body for body, said in zip(some, sent, strict=True) if isinstance(said, BaseException)]
            if left:
                return left + bodies[first + AT_ONCE :]
        return []
    finally:
        with suppress(*_AWAY):  # what matters was confirmed, or is published again
            async with asyncio.timeout(3):
                await connection.close()


async def depth(url: str, queue: str = EVENTS) -> tuple[int, int]:
    """How many messages are ready in a queue, and how many consumers it has."""
    connection = await aio_pika.connect(one_of(url), timeout=10)
    async with connection, connection.channel() as channel:
        found = (await channel.declare_queue(queue, durable=True, passive=True)).declaration_result
        return found.message_count or 0, found.consumer_count or 0


async def taken_out(
    url: str, number: int, *, queue: str = DEAD, within: float = 30.0
) -> list[tuple[bytes, dict[str, Any]]]:
    """The first messages of a queue, with their headers, out of it."""
    connection = await aio_pika.connect(url, timeout=10)
    found: list[tuple[bytes, dict[str, Any]]] = []
    async with connection, connection.channel() as channel, asyncio.timeout(within):
        source = await channel.get_queue(queue, ensure=False)
        while len(found) < number:
            message = await source.get(no_ack=True, fail=False)
            if message is None:
                await asyncio.sleep(0.05)
            else:
                found.append((message.body, dict(message.headers)))
    return found


async def delete_queue(url: str, queue: str = EVENTS) -> None:
    connection = await aio_pika.connect(url, timeout=10)
    async with connection, connection.channel() as channel:
        await channel.queue_delete(queue)


async def bind(url: str, *, bound: bool) -> None:
    """Let the events' queue hear what is published, or let it not."""
    connection = await aio_pika.connect(url, timeout=10)
    async with connection, connection.channel() as channel:
        queue = await channel.get_queue(EVENTS, ensure=False)
        await (queue.bind(EXCHANGE, "#") if bound else queue.unbind(EXCHANGE, "#"))


async def forget_everything(url: str) -> None:
    """Rid a broker of what was declared by whoever used it before."""
    connection = await aio_pika.connect(one_of(url), timeout=10)
    async with connection, connection.channel() as channel:
        for queue in (EVENTS, DEAD):
            await channel.queue_delete(queue)
        for exchange in EXCHANGES:
            await channel.exchange_delete(exchange)


async def empty(url: str) -> None:
    """Throw away what waits in the queues."""
    connection = await aio_pika.connect(url, timeout=10)
    async with connection, connection.channel() as channel:
        for queue in (EVENTS, DEAD):
            await (await channel.get_queue(queue, ensure=False)).purge()
