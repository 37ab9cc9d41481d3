from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest
from pamqp.common import FieldTable

from control_center import embedded
from control_center.domain.errors import ConfigurationError
from control_center.embedded import Rabbitmq, ensure_rabbitmq
from control_center.embedded import rabbitmq as module
from control_center.embedded.place import digest
from control_center.embedded.process import _carriers, gone, until

QUORUM: FieldTable = {"x-queue-type": "quorum"}


@pytest.fixture
def base(broker: Rabbitmq) -> Iterator[Path]:
    """A folder with a space in its name, where RabbitMQ can be had at all: hence `broker`."""
    with tempfile.TemporaryDirectory(prefix="a studio ") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "rabbitmq"


def processes_of(base: Path) -> list[int]:
    return _carriers(f"control-center-{digest(base.resolve())}")


async def test_a_confirmed_message_survives_a_killed_broker_which_comes_back_at_its_port(base: Path) -> None:
    server = Rabbitmq(base)
    url = await server.start()
    try:
        assert url.startswith("amqp://guest:guest@127.0.0.1:")
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel(publisher_confirms=True)
            queue = await channel.declare_queue("kept", durable=True, arguments=QUORUM)
            message = aio_pika.Message(b"hold me", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(message, routing_key=queue.name)
            with pytest.raises(ConfigurationError, match=r"RabbitMQ in .* is already run by process"):
                await Rabbitmq(base).start()

        # RabbitMQ 3.10 answers "declared" up to a second before it has saved that the queue takes part in a quorum.
        assert await until(lambda: _is_registered(base, "kept"), within=20)
        await server.kill()
        assert server.pid is None
        assert processes_of(base) == []

        assert await server.start() == url
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("kept", durable=True, arguments=QUORUM)
            kept = await queue.get(timeout=20)
            assert kept.body == b"hold me"
            await kept.ack()
    finally:
        await server.stop()
    assert processes_of(base) == [], "the port mapper counts as well"


@pytest.mark.parametrize(("loop", "moment"), [("uvloop", "ready"), ("asyncio", "booting")])
async def test_the_broker_and_its_port_mapper_end_when_their_parent_is_killed(
    base: Path, loop: str, moment: str
) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(base), loop, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert owner.stdout
    if moment == "ready":
        assert await owner.stdout.readline() == b"ready\n"
    else:
        assert await until(lambda: asyncio.to_thread(_log_says, base, "Running boot step"), within=60)
    owner.kill()
    await owner.wait()

    assert await gone(processes_of(base), within=10)


async def test_a_port_that_is_taken_is_named(base: Path, broker: Rabbitmq) -> None:
    taken = int(broker.url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(ConfigurationError, match=f"port {taken} on 127.0.0.1"):
        await Rabbitmq(base, port=taken).start()
    assert processes_of(base) == []


async def test_nothing_is_fetched_while_a_broker_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(embedded, "find_rabbitmq", lambda: None)
    monkeypatch.setattr(embedded.debian, "fetch", lambda package, _: fetched.append(package))

    monkeypatch.setenv("CONTROL_CENTER_BROKER_URL", "amqp://broker.example/")
    assert await ensure_rabbitmq(print) is None
    assert fetched == []

    monkeypatch.delenv("CONTROL_CENTER_BROKER_URL")
    assert await ensure_rabbitmq(print) is None
    assert fetched == ["rabbitmq-server"]


async def test_where_there_is_no_rabbitmq_the_error_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_rabbitmq", lambda: None)
    with pytest.raises(ConfigurationError, match="apt-get install rabbitmq-server"):
        await Rabbitmq(tmp_path).start()


async def _is_registered(base: Path, queue: str) -> bool:
    return await asyncio.to_thread(_names, base, queue.encode())


def _log_says(base: Path, words: str) -> bool:
    pointer = base / "location"
    if not pointer.exists():
        return False
    return any(words in log.read_text() for log in Path(pointer.read_text().strip()).glob("log/*.log"))


def _names(base: Path, queue: bytes) -> bool:
    place = Path((base / "location").read_text().strip())
    return any(queue in names.read_bytes() for names in place.glob("data/*/quorum/*/names.dets"))


OWNER = """
import asyncio, sys, uvloop
from pathlib import Path
from control_center import embedded

async def main():
    await embedded.Rabbitmq(Path(sys.argv[1])).start()
    print("ready", flush=True)
    await asyncio.Event().wait()

(uvloop if sys.argv[2] == "uvloop" else asyncio).run(main())
"""
