"""A day that comes round each year is planned again as soon as this year's has been dealt with, however it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from control_center.engine import review, triggers
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.upkeep import Upkeep
from control_center.store import db
from tests.support.crm import client, event
from tests.support.rows import a_studio, a_trigger

BOOKED = datetime(2026, 11, 23, 18, tzinfo=UTC)
BIRTHDAY = datetime(2027, 2, 28, 18, tzinfo=UTC)
WISHES: dict[str, Any] = {"record": "client", "status": None, "activate": {"on": "birthday"}}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def takes_in(pool: db.Pool, **keys: Any) -> None:
    body = event(about=client(birthday="1990-02-28", **keys), verb="created")
    await Intake(pool, lambda: BOOKED).take_in([body])


async def release(pool: db.Pool, at: datetime) -> None:
    while await Release(pool, lambda: at).run_once():
        pass


async def years(pool: db.Pool) -> dict[str, str]:
    return {row[0]: row[1] for row in await pool.fetch("SELECT occurrence, state FROM actions")}


async def test_a_wish_that_went_out_is_followed_by_next_years(pool: db.Pool) -> None:
    await a_trigger(pool, **WISHES)
    await takes_in(pool)
    assert await years(pool) == {"2027": "planned"}

    await release(pool, BIRTHDAY)
    assert await years(pool) == {"2027": "released", "2028": "planned"}

    await release(pool, datetime(2028, 2, 28, 18, tzinfo=UTC))
    assert await years(pool) == {"2027": "released", "2028": "released", "2029": "planned"}


async def test_a_wish_that_came_too_late_is_followed_by_next_years(pool: db.Pool) -> None:
    await a_trigger(pool, **WISHES)
    await takes_in(pool)

    await release(pool, datetime(2027, 5, 1, tzinfo=UTC))

    assert await years(pool) == {"2027": "expired", "2028": "planned"}


async def test_a_wish_without_anybody_to_send_it_to_is_followed_by_next_years(pool: db.Pool) -> None:
    await a_trigger(pool, **WISHES)
    await takes_in(pool, phones=[])

    await release(pool, BIRTHDAY)

    assert await years(pool) == {"2027": "expired", "2028": "planned"}


async def test_a_wish_that_a_person_deletes_is_followed_by_next_years(pool: db.Pool) -> None:
    await a_trigger(pool, **WISHES, processing={"mode": "manual"})
    await takes_in(pool)
    await release(pool, BIRTHDAY)
    number = await pool.fetchval("SELECT action_id FROM actions")

    await review.delete(pool, lambda: BIRTHDAY, "main", [number], by="Ada")

    assert await years(pool) == {"2027": "deleted", "2028": "planned"}


async def test_a_wish_that_nobody_processed_in_time_is_followed_by_next_years(pool: db.Pool) -> None:
    await a_trigger(pool, **WISHES, processing={"mode": "manual"})
    await takes_in(pool)
    await pool.execute("UPDATE actions SET state = 'held'")

    await Upkeep(pool, lambda: datetime(2027, 5, 1, tzinfo=UTC), uuid4()).expire_actions()

    assert await years(pool) == {"2027": "expired", "2028": "planned"}


async def test_on_a_family_members_birthday_only_that_member_is_written_to(pool: db.Pool) -> None:
    await a_trigger(pool, **WISHES, send_to=["family:Daughter"])
    mia, zoe = (
        {
            "relationship": "Daughter",
            "first_name": name,
            "birthday": f"2015-02-{day}",
            "phones": [{"number": f"31255501{day}", "sms": True}],
        }
        for name, day in (("Mia", "10"), ("Zoe", "28"))
    )
    await takes_in(pool, family=[mia, zoe])

    await release(pool, BIRTHDAY - timedelta(days=18) + timedelta(hours=1))

    assert [row[0] for row in await pool.fetch("SELECT address FROM messages")] == ["+13125550110"]
    assert await years(pool) == {
        "2027 daughter mia": "released",
        "2028 daughter mia": "planned",
        "2027 daughter zoe": "planned",
    }


# Edits ------------------------------------------------------------------------------------------------------------


def wishes(**keys: Any) -> dict[str, Any]:
    said = {"name": "Wishes", "record": "client", "activate": {"on": "birthday"}, "action": "sms", "text": "Happy day!"}
    return {**said, "processing": {"mode": "automatic"}, "enabled": True, **keys}


KIM: dict[str, Any] = {"relationship": "Mother", "first_name": "Kim", "birthday": "1960-11-20"}


@pytest.mark.parametrize(
    "edit", [{"send_to": ["family:Mother"]}, {"use_by": "60d"}], ids=["whose days", "how long a day is of use"]
)
async def test_an_edit_that_lets_past_days_count_sets_them_aside(pool: db.Pool, edit: dict[str, Any]) -> None:
    known = event(about=client(birthday="1990-11-01", family=[KIM]), verb="created", time="2026-08-01T12:00:00Z")
    await Intake(pool, lambda: BOOKED - timedelta(days=100)).take_in([known])
    await triggers.put(pool, lambda: BOOKED, "main", wishes(), by="Ada")
    assert await years(pool) == {"2027": "planned"}

    await triggers.put(pool, lambda: BOOKED, "main", wishes(**edit), by="Ada")

    assert [state for name, state in (await years(pool)).items() if name.startswith("2026")] == ["baselined"]


async def test_such_an_edit_leaves_alone_what_waits_for_its_hour_today(pool: db.Pool) -> None:
    shut = {"mode": "automatic", "window": "20:00-21:00"}
    known = event(about=client(birthday="1990-11-23"), verb="created", time="2026-08-01T12:00:00Z")
    await triggers.put(pool, lambda: BOOKED - timedelta(days=100), "main", wishes(processing=shut), by="Ada")
    await Intake(pool, lambda: BOOKED - timedelta(days=99)).take_in([known])

    await triggers.put(pool, lambda: BOOKED, "main", wishes(processing=shut, use_by="2d"), by="Ada")

    rows = await pool.fetch("SELECT state, use_by FROM actions WHERE occurrence = '2026'")
    assert [tuple(row) for row in rows] == [("planned", datetime(2026, 11, 25, 6, tzinfo=UTC))]


async def test_a_wish_that_is_deleted_before_its_day_is_followed_by_next_years(pool: db.Pool) -> None:
    await a_trigger(pool, **WISHES)
    await takes_in(pool)
    (action_id,) = await pool.fetchrow("SELECT action_id FROM actions")

    await review.delete(pool, lambda: BOOKED, "main", [action_id], by="Ada")

    assert await years(pool) == {"2027": "deleted", "2028": "planned"}


async def test_a_birthday_that_is_corrected_while_its_wish_waits_keeps_next_years(pool: db.Pool) -> None:
    await a_trigger(pool, **WISHES, processing={"mode": "manual"})
    await takes_in(pool)
    await release(pool, BIRTHDAY)
    assert await years(pool) == {"2027": "review", "2028": "planned"}

    corrected = event(about=client(birthday="1990-03-10", version=2), verb="updated")
    await Intake(pool, lambda: BIRTHDAY).take_in([corrected])

    assert await years(pool) == {"2027": "planned", "2028": "planned"}
