"""The exchanges and queues that we and the CRM agree on, and how they come into being."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import structlog
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)

from control_center.crm.connection import answering
from control_center.domain.errors import ConfigurationError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Topology:
    """Names as the contract has them; another set of names is another installation on the same broker."""

    events_exchange: str = "crm.events"
    events_queue: str = "control-center.events"
    dead_queue: str = "control-center.events.dead"
    dlx: str = "control-center.events.dlx"
    commands_exchange: str = "crm.commands"
    reports_exchange: str = "control-center.reports"
    delivery_limit: int = 100


@dataclass(frozen=True, slots=True)
class _Part:
    """An exchange or a queue: `ask` declares it, passively or with its fixed arguments."""

    title: str
    ask: Callable[[AbstractChannel, bool], Awaitable[object]]


async def declare(connection: AbstractConnection, topology: Topology) -> None:
    """Make sure that everything exists: look first, create what is missing, bind the queues.

    Raises ConfigurationError naming all that this user may not create, or what stands in the way under another form.
    """
    forbidden = []
    for part in _parts(topology):
        if await _exists(connection, part):
            continue
        if not await _create(connection, part):
            forbidden.append(part.title)
    if forbidden:
        raise ConfigurationError(
            "the broker's user may not configure what is missing; create it as an administrator: "
            + "; ".join(forbidden)
        )
    await _bind(connection, topology.events_queue, topology.events_exchange, "#")
    await _bind(connection, topology.dead_queue, topology.dlx, "")


async def _exists(connection: AbstractConnection, part: _Part) -> bool:
    # The broker answers "no" by closing the channel: each question has its own.
    async with answering(f"looking for {part.title}"), connection.channel(publisher_confirms=False) as channel:
        try:
            await part.ask(channel, True)
        except ChannelNotFoundEntity:
            return False
        except ChannelLockedResource as error:
            raise ConfigurationError(f"{part.title} belongs to another connection alone: {error}") from error
    return True


async def _create(connection: AbstractConnection, part: _Part) -> bool:
    """Create it; False when this user may not."""
    async with answering(f"creating {part.title}"), connection.channel(publisher_confirms=False) as channel:
        try:
            await part.ask(channel, False)
        except ChannelAccessRefused:
            return False
        except ChannelPreconditionFailed as error:
            raise ConfigurationError(
                f"{part.title} exists in another form; delete it when it is empty, it is created again: {error}"
            ) from error
    log.info("topology.created", part=part.title)
    return True


async def _bind(connection: AbstractConnection, queue: str, exchange: str, key: str) -> None:
    doing = f"binding {queue} to {exchange}"
    async with answering(doing), connection.channel(publisher_confirms=False) as channel:
        try:
            # Only by name: to look the two up would be two more questions to the broker.
            await (await channel.get_queue(queue, ensure=False)).bind(exchange, key)
        except ChannelAccessRefused:
            # A binding cannot be looked up. Who created both for us has bound them too, or will hear of this line.
            log.info("topology.binding_unchecked", queue=queue, exchange=exchange, key=key)


def _parts(topology: Topology) -> Iterator[_Part]:
    yield _exchange(topology.events_exchange, ExchangeType.TOPIC)
    yield _exchange(topology.dlx, ExchangeType.FANOUT)
    yield _exchange(topology.commands_exchange, ExchangeType.TOPIC)
    yield _exchange(topology.reports_exchange, ExchangeType.TOPIC)
    yield _queue(topology.dead_queue, {"x-queue-type": "quorum"})
    yield _queue(
        topology.events_queue,
        {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": topology.dlx,
            "x-delivery-limit": topology.delivery_limit,
        },
    )


def _exchange(name: str, kind: ExchangeType) -> _Part:
    async def ask(channel: AbstractChannel, passive: bool) -> object:  # noqa: FBT001 - the word of the protocol
        return await channel.declare_exchange(name, kind, durable=True, passive=passive)

    return _Part(f"exchange {name!r} ({kind.value}, durable)", ask)


def _queue(name: str, arguments: dict[str, str | int]) -> _Part:
    async def ask(channel: AbstractChannel, passive: bool) -> object:  # noqa: FBT001 - the word of the protocol
        return await channel.declare_queue(name, durable=True, passive=passive, arguments=dict(arguments))

    listed = ", ".join(f"{key}={value}" for key, value in arguments.items())
    return _Part(f"queue {name!r} (durable, {listed})", ask)
