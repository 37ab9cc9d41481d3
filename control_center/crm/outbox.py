"""Commands and reports leave for the CRM, each confirmed by the broker before it counts as published."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from aio_pika import DeliveryMode
from aio_pika.abc import AbstractConnection
from aiormq import Channel, spec
from aiormq.exceptions import DeliveryError, PublishError

from control_center.crm.connection import BrokerAway, broker_errors, connect, hang_up, open_channel
from control_center.crm.topology import Topology, declare
from control_center.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to publish; `command_id` is what the receiver knows repeats by, the same on every attempt."""

    exchange: str
    routing_key: str
    body: bytes
    command_id: str | None = None
    headers: Mapping[str, str | int] = field(default_factory=dict)
    content_type: str = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Published:
    """The broker has it, on disk, in at least one queue."""

    message_id: str


@dataclass(frozen=True, slots=True)
class Unroutable:
    """Nobody has bound a queue for it, or it cannot be a message at all: a person must look, repeating is no use."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The broker may or may not have it: publish it again later, under the same command id."""

    reason: str


Receipt: TypeAlias = Published | Unroutable | Unconfirmed


@dataclass(slots=True)
class _Line:
    """A connection and its one publishing channel; once `fault` is said nothing more goes over it."""

    connection: AbstractConnection
    channel: Channel
    fault: str | None = None

    @property
    def usable(self) -> bool:
        return self.fault is None and not self.channel.is_closed


class Outbox:
    """Publishes on a connection of its own, so that a broker short of memory, which stops reading from publishers,
    does not stop the acknowledgements of the inbox. Opens it when first needed and again after each loss.
    """

    def __init__(
        self,
        url: str,
        *,
        topology: Topology | None = None,
        in_flight: int = 1000,
        patience: float = 10.0,
        name: str = "control-center outbox",
    ) -> None:
        self._url = url
        self._topology = topology or Topology()
        self._in_flight = asyncio.Semaphore(in_flight)
        self._patience = patience
        self._name = name
        self._opening = asyncio.Lock()
        self._line: _Line | None = None

    async def publish(self, parcels: Sequence[Parcel]) -> list[Receipt]:
        """Publish all, many in flight at once; one receipt for each, in their order. Never raises for the broker.

        They are written in their order, but one that comes back Unconfirmed may be overtaken by a later one: of what
        must stay in order, hand over one at a time.
        """
        if not parcels:
            return []
        try:
            line = await self._open()
        except (BrokerAway, ConfigurationError) as error:
            return [Unconfirmed(str(error))] * len(parcels)
        receipts = await asyncio.gather(*(self._publish_one(line, parcel) for parcel in parcels))
        if not line.usable:
            await self._drop(line)
        return receipts

    async def close(self) -> None:
        if self._line is not None:
            await self._drop(self._line)

    async def _open(self) -> _Line:
        async with self._opening:
            if self._line is not None and self._line.usable:
                return self._line
            if self._line is not None:
                await self._drop(self._line)
            connection = await connect(self._url, self._name)
            try:
                await declare(connection, self._topology)
                line = _Line(connection, await open_channel(connection, confirms=True))
            except BaseException:
                await hang_up(connection)
                raise
            self._line = line
            return line

    async def _drop(self, line: _Line) -> None:
        if self._line is line:
            self._line = None
        await hang_up(line.connection)

    async def _publish_one(self, line: _Line, parcel: Parcel) -> Receipt:
        async with self._in_flight:
            if line.fault is not None:
                return Unconfirmed(line.fault)
            try:
                async with asyncio.timeout(self._patience):
                    return await _hand_over(line.channel, parcel)
            except TimeoutError:
                # Confirms are counted: after one that never came no later one on this channel is to be trusted.
                line.fault = f"no confirmation within {self._patience:g} s"
            except BrokerAway as away:
                line.fault = str(away)
            return Unconfirmed(line.fault)


async def _hand_over(channel: Channel, parcel: Parcel) -> Receipt:
    # Fresh each time: the library finds the parcel that the broker returned by this id, and two in flight under the
    # same id would be mistaken for each other. What stays the same is the command id.
    message_id = uuid.uuid4().hex
    known_by = {} if parcel.command_id is None else {"x-command-id": parcel.command_id}
    properties = spec.Basic.Properties(
        headers={**parcel.headers, **known_by},
        content_type=parcel.content_type,
        delivery_mode=DeliveryMode.PERSISTENT.value,
        message_id=message_id,
    )
    with broker_errors("publishing"):
        try:
            # The library would let nobody write before the one before has left the process: in one that has much to do
            # that is a turn of its loop for each. What is under way is bounded by us.
            await channel.basic_publish(
                parcel.body,
                exchange=parcel.exchange,
                routing_key=parcel.routing_key,
                properties=properties,
                mandatory=True,
                wait=False,
            )
        except PublishError as returned:
            return Unroutable(f"{parcel.exchange} has no queue for {parcel.routing_key!r} ({returned.frame.name})")
        except DeliveryError:
            return Unconfirmed("the broker declined it")
        except (TypeError, ValueError) as error:
            return Unroutable(f"cannot be put on the wire: {error}")
    return Published(message_id)
