"""A PostgreSQL and a RabbitMQ that speak TLS on loopback, whose certificate a test may exchange while they run."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg
import pytest

from control_center.embedded import Postgres, Rabbitmq, postgres, rabbitmq
from control_center.embedded.place import borrowed_account, locate
from tests.support import operator
from tests.support.certificates import Pair
from tests.support.programs import eventually

HOST: Final = "localhost"  # what the right certificate is for
ONLY_ENCRYPTED: Final = """\
local all all trust
hostssl all all 127.0.0.1/32 trust
hostssl all all ::1/128 trust
"""
TLS_LISTENER: Final = """
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.certfile = {folder}/server.pem
ssl_options.keyfile = {folder}/server.key
ssl_options.verify = verify_none
ssl_options.versions.1 = tlsv1.2
ssl_options.versions.2 = tlsv1.3
"""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server that runs: its port, how to let it show another certificate, and how to do something as its operator."""

    port: int
    show: Callable[[Pair], Awaitable[None]]
    operate: Callable[..., Awaitable[str]]


@asynccontextmanager
async def guarded_postgres(base: Path, pair: Pair, programs: Path) -> AsyncIterator[Guarded]:
    """Takes nobody over the network who does not encrypt; `operate` carries out SQL as its superuser."""
    server, port = Postgres(base, durable=False, binaries=programs), _free_port()
    await server.start()
    await server.stop()
    data = locate(base, borrowed_account("postgres")) / "data"
    _hand_over(data / "pg_hba.conf", ONLY_ENCRYPTED.encode(), data)
    _put(data, pair, data)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"listen_addresses": HOST, "port": str(port), "ssl": "on"}.items():
            patch.setitem(postgres.SETTINGS, name, value)
        for name, file in {"ssl_cert_file": "server.pem", "ssl_key_file": "server.key"}.items():
            patch.setitem(postgres.SETTINGS, name, str(data / file))
        await server.start()
    own = f"postgresql://cc@/{{}}?host={quote(str(server._socket), safe='')}&port={port}"

    async def operate(*statements: str, database: str = "postgres") -> str:
        connection = await asyncpg.connect(own.format(database))
        try:
            return "".join([str(await connection.execute(statement)) for statement in statements])
        finally:
            await connection.close()

    async def show(pair: Pair) -> None:
        _put(data, pair, data)
        await operate("SELECT pg_reload_conf()")
        await eventually(lambda: _shows(port, pair), what="the server shows its new certificate")

    try:
        yield Guarded(port, show, operate)
    finally:
        await server.stop()


@asynccontextmanager
async def guarded_rabbitmq(base: Path, pair: Pair) -> AsyncIterator[Guarded]:
    """`operate` is rabbitmqctl."""
    port = _free_port()
    _lay_out(base, pair)
    server = Rabbitmq(base / "node")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rabbitmq, "CONFIG", rabbitmq.CONFIG + TLS_LISTENER.format(port=port, folder=base))
        await server.start()

    async def operate(*words: str) -> str:
        return await operator.operate(server, *words)

    async def show(pair: Pair) -> None:
        (base / "server.pem").write_bytes(pair.certificate)
        (base / "server.key").write_bytes(pair.key)
        await operate("eval", "ssl:clear_pem_cache().")

    try:
        yield Guarded(port, show, operate)
    finally:
        await server.stop()


def _lay_out(base: Path, pair: Pair) -> None:
    """A folder that the account of a server can read."""
    base.mkdir(parents=True)
    base.chmod(0o711)
    _put(base, pair, base)
    for name in ("server.pem", "server.key"):
        (base / name).chmod(0o644)


def _put(folder: Path, pair: Pair, like: Path) -> None:
    _hand_over(folder / "server.pem", pair.certificate, like)
    _hand_over(folder / "server.key", pair.key, like)


def _hand_over(file: Path, content: bytes, like: Path) -> None:
    file.write_bytes(content)
    file.chmod(0o600)
    owner = like.stat()
    os.chown(file, owner.st_uid, owner.st_gid)


async def _shows(port: int, pair: Pair) -> bool:
    shown = await asyncio.to_thread(_certificate, port)
    return shown == ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


def _certificate(port: int) -> bytes | None:
    """What PostgreSQL shows to whoever asks it to encrypt."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(bytes.fromhex("0000000804d2162f"))
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as encrypted:
            return encrypted.getpeercert(binary_form=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
