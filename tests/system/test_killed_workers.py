"""A worker killed between two given lines: what had not left goes out once, what had left is settled or unknown."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable

import aio_pika
import pytest

from tests.support.bookings import bookings
from tests.support.checker import Findings, check
from tests.support.installation import Installation
from tests.support.programs import Program, eventually

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

SLOTS = 16
SLOW = f'[accounts.slow]\nchannel = "sms"\nprovider = "sandbox"\nslots = {SLOTS}\nlatency = 0.2\n'
MANY = 100
SUBMITTING = "SELECT count(*) FROM messages WHERE state = 'submitting'"
QUEUED_AGAIN = "SELECT count(*) FROM attempts WHERE reason = 'its worker was killed before it left'"
OWNER = "SELECT lease_owner FROM messages WHERE state = 'submitting' LIMIT 1"
RUN_OUT = "UPDATE messages SET lease_until = clock_timestamp() WHERE lease_owner = $1 AND lease_until IS NOT NULL"
BOOT_ID = "/proc/sys/kernel/random/boot_id"


async def killed(install: Install, point: str) -> tuple[Installation, list[bytes]]:
    """An installation whose worker died at this point in the middle of a stream, with nobody in its place."""
    here = await install(SLOW)
    await here.furnish(account="slow")
    await here.run("engine", "release")
    bodies = bookings(MANY)
    await here.publish(bodies)
    await here.holds("SELECT count(*) = $1 FROM messages", MANY)
    worker = await here.start("workers", "sms", crash_at=point)
    assert await worker.ended() == -signal.SIGKILL
    return here, bodies


async def at_rest(here: Installation, bodies: list[bytes]) -> Findings:
    await here.calm(within=240)
    findings = await check(here, bodies)
    assert not findings.faults
    return findings


def went_back(worker: Program) -> int:
    return sum(line["messages"] for line in worker.lines("flight.recovered"))


@pytest.mark.long
async def test_a_living_worker_reads_what_its_sibling_left(install: Install) -> None:
    here = await install(SLOW)
    await here.furnish(account="slow")
    await here.run("engine", "release")
    worker = await here.work()
    os.kill(worker.pid, signal.SIGSTOP)  # else it takes all of them
    dying = await here.start("workers", "sms", crash_at="after_mark")
    bodies = bookings(MANY)
    await here.publish(bodies)
    assert await dying.ended() == -signal.SIGKILL
    os.kill(worker.pid, signal.SIGCONT)

    findings = await at_rest(here, bodies)

    assert findings.unknown == []
    assert len(here.outbox()) == MANY
    assert went_back(worker) > 0


async def test_after_a_crash_of_the_machine_the_file_is_not_believed(install: Install) -> None:
    """As a crash leaves it: the file is there, from an earlier run of the machine, and some of its notes are not."""
    here, bodies = await killed(install, "after_answer")
    left = {line["message"] for line in here.outbox()}
    marked = await here.value(SUBMITTING)
    owner = await here.value(OWNER)
    file = here.data_dir / "flights" / f"{owner}.flight"
    content = bytearray(file.read_bytes())
    earlier = content.replace(boot_id(), bytes(16))[:256] + bytes(len(content) - 256)
    with file.open("r+b") as written:
        written.write(earlier)

    worker = await here.work()

    await worker.wait_for("flight.not_believed")

    async def gone() -> bool:
        return not file.exists()

    await eventually(gone, what="and forgotten")
    await here.sql(RUN_OUT, owner)
    findings = await at_rest(here, bodies)
    assert went_back(worker) == 0
    assert {*findings.unknown}.isdisjoint(left), "these are settled by their receipts"
    assert len(here.outbox()) + len(findings.unknown) == MANY
    assert marked <= SLOTS


def boot_id() -> bytes:
    with open(BOOT_ID, encoding="ascii") as file:  # noqa: PTH123 - one line of the kernel's
        return bytes.fromhex(file.read().strip().replace("-", ""))


async def test_a_worker_that_ends_in_order_leaves_no_file(install: Install) -> None:
    here = await install()
    worker = await here.work()
    assert [*(here.data_dir / "flights").glob("*.flight")] != []

    await worker.stop()

    assert [*(here.data_dir / "flights").iterdir()] == []


@pytest.mark.parametrize("point", ["after_inbox_commit", "before_inbox_ack:2", "after_release_commit"])
async def test_the_engine_killed_at_each_of_its_points_loses_nothing_and_repeats_nothing(
    install: Install, point: str
) -> None:
    here = await install()
    await here.work()
    bodies = bookings(40)
    dying = await here.start("control_center", "run", "engine", "release", crash_at=point)
    await dying.wait_for("inbox.attached", within=90)
    await here.publish(bodies)
    assert await dying.ended(within=90) == -signal.SIGKILL

    await here.run("engine", "release")

    await here.taken_in(len(bodies))
    findings = await at_rest(here, bodies)
    assert findings.unknown == []
    assert len(here.outbox()) == len(bodies)


async def test_killed_once_the_broker_has_confirmed_it_says_it_again_under_the_same_id(install: Install) -> None:
    here = await install()
    await here.work()
    bodies = bookings(40)
    dying = await here.start("control_center", "run", "engine", "release", crash_at="after_publish_confirm")
    await dying.wait_for("inbox.attached", within=90)
    connection = await aio_pika.connect(here.broker_url, timeout=10)
    async with connection, connection.channel() as channel:
        crm = await channel.declare_queue(exclusive=True)
        for exchange in ("control-center.reports", "crm.commands"):
            await crm.bind(exchange, "#")
        await here.publish(bodies)
        assert await dying.ended(within=90) == -signal.SIGKILL
        before = await said_to(crm)
        assert before, "confirmed is confirmed"

        await here.run("engine", "release")
        await here.taken_in(len(bodies))
        findings = await at_rest(here, bodies)
        await here.holds("SELECT count(*) = 0 FROM commands WHERE published_at IS NULL")
        after = await said_to(crm)

    known = {row[0] for row in await here.sql("SELECT command_id FROM commands")}
    assert {*before, *after} == known
    assert {*before} <= {*after}, "what it did not know to be published is published again"
    assert findings.unknown == []


async def said_to(crm: aio_pika.abc.AbstractQueue) -> list[str]:
    """The ids of all that waits for the CRM."""
    ids = []
    while (message := await crm.get(no_ack=True, fail=False)) is not None:
        ids.append(str(message.headers["x-command-id"]))
    return ids
