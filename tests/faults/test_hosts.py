"""Engines, workers and webs on hosts of their own, a database with a standby: each of them is lost while events flow.

A host that is lost says no farewell: its cable goes first, then its power. Nobody's connection to it ends by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from control_center.embedded import Postgres
from tests.support import hosts
from tests.support.bookings import bookings, phone
from tests.support.flow import Flow
from tests.support.hosts import Network
from tests.support.matrix import Seen
from tests.support.programs import eventually
from tests.support.proxy import Proxy
from tests.support.replica import administer, caught_up, either, standby_of
from tests.support.site import NAME, PRIMARY, STANDBY, OnNetwork, Site, site

pytestmark = pytest.mark.process

LENGTHS: Final = [200, pytest.param(5000, marks=pytest.mark.long)]
SLOTS: Final = 16
OWNER: Final = "SELECT lease_owner FROM messages WHERE state = 'submitting' LIMIT 1"
# As if the time of its leases had gone by.
# What the server still carries out for the lost worker holds its rows: those are taken in a later turn.
RUN_OUT: Final = """
WITH its AS MATERIALIZED (
     SELECT studio_id, message_id FROM messages WHERE lease_owner = $1 AND lease_until > clock_timestamp()
        FOR UPDATE SKIP LOCKED)
UPDATE messages SET lease_until = clock_timestamp() FROM its
 WHERE messages.studio_id = its.studio_id AND messages.message_id = its.message_id"""
NONE_ITS: Final = "SELECT count(*) = 0 FROM messages WHERE lease_owner = $1 AND lease_until > clock_timestamp()"
DECIDED: Final = "SELECT count(*) = 0 FROM actions WHERE state = 'planned' AND due_at <= clock_timestamp()"
AWAITED: Final = "ALTER SYSTEM SET synchronous_standby_names = 'standby'"
NOT_AWAITED: Final = "ALTER SYSTEM RESET synchronous_standby_names"
RELOAD: Final = "SELECT pg_reload_conf()"
COMMITS_WAIT: Final = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
RECEIPTS: Final = "SELECT count(*) FROM receipts"
CONNECTED: Final = "SELECT count(*) FROM pg_stat_activity WHERE client_addr = $1::inet"


@pytest.fixture
def network(needs: Callable[[str], Path], record_property: Callable[[str, object], None]) -> Iterator[Network]:
    """A switch of this test alone; where none can be made, the test is listed as not run."""
    needs("ip")
    if not hosts.possible():
        record_property("not here", hosts.NOT_ALLOWED)
        pytest.skip("hosts of their own cannot be made here")
    with hosts.network() as made:
        yield made


@pytest.fixture
async def studio(folder: Path, network: Network, broker_url: str) -> AsyncIterator[Site]:
    async with site(folder, network, broker_url) as made:
        yield made


async def asked(studio: Site, statement: str, *values: Any) -> Any:
    """Over a connection of its own: what happens does so while others look."""
    connection = await asyncpg.connect(studio.primary.dsn(NAME))
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


@pytest.mark.long  # waits for the database to miss what never said farewell
@pytest.mark.parametrize("events", [200, 5000])
async def test_a_host_with_an_engine_is_lost_and_the_other_one_takes_its_events_over(
    studio: Site, seen: Seen, events: int
) -> None:
    lost, left = await studio.host("engine", "release"), await studio.host("engine", "release")
    await studio.host("sms")
    flow = Flow(studio.desk, studio.crm, events)

    assert await studio.desk.value(CONNECTED, lost.address) > 0

    async def is_lost() -> None:
        for host in (lost, left):
            await host.programs[0].wait_for("event.received", within=120)
        await lost.lose_power()

    await flow.during(is_lost)

    findings = await studio.at_rest(flow.number)
    assert findings.unknown == []
    await studio.desk.holds(f"SELECT ({CONNECTED}) = 0", lost.address, within=180)
    copies = len(left.programs[0].lines("event.duplicate"))
    seen(f"one of two engine hosts lost under {flow.number} events: {copies} came twice, each texted once")


@pytest.mark.long  # of a lost worker, F28 shows the same on one host
@pytest.mark.parametrize("events", [200, 5000])
async def test_a_host_with_a_worker_is_lost_and_only_what_it_was_sending_is_in_doubt(
    studio: Site, seen: Seen, events: int
) -> None:
    await studio.host("engine", "release")
    lost = await studio.host("sms")
    flow = Flow(studio.desk, studio.crm, events)

    async def is_lost() -> None:
        owner = await eventually(lambda: asked(studio, OWNER), what="it is sending")
        await studio.host("sms")
        await lost.lose_power()

        async def run_out() -> bool:
            await asked(studio, RUN_OUT, owner)
            return bool(await asked(studio, NONE_ITS, owner))

        await eventually(run_out, what="its leases have run out")

    await flow.during(is_lost)
    findings = await studio.at_rest(flow.number)
    assert len(findings.unknown) <= SLOTS
    assert studio.hosts[-1].programs[0].lines("message.accepted")
    seen(f"one of two worker hosts lost under {flow.number} events: {len(findings.unknown)} unknown, none twice")


@pytest.mark.long  # that a call which is put off comes again and counts once, F41 shows on one host
@pytest.mark.parametrize("events", [200, 5000])
async def test_a_host_with_the_web_is_lost_and_what_providers_call_in_meanwhile_is_taken_by_the_other_one(
    studio: Site, seen: Seen, events: int
) -> None:
    """Receipts come in at one public address, which leads to the one host and, once that is lost, to the other."""
    lost, left = await studio.host("web"), await studio.host("web")
    await studio.host("engine", "release")
    await studio.host("sms")
    desk, sms = studio.desk, studio.sms
    for program in desk.programs:
        await program.stop()
    async with Proxy.before(lost.door) as door:
        sms.door = f"http://{door.at}:{door.port}"
        sms.patience = 2.0
        flow = Flow(desk, studio.crm, events)
        before = 0

        async def unanswered() -> int:
            return sms.unanswered

        async def is_lost() -> None:
            nonlocal before
            await eventually(lambda: asked(studio, RECEIPTS), within=120, what="receipts come in")
            await lost.lose_power()
            before = await asked(studio, RECEIPTS)
            stop = asyncio.create_task(sms.bring("STOP", sender=phone(0)))
            await eventually(unanswered, what="it is called, and does not answer")
            door.lead_to(left.door)
            await stop

        await flow.during(is_lost)
        findings = await studio.at_rest(flow.number, besides=2)  # a STOP, and its answer

    assert findings.unknown == []
    assert before < await desk.value(RECEIPTS) == len(sms.accepted)
    assert await desk.value("SELECT array_agg(address) FROM consents WHERE says = 'stop'") == [phone(0)]
    seen(
        f"the web's host lost under {flow.number} events: {before} receipts before, {sms.unanswered} calls unanswered; "
        f"the other took the rest, {len(sms.accepted)} in all, and a STOP"
    )


@asynccontextmanager
async def mirrored(studio: Site, folder: Path, network: Network) -> AsyncIterator[Postgres]:
    """Everything runs, on hosts of its own, and each commit is on a standby as well before it counts; that standby."""
    desk, primary = studio.desk, studio.primary
    for program in desk.programs:
        await program.stop()
    desk.hang_up()
    standby = OnNetwork(folder / "standby", await network.appear(STANDBY))
    await standby_of(primary, folder / "standby", standby=standby)
    try:
        desk.database_url = either(primary, standby, NAME)
        await administer(primary, AWAITED, RELOAD)
        await caught_up(primary)
        await desk.run("web")
        await studio.host("engine", "release")
        await studio.host("engine", "release")
        await studio.host("sms")
        yield standby
    finally:
        await standby.stop()


async def begun(studio: Site, events: int) -> asyncio.Task[None]:
    """So many events begin to be said; until texts go out while most are still to come."""
    saying = asyncio.create_task(studio.crm.say(bookings(events), within=300))
    await studio.desk.taken_in(events // 4)

    async def some_have_gone() -> bool:
        return bool(studio.sms.taken())

    await eventually(some_have_gone, what="texts are going out")
    return saying


@pytest.mark.parametrize("events", LENGTHS)
async def test_the_host_of_the_primary_is_lost_and_after_a_person_has_armed_the_standby_goes_on_with_all_of_it(
    studio: Site, folder: Path, network: Network, seen: Seen, events: int
) -> None:
    primary = studio.primary
    async with mirrored(studio, folder, network) as standby:
        desk = studio.desk
        saying = await begun(studio, events)
        desk.hang_up()

        await network.vanish(PRIMARY)
        await primary.kill()
        await administer(standby, "SELECT pg_promote()")
        await desk.holds("SELECT closed_at IS NOT NULL FROM fence", within=120)
        # What the broker still held was said before the loss: it is decided, and held, before a person lets it go.
        await saying
        await desk.taken_in(events, within=300)
        await desk.holds(DECIDED, within=300)
        before = len(studio.sms.taken())
        await desk.done("fence", "arm", "--held", "send", "--reason", "the standby has confirmed every commit")

        findings = await studio.at_rest(events)
        assert len(findings.unknown) <= SLOTS
        assert len(studio.sms.taken()) > before
        seen(
            f"the primary's host lost under {events} events: {before} texts before a person armed, "
            f"{len(studio.sms.taken())} in all, {len(findings.unknown)} unknown, none twice"
        )


@pytest.mark.long  # waits until statements are given up
@pytest.mark.parametrize("events", [200, 5000])
async def test_the_host_of_the_standby_is_lost_and_nothing_goes_until_the_primary_is_told_to_do_without_it(
    studio: Site, folder: Path, network: Network, seen: Seen, events: int
) -> None:
    async with mirrored(studio, folder, network) as standby:
        saying = await begun(studio, events)

        await network.vanish(STANDBY)
        await standby.kill()
        await studio.desk.holds(f"SELECT ({COMMITS_WAIT}) > 0", within=60)
        before = len(studio.sms.taken())
        # A commit that is given up is there all the same, for everyone to see: nobody may take it for confirmed.
        await studio.hosts[-1].programs[0].wait_for("delivery.paused", within=100)
        went = len(studio.sms.taken()) - before
        assert went <= SLOTS, "only what had its mark on both goes out"

        await administer(studio.primary, NOT_AWAITED, RELOAD)
        await saying
        findings = await studio.at_rest(events)
        assert len(findings.unknown) <= SLOTS
        seen(
            f"the standby's host lost under {events} events: {before} texts before, {went} on their way, "
            f"{len(studio.sms.taken())} in all, {len(findings.unknown)} unknown, none twice"
        )
