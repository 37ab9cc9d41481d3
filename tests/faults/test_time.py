"""Time is not what it was: clocks that jump, zones that change, windows that close while something waits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from tests.support.bookings import bookings
from tests.support.fake_sms import ACCOUNT
from tests.support.far import Far, Install, far_away
from tests.support.http_stub import Step
from tests.support.installation import trigger
from tests.support.matrix import Seen
from tests.support.other_times import WrongClock, Zones, shows

pytestmark = pytest.mark.process

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOUR: Final = 3600
NOON: Final = time(12)
DELIVERED: Final = "SELECT count(*) = $2 FROM messages WHERE studio_id = $1 AND state = 'delivered'"
STARTED: Final = "SELECT min(started_at) AS first, max(started_at) AS last FROM attempts WHERE studio_id = $1"
WAITING: Final = "SELECT count(*) FROM actions WHERE studio_id = $1 AND state = 'planned' AND due_at > now()"
SENT_BY: Final = """
SELECT count(*) FROM messages JOIN triggers USING (studio_id, trigger_id) JOIN attempts USING (studio_id, message_id)
 WHERE triggers.name = $1"""


def zone() -> ZoneInfo:
    """Of two on opposite sides of the earth the one where no day ends while a test runs."""
    chicago = ZoneInfo("America/Chicago")
    return chicago if 2 <= datetime.now(chicago).hour < 22 else ZoneInfo("Asia/Tokyo")


def window(hours: str) -> str:
    return f'window = "{hours}"\nblackouts = false'


@pytest.mark.fault("F42")
async def test_f42_clocks_and_zones_may_jump_and_each_occurrence_is_still_sent_once_within_its_window(
    install: Install, folder: Path, seen: Seen
) -> None:
    zones, clock, local = Zones(folder / "zones"), WrongClock(folder / "clock"), datetime.now(zone())
    jump = (datetime.now(UTC) + timedelta(seconds=35)).replace(microsecond=0)
    noon = shows(NOON, jump)
    zones.write("America/Regina", noon, (jump, noon + HOUR))
    zones.write("America/Guyana", noon, (jump, noon - HOUR))
    zones.write("America/Caracas", noon)
    async with far_away(install, ahead=(zones.folder, clock.folder), triggers=_never_now(local)) as far:
        here = far.here
        await here.furnish(timezone=zone().key, account=ACCOUNT, triggers=_never_now(local))
        studios = (
            ("gap", "America/Regina", "12:30-18:00"),
            ("fold", "America/Guyana", "11:00-12:00"),
            ("moves", "America/Caracas", "17:00-19:00"),
            ("release", "America/Caracas", "17:00-19:00"),
        )
        await asyncio.gather(
            *(
                here.furnish(studio=one, timezone=name, account=ACCOUNT, triggers=trigger(processing=window(hours)))
                for one, name, hours in studios
            )
        )
        await far.run()
        for number, (one, _, _) in enumerate(studios):
            await far.crm.say(bookings(3, prefix=one, studio=one, first=1000 * number))
        await here.taken_in(12)

        await _clocks_jump(far, clock)
        await _the_hour_jumps(far, jump)
        await _the_studio_moves(far)
        await _the_zones_are_released_anew(far, zones, noon)

        await far.crm.replay()
        await far.calm()
        await far.heard()
        findings = await far.check()
        assert not findings.faults
        assert findings.unknown == []
        assert len(far.sms.accepted) == 9 + 12
        seen("clock -1 h, +1 day, gap, fold, studio moved, zones released anew: 21 texts, once each, none out of hours")


def _never_now(local: datetime) -> str:
    """One that goes at any time, one not on this day of the week, one in hours that have just gone by."""
    gone = f"{local - timedelta(minutes=100):%H:%M}-{local - timedelta(minutes=40):%H:%M}"
    return (
        trigger()
        + trigger("Not today", processing=f'not_on = ["{WEEKDAYS[local.weekday()]}"]\nblackouts = false')
        + trigger("Gone", processing=window(gone))
    )


async def _clocks_jump(far: Far, clock: WrongClock) -> None:
    """A machine whose clock is an hour behind, then a day ahead, while it works and when it starts."""
    program = far.here.programs[-1]
    clock.set(timedelta(hours=-1))
    assert "-3600 s" in (await program.wait_for("clock.apart"))["reason"]
    await _goes(far, "behind", 1)
    clock.set(timedelta(days=1))
    await _goes(far, "ahead", 2)
    await program.stop()
    program = await far.run()
    assert "+86400 s" in (await program.wait_for("clock.apart"))["reason"]
    await _goes(far, "begun", 3)
    clock.set(timedelta())
    await program.wait_for("clock.together")
    assert await far.here.value(SENT_BY, "Not today") == 0
    assert await far.here.value(SENT_BY, "Gone") == 0


async def _goes(far: Far, prefix: str, number: int) -> None:
    await far.crm.say(bookings(3, prefix=prefix, first=5000 + 10 * number))
    await far.here.holds(DELIVERED, "main", 3 * number)


async def _the_hour_jumps(far: Far, jump: datetime) -> None:
    """The hour that the window begins in is left out; the hour that it is comes twice."""
    await far.here.holds(DELIVERED, "gap", 3, within=120)
    (gap,) = await far.here.sql(STARTED, "gap")
    assert gap["first"] >= jump, "half past twelve did not exist: the window begins with the hour after"
    await far.here.holds("SELECT clock_timestamp() > $1", jump)
    await far.here.holds(DELIVERED, "fold", 3)


async def _the_studio_moves(far: Far) -> None:
    """It is noon where it was, and what waits for five o'clock goes where it is past that already."""
    assert await far.here.value(WAITING, "moves") == 3
    there = shows(time(18), datetime.now(UTC)) // HOUR  # whole hours: 17:01 to 18:00
    name = f"Etc/GMT{-there:+d}" if there else "Etc/GMT"
    rules = trigger(processing=window("17:00-19:00"))
    await far.here.furnish(studio="moves", timezone=name, account=ACCOUNT, triggers=rules)
    await far.here.holds(DELIVERED, "moves", 3)


