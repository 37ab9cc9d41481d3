"""The consumer survives what happens to itself, to the broker, to the line between them, and to the database."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import aio_pika
import pytest

from control_center.embedded import Postgres, Rabbitmq
from tests.support.bookings import bookings
from tests.support.broker import DEAD, EVENTS, delete_queue, depth, publish, taken_out
from tests.support.checker import Findings, check
from tests.support.installation import Installation
from tests.support.locked import WAITING, no_commit
from tests.support.matrix import Seen
from tests.support.operator import operate, virtual_host
from tests.support.programs import ROOT, Program, eventually
from tests.support.proxy import Proxy

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

HEARTBEAT: Final = 10  # seconds, as the product asks for
FIRST_WINDOW: Final = 20  # what a process holds before it has committed anything
REPORTS: Final = "control-center.reports"
MADE: Final = "SELECT command_id FROM commands WHERE verb LIKE '%.%'"
STORED_OR_DEAD: Final = """
SELECT count(*) = $1
  FROM (SELECT body FROM events UNION SELECT convert_from(body, 'UTF8') FROM dead_events) AS each"""
UNPUBLISHED: Final = "SELECT count(*) FROM commands WHERE state = 'new'"
# Both in milliseconds: how long a delivery may go unacknowledged, and how often a channel looks at that.
PATIENCE: Final = (
    "application:set_env(rabbit, consumer_timeout, {}), application:set_env(rabbit, channel_tick_interval, {})."
)
ALARMS: Final = {
    "memory": (("set_vm_memory_high_watermark", "0.00001"), ("set_vm_memory_high_watermark", "0.4")),
    "disk": (("set_disk_free_limit", "1000000000000000"), ("set_disk_free_limit", "50MB")),
}


def grace(heartbeat: int) -> int:
    """Seconds after which a silent peer is given up."""
    return 3 * (heartbeat + 1)


# The database ------------------------------------------------------------------------------------------------


@pytest.mark.fault("F7")
@pytest.mark.parametrize(("events", "outage"), [(60, 5), pytest.param(2000, 600, marks=pytest.mark.long)])
async def test_f7_events_that_come_while_the_database_is_away_wait_at_the_broker_and_no_delivery_is_counted(
    to_kill: Installation, postgres_to_kill: Postgres, events: int, outage: int, seen: Seen
) -> None:
    here = to_kill
    program = await here.run("engine", "release")
    await here.work()
    bodies = bookings(events)
    await here.publish(bodies[:10])
    await here.taken_in(10)

    began = time.monotonic()
    await postgres_to_kill.kill()
    await here.publish(bodies[10:20])

    async def takes_no_more() -> bool:
        return len(program.lines("inbox.paused")) > 1

    await eventually(takes_no_more)
    await here.publish(bodies[20:])

    # The batch in hand is tried again, with growing pauses. Everything else lies there, and nobody fetches it: what
    # were given back and fetched again would be seen on the way.
    async def lies_there() -> bool:
        assert await depth(here.broker_url, DEAD) == (0, 0)
        return (await depth(here.broker_url))[0] == waiting

    waiting = (await depth(here.broker_url))[0]
    assert events - 20 <= waiting < events - 10

    async def over() -> bool:
        assert await lies_there()
        return time.monotonic() - began > outage and len(program.lines("inbox.paused")) >= 4

    await eventually(over, within=outage + 90)
    tries = len(program.lines("inbox.paused"))
    assert tries < 10 + outage / 2

    await postgres_to_kill.start()
    findings = await _at_rest(here, bodies)
    assert findings.unknown == []
    assert await depth(here.broker_url, EVENTS) == (0, 1)
    assert (await depth(here.broker_url, DEAD))[0] == 0
    assert not program.lines("event.duplicate"), "what was in hand was kept, and not delivered again"
    assert len(here.outbox()) == events
    seen(f"{outage} s away: {waiting} waited at the broker, {tries} tries of one batch, none delivered twice")


# The process -------------------------------------------------------------------------------------------------


@pytest.mark.fault("F8")
@pytest.mark.parametrize(("crashes", "limit"), [(5, 3), pytest.param(25, 20, marks=pytest.mark.long)])
async def test_f8_a_consumer_that_dies_at_every_start_wears_out_few_messages_and_none_is_dropped(
    install: Install, broker: Rabbitmq, crashes: int, limit: int, seen: Seen
) -> None:
    more = {"x-queue-type": "quorum", "x-delivery-limit": limit}  # in RabbitMQ 4 it is 20 where nobody says so
    async with virtual_host(broker, "crashing", **more) as url:
        here = await install(broker_url=url)
        bodies = bookings(300)
        await publish(url, bodies)
        paces = []
        for _ in range(crashes):
            began = time.monotonic()
            program = await here.start("control_center", "run", "engine", crash_at="after_inbox_commit")
            assert await program.ended(within=90) < 0, program.tail()
            paces.append(time.monotonic() - began)
            await _given_back(url, len(bodies))

        lies_there = (await depth(url, DEAD))[0]
        assert (await here.json("events", "collect"), await depth(url, DEAD)) == ({"collected": lies_there}, (0, 0))
        set_aside = await here.sql("SELECT body, reason FROM dead_events")
        assert 0 < len(set_aside) == lies_there <= FIRST_WINDOW
        assert all("as often as its limit allows" in reason for _, reason in set_aside), set_aside
        await here.run("engine", "release", "sms")
        await here.holds(STORED_OR_DEAD, len(bodies))

        # The operator takes in what the broker had set aside.
        await here.done("events", "replay", "--all")
        findings = await _at_rest(here, bodies)
        assert findings.unknown == []
        assert len(here.outbox()) == len(bodies)
    for unit in ("control-center.service", "control-center-worker@.service"):
        assert _starts_before_it_gives_up(unit, seconds=min(paces)) < 20
    seen(
        f"{crashes} crashes at a limit of {limit}: {len(set_aside)} of {len(bodies)} in the dead queue, none dropped; "
        f"systemd stops such a loop after 5 starts"
    )


# The broker --------------------------------------------------------------------------------------------------


@pytest.mark.fault("F9")
@pytest.mark.parametrize(
    ("kind", "restarts"),
    [
        ("quorum", 3),
        pytest.param("quorum", 20, marks=pytest.mark.long),
        pytest.param("classic", 20, marks=pytest.mark.long),
    ],
)
async def test_f9_however_often_the_broker_restarts_events_come_in_again(
    to_kill: Installation, broker_to_kill: Rabbitmq, kind: str, restarts: int, seen: Seen
) -> None:
    async with virtual_host(broker_to_kill, f"restarting-{kind}", **{"x-queue-type": kind}) as url:
        to_kill.broker_url = url
        program = await to_kill.run("engine", "release")
        await to_kill.work()
        bodies = bookings(20 * (restarts + 1))
        slowest = 0.0
        for turn in range(restarts):
            publishing = asyncio.create_task(to_kill.publish(bodies[20 * turn : 20 * (turn + 1)], within=150))
            await to_kill.taken_in(20 * turn + 1)
            await (broker_to_kill.kill() if turn % 2 else broker_to_kill.stop())
            await broker_to_kill.start()
            began = time.monotonic()
            await _attached(program, turn + 2)
            slowest = max(slowest, time.monotonic() - began)
            await publishing
            await to_kill.taken_in(20 * (turn + 1))
        await to_kill.publish(bodies[20 * restarts :])
        findings = await _at_rest(to_kill, bodies)
        assert findings.unknown == []
        assert program.code is None
    assert slowest < 2 * grace(HEARTBEAT)
    seen(f"{restarts} restarts, {kind} queue: consuming again within {slowest:.0f} s of its being up")


@pytest.mark.fault("F10")
async def test_f10_a_queue_that_is_deleted_under_its_consumer_is_made_again_and_consumed(
    installation: Installation, seen: Seen
) -> None:
    here = installation
    program = await here.run("engine", "release", "sms")
    before, after = bookings(5, prefix="before"), bookings(5, prefix="after")
    await here.publish(before)
    await here.taken_in(5)

    began = time.monotonic()
    await delete_queue(here.broker_url)
    await program.wait_for("inbox.consumer_lost")
    await _attached(program, 2)
    seconds = time.monotonic() - began
    assert seconds < 90
    await here.publish(after)
    findings = await _at_rest(here, [*before, *after])
    assert findings.unknown == []
    seen(f"queue deleted: made again and consumed after {seconds:.1f} s")


@pytest.mark.fault("F10")
async def test_f10_a_consumer_that_the_broker_gave_up_for_being_slow_begins_anew(
    install: Install, broker_to_kill: Rabbitmq, seen: Seen
) -> None:
    here = await install(broker_url=broker_to_kill.url)
    await operate(broker_to_kill, "eval", PATIENCE.format(3000, 500))
    try:
        program = await here.run("engine", "release", "sms")
        bodies = bookings(20)
        async with no_commit(here):
            await here.publish(bodies)

            async def given_up() -> bool:
                return await depth(here.broker_url) == (20, 0)

            await eventually(given_up)
        began = time.monotonic()
        await program.wait_for("inbox.consumer_lost")
        await _attached(program, 2)
        seconds = time.monotonic() - began
        assert seconds < 90
        findings = await _at_rest(here, bodies)
        assert findings.unknown == []
        assert len(here.outbox()) == 20
    finally:
        await operate(broker_to_kill, "eval", PATIENCE.format(1_800_000, 60_000))
    seen(f"given up for being slow: consumes again {seconds:.1f} s after the database let go")


# The line ----------------------------------------------------------------------------------------------------


@pytest.mark.fault("F11")
@pytest.mark.parametrize("silence", [(2, 12, 200), pytest.param((HEARTBEAT, 60, 2000), marks=pytest.mark.long)])
async def test_f11_a_line_to_the_broker_that_goes_silent_is_noticed_and_nothing_is_lost(
    install: Install, broker_url: str, silence: tuple[int, int, int], seen: Seen
) -> None:
    heartbeat, outage, events = silence
    async with Proxy.before(broker_url) as line:
        here = await install(broker_url=f"{line.url(broker_url)}?heartbeat={heartbeat}")
        program = await here.run("engine", "release", "sms")
        bodies = bookings(events)
        # It falls silent after a batch was delivered and before it is acknowledged.
        async with no_commit(here):
            await publish(broker_url, bodies[: events // 2])
            await here.holds(WAITING)
            line.freeze()
            began = time.monotonic()
        await publish(broker_url, bodies[events // 2 :], within=90)
        lost = await program.wait_for("inbox.consumer_lost", within=90)
        noticed = time.monotonic() - began
        assert noticed < grace(heartbeat) + 10, lost

        async def over() -> bool:
            return time.monotonic() - began > outage

        await eventually(over, within=outage + 10)
        taken = await here.value("SELECT count(*) FROM events")
        assert 0 < taken <= events // 2
        assert program.code is None
        line.thaw()
        await _attached(program, 2)
        findings = await _at_rest(here, bodies)
        assert findings.unknown == []
        assert len(here.outbox()) == events
    again = len(program.lines("event.duplicate"))
    seen(f"silent for {outage} s, heartbeat {heartbeat}: noticed after {noticed:.0f} s; {again} came again, none lost")


@pytest.mark.fault("F11")
async def test_f11_a_line_that_is_slow_or_is_cut_now_and_then_loses_nothing(
    install: Install, broker_url: str, seen: Seen
) -> None:
    async with Proxy.before(broker_url) as line:
        here = await install(broker_url=line.url(broker_url))
        program = await here.run("engine", "release", "sms")
        bodies = bookings(60)
        line.latency = 0.05
        line.rate = 100_000.0
        for turn in range(3):
            line.cut_after(10_000)
            await publish(broker_url, bodies[20 * turn : 20 * (turn + 1)])
            await _attached(program, turn + 2)
        findings = await _at_rest(here, bodies)
        assert findings.unknown == []
        assert len(here.outbox()) == 60
    seen("slow, and cut 3 times in the middle of a frame: 60 of 60 taken in")


# The broker is short of something ----------------------------------------------------------------------------


@pytest.mark.fault("F12")
@pytest.mark.parametrize("short_of", ["memory", pytest.param("disk", marks=pytest.mark.long)])
async def test_f12_while_the_broker_takes_nothing_from_publishers_events_come_in_and_reports_wait(
    install: Install, broker_to_kill: Rabbitmq, short_of: str, seen: Seen
) -> None:
    here = await install(broker_url=broker_to_kill.url)
    program = await here.run("engine", "release", "sms")
    bodies = bookings(50)
    alarm, calm = ALARMS[short_of]
    async with listener(broker_to_kill.url) as queue:
        try:
            async with no_commit(here):
                await here.publish(bodies)
                await operate(broker_to_kill, *alarm)
            await here.sent(50)
            await here.calm()
            await _drained(here.broker_url)
            await program.wait_for("relay.paused")
            waited = await here.value(UNPUBLISHED)
            assert waited > 0
            assert program.code is None
        finally:
            await operate(broker_to_kill, *calm)
        await program.wait_for("relay.resumed", within=90)
        await here.holds(f"SELECT ({UNPUBLISHED}) = 0")
        there = (await depth(here.broker_url, queue))[0]
        heard = {json.loads(body)["id"] for body, _ in await taken_out(here.broker_url, there, queue=queue)}
    assert heard == {row[0] for row in await here.sql(MADE)}
    findings = await _at_rest(here, bodies)
    assert findings.unknown == []
    assert not program.lines("inbox.consumer_lost")
    seen(f"short of {short_of}: 50 events taken in and sent, {waited} reports waited and came after")


@asynccontextmanager
async def listener(url: str) -> AsyncIterator[str]:
    """A queue that hears every report."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        queue = await channel.declare_queue("crm.reports", durable=True)
        await queue.bind(REPORTS, "#")
        yield queue.name
        await channel.queue_delete(queue.name)


