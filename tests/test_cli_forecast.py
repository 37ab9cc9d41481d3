"""`triggers forecast` and `triggers backtest` as hands and scripts meet them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from control_center.engine.intake import Intake
from control_center.store import db
from tests.support import crm
from tests.support.fixtures import Install
from tests.support.installation import Installation

REMINDER = """
[[trigger]]
name = "Reminder"
record = "session"
activate = { on = "session", days = -7 }
action = "sms"
text = "Hello {{ client.first_name }}"
enabled = true
processing = { mode = "automatic" }
"""


async def a_reminder(here: Installation) -> None:
    await here.done("migrate")
    await here.furnish(triggers=REMINDER)


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    """An installation with a reminder a week before sessions."""
    return await install_alone(given=a_reminder)


def at(days: int) -> str:
    """So many days from today, where the studio is."""
    return f"{datetime.now(ZoneInfo('America/Chicago')) + timedelta(days=days):%Y-%m-%dT14:00}"


async def booked(here: Installation, *, days: int) -> None:
    """Put a session into the database as intake would have."""
    pool = await db.open_pool(here.database_url, application="test", size=1)
    body = crm.event(
        crm.session("s-1", dates={"session": at(days)}),
        about=crm.client(phones=[{"number": "+13125550188", "sms": True}]),
        time=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )
    await Intake(pool, lambda: datetime.now(UTC)).take_in([body])
    await pool.close()


async def test_a_forecast_is_shown_by_lines_by_counts_and_for_machines(here: Installation) -> None:
    await booked(here, days=10)

    lines = (await here.done("triggers", "forecast")).out
    counts = (await here.done("triggers", "forecast", "--by", "trigger")).out
    answer = await here.json("triggers", "forecast")

    assert "goes: Reminder, session/s-1, client c-12: sms Jo Park" in lines
    assert "| Hello Jo" in lines
    assert "5550188" not in lines
    assert "1 line" in lines
    assert "GOES" in counts
    (line,) = answer["items"]
    assert (line["trigger"], line["fate"], line["text"]) == ("Reminder", "goes", "Hello Jo")
    assert answer["next_cursor"] is None


async def test_a_day_that_is_only_asked_about_moves_the_line_and_no_row(here: Installation) -> None:
    await booked(here, days=10)
    (line,) = (await here.json("triggers", "forecast"))["items"]
    day = line["at"][:10]

    moved = await here.json("triggers", "forecast", "--closed", day, "--addresses")

    assert moved["items"][0]["at"][:10] > day
    assert moved["items"][0]["address"] == "+13125550188"
    assert await here.value("SELECT count(*) FROM blackouts") == 0


async def test_a_backtest_takes_a_draft_from_a_file_or_a_saved_trigger_by_its_name(here: Installation) -> None:
    await booked(here, days=7)  # active since midnight
    draft = here.write("draft.toml", REMINDER.replace("Hello", "Dear").replace("Reminder", "Draft"))

    by_name = await here.json("triggers", "backtest", "Reminder", "--days", "2")
    by_file = await here.json("triggers", "backtest", str(draft), "--days", "2")
    unknown = await here.cli("triggers", "backtest", "Nobody")

    assert [one["text"] for one in by_name["items"]] == ["Hello Jo"]
    assert [one["text"] for one in by_file["items"]] == ["Dear Jo"]
    assert (unknown.code, "Nobody" in unknown.err) == (1, True)
    assert await here.value("SELECT count(*) FROM triggers") == 1


async def test_a_day_that_is_none_is_refused(here: Installation) -> None:
    done = await here.cli("triggers", "forecast", "--closed", "christmas")

    assert done.code == 1
    assert "YYYY-MM-DD" in done.err


async def test_events_are_kept_for_as_long_as_is_set_and_a_backtest_says_since_when(here: Installation) -> None:
    await booked(here, days=7)
    await here.sql("UPDATE events SET received_at = received_at - interval '40 days'")
    await here.sql(
        "INSERT INTO events SELECT (jsonb_populate_record(one, jsonb_build_object("
        "'event_id', 'older', 'received_at', one.received_at - interval '30 days'))).* FROM events AS one"
    )

    await here.run("engine", keep_events_days="60")
    await here.holds("SELECT NOT EXISTS (SELECT FROM events WHERE event_id = 'older')")
    told = (await here.done("triggers", "backtest", "Reminder", "--days", "90")).out

    assert await here.value("SELECT count(*) FROM events") == 1
    assert "events are kept since" in told
    assert "set keep_events_days to more" in told
