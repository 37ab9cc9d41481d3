"""The private RabbitMQ of a machine that has none configured: one node on loopback, with its own port mapper."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
from asyncio.subprocess import Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from control_center.domain.errors import ConfigurationError
from control_center.embedded import debian
from control_center.embedded.place import Account, borrowed_account, digest, hand_over, locate, own, short_folder
from control_center.embedded.process import Occupancy, kill_tree, spawn, tail, until

START_SECONDS = 180.0
STOP_SECONDS = 20.0
# Below the range from which the kernel takes the near ends of connections, which would bar the port now and then.
PORTS: Final = range(20_000, 32_000)

CONFIG: Final = """\
raft.wal_max_size_bytes = 33554432
log.file.rotation.size = 10485760
log.file.rotation.count = 2
"""
# The node's names are looked up here alone, so that a machine without /etc/hosts or with a slow DNS starts as well.
NAMES: Final = """\
{lookup, [file]}.
{hosts_file, ""}.
{resolv_conf, ""}.
{host, {127,0,0,1}, ["localhost"]}.
"""
BEAM_ARGUMENTS: Final = "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"


@dataclass(frozen=True)
class RabbitmqBinaries:
    """Where the programs lie; `tree` is the folder they were unpacked into, None when the system has them."""

    sbin: Path  # with the script `rabbitmq-server`
    erlang: Path  # with `erl` and `epmd`
    tree: Path | None = None


class Rabbitmq:
    """Owns one broker node, its port mapper, and the folder they keep their data in.

    `base` belongs to this node alone and keeps queues, messages and the port over restarts. Run by root, the node
    runs as `rabbitmq` or `nobody`, and its files lie where that account can reach them (see `place`).
    """

    def __init__(self, base: Path, *, port: int | None = None) -> None:
        self._base = base
        self._port = port
        self._node: Process | None = None
        self._mapper: Process | None = None
        self._occupancy: Occupancy | None = None
        self._url = ""
        self.scripts = Path()  # where rabbitmqctl of a started node is

    @property
    def url(self) -> str:
        """What `start` returned; empty before."""
        return self._url

    @property
    def pid(self) -> int | None:
        return self._node.pid if self._node and self._node.returncode is None else None

    async def start(self) -> str:
        """Start the node and return its URL once it answers an AMQP handshake."""
        binaries = find_rabbitmq()
        if binaries is None:
            raise ConfigurationError("no RabbitMQ found: set CONTROL_CENTER_BROKER_URL, or " + debian.HINT)
        account = borrowed_account("rabbitmq")
        self.scripts = _scripts(binaries, account)
        place = locate(self._base, account)
        occupancy = Occupancy(self._base, "RabbitMQ")
        await occupancy.begin()
        self._occupancy = occupancy
        try:
            return await self._launch(binaries, place, account)
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """Shut down: the node first, which still talks to its port mapper, then that one."""
        if (pid := self.pid) is not None and self._node:
            os.kill(pid, signal.SIGTERM)
            await until(_never, within=STOP_SECONDS, unless_ended=self._node)
        await self.kill()

    async def kill(self) -> None:
        """End node and port mapper as a power cut would; `start` recovers."""
        processes = [process for process in (self._node, self._mapper) if process]
        await kill_tree(process.pid for process in processes if process.returncode is None)
        for process in processes:
            await process.wait()
        self._node = self._mapper = None
        if self._occupancy:
            await self._occupancy.clear()
            self._occupancy.end()
            self._occupancy = None

    async def _launch(self, binaries: RabbitmqBinaries, place: Path, account: Account | None) -> str:
        port = _kept_port(self._base / "port", self._port)
        env = _environment(binaries, place, account, port=port) | {
            "CONTROL_CENTER_SERVER": self._occupancy.marker if self._occupancy else ""
        }
        log, mapper_port = place / "server.log", int(env["ERL_EPMD_PORT"])
        self._mapper = await spawn(
            [binaries.erlang / "epmd"],
            account=account,
            on_our_death=signal.SIGKILL,
            log=place / "epmd.log",
            env=env,
        )

        async def mapped() -> bool:
            return await _answers(mapper_port, b"", b"")

        if not await until(mapped, within=10, unless_ended=self._mapper):
            raise ConfigurationError(f"Erlang's port mapper did not start:\n{tail(place / 'epmd.log')}")
        self._node = await spawn(
            [self.scripts / "rabbitmq-server"],
            account=account,
            on_our_death=signal.SIGKILL,  # a SIGTERM that comes while it boots is never acted on
            log=log,
            env=env,
        )

        async def speaks_amqp() -> bool:
            return await _answers(port, b"AMQP\x00\x00\x09\x01", b"\x01\x00\x00")  # a method frame on channel 0

        if not await until(speaks_amqp, within=START_SECONDS, unless_ended=self._node):
            raise ConfigurationError(f"RabbitMQ did not start; the end of {log}:\n{tail(log)}")
        # Without a path: some clients read a lone slash as a virtual host without a name.
        self._url = f"amqp://guest:guest@127.0.0.1:{port}"
        return self._url


def find_rabbitmq() -> RabbitmqBinaries | None:
    """The system's RabbitMQ, else the one fetched earlier by an account without root's rights."""
    erl = shutil.which("erl", path="/usr/bin:/usr/local/bin:/usr/lib/erlang/bin")
    system = Path("/usr/lib/rabbitmq/bin")
    if (system / "rabbitmq-server").exists() and erl:
        return RabbitmqBinaries(system, Path(erl).parent)
    tree = debian.unpacked("rabbitmq-server")
    for script in sorted(tree.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")) if tree else ():
        return RabbitmqBinaries(script.parent, script.parents[5] / "lib/erlang/bin", tree)
    return None


def _scripts(binaries: RabbitmqBinaries, account: Account | None) -> Path:
    """The folder of RabbitMQ's scripts, by a path without spaces, for they do not quote their own."""
    if " " not in str(binaries.sbin):
        return binaries.sbin
    link = short_folder(digest(binaries.sbin), account) / "rabbitmq"
    link.unlink(missing_ok=True)
    link.symlink_to(binaries.sbin.parent)
    return link / "sbin"


