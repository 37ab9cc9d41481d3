"""Commands on their way to the CRM: told at least once whatever happens, under one name, in order per record."""

from __future__ import annotations

from typing import Final

import pytest

from control_center.embedded import Rabbitmq
from tests.support.bookings import booking, bookings
from tests.support.far import Far, Install, far_away
from tests.support.installation import trigger
from tests.support.matrix import Seen
from tests.support.operator import write_down
from tests.support.programs import Program
from tests.support.swallowed import SwallowedConfirms

pytestmark = pytest.mark.process

BY_HAND: Final = trigger("By hand", action="call").replace('mode = "automatic"', 'mode = "manual"')
CALLS: Final = trigger("Booked", action="call") + BY_HAND
IN_STATE: Final = "SELECT count(*) = $2 FROM commands WHERE state = $1"
# As if the time had gone by after which somebody is looked for again who listens.
LOOK_AGAIN: Final = "UPDATE commands SET due_at = clock_timestamp() WHERE state = 'unroutable'"


@pytest.mark.fault("F40")
@pytest.mark.parametrize("each", [20, pytest.param(2000, marks=pytest.mark.long)])
async def test_f40_a_command_that_nobody_heard_or_confirmed_or_noted_is_published_again_under_its_one_name(
    install: Install, broker_to_kill: Rabbitmq, each: int, seen: Seen
) -> None:
    url = broker_to_kill.url
    async with (
        SwallowedConfirms(url) as line,
        far_away(install, triggers=CALLS, listens=False, broker_url=url) as far,
    ):
        engine = await far.run("engine", "release", broker_url=line.url)
        await _unroutable(far, engine, broker_to_kill, each)
        await _confirm_lost(far, engine, line, each)
        lost = far.crm.repeats
        await _broker_gone(far, engine, broker_to_kill, each)
        gone = far.crm.repeats
        await engine.stop()
        await _killed_before_the_note(far, each)
        killed = far.crm.repeats - gone

        await far.heard()
        await far.calm()
        findings = await far.check()
        assert not findings.faults
        assert len(far.crm.heard) == len(far.crm.events("create_call")) == 5 * each
        names = {(one.message_id, one.command_id) for one in far.crm.deliveries}
        assert len(names) == len({name for name, _ in names}), (
            "each publish has a name of its own, the command keeps its"
        )
        seen(
            f"{len(far.crm.heard)} commands, all heard, in order; told again under the same x-command-id: {lost} whose "
            f"confirm was lost, {killed} after a kill before the note; {each} that nobody heard: an alarm, then told"
        )


async def _unroutable(far: Far, engine: Program, broker: Rabbitmq, each: int) -> None:
    """Nobody has bound a queue: an alarm, and nothing counts as published until somebody has."""
    await far.crm.say(bookings(each, prefix="a"))
    alarm = await engine.wait_for("command.unroutable")
    assert (alarm["level"], alarm["verb"]) == ("warning", "create_call")
    await far.here.holds(IN_STATE, "unroutable", each)
    await far.crm.listen()
    await write_down(broker)
    await far.here.sql(LOOK_AGAIN)
    await far.crm.hears(each)
    await engine.wait_for("command.routable")


async def _confirm_lost(far: Far, engine: Program, line: SwallowedConfirms, each: int) -> None:
    """The broker has it and says so, and we never hear that: told again, on another connection."""
    line.swallow()
    await far.crm.say(bookings(each, prefix="b", first=1000))
    paused = await engine.wait_for("relay.paused")
    assert "no confirmation within" in paused["reason"]
    await far.here.holds(IN_STATE, "published", 2 * each)
    assert line.swallowed
    assert 1 <= far.crm.repeats <= each


async def _broker_gone(far: Far, engine: Program, broker: Rabbitmq, each: int) -> None:
    """Wishes that arise while there is no broker wait for it."""
    await far.crm.hears(2 * each)
    await broker.kill()
    await engine.wait_for("inbox.consumer_lost")
    await far.here.done("actions", "process", "--yes", "--trigger", "By hand")
    await far.here.holds("SELECT count(*) > 0 FROM commands WHERE state = 'new' AND tries > 0")
    await broker.start()
    await far.here.holds(IN_STATE, "published", 4 * each, within=120)
    await far.crm.hears(4 * each)


async def _killed_before_the_note(far: Far, each: int) -> None:
    """kill -9 once the broker has confirmed, and before that is written down."""
    engine = await far.run("engine", "release", crash_at="after_publish_confirm")
    before = far.crm.repeats
    await far.crm.say([booking(f"d{one}", number=3000 + one) for one in range(each)])
    assert await engine.ended(within=90) == -9
    assert await far.here.value("SELECT count(*) FROM commands WHERE state = 'new'") > 0
    await far.run("engine", "release")
    await far.here.holds(IN_STATE, "published", 5 * each)
    await far.crm.hears(5 * each)
    assert far.crm.repeats > before
