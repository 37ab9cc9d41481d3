"""The consumer survives what happens to the broker, its queue and the database."""

from __future__ import annotations

import pytest

from control_center.embedded import Postgres, Rabbitmq
from tests.support.bookings import bookings
from tests.support.broker import DEAD, EVENTS, delete_queue, depth
from tests.support.checker import check
from tests.support.installation import Installation
from tests.support.programs import Program, eventually

pytestmark = pytest.mark.process


async def test_events_that_come_after_the_queue_was_deleted_are_taken_in(installation: Installation) -> None:
    program = await installation.run("engine", "release", "sms")
    before, after = bookings(5, prefix="before"), bookings(5, prefix="after")
    await installation.publish(before)
    await installation.taken_in(5)

    await delete_queue(installation.broker_url)
    await program.wait_for("inbox.consumer_lost")
    await _attached_again(program, 2)
    await installation.publish(after)
    await installation.sent(10)
    await installation.calm()
    assert not (await check(installation, [*before, *after])).faults


async def test_a_broker_that_restarts_finds_its_consumer_again(to_kill: Installation, broker_to_kill: Rabbitmq) -> None:
    program = await to_kill.run("engine", "release")
    await to_kill.work()
    before, after = bookings(20, prefix="before"), bookings(20, prefix="after")
    await to_kill.publish(before)
    await broker_to_kill.stop()
    await program.wait_for("inbox.broker_away")
    await broker_to_kill.start()
    await _attached_again(program, 2)

    await to_kill.publish(after)
    await to_kill.sent(40)
    await to_kill.calm()
    findings = await check(to_kill, [*before, *after])
    assert not findings.faults
    assert findings.unknown == []
    assert program.code is None


async def test_events_that_come_while_the_database_is_away_wait_at_the_broker(
    to_kill: Installation, postgres_to_kill: Postgres
) -> None:
    program = await to_kill.run("engine", "release")
    await to_kill.work()
    bodies = bookings(60)
    await to_kill.publish(bodies[:10])
    await to_kill.taken_in(10)

    await postgres_to_kill.kill()
    await to_kill.publish(bodies[10:])

    async def tried_often() -> bool:
        return len(program.lines("inbox.paused")) >= 4

    await eventually(tried_often)
    # It tries the batch in hand again, with growing pauses, and gives back nothing: no delivery is counted.
    assert len(program.lines("inbox.paused")) < 10
    assert (await depth(to_kill.broker_url, DEAD))[0] == 0

    await postgres_to_kill.start()
    await to_kill.sent(60)
    await to_kill.calm()
    findings = await check(to_kill, bodies)
    assert not findings.faults
    assert findings.unknown == []
    assert await depth(to_kill.broker_url, EVENTS) == (0, 1)
    assert (await depth(to_kill.broker_url, DEAD))[0] == 0
    assert len(to_kill.outbox()) == 60


async def _attached_again(program: Program, times: int) -> None:
    async def fact() -> bool:
        return len(program.lines("inbox.attached")) >= times

    await eventually(fact, within=90, what="the consumer is attached again")
