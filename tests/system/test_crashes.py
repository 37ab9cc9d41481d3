"""kill -9 of each part in the middle of a stream: nothing is lost, nobody is written to twice, doubt is bounded.

Of a worker and of the database, and two of everything: tests/faults.
"""

from __future__ import annotations

import asyncio

import pytest

from control_center.embedded import Rabbitmq
from tests.support.bookings import bookings
from tests.support.checker import Findings, check
from tests.support.installation import Installation

pytestmark = pytest.mark.process


many = pytest.mark.parametrize("messages", [300, pytest.param(2000, marks=pytest.mark.long)])


@many
async def test_a_killed_engine_loses_nothing_sends_nothing_twice_and_leaves_no_doubt(
    to_kill: Installation, messages: int
) -> None:
    bodies = bookings(messages)
    engine = await to_kill.run("engine", "release")
    await to_kill.work()
    publishing = asyncio.create_task(to_kill.publish(bodies))

    await to_kill.taken_in(1)
    await engine.kill()
    assert await to_kill.value("SELECT count(*) FROM events") < messages
    engine = await to_kill.run("engine", "release")
    await to_kill.sent(messages // 3)
    await engine.kill()
    await to_kill.run("engine", "release")

    await publishing
    findings = await _at_rest(to_kill, bodies)
    assert findings.unknown == []
    assert len(to_kill.outbox()) == messages


@many
async def test_a_killed_broker_loses_nothing_sends_nothing_twice_and_leaves_no_doubt(
    to_kill: Installation, broker_to_kill: Rabbitmq, messages: int
) -> None:
    bodies = bookings(messages)
    engine = await to_kill.run("engine", "release")
    await to_kill.work()
    publishing = asyncio.create_task(to_kill.publish(bodies, within=150))

    await to_kill.taken_in(1)
    await broker_to_kill.kill()
    await engine.wait_for("inbox.consumer_lost")
    await broker_to_kill.start()

    await publishing
    await to_kill.taken_in(messages, within=120)
    findings = await _at_rest(to_kill, bodies)
    assert findings.unknown == []
    assert len(to_kill.outbox()) == messages


async def _at_rest(here: Installation, bodies: list[bytes], *, within: float = 120) -> Findings:
    """What there is to find once all is calm; none of it may be a fault."""
    await here.taken_in(len(bodies), within=within)
    await here.calm(within=within)
    findings = await check(here, bodies)
    assert not findings.faults
    return findings
