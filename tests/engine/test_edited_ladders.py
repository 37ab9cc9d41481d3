"""The ladder of a trigger is edited while what was released waits on it: what is left are the steps it has now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_center.engine import triggers
from control_center.engine.intake import Intake
from control_center.engine.ladder import Ladder
from control_center.engine.release import Release
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.rows import a_studio

RELEASED = datetime(2027, 6, 5, 17, tzinfo=UTC)  # a week before the session on 12 June, 14:00 in Chicago
TWO_DAYS = datetime(2027, 6, 10, 19, tzinfo=UTC)
ONE_DAY = datetime(2027, 6, 11, 19, tzinfo=UTC)
HALF_A_DAY = timedelta(hours=12)
TO_MAIL = {"unless": "delivered", "by": "2d", "action": "email"}
TO_CALL = {"unless": "delivered", "by": "1d", "action": "call"}
CALL_SOONER = {**TO_CALL, "by": "2d"}
MAIL_LATER = {**TO_MAIL, "by": "12h"}
CALLED, MAILED = "create_call", "email"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def saved(pool: db.Pool, *rungs: dict[str, Any], at: datetime, pending: str | None = None, **keys: Any) -> None:
    table = {
        "name": "Reminder",
        "record": "session",
        "status": "Booked",
        "activate": {"on": "session", "days": -7},
        "action": "sms",
        "text": "See you soon.",
        "purpose": "transactional",
        "processing": {"mode": "automatic"},
        "ladder": list(rungs),
        "enabled": True,
        **keys,
    }
    await triggers.put(pool, lambda: at, "main", table, by="Ada", pending=pending)


async def texted(pool: db.Pool, *rungs: dict[str, Any]) -> None:
    """A reminder was texted a week before, and did not arrive."""
    await saved(pool, *rungs, at=RELEASED - timedelta(days=30))
    await Intake(pool, lambda: RELEASED).take_in([event(session(), about=client())])
    while await Release(pool, lambda: RELEASED).run_once():
        pass
    await pool.execute("UPDATE messages SET state = 'undelivered', sent_at = now(), ended_at = now()")


async def climb(pool: db.Pool, at: datetime) -> list[str]:
    """What followed on the text by then."""
    while await Ladder(pool, lambda: at).run_once():
        pass
    mails = [row[0] for row in await pool.fetch("SELECT channel FROM messages WHERE channel = 'email'")]
    return mails + [row[0] for row in await pool.fetch("SELECT verb FROM commands WHERE verb = 'create_call'")]


async def test_a_step_that_an_edit_puts_before_the_one_that_waits_is_taken_and_then_that_one(pool: db.Pool) -> None:
    await texted(pool, TO_CALL)
    await saved(pool, TO_MAIL, TO_CALL, at=TWO_DAYS - HALF_A_DAY)

    assert await climb(pool, TWO_DAYS) == [MAILED]
    assert await climb(pool, ONE_DAY) == [MAILED, CALLED]


async def test_a_step_whose_time_is_past_when_an_edit_adds_it_takes_no_other_steps_place(pool: db.Pool) -> None:
    await texted(pool, TO_CALL)
    await saved(pool, TO_MAIL, TO_CALL, at=TWO_DAYS + HALF_A_DAY)

    assert await climb(pool, TWO_DAYS + HALF_A_DAY) == []
    assert await climb(pool, ONE_DAY) == [CALLED]


async def test_what_was_taken_may_leave_the_ladder_and_the_next_step_still_comes(pool: db.Pool) -> None:
    await texted(pool, TO_MAIL, TO_CALL)
    assert await climb(pool, TWO_DAYS) == [MAILED]
    await pool.execute("UPDATE messages SET state = 'undelivered', sent_at = now(), ended_at = now()")

    await saved(pool, TO_CALL, at=TWO_DAYS + HALF_A_DAY)

    assert await climb(pool, ONE_DAY) == [MAILED, CALLED]


async def test_a_step_that_an_edit_brings_forward_comes_at_its_new_time(pool: db.Pool) -> None:
    await texted(pool, TO_CALL)
    await saved(pool, CALL_SOONER, at=RELEASED + HALF_A_DAY)

    assert await climb(pool, TWO_DAYS) == [CALLED]


async def test_a_way_that_was_gone_is_not_gone_again_where_an_edit_puts_it_last(pool: db.Pool) -> None:
    await texted(pool, TO_MAIL, TO_CALL)
    assert await climb(pool, TWO_DAYS) == [MAILED]

    await saved(pool, TO_CALL, MAIL_LATER, at=TWO_DAYS + HALF_A_DAY)
    await pool.execute("UPDATE messages SET state = 'undelivered', sent_at = now(), ended_at = now()")

    assert await climb(pool, ONE_DAY) == [MAILED, CALLED]
    assert await climb(pool, ONE_DAY + HALF_A_DAY) == [MAILED, CALLED]


async def test_an_edit_that_leaves_no_step_ends_it(pool: db.Pool) -> None:
    await texted(pool, TO_CALL)
    await saved(pool, TO_MAIL, at=TWO_DAYS + HALF_A_DAY)

    assert await climb(pool, ONE_DAY) == []
    assert await pool.fetch("SELECT * FROM ladders") == []


async def test_what_was_released_under_a_version_that_is_kept_climbs_the_ladder_of_that(pool: db.Pool) -> None:
    await texted(pool, TO_MAIL, TO_CALL)
    await saved(pool, CALL_SOONER, at=RELEASED + HALF_A_DAY, pending="keep")
    assert await climb(pool, TWO_DAYS) == [MAILED]
    await pool.execute("UPDATE messages SET state = 'undelivered', sent_at = now(), ended_at = now()")

    assert await climb(pool, ONE_DAY) == [MAILED, CALLED]


async def test_what_climbed_a_kept_ladder_goes_on_by_the_newest_once_an_edit_says_follow(pool: db.Pool) -> None:
    await texted(pool, TO_MAIL, TO_CALL)
    await saved(pool, CALL_SOONER, at=RELEASED + HALF_A_DAY, pending="keep")
    assert await climb(pool, TWO_DAYS) == [MAILED]
    await pool.execute("UPDATE messages SET state = 'undelivered', sent_at = now(), ended_at = now()")

    await saved(pool, TO_CALL, at=TWO_DAYS + HALF_A_DAY, pending="follow")

    assert await climb(pool, ONE_DAY) == [MAILED, CALLED]


async def test_a_ladder_that_is_edited_while_its_trigger_is_off_is_the_one_that_goes_on(pool: db.Pool) -> None:
    await texted(pool, TO_CALL)
    await saved(pool, TO_CALL, at=RELEASED + HALF_A_DAY, enabled=False)
    await saved(pool, TO_MAIL, TO_CALL, at=RELEASED + HALF_A_DAY, enabled=False)
    await saved(pool, TO_MAIL, TO_CALL, at=RELEASED + HALF_A_DAY)

    assert await climb(pool, TWO_DAYS) == [MAILED]
    assert await climb(pool, ONE_DAY) == [MAILED, CALLED]