def _environment(binaries: RabbitmqBinaries, place: Path, account: Account | None, *, port: int) -> dict[str, str]:
    """All that the node is told; what it reads elsewhere (`/etc/rabbitmq`, plugins, DNS) is pointed at nothing."""
    for folder in ("data", "log", "generated"):
        own(place / folder, account)
    for name, text in {"rabbitmq.conf": CONFIG, "env.conf": "", "plugins": "[].\n", "inetrc": NAMES}.items():
        hand_over(place / name, text, account)
    mapper = _free_port({port})
    env = {
        "PATH": f"{binaries.erlang}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(place),
        "LANG": "C.UTF-8",
        "RUNNING_UNDER_SYSTEMD": "true",  # no shell between us and the node, so that signals reach it
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_INETRC": str(place / "inetrc"),
        "ERL_CRASH_DUMP_SECONDS": "0",
        "RABBITMQ_NODENAME": "control-center@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(_free_port({port, mapper})),
        "RABBITMQ_MNESIA_BASE": str(place / "data"),
        "RABBITMQ_LOG_BASE": str(place / "log"),
        "RABBITMQ_PID_FILE": str(place / "pid"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(place / "generated"),
        "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(place / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(place / "env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": BEAM_ARGUMENTS,
    }
    if binaries.tree:
        env["LD_LIBRARY_PATH"] = debian.library_path(binaries.tree)
    return env


def _kept_port(note: Path, wanted: int | None) -> int:
    """The port asked for, else that of last time, else a free one; written down for the next time."""
    if wanted is not None:
        if not _is_free(wanted):
            raise ConfigurationError(f"port {wanted} on 127.0.0.1, which RabbitMQ was to use, is taken")
        return wanted
    with suppress(OSError, ValueError):
        last = int(note.read_text("utf-8"))
        if _is_free(last):
            return last
    port = _free_port(set())
    note.write_text(f"{port}\n", "utf-8")
    return port


def _free_port(but: set[int]) -> int:
    for _ in range(200):
        port = secrets.choice(PORTS)
        if port not in but and _is_free(port):
            return port
    raise ConfigurationError(f"no free port between {PORTS.start} and {PORTS.stop} on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def _answers(port: int, greeting: bytes, expected: bytes) -> bool:
    """Whether something on this port takes the greeting and its answer begins as expected."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(greeting)
                return await reader.readexactly(len(expected)) == expected
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False


async def _never() -> bool:
    return False
