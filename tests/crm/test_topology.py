from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection
from aiormq.abc import ArgumentsType
from aiormq.exceptions import ChannelPreconditionFailed

from control_center.crm import topology as parts
from control_center.crm.connection import BrokerAway, connect
from control_center.crm.topology import Topology, declare
from control_center.domain.errors import ConfigurationError
from control_center.embedded import Rabbitmq

Operate = Callable[..., Awaitable[str]]


@pytest.fixture
async def connection(broker_url: str) -> AsyncIterator[AbstractConnection]:
    connection = await connect(broker_url, "test")
    yield connection
    await connection.close()


async def test_everything_is_created_with_the_fixed_arguments(connection: AbstractConnection) -> None:
    await declare(connection, Topology())

    async with connection.channel() as channel:  # the broker refuses a declaration that differs in anything
        arguments: ArgumentsType = {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "control-center.events.dlx",
            "x-delivery-limit": 100,
        }
        await channel.declare_queue("control-center.events", durable=True, arguments=arguments)
        await channel.declare_queue("control-center.events.dead", durable=True, arguments={"x-queue-type": "quorum"})
        for name in ("crm.events", "crm.commands", "control-center.reports"):
            await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)


async def test_an_event_published_to_the_exchange_reaches_the_queue_whatever_its_key(
    connection: AbstractConnection,
) -> None:
    await declare(connection, Topology())

    async with connection.channel(on_return_raises=True) as channel:
        exchange = await channel.get_exchange("crm.events")
        await exchange.publish(aio_pika.Message(b"{}"), routing_key="main.session.created")

        queue = await channel.get_queue("control-center.events")
        assert (await queue.get(no_ack=True)).body == b"{}"


async def test_declaring_again_changes_nothing(connection: AbstractConnection) -> None:
    await declare(connection, Topology())
    async with connection.channel(on_return_raises=True) as channel:
        exchange = await channel.get_exchange("crm.events")
        await exchange.publish(aio_pika.Message(b"kept"), routing_key="main.session.created")

    await declare(connection, Topology())

    async with connection.channel() as channel:
        queue = await channel.get_queue("control-center.events")
        assert (await queue.get(no_ack=True)).body == b"kept"


async def test_a_queue_that_the_operator_made_his_own_way_is_used_as_it_is(connection: AbstractConnection) -> None:
    async with connection.channel() as channel:
        await channel.declare_queue("control-center.events", durable=True, arguments={"x-max-length": 7})

    await declare(connection, Topology())

    async with connection.channel() as channel:
        await channel.declare_queue("control-center.events", durable=True, arguments={"x-max-length": 7})


async def test_a_queue_in_another_form_that_appeared_meanwhile_is_named(connection: AbstractConnection) -> None:
    async with connection.channel() as channel:
        await channel.declare_queue("control-center.events", durable=True)
    queue = next(part for part in parts._parts(Topology()) if "'control-center.events'" in part.title)

    with pytest.raises(ConfigurationError, match=r"'control-center\.events' .* exists in another form") as raised:
        await parts._create(connection, queue)

    assert isinstance(raised.value.__cause__, ChannelPreconditionFailed)


@pytest.fixture
async def restricted_url(broker: Rabbitmq, broker_url: str, operate: Operate) -> AsyncIterator[str]:
    """The URL of a user who may write and read everything, and configure nothing."""
    await operate(broker, "add_user", "plain", "plain")
    await operate(broker, "set_permissions", "plain", "^$", ".*", ".*")
    yield broker_url.replace("guest:guest", "plain:plain")
    await operate(broker, "delete_user", "plain")


async def test_a_user_who_may_not_configure_is_told_all_that_is_to_be_created(restricted_url: str) -> None:
    async with await connect(restricted_url, "test") as connection:
        with pytest.raises(ConfigurationError) as raised:
            await declare(connection, Topology())

    for name in ("crm.events", "crm.commands", "control-center.reports", "control-center.events.dlx"):
        assert f"exchange {name!r}" in str(raised.value)
    assert (
        "queue 'control-center.events' (durable, x-queue-type=quorum, "
        "x-dead-letter-exchange=control-center.events.dlx, x-delivery-limit=100)" in str(raised.value)
    )
    assert "queue 'control-center.events.dead'" in str(raised.value)


async def test_a_user_who_may_not_configure_is_content_with_what_exists(
    connection: AbstractConnection, restricted_url: str
) -> None:
    await declare(connection, Topology())

    async with await connect(restricted_url, "test") as restricted:
        await declare(restricted, Topology())


async def test_a_queue_that_belongs_to_another_connection_is_named(connection: AbstractConnection) -> None:
    theirs = replace(Topology(), events_queue="theirs")
    async with connection.channel() as channel:
        await channel.declare_queue("theirs", exclusive=True)

        async with await connect(str(connection.url), "test") as another:  # type: ignore[attr-defined]
            with pytest.raises(ConfigurationError, match=r"queue 'theirs' .* belongs to another connection alone"):
                await declare(another, theirs)


async def test_a_wrong_password_is_a_matter_of_configuration(broker_url: str) -> None:
    with pytest.raises(ConfigurationError, match="refuses the user or the password"):
        await connect(broker_url.replace("guest:guest", "guest:wrong"), "test")


async def test_a_wrong_virtual_host_is_asked_for(broker_url: str) -> None:
    with pytest.raises(BrokerAway, match="virtual host"):
        await connect(f"{broker_url}/nowhere", "test")


async def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="amqp://"):
        await connect("http://127.0.0.1:5672", "test")