async def _drained(url: str) -> None:
    """The broker has read every acknowledgement: it holds nothing, neither ready nor handed out."""

    async def fact() -> bool:
        return await depth(url) == (0, 1)

    await eventually(fact)


async def _given_back(url: str, number: int) -> None:
    """All that was out is in the queue again, or set aside."""

    async def fact() -> bool:
        ready, consumers = await depth(url)
        return consumers == 0 and ready + (await depth(url, DEAD))[0] == number

    await eventually(fact)


async def _attached(program: Program, times: int) -> None:
    async def fact() -> bool:
        return len(program.lines("inbox.attached")) >= times

    await eventually(fact, within=120, what=f"the consumer is attached for the {times}th time")


async def _at_rest(here: Installation, bodies: list[bytes]) -> Findings:
    """What there is to find once all is taken in and calm; none of it may be a fault."""
    await here.taken_in(len(bodies), within=120)
    await here.calm(within=120)
    findings = await check(here, bodies)
    assert not findings.faults
    return findings


def _starts_before_it_gives_up(unit: str, *, seconds: float) -> float:
    """How often systemd starts a service that dies after so many seconds; infinity where it goes on for ever."""
    text = (ROOT / "systemd" / unit).read_text("utf-8")
    told = {name: int(value) for name, value in re.findall(r"^(\w+)=(\d+)$", text, re.MULTILINE)}
    within = told["StartLimitBurst"] * (told["RestartSec"] + seconds) < told["StartLimitIntervalSec"]
    return told["StartLimitBurst"] if within else float("inf")
