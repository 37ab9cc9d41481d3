"""Three brokers that are one: any of them may die, be cut off, or be restarted while events flow.

The publisher goes on until each event is confirmed, by whichever node answers. What comes of it is held against the
CRM's books, the provider's and the database, as at the end of every fault.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from control_center.embedded import Postgres
from tests.support.bookings import bookings
from tests.support.checker import check
from tests.support.cluster import Cluster, Node, three_nodes
from tests.support.fake_crm import Crm
from tests.support.flow import Flow
from tests.support.installation import Installation
from tests.support.matrix import Seen
from tests.support.programs import Program, eventually
from tests.support.replica import administer

pytestmark = pytest.mark.process

LENGTHS: Final = [240, pytest.param(50_000, marks=pytest.mark.long)]
UNPUBLISHED: Final = "SELECT count(*) = 0 FROM commands WHERE state = 'new'"
COMMANDS: Final = "SELECT count(*) FROM commands"

_numbers = count(1)


@pytest.fixture(scope="module")
async def cluster(rabbitmq_programs: None) -> AsyncIterator[Cluster]:
    """One for all tests here, each of which leaves it whole."""
    folder = Path(tempfile.mkdtemp(prefix="cc-"))
    folder.chmod(0o711)  # noqa: ASYNC240 - once
    async with three_nodes(folder) as made:
        yield made
    shutil.rmtree(folder)


@pytest.fixture
async def here(folder: Path, postgres: Postgres, _furnished: str, cluster: Cluster) -> AsyncIterator[Installation]:
    """An installation on the cluster, which everything that it declares is written down on."""
    name = f"clustered_{next(_numbers)}"
    await administer(postgres, f"CREATE DATABASE {name} TEMPLATE {_furnished} STRATEGY FILE_COPY")
    async with Installation(folder / name, database_url=postgres.dsn(name), broker_url=cluster.url) as made:
        yield made
    await administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def crm(cluster: Cluster) -> AsyncIterator[Crm]:
    """Whose own queue is in the cluster as well."""
    async with Crm(cluster.url, quorum=True) as made:
        yield made


async def at_rest(here: Installation, crm: Crm, number: int) -> None:
    """Each of so many events stored once, each text sent once, each report heard; nothing in doubt."""
    patience = 300 + number / 20  # each event is a text and two reports on it
    await here.taken_in(number, within=patience)
    await here.sent(number, within=patience)
    await here.calm(within=patience)
    await here.holds(UNPUBLISHED, within=patience)
    await crm.hears(await here.value(COMMANDS), within=patience)
    findings = await check(here, crm=crm)
    assert not findings.faults
    assert findings.unknown == []
    assert len(here.outbox()) == number


async def begun(here: Installation, cluster: Cluster, *roles: str) -> tuple[Program, Node]:
    """These roles run; returns the program and the node that both leads its queue and has its consumer."""
    program = await here.run(*roles)
    await cluster.write_down()
    node = await cluster.lead_where_it_is_consumed()
    assert await cluster.members() == len(cluster.nodes)
    return program, node


async def carried_on(flow: Flow) -> None:
    """Until the nodes that are left have confirmed more."""
    until_now = flow.number

    async def fact() -> bool:
        return flow.number > until_now

    await eventually(fact, within=300, what="the other nodes carry on")


@asynccontextmanager
async def attached_again(program: Program) -> AsyncIterator[None]:
    """On leaving, wait until the inbox has found another node than the one that is gone by then."""
    before = len(program.lines("inbox.attached"))
    yield

    async def fact() -> bool:
        return len(program.lines("inbox.attached")) > before

    await eventually(fact, within=120, what="the inbox consumes again")


@pytest.mark.fault("F9")
@pytest.mark.parametrize("events", LENGTHS)
async def test_the_node_that_leads_the_events_queue_dies_with_our_connection_and_nothing_is_lost_or_sent_twice(
    here: Installation, crm: Crm, cluster: Cluster, seen: Seen, events: int
) -> None:
    program, leader = await begun(here, cluster, "engine", "release", "sms")
    flow = Flow(here, crm, events)

    async def dies() -> None:
        async with attached_again(program):
            await leader.kill()
        assert await cluster.leader(cluster.others(leader)[0]) is not leader

    await flow.during(dies)
    await at_rest(here, crm, flow.number)
    await leader.start()
    await cluster.whole()
    copies = len(program.lines("event.duplicate"))
    seen(f"the leader of three killed under {flow.number} events: {copies} came twice, each texted once")


@pytest.mark.parametrize(
    ("how", "events"),
    [
        ("cut off", 240),
        pytest.param("suspended", 240, marks=pytest.mark.long),
        pytest.param("cut off", 50_000, marks=pytest.mark.long),
        pytest.param("suspended", 50_000, marks=pytest.mark.long),
    ],
)
async def test_the_node_that_leads_the_events_queue_is_parted_from_the_others_and_comes_back(
    here: Installation, crm: Crm, cluster: Cluster, seen: Seen, *, how: str, events: int
) -> None:
    program, leader = await begun(here, cluster, "engine", "release", "sms")
    flow = Flow(here, crm, events)

    async def parts_and_comes_back() -> None:
        async with attached_again(program):
            if how == "suspended":
                leader.suspend()
            else:
                await cluster.cut_off(leader)
        await carried_on(flow)
        assert await cluster.leader(cluster.others(leader)[0]) is not leader
        if how == "suspended":
            # It serves again, and does not know what became of the others: the broker's own guard does not see that.
            leader.resume()
            await carried_on(flow)
            await leader.stop()
            await leader.start()
        else:
            await leader.join_again()
        await cluster.whole()

    await flow.during(parts_and_comes_back)
    await at_rest(here, crm, flow.number)
    copies = len(program.lines("event.duplicate"))
    seen(f"the leader of three {how} under {flow.number} events, and back: {copies} came twice, each texted once")


@pytest.mark.fault("F9")
@pytest.mark.long  # three nodes have stopped and come back before there is anything to see
@pytest.mark.parametrize("events", [5000, 50_000])
async def test_all_nodes_are_restarted_one_after_the_other_while_events_flow(
    here: Installation, crm: Crm, cluster: Cluster, seen: Seen, events: int
) -> None:
    program, _ = await begun(here, cluster, "engine", "release", "sms")
    flow = Flow(here, crm, events)

    async def restarts() -> None:
        for node in cluster.nodes:
            await cluster.can_do_without(node)
            await node.stop()
            await node.start()
        await cluster.whole()

    await flow.during(restarts)
    await at_rest(here, crm, flow.number)
    lost = len(program.lines("inbox.consumer_lost"))
    seen(f"three nodes restarted in turn under {flow.number} events: {lost} connections lost, each texted once")


@pytest.mark.fault("F9")
@pytest.mark.long  # two nodes have died and come back before there is anything to see
@pytest.mark.parametrize("events", [240, 5000])
async def test_two_nodes_are_lost_and_what_was_decided_goes_out_while_no_event_comes_in_until_one_is_back(
    here: Installation, crm: Crm, cluster: Cluster, seen: Seen, events: int
) -> None:
    program, leader = await begun(here, cluster, "engine", "release")
    other, left = cluster.others(leader)
    await crm.say(bookings(events), within=300)
    await here.taken_in(events, within=300)

    await leader.kill()
    await other.kill()

    async def refuses() -> bool:
        return not await left.serves()

    await eventually(refuses, what="the one that is left serves nobody")
    saying = asyncio.create_task(crm.say(bookings(events, prefix="later-", first=events), within=600))
    await here.work()
    await here.sent(events, within=300)
    await here.calm(within=300)
    assert not saying.done()
    assert await here.value("SELECT count(*) FROM events") == events

    async with attached_again(program):
        await leader.start()
    await saying
    await at_rest(here, crm, 2 * events)
    await other.start()
    await cluster.whole()
    seen(
        f"two of three killed: {events} texts went out meanwhile, {events} events waited with the CRM; each texted once"
    )
