"""What the broker itself set aside is kept with us; copies of what we could not understand stay in its queue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection

from control_center.crm import dead_letters
from control_center.crm.connection import connect
from control_center.crm.dead_letters import PAGE, Collected, Letter, collect
from control_center.crm.topology import Topology, declare
from control_center.domain.errors import ConfigurationError
from control_center.embedded import Rabbitmq
from tests.support.broker import DEAD, EVENTS, depth, publish, taken_out
from tests.support.crm import client, event
from tests.support.installation import Installation
from tests.support.programs import eventually

Operate = Callable[..., Awaitable[str]]


@dataclass
class Kept:
    """What was handed over, page by page."""

    letters: list[Letter] = field(default_factory=list)
    pages: int = 0

    async def keep(self, letters: Sequence[Letter]) -> None:
        self.letters += letters
        self.pages += bool(letters)

    @property
    def bodies(self) -> list[bytes]:
        return [one.body for one in self.letters]


@pytest.fixture
async def connection(broker_url: str) -> AsyncIterator[AbstractConnection]:
    """With queues of which the broker sets aside what was handed out twice in vain."""
    connection = await connect(broker_url, "test")
    await declare(connection, replace(Topology(), delivery_limit=1))
    yield connection
    await connection.close()


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


async def a_copy(connection: AbstractConnection, body: bytes) -> None:
    """A body that we did not understand, as the inbox puts it there."""
    async with connection.channel() as channel:
        exchange = await channel.get_exchange(Topology().dlx)
        await exchange.publish(aio_pika.Message(body, headers={"x-reason": "no", "x-field": "data"}), "main.x.y")


async def rejected(connection: AbstractConnection, url: str, body: bytes) -> None:
    before = (await depth(url, DEAD))[0]
    await publish(url, [body])
    async with connection.channel() as channel:
        message = await (await channel.get_queue(EVENTS)).get()
        assert message is not None
        await message.reject(requeue=False)

    async def is_there() -> bool:
        return (await depth(url, DEAD))[0] == before + 1

    await eventually(is_there)


async def test_what_the_broker_set_aside_is_kept_with_its_reason_and_leaves_the_queue(
    broker_url: str, connection: AbstractConnection
) -> None:
    await set_aside(connection, broker_url, b"one", b"two")
    await rejected(connection, broker_url, b"three")
    kept = Kept()

    assert await collect(broker_url, kept.keep) == Collected(3, 0)

    assert sorted(kept.bodies) == [b"one", b"three", b"two"]
    reasons = {one.body: one.reason for one in kept.letters}
    assert reasons[b"one"].startswith("the broker set it aside in control-center.events at 2")
    assert reasons[b"one"].endswith(": handed out as often as its limit allows, and never acknowledged")
    assert reasons[b"three"].endswith(": somebody rejected it")
    assert await depth(broker_url, DEAD) == (0, 0)
    assert await collect(broker_url, kept.keep) == Collected(0, 0)


async def test_copies_of_ours_stay_in_their_order_with_all_that_they_say(
    broker_url: str, connection: AbstractConnection
) -> None:
    await a_copy(connection, b"first")
    await set_aside(connection, broker_url, b"one")
    await a_copy(connection, b"second")
    kept = Kept()

    for taken in (1, 0):
        assert await collect(broker_url, kept.keep) == Collected(taken, 2)

    assert kept.bodies == [b"one"]
    left = await taken_out(broker_url, 2)
    assert [(body, headers["x-reason"], headers["x-field"]) for body, headers in left] == [
        (b"first", "no", "data"),
        (b"second", "no", "data"),
    ]


async def test_however_many_they_are_each_is_kept_once(broker_url: str, connection: AbstractConnection) -> None:
    bodies = [b"%d" % n for n in range(2 * PAGE + 5)]
    await set_aside(connection, broker_url, *bodies)
    kept = Kept()

    assert await collect(broker_url, kept.keep) == Collected(len(bodies), 0)

    assert (sorted(kept.bodies), kept.pages) == (sorted(bodies), 3)


async def test_heavy_ones_are_kept_a_few_at_a_time(
    broker_url: str, connection: AbstractConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "PAGE_BYTES", 2000)
    bodies = [b"%d" % n + b" " * 1000 for n in range(5)]
    await set_aside(connection, broker_url, *bodies)
    kept = Kept()

    assert await collect(broker_url, kept.keep) == Collected(5, 0)

    assert (sorted(kept.bodies), kept.pages) == (sorted(bodies), 3)


async def test_what_could_not_be_kept_stays_with_the_broker(broker_url: str, connection: AbstractConnection) -> None:
    await set_aside(connection, broker_url, b"one")
    kept = Kept()

    async def fails(_letters: Sequence[Letter]) -> None:
        raise ConnectionResetError("the database went away")

    with pytest.raises(ConnectionResetError, match="the database went away"):
        await collect(broker_url, fails)

    async def is_back() -> bool:
        return (await depth(broker_url, DEAD))[0] == 1

    await eventually(is_back, what="the broker has taken it back from whoever went")
    assert await collect(broker_url, kept.keep) == Collected(1, 0)
    assert kept.bodies == [b"one"]


async def test_what_has_no_header_at_all_is_kept_too(broker_url: str, connection: AbstractConnection) -> None:
    async with connection.channel() as channel:
        await channel.default_exchange.publish(aio_pika.Message(b"bare"), DEAD)
    kept = Kept()

    assert await collect(broker_url, kept.keep) == Collected(1, 0)
    assert kept.letters == [Letter(b"bare", "it lay in the broker's dead queue, and nothing says why")]


@pytest.mark.parametrize(
    "headers",
    [{"x-death": "often"}, {"x-death": []}, {"x-death": ["a"]}, {"x-death": [{}]}, {"x-death": [{"reason": 7}]}],
)
def test_whatever_stands_in_the_header_something_is_said(headers: dict[str, object]) -> None:
    assert dead_letters._why(headers)


async def test_who_may_not_read_the_queue_is_told_so(
    broker_url: str, broker: Rabbitmq, connection: AbstractConnection, operate: Operate
) -> None:
    await a_copy(connection, b"first")
    await operate(broker, "add_user", "plain", "plain")
    await operate(broker, "set_permissions", "plain", "^$", ".*", "^control-center\\.events$")
    try:
        with pytest.raises(ConfigurationError, match=r"may not read 'control-center\.events\.dead'"):
            await collect(broker_url.replace("guest:guest", "plain:plain"), Kept().keep)
    finally:
        await operate(broker, "delete_user", "plain")


async def test_where_there_is_no_such_queue_that_is_said(broker_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"has no queue 'control-center\.events\.dead'"):
        await collect(broker_url, Kept().keep)


async def test_on_the_command_line_they_are_collected_listed_and_taken_in(
    tmp_path: Path, database_url: str, broker_url: str, connection: AbstractConnection
) -> None:
    jo = event(None, "updated", about=client())
    async with Installation(tmp_path / "here", database_url=database_url, broker_url=broker_url) as here:
        await here.sql("DROP SCHEMA public CASCADE")
        await here.sql("CREATE SCHEMA public")
        await here.done("migrate")
        await here.furnish()
        assert "the broker has set nothing aside" in (await here.done("events", "collect")).out
        await set_aside(connection, broker_url, jo)

        assert await here.json("events", "collect") == {"collected": 1}

        [dead] = (await here.json("events", "dead"))["items"]
        assert "handed out as often as its limit allows" in dead["reason"]
        [replayed] = (await here.json("events", "replay", "--all"))["items"]
        assert replayed["result"] == "understood"
        assert await here.sql("SELECT record_id FROM records") == [("c-12",)]
        refused = await here.cli("events", "collect", broker_url="none")
        assert (refused.code, "there is no broker here" in refused.complaint) == (1, True)
