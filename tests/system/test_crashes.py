"""kill -9 of each part in the middle of a stream: nothing is lost, nobody is written to twice, doubt is bounded.

Of the database, and two of everything: tests/faults.
"""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from control_center.embedded import Rabbitmq
from tests.support.bookings import bookings
from tests.support.checker import Findings, check
from tests.support.installation import RUN_OUT, Installation

pytestmark = pytest.mark.process

SLOTS = 16  # of the account that the installations here text by
SUBMITTING = "SELECT count(*) FROM messages WHERE state = 'submitting'"
LEASED = "SELECT count(*) FROM messages WHERE lease_until IS NOT NULL"

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
async def test_a_killed_worker_loses_nothing_sends_nothing_twice_and_leaves_its_slots_in_doubt_at_most(
    to_kill: Installation, messages: int
) -> None:
    bodies = bookings(messages)
    await to_kill.run("engine", "release")
    worker = await to_kill.work()
    await to_kill.publish(bodies)

    await to_kill.sent(messages // 3)
    await worker.kill()
    assert 0 < await to_kill.value(SUBMITTING) <= SLOTS
    assert await to_kill.value(LEASED) > SLOTS
    if messages <= 300:  # the long test waits for as long as it takes
        await to_kill.sql(RUN_OUT)
    await to_kill.work()

    findings = await _at_rest(to_kill, bodies, within=300)
    assert len(findings.unknown) <= SLOTS
    assert len(to_kill.outbox()) == messages - len(findings.unknown)
    if findings.unknown:
        words = (await to_kill.done("explain", findings.unknown[0])).out
        assert "may have been sent" in words
        assert "never sent again by itself" in words


async def test_what_a_killed_worker_had_sent_is_settled_by_its_receipts(to_kill: Installation) -> None:
    """The provider takes the text and the worker dies before it learns so: the doubt is over when the receipt comes."""
    bodies = bookings(SLOTS)
    await to_kill.run("engine", "release")
    worker = await to_kill.work()
    await to_kill.publish(bodies)
    await to_kill.holds(f"SELECT ({SUBMITTING}) = $1", SLOTS)
    # Frozen once its provider has begun to take the texts, and killed before it could write down the answers.
    await to_kill.sent(1)
    await worker.kill()
    sent = len(to_kill.outbox())
    await to_kill.sql(RUN_OUT)

    findings = await _at_rest(to_kill, bodies)
    assert len(findings.unknown) == SLOTS - sent
    assert await to_kill.value("SELECT count(*) FROM messages WHERE state = 'delivered'") == sent


async def test_a_worker_that_was_given_up_and_wakes_again_sends_nothing_twice(to_kill: Installation) -> None:
    """A machine that stood still for longer than its leases: another worker went on meanwhile."""
    bodies = bookings(120)
    await to_kill.run("engine", "release")
    frozen = await to_kill.work()
    await to_kill.publish(bodies)
    await to_kill.sent(30)
    os.kill(frozen.pid, signal.SIGSTOP)
    await to_kill.sql(RUN_OUT)
    await to_kill.work()
    await to_kill.calm()
    doubtful = await to_kill.value("SELECT count(*) FROM messages WHERE state = 'unknown'")
    assert doubtful <= SLOTS

    os.kill(frozen.pid, signal.SIGCONT)
    # It sends what it had begun, which was given to nobody else; that it did is written down as a fact.
    await to_kill.sent(120)
    await to_kill.holds("SELECT count(*) = 120 FROM messages WHERE state = 'delivered'")
    findings = await _at_rest(to_kill, bodies)
    assert findings.unknown == []
    assert len(to_kill.outbox()) == 120
    assert frozen.code is None


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
