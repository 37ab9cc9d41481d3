from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from control_center.crm.connection import connect
from control_center.crm.outbox import Outbox, Parcel, Published, Receipt, Unconfirmed, Unroutable
from control_center.crm.topology import Topology, declare
from control_center.embedded import Rabbitmq
from tests.support.programs import suspended

Operate = Callable[..., Awaitable[str]]

LISTENERS = "crm.listener"


def a_command(number: int = 1, *, key: str = "main.create_task") -> Parcel:
    return Parcel(
        "crm.commands", key, b'{"n": %d}' % number, command_id=f"action-{number}", headers={"x-sequence": number}
    )


async def bind_a_listener(connection: AbstractConnection) -> None:
    """The CRM listens for tasks; nobody listens for letters."""
    await declare(connection, Topology())
    async with connection.channel() as channel:
        queue = await channel.declare_queue(LISTENERS, durable=True, arguments={"x-queue-type": "quorum"})
        await queue.purge()
        await queue.bind("crm.commands", "*.create_task")


async def heard(connection: AbstractConnection) -> list[AbstractIncomingMessage]:
    messages = []
    async with connection.channel() as channel:
        queue = await channel.get_queue(LISTENERS)
        while message := await queue.get(fail=False, no_ack=True):
            messages.append(message)
    return messages


@pytest.fixture
async def crm(broker_url: str) -> AsyncIterator[AbstractConnection]:
    async with await connect(broker_url, "crm") as connection:
        await bind_a_listener(connection)
        yield connection
        async with connection.channel() as channel:
            await channel.queue_delete(LISTENERS)


@pytest.fixture
async def outbox(broker_url: str) -> AsyncIterator[Outbox]:
    outbox = Outbox(broker_url)
    yield outbox
    await outbox.close()


def kinds(receipts: Sequence[Receipt]) -> list[type[Receipt]]:
    return [type(receipt) for receipt in receipts]


async def test_a_command_arrives_durable_and_known_by_its_command_id(outbox: Outbox, crm: AbstractConnection) -> None:
    [receipt] = await outbox.publish([a_command(7)])

    [message] = await heard(crm)
    assert isinstance(receipt, Published)
    assert message.body == b'{"n": 7}'
    assert message.headers["x-command-id"] == "action-7"
    assert message.headers["x-sequence"] == 7
    assert message.message_id == receipt.message_id
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert message.content_type == "application/cloudevents+json"


async def test_commands_arrive_in_the_order_they_were_handed_over(outbox: Outbox, crm: AbstractConnection) -> None:
    receipts = await outbox.publish([a_command(number) for number in range(500)])

    assert set(kinds(receipts)) == {Published}
    assert [message.headers["x-sequence"] for message in await heard(crm)] == list(range(500))


async def test_a_command_that_nobody_listens_for_is_unroutable_and_hinders_no_other(
    outbox: Outbox, crm: AbstractConnection
) -> None:
    receipts = await outbox.publish([a_command(1), a_command(2, key="main.create_letter"), a_command(3)])

    assert kinds(receipts) == [Published, Unroutable, Published]
    assert isinstance(receipts[1], Unroutable)
    assert "crm.commands has no queue for 'main.create_letter'" in receipts[1].reason
    assert len(await heard(crm)) == 2


@pytest.mark.parametrize(
    ("key", "expected"), [("main.create_task", Published), ("main.create_letter", Unroutable)], ids=["heard", "unheard"]
)
async def test_five_copies_of_one_command_in_flight_each_get_their_own_answer(
    outbox: Outbox, crm: AbstractConnection, key: str, expected: type[Receipt]
) -> None:
    receipts = await asyncio.gather(*(outbox.publish([a_command(key=key)]) for _ in range(5)))

    assert [kinds(each) for each in receipts] == [[expected]] * 5
    ids = [message.message_id for message in await heard(crm)]
    assert len(ids) == len(set(ids)) == (5 if expected is Published else 0)


async def test_what_can_never_be_a_message_is_unroutable(outbox: Outbox, crm: AbstractConnection) -> None:
    endless = a_command(1, key="main." + "x" * 300)
    unspeakable = replace(a_command(2), headers={"x-reason": "lone surrogate \ud800"})

    receipts = await outbox.publish([endless, unspeakable, a_command(3)])

    assert kinds(receipts) == [Unroutable, Unroutable, Published]


async def test_nothing_to_publish_needs_no_broker() -> None:
    assert await Outbox("amqp://127.0.0.1:1/").publish([]) == []


