"""The kernel kills a worker because memory has run out: what the worker had begun is known, as after any kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.support.bookings import bookings
from tests.support.cgroup import Group, cramped
from tests.support.checker import check
from tests.support.fixtures import Install
from tests.support.matrix import Seen

pytestmark = pytest.mark.process

SLOW: Final = '[accounts.slow]\nchannel = "sms"\nprovider = "sandbox"\nslots = 16\nlatency = 0.2\n'


@pytest.fixture
def group(record_property: Callable[[str, object], None]) -> Iterator[Group]:
    with cramped(f"control-center-test-{os.getpid()}") as made:
        if made is None:
            record_property("not here", "a memory cgroup (root)")
            pytest.skip("no group with a limit of memory can be made here")
        yield made


@pytest.mark.fault("F39")
@pytest.mark.parametrize("number", [120, pytest.param(2000, marks=pytest.mark.long)])
async def test_f39_a_worker_that_the_kernel_kills_for_memory_leaves_what_was_leaving_in_doubt_at_most(
    group: Group, install: Install, number: int, seen: Seen
) -> None:
    here = await install(SLOW)
    await here.furnish(account="slow")
    await here.run("engine", "release")
    worker = await here.work()
    bodies = bookings(number)
    await here.publish(bodies)
    await here.sent(number // 3, within=240)

    assert await group.run_out(worker) == -signal.SIGKILL
    assert group.killed() > 0
    await here.work()

    await here.taken_in(number, within=240)
    await here.calm(within=240)
    findings = await check(here, bodies)
    assert not findings.faults
    assert len(findings.unknown) <= 16, "no more than it has slots"
    assert len(here.outbox()) >= number - len(findings.unknown)
    seen(f"killed by the kernel in mid-stream: none lost, none twice, {len(findings.unknown)} of {number} unknown")
