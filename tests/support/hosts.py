"""Hosts that are apart, on one machine: each a network namespace with a cable to a switch that we stand at as well.

What runs on a host has its own loopback and its own address, and reaches servers over the network alone. Its cable can
be pulled while everything on it goes on, which no process would notice; or it loses its power.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.installation import Installation
from tests.support.programs import family

WEB: Final = 8484  # where a host's web listens, at its address on the network
NOT_ALLOWED: Final = "network namespaces (CAP_NET_ADMIN, CAP_SYS_ADMIN)"


@dataclass(frozen=True, slots=True)
class Network:
    """A switch, at which we have the address .1, servers those from .2 on, and hosts those from .10 on."""

    bridge: str
    prefix: str  # the first three parts of every address

    @property
    def ours(self) -> str:
        return self.server(1)

    def server(self, number: int) -> str:
        return f"{self.prefix}.{number}"

    async def appear(self, number: int) -> str:
        """Give one more address to ourselves, for a server on it."""
        await _ip("addr", "add", f"{self.server(number)}/24", "dev", self.bridge)
        return self.server(number)

    async def vanish(self, number: int) -> None:
        """Nobody has that address any more: what is sent there is not answered, not even with a no."""
        await _ip("addr", "del", f"{self.server(number)}/24", "dev", self.bridge)


_switches: list[Network] = []  # that this process has made and not yet removed


def apart(address: str) -> bool:
    """Whether this is at a switch of ours: on this machine as much as its loopback is."""
    return any(address.startswith(f"{one.prefix}.") for one in _switches)


def possible() -> bool:
    """Whether this account may make namespaces and cables here."""
    name = f"cc-probe-{os.getpid()}"
    try:
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
        cable = ["ip", "link", "add", f"ccp{os.getpid() % 10**8}", "type", "bridge"]
        joined = subprocess.run(cable, capture_output=True, check=False)
    except OSError:
        return False
    for words in (["ip", "netns", "del", name], ["ip", "link", "del", cable[3]]):
        subprocess.run(words, capture_output=True, check=False)
    return made.returncode == joined.returncode == 0


@contextmanager
def network() -> Iterator[Network]:
    """Of this process alone; what others have made is left alone."""
    pid = os.getpid()
    made = Network(f"ccb{pid % 10**8}", f"10.{100 + pid % 100}.{pid // 100 % 250}")
    _run("link", "add", made.bridge, "type", "bridge")
    try:
        _run("addr", "add", f"{made.ours}/24", "dev", made.bridge)
        _run("link", "set", made.bridge, "up")
        _switches.append(made)
        yield made
    finally:
        _switches.clear()
        _run("link", "del", made.bridge)


class Host(Installation):
    """An installation that runs on a host of its own, with a data folder of its own.

    We look at the database from where we are; what runs there is told the servers' addresses on the network.
    """

    def __init__(self, network: Network, number: int, folder: Path, *, database_url: str, settings: str = "") -> None:
        super().__init__(folder, database_url=database_url, settings=settings)
        self.namespace = f"cc-{os.getpid()}-{number}"
        self.told: dict[str, str] = {}  # what its processes are told instead of what we know
        self._cable = f"cc{number}v{os.getpid() % 10**8}"
        self.address = network.server(10 + number)
        self._bridge = network.bridge
        self.through = ["nsenter", f"--net=/run/netns/{self.namespace}", "--"]

    async def plug_in(self) -> None:
        """Make the host, with its cable at the switch."""
        inside, name = f"{self._cable}i", self.namespace
        await _ip("netns", "add", name)
        await _ip("link", "add", self._cable, "type", "veth", "peer", "name", inside, "netns", name)
        await _ip("link", "set", self._cable, "master", self._bridge, "up")
        await _ip("-n", name, "addr", "add", f"{self.address}/24", "dev", inside)
        for device in ("lo", inside):
            await _ip("-n", name, "link", "set", device, "up")

    async def remove(self) -> None:
        """Whatever of it there is; the cable by itself, because a namespace takes its time over that."""
        for words in (["link", "del", self._cable], ["netns", "del", self.namespace]):
            await asyncio.to_thread(subprocess.run, ["ip", *words], capture_output=True, check=False)

    @property
    def door(self) -> str:
        """Where its web is, for whoever comes over the network."""
        return f"http://{self.address}:{WEB}"

    async def pull_the_cable(self) -> None:
        """Nothing passes any more, and nobody is told."""
        await _ip("link", "set", self._cable, "nomaster", "down")

    async def lose_power(self) -> None:
        """Without a farewell: the cable first, so that no connection is closed by what dies."""
        await self.pull_the_cable()
        running = [program for program in self.programs if program.code is None]
        for pid in [pid for program in running for pid in family(program.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for program in running:
            await program.ended()

    def environment(self, **settings: str) -> dict[str, str]:
        return super().environment(**{**self.told, **settings})


async def _ip(*words: str) -> None:
    await asyncio.to_thread(_run, *words)


def _run(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