async def _the_zones_are_released_anew(far: Far, zones: Zones, noon: int) -> None:
    """The government decides on other hours: what waits is given its time by them when we begin again."""
    assert await far.here.value(WAITING, "release") == 3
    await far.here.programs[-1].stop()
    zones.write("America/Caracas", (noon + 6 * HOUR + HOUR * 12) % (24 * HOUR) - HOUR * 12)
    zones.release("2099z")
    await far.run()
    await far.here.holds(DELIVERED, "release", 3)


@pytest.mark.fault("F43")
@pytest.mark.parametrize("messages", [150, pytest.param(1000, marks=pytest.mark.long)])
async def test_f43_a_day_that_is_closed_and_a_window_that_ends_stop_what_is_queued_at_that_very_instant(
    install: Install, folder: Path, messages: int, seen: Seen
) -> None:
    where, closings = zone(), Zones(folder / "zones")
    ends_at = _noons(closings)
    async with far_away(install, others=("other",), slots=2, ahead=[closings.folder]) as far:
        here = far.here
        far.sms.default = far.others[0].default = Step(delay=0.6)
        await here.furnish(timezone=where.key, account=ACCOUNT, triggers=trigger(processing="blackouts = true"))
        await far.run()
        soon = datetime.now(UTC) + timedelta(seconds=30)
        closes, there = min((at, name) for name, at in ends_at.items() if at > soon)
        ends = trigger(processing=window("00:00-12:00"))
        await here.furnish(studio="other", timezone=there, account="other", triggers=ends)
        await far.crm.say(bookings(messages))
        await far.crm.say(bookings(messages, prefix="o", studio="other", first=1000))

        closed, before = await _close_today(far, where)
        await _ended(far, closes)
        (last,) = await here.sql(STARTED, "other")
        assert last["last"] < closes, "nothing passes the point of no return once its window is over"
        after = await here.value("SELECT count(*) FROM attempts WHERE studio_id = 'main'")
        assert after <= before + 1, "of what the day was closed for, nothing began later"
        explained = (await here.sql(WHY, "main"))[0]["reason"], (await here.sql(WHY, "other"))[0]["reason"]
        assert "blackout day (Inventory)" in explained[0]
        assert "00:00-12:00" in explained[1]
        waited = sum(row[0] for row in await here.sql(HELD_BACK))

        far.sms.default = far.others[0].default = Step()
        await here.api("DELETE", f"/blackouts/{closed['id']}")
        rules = trigger(processing="blackouts = false")
        await here.furnish(studio="other", timezone=there, account="other", triggers=rules)
        for studio in ("main", "other"):
            await here.holds(DELIVERED, studio, messages, within=180)
        await far.calm()
        await far.heard()
        findings = await far.check()
        assert not findings.faults
        assert findings.unknown == []
        seen(f"{waited} of {2 * messages} waited from that instant on, and went, once each, when it was open again")


WHY: Final = """
SELECT reason FROM (SELECT studio_id, reason, due_at FROM messages WHERE state = 'queued'
                     UNION ALL SELECT studio_id, reason, due_at FROM actions WHERE state = 'planned') AS waiting
 WHERE studio_id = $1 AND due_at > now() AND reason <> '' LIMIT 1"""
HELD_BACK: Final = """
SELECT count(*) FROM messages WHERE state = 'queued' AND due_at > now() UNION ALL
SELECT count(*) FROM actions WHERE state = 'planned' AND due_at > now()"""
IDLE: Final = """
SELECT count(*) = 0 FROM messages WHERE studio_id = $1
   AND (state IN ('claimed', 'submitting') OR state = 'queued' AND due_at <= now())"""


def _noons(zones: Zones) -> dict[str, datetime]:
    """Zones in which it will be noon, one every ten seconds from now on: a window that ends then ends soon."""
    start = datetime.now(UTC).replace(microsecond=0)
    found = {}
    for number, each in enumerate((*range(-12, 0), *range(1, 13)), start=2):
        name, at = f"Etc/GMT{each:+d}", start + timedelta(seconds=10 * number)
        zones.write(name, shows(NOON, at))
        found[name] = at
    return found


async def _close_today(far: Far, where: ZoneInfo) -> tuple[Any, int]:
    """Close the day while texts leave; returns it, with how many had passed the point of no return by then."""
    await far.here.holds("SELECT count(*) > 5 FROM messages WHERE studio_id = 'main' AND state = 'delivered'")
    day = {"name": "Inventory", "date": f"{datetime.now(where).date()}"}
    closed = await far.here.api("POST", "/blackouts", body=day)
    before = await far.here.value("SELECT count(*) FROM attempts WHERE studio_id = 'main'")
    await far.here.holds(IDLE, "main", within=120)
    return closed, before


async def _ended(far: Far, closes: datetime) -> None:
    """Until the window is over and everything that was under way has come to rest."""
    await far.here.holds("SELECT count(*) > 5 FROM messages WHERE studio_id = 'other' AND state = 'delivered'")
    await far.here.holds("SELECT clock_timestamp() > $1", closes, within=120)
    await far.here.holds(IDLE, "other", within=120)
