"""Hears what leaves for the CRM, as a CRM would: for the demo, whose CRM is only pretended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aio_pika.abc import AbstractIncomingMessage

from control_center.crm.connection import broker_errors, connect, hang_up
from control_center.crm.topology import Topology, declare

PREFETCH = 50


async def listen(url: str, stop: asyncio.Event, heard: Callable[[bytes], None]) -> None:
    """Hand over every command and report until `stop`, from a queue that ends with us.

    Raises BrokerAway when the broker is lost.
    """
    topology = Topology()
    connection = await connect(url, "control-center demo")
    try:
        await declare(connection, topology)

        async def take(message: AbstractIncomingMessage) -> None:
            heard(message.body)
            await message.ack()

        with broker_errors("listening"):
            channel = await connection.channel()
            await channel.set_qos(PREFETCH)
            queue = await channel.declare_queue(exclusive=True, durable=False)
            for exchange in (topology.commands_exchange, topology.reports_exchange):
                await queue.bind(exchange, "#")
            await queue.consume(take)
        await stop.wait()
    finally:
        await hang_up(connection)
