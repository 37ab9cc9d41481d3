"""Whatever order and however often events come in, what comes of them is the same."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.support import crm
from tests.support.bookings import phone
from tests.support.broker import publish
from tests.support.checker import check
from tests.support.installation import Installation, trigger

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

TRIGGERS = (
    trigger()
    + trigger("Completed").replace('status = "Booked"', 'status = "Completed"')
    + trigger("A week before").replace('"status_changed" }', '"session", days = -7 }')
    + trigger("Moved in").replace('"status_changed" }', '"booked", days = 1 }')
)
# The text is of no moment before it is sent; everything else is what was decided.
RECORDS = "SELECT kind, record_id, version, body, deleted FROM records ORDER BY 1, 2"
PLANNED = """
SELECT actions.kind, record_id, triggers.name, occurrence, activation_at, use_by,
       CASE WHEN due_at > activation_at THEN NULL ELSE due_at END
  FROM actions JOIN triggers USING (studio_id, trigger_id)
 WHERE state = 'planned' ORDER BY 1, 2, 3, 4"""
MESSAGES = """
SELECT actions.kind, actions.record_id, triggers.name, occurrence, address, body, messages.state
  FROM messages JOIN actions USING (studio_id, action_id)
  JOIN triggers ON triggers.studio_id = actions.studio_id AND triggers.trigger_id = actions.trigger_id
 ORDER BY 1, 2, 3, 4, 5"""


@pytest.mark.parametrize("events", [1000, pytest.param(10_000, marks=pytest.mark.long)])
async def test_shuffled_and_repeated_events_make_the_same_messages_as_events_in_order(
    install: Install, events: int
) -> None:
    bodies = lives(events)
    dice = random.Random(4711)
    shuffled = bodies + dice.sample(bodies, events // 5)
    dice.shuffle(shuffled)
    first, second = await install(), await install()
    patience = 60 + events / 50

    one = await _taken_in(first, bodies, events, patience)
    two = await _taken_in(second, shuffled, events, patience)
    assert one.keys() == two.keys()
    for what in one:
        assert _different(one[what], two[what]) == [], what
    assert len(one["planned"]) > events // 4

    sent = await _sent(first, bodies, patience)
    assert _different(sent, await _sent(second, shuffled, patience)) == []
    assert len(sent) > events // 8


async def _taken_in(here: Installation, bodies: list[bytes], events: int, patience: float) -> dict[str, list[Any]]:
    """What stands in the database after the engine alone has taken these in."""
    await here.furnish(triggers=TRIGGERS)
    engine = await here.run("engine")
    await publish(here.broker_url, bodies, within=patience)
    await here.taken_in(events, within=patience)
    await engine.stop()
    assert here.outbox() == []
    return {"records": await here.sql(RECORDS), "planned": await here.sql(PLANNED)}


async def _sent(here: Installation, bodies: list[bytes], patience: float) -> list[Any]:
    """The messages, once release and a worker have been at it."""
    program = await here.run("engine", "release", "sms")
    await here.calm(within=patience)
    await program.stop()
    findings = await check(here, bodies)
    assert not findings.faults
    assert findings.unknown == []
    return await here.sql(MESSAGES)


def _different(one: list[Any], two: list[Any]) -> list[Any]:
    """Some of what stands on one side alone."""
    ours, theirs = set(map(tuple, one)), set(map(tuple, two))
    return [("only in order", row) for row in sorted(ours - theirs, key=str)[:5]] + [
        ("only shuffled", row) for row in sorted(theirs - ours, key=str)[:5]
    ]


def lives(events: int) -> list[bytes]:
    """Sessions from the day they are booked on, in the order in which it happened: about four events each.

    Some move to another day, some are put on hold in between, some are completed, some are booked a second time.
    """
    began = datetime.now(UTC) - timedelta(hours=2)
    dice = random.Random(events)
    stories = [_life(number, dice) for number in range(events // 3)]
    steps = sorted(
        (position + dice.random(), number, position)
        for number, story in enumerate(stories)
        for position in range(len(story))
    )[:events]
    entered: dict[int, datetime] = {}
    bodies = []
    for place, (_, number, position) in enumerate(steps):
        at = began + place * timedelta(hours=1) / events
        story = stories[number]
        changed = position == 0 or story[position - 1]["status"] != story[position]["status"]
        if changed:
            entered[number] = at
        verb = "created" if position == 0 else "status_changed" if changed else "updated"
        keys = {**story[position], "status_changed_at": entered[number].isoformat()}
        bodies.append(_event(number, position + 1, verb, at=at, keys=keys))
    return bodies


def _life(number: int, dice: random.Random) -> list[dict[str, Any]]:
    day = date.today() + timedelta(days=dice.randint(3, 60))  # noqa: DTZ011 - any day will do
    booked: dict[str, Any] = {
        "status": "Booked",
        "dates": {"session": f"{day}T14:00", "booked": f"{datetime.now(UTC):%Y-%m-%d}"},
    }
    moved = {**booked, "dates": {**booked["dates"], "session": f"{day + timedelta(days=9)}T10:00"}}
    held = {**booked, "flags": {"on_hold": True}}
    done = {**moved, "status": "Completed"}
    return [
        [booked, moved, held, moved],
        [booked, moved, done],
        [booked, held, booked, done, booked],
        [booked, {**booked, "status": "Lost"}, booked, moved],
    ][number % 4]


def _event(number: int, version: int, verb: str, *, at: datetime, keys: dict[str, Any]) -> bytes:
    record_id = f"s{number}"
    record = crm.session(record_id, version=version, client=f"c-{number}", **keys)
    who = crm.client(f"c-{number}", phones=[{"number": phone(number), "label": "mobile", "sms": True}])
    return crm.event(record, verb, about=who, event_id=f"{record_id}-{version}", time=at.isoformat())
