"""On the way to the database and the broker: whoever cannot show the right certificate is told nothing.

The servers are real, and speak TLS. The right certificate is for `localhost`, of the authority that the address names.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.bookings import bookings
from tests.support.certificates import Authority, Pair
from tests.support.guarded import HOST, Guarded, guarded_postgres, guarded_rabbitmq
from tests.support.installation import Installation
from tests.support.matrix import Seen

pytestmark = pytest.mark.process

WRONG: Final = {
    "of another authority": "certificate verify failed: self-signed certificate|unable to get local issuer",
    "expired": "certificate has expired",
    "of another name": "Hostname mismatch|is not valid for 'localhost'",
}


@dataclass(frozen=True, slots=True)
class Servers:
    """Both, with the certificates that they may show."""

    folder: Path
    ca: Path
    right: Pair
    wrong: dict[str, Pair]
    database: Guarded
    broker: Guarded

    def database_url(self, mode: str = "verify-full", name: str = "control_center") -> str:
        return f"postgresql://cc@{HOST}:{self.database.port}/{name}?sslmode={mode}&sslrootcert={self.ca}"

    def broker_url(self, more: str = "") -> str:
        return f"amqps://guest:guest@{HOST}:{self.broker.port}/?cafile={self.ca}{more}"


@pytest.fixture(scope="module")
async def _both(programs_with_tls: Path) -> AsyncIterator[Servers]:
    folder = Path(tempfile.mkdtemp(prefix="cc-"))
    folder.chmod(0o711)  # noqa: ASYNC240 - once
    ours, theirs = Authority("The studio's authority"), Authority("Somebody's authority")
    right = ours.pair(HOST)
    wrong = {
        "of another authority": theirs.pair(HOST),
        "expired": ours.pair(HOST, expired=True),
        "of another name": ours.pair("db.elsewhere.example"),
    }
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(guarded_postgres(folder / "postgres", right, programs_with_tls))
        broker = await stack.enter_async_context(guarded_rabbitmq(folder / "rabbitmq", right))
        yield Servers(folder, ours.write(folder / "ca.pem"), right, wrong, database, broker)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def servers(_both: Servers) -> AsyncIterator[Servers]:
    """With the right certificates, whatever the test before has shown."""
    yield _both
    await _both.database.show(_both.right)
    await _both.broker.show(_both.right)


async def test_events_become_texts_with_both_connections_encrypted_and_checked(
    servers: Servers, folder: Path, seen: Seen
) -> None:
    async with Installation(
        folder / "one", database_url=servers.database_url(), broker_url=servers.broker_url()
    ) as here:
        await here.done("migrate")
        await here.furnish()
        running = await here.run()
        own = f"postgresql://cc@{HOST}:{servers.database.port}/control_center?sslmode=require"
        here.database_url = own  # for our own looks at it
        await _publish(servers, here, 5)
        await here.sent(5)
        encrypted = await here.sql(
            "SELECT bool_and(ssl), min(version), count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            " WHERE application_name LIKE 'control-center%'"
        )
        assert encrypted[0][0] is True
        assert encrypted[0][1] in ("TLSv1.2", "TLSv1.3")
        peers = await servers.broker.operate("list_connections", "--no-table-headers", "ssl")
        assert set(peers.split()) == {"true"}
        seen(f"{encrypted[0][2]} connections to the database, all encrypted")
        await running.stop()


@pytest.mark.parametrize("how", WRONG)
async def test_a_database_with_a_wrong_certificate_is_told_nothing(servers: Servers, folder: Path, how: str) -> None:
    async with Installation(folder / "one", database_url=servers.database_url(), broker_url="none") as here:
        await here.done("migrate")
        await servers.database.show(servers.wrong[how])

        checked = await here.cli("check")
        asked = await here.cli("studios", "list")

    assert (checked.code, asked.code) == (1, 1)
    for said in (checked.out, asked.complaint):
        assert any(words in said for words in WRONG[how].split("|")), said


async def test_a_database_that_does_not_encrypt_is_told_nothing(servers: Servers, folder: Path) -> None:
    heard = bytearray()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(8))
        writer.write(b"N")
        heard.extend(await reader.read())
        writer.close()

    listening = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    url = f"postgresql://cc:canary@{HOST}:{port}/cc?sslmode=verify-full&sslrootcert={servers.ca}"
    async with listening, Installation(folder / "one", database_url=url, broker_url="none") as here:
        asked = await here.cli("studios", "list")

    assert asked.code == 1
    assert bytes(heard) in (b"", bytes.fromhex("0000000804d2162f"))  # "may we encrypt?", and nothing after the no


@pytest.mark.parametrize("mode", ["", "prefer", "require", "verify-ca"])
@pytest.mark.parametrize("program", [("control_center", "run"), ("workers", "sms")])
async def test_an_address_of_another_machine_that_only_seems_guarded_stops_the_start(
    folder: Path, mode: str, program: tuple[str, ...]
) -> None:
    url = f"postgresql://cc:canary@db.elsewhere.example/cc{'?sslmode=' if mode else ''}{mode}"
    async with Installation(folder / "one", database_url=url, broker_url="none") as here:
        started = await here.start(*program)

        assert await started.ended() == 1
        assert any("sslmode=verify-full" in line for line in started.said)
        assert "canary" not in started.tail()


@pytest.mark.parametrize("how", WRONG)
async def test_a_broker_with_a_wrong_certificate_is_told_nothing(servers: Servers, folder: Path, how: str) -> None:
    await servers.broker.show(servers.wrong[how])
    async with Installation(folder / "one", broker_url=servers.broker_url()) as here:
        emitted = await here.cli("emit", "-", stdin=bookings(1)[0] + b"\n")

    assert emitted.code == 1
    assert any(words in emitted.complaint for words in WRONG[how].split("|")), emitted.complaint


async def test_while_the_brokers_certificate_is_wrong_it_runs_is_not_ready_and_says_so_and_then_goes_on(
    servers: Servers, folder: Path
) -> None:
    await servers.broker.show(servers.wrong["expired"])
    async with Installation(folder / "one", broker_url=servers.broker_url()) as here:
        here.database_url = servers.database_url()
        await here.done("migrate")
        running = await here.start("control_center", "run", "engine", "web")
        away = await running.wait_for("inbox.broker_away", within=90)
        assert "certificate has expired" in away["reason"]

        await servers.broker.show(servers.right)

        await running.wait_for("inbox.attached", within=60)
        await running.stop()


async def test_a_broker_whose_certificate_is_not_to_be_looked_at_stops_the_start(folder: Path) -> None:
    url = "amqps://cc:canary@mq.elsewhere.example/?no_verify_ssl=1"
    async with Installation(folder / "one", broker_url=url) as here:
        started = await here.start("control_center", "run")

        assert await started.ended() == 1
        assert any("no_verify_ssl" in line for line in started.said)
        assert "canary" not in started.tail()


async def _publish(servers: Servers, here: Installation, number: int) -> None:
    url, here.broker_url = here.broker_url, servers.broker_url()
    await here.publish(bookings(number))
    here.broker_url = url