async def test_while_the_broker_is_away_commands_stay_unconfirmed_and_are_taken_when_it_is_back(
    broker_to_kill: Rabbitmq,
) -> None:
    async with await connect(broker_to_kill.url, "crm") as crm:
        await bind_a_listener(crm)
    outbox = Outbox(broker_to_kill.url)
    assert kinds(await outbox.publish([a_command(1)])) == [Published]

    await broker_to_kill.kill()
    async with asyncio.timeout(2):
        receipts = await outbox.publish([a_command(2), a_command(3)])
    await broker_to_kill.start()
    again = await outbox.publish([a_command(2), a_command(3)])

    assert kinds(receipts) == [Unconfirmed, Unconfirmed]
    assert kinds(again) == [Published, Published]
    await outbox.close()
    async with await connect(broker_to_kill.url, "crm") as crm:
        assert [message.headers["x-command-id"] for message in await heard(crm)] == ["action-1", "action-2", "action-3"]


async def test_a_broker_that_dies_with_commands_in_flight_has_every_one_it_confirmed(broker_to_kill: Rabbitmq) -> None:
    async with await connect(broker_to_kill.url, "crm") as crm:
        await bind_a_listener(crm)
    outbox = Outbox(broker_to_kill.url)
    await outbox.publish([a_command(0)])

    publishing = asyncio.create_task(outbox.publish([a_command(number) for number in range(1, 20_000)]))
    async with await connect(broker_to_kill.url, "crm") as crm, crm.channel() as channel:
        while ((await channel.declare_queue(LISTENERS, passive=True)).declaration_result.message_count or 0) < 200:
            assert not publishing.done()
    await broker_to_kill.kill()
    receipts = await asyncio.wait_for(publishing, 20)

    assert {Published, Unconfirmed} == set(kinds(receipts))
    await broker_to_kill.start()
    confirmed = {number for number, receipt in enumerate(receipts, start=1) if isinstance(receipt, Published)}
    async with await connect(broker_to_kill.url, "crm") as crm:
        assert confirmed <= {message.headers["x-sequence"] for message in await heard(crm)}
    await outbox.close()


async def test_a_confirmation_that_does_not_come_leaves_the_command_unconfirmed(
    broker_to_kill: Rabbitmq, operate: Operate
) -> None:
    async with await connect(broker_to_kill.url, "crm") as crm:
        await bind_a_listener(crm)
    outbox = Outbox(broker_to_kill.url, patience=1, in_flight=2)
    assert kinds(await outbox.publish([a_command(0)])) == [Published]

    await operate(broker_to_kill, "set_vm_memory_high_watermark", "0.00001")
    async with asyncio.timeout(8):  # all of them after one patience, not one after another
        receipts = await outbox.publish([a_command(number) for number in range(1, 21)])
    await operate(broker_to_kill, "set_vm_memory_high_watermark", "0.4")
    again = await outbox.publish([a_command(number) for number in range(1, 21)])

    assert set(kinds(receipts)) == {Unconfirmed}
    assert "no confirmation within 1 s" in {getattr(receipt, "reason", "") for receipt in receipts}
    assert set(kinds(again)) == {Published}
    await outbox.close()


async def test_a_broker_that_freezes_with_commands_in_flight_leaves_them_unconfirmed(broker_to_kill: Rabbitmq) -> None:
    outbox = Outbox(f"{broker_to_kill.url}?heartbeat=1", patience=60)
    assert kinds(await outbox.publish([a_command(0)])) == [Published]
    assert broker_to_kill.pid is not None

    await suspended(broker_to_kill.pid)
    try:
        receipts = await asyncio.wait_for(outbox.publish([a_command(1), a_command(2)]), 20)
    finally:
        os.kill(broker_to_kill.pid, signal.SIGCONT)
    again = await outbox.publish([a_command(1), a_command(2)])

    assert kinds(receipts) == [Unconfirmed, Unconfirmed]
    assert kinds(again) == [Published, Published]
    await outbox.close()


async def test_an_exchange_deleted_by_somebody_is_made_again(outbox: Outbox, crm: AbstractConnection) -> None:
    assert kinds(await outbox.publish([a_command(1)])) == [Published]
    async with crm.channel() as channel:
        await channel.exchange_delete("crm.commands")

    first = await outbox.publish([a_command(2)])
    await bind_a_listener(crm)
    second = await outbox.publish([a_command(2)])

    assert kinds(first) == [Unconfirmed]
    assert isinstance(first[0], Unconfirmed)
    assert "no exchange 'crm.commands'" in first[0].reason
    assert kinds(second) == [Published]


async def test_a_wrong_password_leaves_commands_unconfirmed_with_that_reason(broker_url: str) -> None:
    [receipt] = await Outbox(broker_url.replace("guest:guest", "guest:wrong")).publish([a_command()])

    assert isinstance(receipt, Unconfirmed)
    assert "password" in receipt.reason
