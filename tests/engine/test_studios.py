"""Studios over their life: a studio that is made again is another one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from control_center.domain.studio import Studio
from control_center.engine import studios as engine
from control_center.engine import templates, triggers, zone_sweep
from control_center.engine.intake import Intake
from control_center.engine.ladder import Ladder
from control_center.engine.release import Release
from control_center.store import db, studios
from control_center.store.rulebooks import Rulebook, Rulebooks
from tests.support.crm import client, event, session
from tests.support.rows import a_message, a_trigger

NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)  # Saturday, noon in Chicago
WANTED = Studio("main", "Ada Park Photography", "America/Chicago", "US")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    yield opened
    await opened.close()


def clock() -> datetime:
    return NOW


async def book_of(pool: db.Pool, books: Rulebooks) -> Rulebook:
    async with db.session(pool) as connection:
        return (await books.of(connection, await studios.get(connection, ["main"])))["main"]


async def test_a_studio_that_is_made_again_is_not_taken_for_the_first(pool: db.Pool) -> None:
    books = Rulebooks()
    first = await engine.put(pool, clock, WANTED, by="Ada")
    await a_trigger(pool)
    assert (await book_of(pool, books)).rules.by_id

    await engine.drop(pool, "main", by="Ada")
    second = await engine.put(pool, clock, WANTED, by="Ada")

    assert second.revision > first.revision
    assert not (await book_of(pool, books)).rules.by_id


# In another time zone --------------------------------------------------------------------------------------------

TOKYO = replace(WANTED, timezone="Asia/Tokyo")
DAYTIME: dict[str, Any] = {"processing": {"mode": "automatic", "window": "09:00-18:00"}}


async def waiting(pool: db.Pool, number: int = 1, **keys: Any) -> None:
    """Reminders of sessions on 12 June at 14:00, a week before, of a studio in Chicago."""
    await engine.put(pool, clock, WANTED, by="Ada")
    await a_trigger(pool, "Reminder", **{**DAYTIME, **keys})
    await Intake(pool, clock).take_in([event(session(str(one)), about=client()) for one in range(number)])


async def times(pool: db.Pool) -> list[tuple[str, ...]]:
    rows = await pool.fetch("SELECT state, activation_at, due_at, use_by FROM actions ORDER BY record_id")
    return [(row[0], *(f"{at.astimezone(UTC):%m-%d %H:%M}" for at in row[1:])) for row in rows]


async def test_in_another_zone_what_waits_goes_by_that_zones_clocks(pool: db.Pool) -> None:
    await waiting(pool)
    assert await times(pool) == [("planned", "06-05 05:00", "06-05 14:00", "06-12 19:00")]

    with capture_logs() as lines:
        await engine.put(pool, clock, TOKYO, by="Ada")

    assert await times(pool) == [("planned", "06-04 15:00", "06-05 00:00", "06-12 05:00")]
    [said] = [line for line in lines if line["event"] == "studio.relocated"]
    assert (said["before"], said["after"], said["moved"]) == ("America/Chicago", "Asia/Tokyo", 1)


async def test_a_zone_that_stays_the_same_moves_nothing(pool: db.Pool) -> None:
    await waiting(pool)
    before = await times(pool)

    with capture_logs() as lines:
        await engine.replace(
            pool, clock, "main", {"name": "Ada", "timezone": "America/Chicago", "country": "US"}, by="A"
        )

    assert await times(pool) == before
    assert "studio.relocated" not in [line["event"] for line in lines]


async def test_all_of_many_are_placed_anew_page_by_page(pool: db.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zone_sweep, "PAGE", 2)
    await waiting(pool, 5)

    await engine.put(pool, clock, TOKYO, by="Ada")

    assert set(await times(pool)) == {("planned", "06-04 15:00", "06-05 00:00", "06-12 05:00")}


async def test_by_another_release_of_the_zones_what_waits_is_placed_anew_and_only_once(pool: db.Pool) -> None:
    await waiting(pool)
    right = await times(pool)
    stale = "UPDATE actions SET due_at = due_at + interval '1 hour'"
    await pool.execute(stale)
    await zone_sweep.follow_release(pool, NOW)
    assert await times(pool) != right, "it was made by this very release"

    await zone_sweep.follow_release(pool, NOW, release="2099z")
    assert await times(pool) == right

    await pool.execute(stale)
    await zone_sweep.follow_release(pool, NOW, release="2099z")
    assert await times(pool) != right


async def test_what_a_person_has_to_decide_on_stays_theirs_and_is_placed_too(pool: db.Pool) -> None:
    await waiting(pool, processing={"mode": "manual"})
    at = datetime(2027, 6, 5, 14, tzinfo=UTC)
    await Release(pool, lambda: at).catch_up()

    await engine.put(pool, lambda: at, TOKYO, by="Ada")

    assert await times(pool) == [("review", "06-04 15:00", "06-04 15:00", "06-12 05:00")]
    assert await pool.fetchval("SELECT reason FROM actions") == "manual: the trigger waits for a person"


async def test_another_zone_skips_sets_aside_and_plans_nothing(pool: db.Pool) -> None:
    """In Tokyo it is the next day already: what waits for its hour is neither late nor history there."""
    await waiting(pool, late="skip", processing={"mode": "automatic", "window": "20:00-21:00"})
    evening = datetime(2027, 6, 5, 23, tzinfo=UTC)

    await engine.put(pool, lambda: evening, TOKYO, by="Ada")

    assert await times(pool) == [("planned", "06-04 15:00", "06-06 11:00", "06-12 05:00")]


async def test_what_is_paused_waits_for_its_trigger_at_the_new_times(pool: db.Pool) -> None:
    await waiting(pool)
    await triggers.switch(pool, clock, "main", "Reminder", on=False, by="Ada")

    await engine.put(pool, clock, TOKYO, by="Ada")
    assert [one[0] for one in await times(pool)] == ["held"]
    await triggers.switch(pool, clock, "main", "Reminder", on=True, by="Ada")

    assert await times(pool) == [("planned", "06-04 15:00", "06-05 00:00", "06-12 05:00")]


async def test_a_ladder_is_climbed_by_the_new_zones_clocks(pool: db.Pool) -> None:
    late = {"unless": "delivered", "by": "24h", "action": "email", "template": "moved"}
    await engine.put(pool, clock, WANTED, by="Ada")
    await templates.put(pool, "main", "moved", {"kind": "session", "subject": "Soon", "text": "Soon."}, by="Ada")
    await a_trigger(pool, "Reminder", ladder=[late])
    await Intake(pool, clock).take_in([event(session(), about=client())])
    at = datetime(2027, 6, 5, 14, tzinfo=UTC)
    await Release(pool, lambda: at).catch_up()
    assert await pool.fetchval("SELECT due_at FROM ladders") == datetime(2027, 6, 11, 19, tzinfo=UTC)

    await engine.put(pool, lambda: at, TOKYO, by="Ada")
    await Ladder(pool, lambda: at).run_once()

    assert await pool.fetchval("SELECT due_at FROM ladders") == datetime(2027, 6, 11, 5, tzinfo=UTC)


async def test_a_text_that_waited_for_the_old_zones_morning_is_looked_at_again(pool: db.Pool) -> None:
    await waiting(pool)
    tomorrow = datetime(2100, 1, 1, tzinfo=UTC)
    message = await a_message(pool, state="queued", due_at=tomorrow)

    await engine.put(pool, clock, TOKYO, by="Ada")

    assert await pool.fetchval("SELECT due_at FROM messages WHERE message_id = $1", message) < tomorrow
