"""A session moves after its reminder was released: whether anybody was told of the old date decides what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.templates import put as put_template
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.rows import a_studio, a_trigger

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)
OLD, NEW = "2026-11-25T14:00", "2026-12-20T14:00"
UNSENT = ["queued", "claimed", "held", "failed", "cancelled", "suppressed", "expired"]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    await put_template(opened, "main", "moved", {"kind": "session", "sms": "A new date."}, by="Ada")
    yield opened
    await opened.close()


async def moved(pool: db.Pool, policy: str, message: str, **keys: Any) -> dict[str, str]:
    """What there is for a session that moves after its reminder was released, the message being in that state then."""
    if policy == "tell":
        keys["moved_template"] = "moved"
    await a_trigger(pool, moved=policy, **keys)
    await Intake(pool, lambda: NOON).take_in([event(session(dates={"session": OLD}), about=client())])
    await Release(pool, lambda: NOON).catch_up()
    sent, ended = message in ("accepted", "delivered"), message in UNSENT[3:]
    await pool.execute(
        """UPDATE messages
              SET state = $1, sent_at = CASE WHEN $2 THEN now() END, ended_at = CASE WHEN $3 THEN now() END,
                  rides_with = CASE WHEN $4 THEN 77 END, lease_until = CASE WHEN $1 = 'claimed' THEN now() END,
                  lease_owner = CASE WHEN $1 = 'claimed' THEN gen_random_uuid() END""",
        message.partition(",")[0],
        sent,
        ended,
        "rides" in message,
    )

    later = event(session(version=2, dates={"session": NEW}), "updated")
    await Intake(pool, lambda: NOON + timedelta(hours=1)).take_in([later])

    rows = await pool.fetch("SELECT occurrence, state FROM actions WHERE occurrence LIKE '2026-12-20%'")
    return {row[0].removeprefix("2026-12-20T14:00:00"): row[1] for row in rows}


@pytest.mark.parametrize("policy", ["nothing", "tell", "remind"])
@pytest.mark.parametrize("message", UNSENT)
async def test_where_no_message_left_the_new_date_has_its_reminder_whatever_the_policy(
    pool: db.Pool, policy: str, message: str
) -> None:
    assert await moved(pool, policy, message) == {"": "planned"}


@pytest.mark.parametrize("message", ["accepted", "delivered", "unknown", "held, and rides with another"])
@pytest.mark.parametrize(
    ("policy", "after"), [("nothing", {"": "baselined"}), ("tell", {"~told": "planned"}), ("remind", {"": "planned"})]
)
async def test_where_a_message_may_have_left_the_policy_says_what_becomes_of_the_new_date(
    pool: db.Pool, policy: str, after: dict[str, str], message: str
) -> None:
    assert await moved(pool, policy, message) == after


async def test_a_call_counts_as_said(pool: db.Pool) -> None:
    asked: dict[str, Any] = {"action": "call", "send_to": ["client"]}
    assert await moved(pool, "nothing", "queued", **asked) == {"": "baselined"}
