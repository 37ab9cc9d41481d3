"""Three brokers that are one: RabbitMQ nodes on loopback that find each other by one port mapper of their own.

They share no folder and no port, so that each may be killed, stopped, suspended, or cut off from the others. What a
quorum queue needs of a cluster is all here: three nodes, and a node that sees no other stops serving.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from control_center.embedded import find_rabbitmq, rabbitmq
from control_center.embedded.place import borrowed_account, hand_over, locate
from control_center.embedded.process import kill_tree, spawn, tail, until
from tests.support.broker import EVENTS
from tests.support.operator import WRITE_DOWN, operate
from tests.support.programs import eventually

NAMES: Final = ("one", "two", "three")
CONFIG: Final = """
cluster_partition_handling = pause_minority
cluster_formation.peer_discovery_backend = classic_config
net_ticktime = 10
"""
SMALL: Final = f"{rabbitmq.BEAM_ARGUMENTS} +S 1:1"
START_SECONDS: Final = 240.0

# Erlang, for `rabbitmqctl eval`. The queue, and the name that its members go by on every node.
_QUEUE: Final = f"""
    {{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{EVENTS}">>)),
    {{Name, _}} = amqqueue:get_pid(Q), {{ok, Members, {{_, Leader}}}} = ra:members({{Name, node()}}),
"""
LEADER: Final = f"{_QUEUE} Leader."
MEMBERS: Final = f"{_QUEUE} length(Members)."
# Whoever loses the leader then loses their connection as well.
LEAD_WHERE_IT_IS_CONSUMED: Final = f"""{_QUEUE}
    Where = node(element(1, hd(rabbit_amqqueue:consumers(Q)))),
    Where =:= Leader orelse ra:transfer_leadership({{Name, Leader}}, {{Name, Where}}), Where.
"""
# Nodes with different cookies do not speak to each other, whoever begins; clients and rabbitmqctl are not asked.
CUT_OFF: Final = "[{{erlang:set_cookie(N, 'somebody else'), erlang:disconnect_node(N)}} || N <- {others}], nodes()."
JOIN_AGAIN: Final = "[erlang:set_cookie(N, erlang:get_cookie()) || N <- {others}], ok."


class Node:
    """Owns one of the brokers and the folder that it keeps its data in, over restarts."""

    def __init__(self, name: str, base: Path, *, mapper_port: int, cookie: str) -> None:
        binaries = find_rabbitmq()
        assert binaries is not None
        self.name = f"{name}@localhost"
        self._account = borrowed_account("rabbitmq")
        self.scripts = rabbitmq._scripts(binaries, self._account)
        self._place = locate(base, self._account)
        self.port = rabbitmq._free_port({mapper_port})
        self._env = rabbitmq._environment(binaries, self._place, self._account, port=self.port) | {
            "ERL_EPMD_PORT": str(mapper_port),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": SMALL,
        }
        known = [
            f"cluster_formation.classic_config.nodes.{n} = {one}@localhost" for n, one in enumerate(NAMES, start=1)
        ]
        told = "\n".join([rabbitmq.CONFIG + CONFIG, *known, ""])
        hand_over(self._place / "rabbitmq.conf", told, self._account)
        hand_over(self._place / ".erlang.cookie", cookie, self._account)
        (self._place / ".erlang.cookie").chmod(0o400)
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Until it takes clients."""
        log = self._place / "server.log"
        self._process = await spawn(
            [self.scripts / "rabbitmq-server"],
            account=self._account,
            on_our_death=signal.SIGKILL,
            log=log,
            env=self._env,
        )
        if not await until(self.serves, within=START_SECONDS, unless_ended=self._process):
            raise AssertionError(f"{self.name} did not start:\n{tail(log)}")

    async def serves(self) -> bool:
        return await rabbitmq._answers(self.port, b"AMQP\x00\x00\x09\x01", b"\x01\x00\x00")

    async def stop(self) -> None:
        """As `systemctl stop` does."""
        assert self._process is not None
        assert self.pid is not None
        os.kill(self.pid, signal.SIGTERM)
        async with asyncio.timeout(120):
            await self._process.wait()

    async def kill(self) -> None:
        """As when its machine loses power."""
        if self._process is not None and self.pid is not None:
            await kill_tree([self.pid])
            await self._process.wait()

    def suspend(self) -> None:
        """Nothing of it runs, and nobody is told; until `resume`."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.pid is not None
        os.kill(self.pid, signal.SIGCONT)

    async def eval(self, erlang: str) -> str:
        return (await operate(self, "eval", erlang)).strip()

    async def part(self) -> None:
        """Hang up on the others, and take no call of theirs."""
        assert await self.eval(CUT_OFF.format(others=self._others)) == "[]", "it sees nobody any more"

    async def join_again(self) -> None:
        await self.eval(JOIN_AGAIN.format(others=self._others))

    @property
    def _others(self) -> str:
        return str([f"{name}@localhost" for name in NAMES if not self.name.startswith(f"{name}@")])


class Cluster:
    """The three, and what they know of the events' queue."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        """All of them, as the setting has it."""
        return f"amqp://guest:guest@{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}"

    def by_name(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def others(self, node: Node) -> list[Node]:
        return [one for one in self.nodes if one is not node]

    async def cut_off(self, node: Node) -> None:
        """It and the others hear nothing of each other from now on; their clients still reach each of them.

        The others learn of it in the same moment. One that lost a node which the third still sees would take this for
        a cluster that is parted in part only, and would pause until all three are back.
        """
        others = self.others(node)
        for other in others:
            other.suspend()
        try:
            await node.part()
        finally:
            for other in others:
                other.resume()

    async def lead_where_it_is_consumed(self) -> Node:
        """Let the events' queue be led by the node that its consumer is connected to; returns that one."""
        asked = self.nodes[0]
        where = await asked.eval(LEAD_WHERE_IT_IS_CONSUMED)

        async def leads() -> bool:
            return (await self.leader(asked)).name == where

        await eventually(leads, what=f"{where} leads the queue")
        return self.by_name(where)

    async def whole(self) -> None:
        """Until every node serves, and every quorum queue could lose one of its members."""
        for node in self.nodes:
            await eventually(node.serves, within=START_SECONDS, what=f"{node.name} serves")
            await self.can_do_without(node)

    async def can_do_without(self, node: Node) -> None:
        """Until no quorum queue needs this node: what an operator waits for before he stops it."""

        async def fact() -> bool:
            with suppress(AssertionError):  # a node that comes back to the others stops once more, to begin anew
                await operate(node, "await_online_quorum_plus_one", "-t", "60", program="rabbitmq-upgrade")
                return True
            return False

        await eventually(fact, within=START_SECONDS, what=f"the queues could do without {node.name}")

    async def leader(self, asked: Node) -> Node:
        """Which of them leads the events' queue, as one of them knows."""
        return self.by_name(await asked.eval(LEADER))

    async def members(self) -> int:
        """How many nodes hold the events' queue."""
        return int(await self.nodes[0].eval(MEMBERS))

    async def write_down(self) -> None:
        for node in self.nodes:
            await node.eval(WRITE_DOWN)


@asynccontextmanager
async def three_nodes(base: Path) -> AsyncIterator[Cluster]:
    """A cluster with nothing in it."""
    binaries, account = find_rabbitmq(), borrowed_account("rabbitmq")
    assert binaries is not None
    mapper_port, cookie = rabbitmq._free_port(set()), secrets.token_hex(16)
    nodes = [Node(name, base / name, mapper_port=mapper_port, cookie=cookie) for name in NAMES]
    mapper = await spawn(
        [binaries.erlang / "epmd"],
        account=account,
        on_our_death=signal.SIGKILL,
        log=locate(base / "mapper", account) / "epmd.log",
        env={**nodes[0]._env},
    )
    try:
        await nodes[0].start()
        await asyncio.gather(*(node.start() for node in nodes[1:]))
        await operate(nodes[0], "await_online_nodes", str(len(nodes)), "-t", "240")
        yield Cluster(nodes)
    finally:
        for node in nodes:
            await node.kill()
        await kill_tree([mapper.pid])
        await mapper.wait()
