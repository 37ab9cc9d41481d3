"""An orderly end in the middle of a stream, and a disorderly one: no doubt, no process left."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from tests.support.bookings import bookings
from tests.support.checker import check
from tests.support.installation import Installation
from tests.support.programs import eventually, family, still_running

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

SLOW = '[accounts.slow]\nchannel = "sms"\nprovider = "sandbox"\nslots = 16\nlatency = 0.2\n'
MANY = 160
# What the sandbox was made to give up is tried again in a while; nobody here waits for that.
AT_ONCE = "UPDATE messages SET due_at = clock_timestamp() WHERE state = 'queued' AND due_at > clock_timestamp()"
UNDER_WAY = "SELECT count(*) FROM messages WHERE state IN ('claimed', 'submitting', 'unknown')"
AS_IF_NEVER_CLAIMED = "SELECT count(*) FROM messages WHERE state = 'queued' AND (claims > 0 OR lease_owner IS NOT NULL)"


async def test_told_to_end_in_the_middle_of_a_stream_it_finishes_what_it_began_and_leaves_nothing(
    install: Install,
) -> None:
    here = await install(SLOW)
    await here.furnish(account="slow")
    bodies = bookings(MANY)
    sent = 0
    for how in (signal.SIGTERM, signal.SIGINT):
        program = await here.run()
        await here.publish(bodies[:100] if how is signal.SIGTERM else bodies[100:])
        await here.sent(sent + 20)
        members = family(program.pid)
        assert len(members) >= 3  # the engine and two workers
        assert await program.stop(how) < 10
        assert program.code == 0
        assert still_running(members) == []
        assert not (here.data_dir / "endpoints.json").exists()
        assert await here.value(UNDER_WAY) == 0
        assert await here.value(AS_IF_NEVER_CLAIMED) == 0
        assert sent < len(here.outbox()) < MANY
        sent = len(here.outbox())

    await here.sql(AT_ONCE)
    program = await here.run()
    await here.taken_in(MANY)
    await here.calm()
    findings = await check(here, bodies)
    assert not findings.faults
    assert findings.unknown == []
    assert len(here.outbox()) == MANY
    assert await program.stop() < 10
    assert not [line for one in here.programs for line in one.log if line["level"] == "error"]


async def test_a_worker_told_to_end_finishes_what_it_began_and_gives_back_the_rest(install: Install) -> None:
    here = await install(SLOW)
    await here.furnish(account="slow")
    await here.run("engine", "release")
    worker = await here.work()
    bodies = bookings(MANY)
    await here.publish(bodies)
    await here.sent(MANY // 6)
    assert await worker.stop() < 10
    assert worker.code == 0
    assert await here.value(UNDER_WAY) == 0

    await here.sql(AT_ONCE)
    await here.work()
    await here.calm()
    findings = await check(here, bodies)
    assert not findings.faults
    assert findings.unknown == []
    assert len(here.outbox()) == MANY


async def test_when_run_is_killed_its_workers_end_and_the_next_run_goes_on(install: Install) -> None:
    here = await install(SLOW)
    await here.furnish(account="slow")
    program = await here.run()
    bodies = bookings(MANY)
    await here.publish(bodies)
    await here.sent(MANY // 6)
    members = family(program.pid)
    await program.kill()

    async def nobody_is_left() -> bool:
        return not still_running(members)

    await eventually(nobody_is_left, within=20)
    assert (here.data_dir / "endpoints.json").exists()  # which deceives nobody: no process holds the folder
    assert await here.value(UNDER_WAY) == 0  # the workers had the time to end in order

    await here.sql(AT_ONCE)
    await here.run()
    await here.taken_in(MANY)
    await here.calm()
    findings = await check(here, bodies)
    assert not findings.faults
    assert findings.unknown == []
    assert len(here.outbox()) == MANY


async def test_a_worker_that_dies_is_started_again(install: Install) -> None:
    here = await install()
    program = await here.run("engine", "release", "sms")
    first = await program.wait_for("worker.started", channel="sms")
    await here.publish(bookings(1, prefix="before"))
    await here.sent(1)
    os.kill(first["pid"], signal.SIGKILL)
    died = await program.wait_for("worker.died", channel="sms")
    assert died["level"] == "error"
    await here.publish(bookings(1, prefix="after"))
    await here.sent(2)
    assert program.code is None
