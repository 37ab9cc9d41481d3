"""Closed now: what may not go waits, says until when and why, and goes as soon as it may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.support.bookings import booking
from tests.support.checker import check
from tests.support.installation import Installation, trigger
from tests.support.programs import eventually

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SOON = 10.0  # seconds within which what is open again goes out


@pytest.fixture
def zone() -> ZoneInfo:
    """Of two on opposite sides of the earth the one where no day ends while a test runs."""
    chicago = ZoneInfo("America/Chicago")
    return chicago if 1 <= datetime.now(chicago).hour < 22 else ZoneInfo("Asia/Tokyo")


async def test_a_message_waits_for_its_window_its_weekday_and_its_blackout_day_and_explain_says_so(
    installation: Installation, zone: ZoneInfo
) -> None:
    here, local = installation, datetime.now(zone)
    opens, closes = local + timedelta(hours=2), local + timedelta(hours=3)
    window = f"{opens:%H:%M}-{closes:%H:%M}"
    rules = (
        trigger("Window", processing=f'window = "{window}"\nblackouts = false')
        + trigger("Weekday", processing=f'not_on = ["{WEEKDAYS[local.weekday()]}"]\nblackouts = false')
        + trigger("Blackout", processing="blackouts = true")
    )
    await here.furnish(timezone=zone.key, triggers=rules + trigger())
    closed = await here.json("blackouts", "add", "Studio retreat", "--date", f"{local.date()}")
    await here.run()
    body = booking("4711")
    await here.publish([body])

    await here.sent(1)  # the trigger that nothing holds back
    await here.calm()
    tomorrow = _at(zone, local + timedelta(days=1), time())
    await _waits(here, "Window", _at(zone, opens, opens.time()), window)
    await _waits(here, "Weekday", tomorrow, f"excluded weekday ({local:%A})")
    await _waits(here, "Blackout", tomorrow, "blackout day (Studio retreat)")
    assert len(here.outbox()) == 1

    await here.done("blackouts", "remove", str(closed["id"]))
    await here.sent(2, within=SOON)
    await here.calm()
    assert await here.value(SENT_BY) == ["Blackout", "Booked"]
    assert not (await check(here, [body])).faults


async def test_a_blackout_day_added_while_messages_queue_holds_them_until_it_is_removed(
    installation: Installation, zone: ZoneInfo
) -> None:
    here, local = installation, datetime.now(zone)
    await here.furnish(timezone=zone.key, triggers=trigger(processing="blackouts = true"))
    await here.run("engine", "release", "web")
    body = booking("4711")
    await here.publish([body])
    await here.holds("SELECT count(*) FROM messages WHERE state = 'queued'")

    closed = await here.api("POST", "/blackouts", body={"name": "Inventory", "date": f"{local.date()}"})
    await here.work()
    await here.holds("SELECT count(*) FROM messages WHERE state = 'queued' AND due_at > now() AND reason <> ''")
    words = (await here.done("explain", "m-1")).out
    assert f"m-1 waits until {_shown(zone, _at(zone, local + timedelta(days=1), time()))}" in words
    assert "blackout day (Inventory)" in words
    shown = await here.api("GET", "/messages/m-1")
    assert (shown["state"], shown["text"]) == ("queued", None)
    assert "Inventory" in shown["reason"]
    assert here.outbox() == []

    await here.api("DELETE", f"/blackouts/{closed['id']}")
    await here.sent(1, within=SOON)
    await here.calm()
    assert not (await check(here, [body])).faults


SENT_BY = """
SELECT array_agg(triggers.name ORDER BY triggers.name) FROM messages
  JOIN triggers USING (studio_id, trigger_id) WHERE state = 'delivered'"""
DUE = """
SELECT due_at FROM actions JOIN triggers USING (studio_id, trigger_id)
 WHERE state = 'planned' AND name = $1"""


async def _waits(here: Installation, name: str, until: datetime, why: str) -> None:
    """An action of this trigger waits until then, and everything that shows it says so."""
    assert await here.value(DUE, name) == until
    told = await here.json("explain", "--trigger", name, "--record", "session/4711")
    assert f"waits until {_shown(until.tzinfo, until)}" in told["sentence"]
    assert why in told["sentence"]

    async def listed() -> bool:
        found = (await here.json("actions", "list", "--trigger", name))["items"]
        return [datetime.fromisoformat(one["due_at"]) for one in found] == [until] and why in found[0]["reason"]

    await eventually(listed, within=1, what=f"{name} is listed with its time and its reason")


def _at(zone: ZoneInfo, day: datetime, clock: time) -> datetime:
    return datetime.combine(day.date(), clock.replace(second=0, microsecond=0), zone)


def _shown(zone: object, at: datetime) -> str:
    assert isinstance(zone, ZoneInfo)
    local = at.astimezone(UTC).astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y} at {local:%H:%M} ({zone.key})"
