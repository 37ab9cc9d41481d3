"""Whatever happens between the broker and the first commit, each event is taken in, and counts once."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from tests.support.bookings import booking, bookings
from tests.support.broker import DEAD, EVENTS, bind, depth, taken_out
from tests.support.checker import check
from tests.support.installation import Installation
from tests.support.locked import WAITING, no_commit
from tests.support.matrix import Seen
from tests.support.programs import Program, eventually

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

ROWS: Final = "SELECT count(*) FROM events"
# How long events are kept is a setting in days; the rows are made older instead.
AGED: Final = "UPDATE events SET received_at = received_at - make_interval(days => $1)"


@pytest.mark.fault("F1")
@pytest.mark.parametrize("events", [40, pytest.param(400, marks=pytest.mark.long)])
async def test_f1_an_engine_killed_before_it_committed_what_was_delivered_gets_it_again(
    installation: Installation, events: int, seen: Seen
) -> None:
    here = installation
    bodies = bookings(events)
    engine = await here.run("engine", "release")
    async with no_commit(here):
        await here.publish(bodies)
        await here.holds(WAITING)
        await engine.kill()
        assert await here.value(ROWS) == 0
    assert await here.value(ROWS) == 0
    await _comes_back(here, events)

    await here.run("engine", "release", "sms")
    await here.sent(events)
    await here.calm()
    assert await here.value(ROWS) == events
    assert not here.programs[-1].lines("event.duplicate")
    findings = await check(here, bodies)
    assert not findings.faults
    assert findings.unknown == []
    seen(f"{events} events delivered, none stored; redelivered, {events} stored and {events} sent")


@pytest.mark.fault("F2")
@pytest.mark.parametrize("point", ["after_inbox_commit", "before_inbox_ack"])
@pytest.mark.parametrize("events", [40, pytest.param(400, marks=pytest.mark.long)])
async def test_f2_an_engine_killed_between_its_commit_and_the_acknowledgement_counts_nothing_twice(
    installation: Installation, point: str, events: int, seen: Seen
) -> None:
    here = installation
    bodies = bookings(events)
    engine = await here.run("engine", "release", crash_at=point)
    await here.publish(bodies)
    assert await engine.ended() < 0
    stored = await here.value(ROWS)
    assert 0 < stored <= events
    await _comes_back(here, events)

    program = await here.run("engine", "release", "sms")
    await here.sent(events)
    await here.calm()
    assert await here.value(ROWS) == events
    again = program.lines("event.duplicate")
    assert len(again) == stored
    assert await here.value("SELECT count(*) FROM actions") == events
    findings = await check(here, bodies)
    assert not findings.faults
    assert findings.unknown == []
    seen(f"killed {point}: {stored} of {events} stored came again and were absorbed")


@pytest.mark.fault("F3")
async def test_f3_a_second_copy_does_nothing_for_thirty_days_and_a_version_that_is_known_never_fires_again(
    installation: Installation, seen: Seen
) -> None:
    here = installation
    bodies = bookings(10)
    program = await here.run("engine", "release", "sms")
    await here.publish([*bodies, *bodies])
    await _said(program, "event.duplicate", 10)
    await here.sent(10)
    await here.calm()
    await program.stop()

    # 29 days on, the rows are still there whenever upkeep has looked; it looks at each start.
    await here.sql(AGED, 29)
    program = await here.run("engine")
    await here.publish(bodies)
    await _said(program, "event.duplicate", 10)
    assert not program.lines("upkeep.pruned", what="events")
    await program.stop()

    # After that they are forgotten. What comes again now is stored again, and its records' versions are known.
    await here.sql(AGED, 2)
    program = await here.run("engine", "release", "sms")
    await program.wait_for("upkeep.pruned", what="events")
    await here.publish(bodies)
    await _said(program, "event.received", 10)
    await here.calm()
    assert await here.value("SELECT count(*) FROM events WHERE verdict = 'superseded'") == 10
    assert len(here.outbox()) == 10
    findings = await check(here, bodies)
    assert not findings.faults
    assert findings.unknown == []
    seen("copies absorbed at once and after 29 days; after 31 stored again as superseded; 10 sent of 10")


@pytest.mark.fault("F4")
async def test_f4_of_two_events_under_one_id_the_first_counts_and_the_second_is_set_aside_and_said(
    installation: Installation, seen: Seen
) -> None:
    here = installation
    program = await here.run("engine", "release", "sms")
    first = booking("4711", number=1)
    # The CRM gives the same id to what happens to another session.
    other = json.loads(booking("4712", number=2))
    other["id"] = json.loads(first)["id"]
    second = json.dumps(other).encode()
    await here.publish([first])
    await here.sent(1)
    await here.publish([second, first, second])

    said = await program.wait_for("event.dead", field="id")
    assert said["level"] == "warning"
    assert "came before and says something else" in said["reason"]
    await _said(program, "event.duplicate", 1)
    await _said(program, "event.dead", 2)
    await here.calm()
    assert len(here.outbox()) == 1
    assert await here.value("SELECT count(*) FROM records WHERE record_id = '4712'") == 0
    listed = (await here.json("events", "dead"))["items"]
    assert [(one["field"], json.loads(one["body"])) for one in listed] == [("id", other)] * 2
    assert [(body, headers["x-field"]) for body, headers in await taken_out(here.broker_url, 2)] == [(second, "id")] * 2
    assert (await depth(here.broker_url, DEAD))[0] == 0

    # Once it has an id of its own it is what it should have been.
    mended = booking("4712", number=2)
    await here.publish([mended])
    await here.sent(2)
    await here.calm()
    findings = await check(here, [first, second, mended])
    assert not findings.faults
    assert findings.unknown == []
    seen("the first sent once; the second listed as dead with field id, copied to the dead queue, and logged")


@pytest.mark.fault("F6")
async def test_f6_events_that_the_crm_published_to_nobody_are_missed_as_soon_as_it_counts_them(
    installation: Installation, seen: Seen
) -> None:
    here = installation
    program = await here.run("engine", "release", "sms")
    bodies = [booking(f"s{place}", number=place, place=place) for place in range(1, 11)]
    await here.publish(bodies[:4])
    await here.taken_in(4)
    # Nobody's queue is bound: the broker confirms, and throws away.
    await bind(here.broker_url, bound=False)
    await here.publish(bodies[4:7])
    await bind(here.broker_url, bound=True)
    await here.publish(bodies[7:])
    await here.sent(7)

    assert program.lines("events.missing") == [], "what is out of order for a moment alarms nobody"
    await here.sql("UPDATE event_numbers SET missing_since = missing_since - interval '2 minutes'")
    said = await program.wait_for("events.missing", within=90)
    assert (said["level"], said["source"], said["first"], said["last"]) == ("error", "/crm/main", 5, 7)
    gaps = (await here.json("events", "gaps"))["items"]
    assert [(one["first"], one["last"]) for one in gaps] == [(5, 7)]

    # The cure is the CRM's: it sends them again.
    await here.publish(bodies[4:7])
    await program.wait_for("events.complete", last=10)
    await here.sent(10)
    await here.calm()
    assert (await here.json("events", "gaps"))["items"] == []
    findings = await check(here, bodies)
    assert not findings.faults
    assert findings.unknown == []
    seen("5 to 7 of 10 confirmed and thrown away by the broker: alarm with their numbers; complete once sent again")


async def _comes_back(here: Installation, number: int) -> None:
    """All that was out is in the queue again."""

    async def fact() -> bool:
        return await depth(here.broker_url, EVENTS) == (number, 0)

    await eventually(fact, what=f"{number} messages in the queue")


async def _said(program: Program, event: str, number: int) -> None:
    async def fact() -> bool:
        return len(program.lines(event)) >= number

    await eventually(fact, what=f"{number} lines of {event}")
