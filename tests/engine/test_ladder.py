"""What was released and came to nothing by its time goes another way, once, and says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from control_center.engine import explain, review
from control_center.engine.intake import Intake
from control_center.engine.ladder import Ladder
from control_center.engine.release import Release
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.rows import a_studio, a_trigger
from tests.support.sayings import said

RELEASED = datetime(2027, 6, 5, 17, tzinfo=UTC)  # a week before the session on 12 June, 14:00 in Chicago
TWO_DAYS = datetime(2027, 6, 10, 19, tzinfo=UTC)
ONE_DAY = datetime(2027, 6, 11, 19, tzinfo=UTC)
SESSION = datetime(2027, 6, 12, 19, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TO_MAIL = {"unless": "delivered", "by": "2d", "action": "email"}
TO_CALL = {"unless": "delivered", "by": "1d", "action": "call"}
TO_OTHER = {"unless": "delivered", "by": "2d", "action": "sms_other"}
TEXTED, MAILED = ("sms", "+13125550188"), ("email", "jo@mail.example")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def take_in(pool: db.Pool, *bodies: bytes, at: datetime = RELEASED) -> None:
    await Intake(pool, lambda: at).take_in(bodies)


async def texted(pool: db.Pool, state: str, *rungs: dict[str, Any], **trigger: Any) -> None:
    """A reminder was texted a week before, and its text came to this state."""
    await a_trigger(pool, "Reminder", ladder=list(rungs or (TO_MAIL,)), **trigger)
    await take_in(pool, event(session(), about=client()))
    while await Release(pool, lambda: RELEASED).run_once():
        pass
    assert await messages_of(pool) == [TEXTED]
    await pool.execute(
        "UPDATE messages SET state = $1, sent_at = CASE WHEN $1 IN ('accepted', 'delivered', 'undelivered')"
        " THEN now() END",
        state,
    )


async def climb(pool: db.Pool, at: datetime = TWO_DAYS) -> None:
    while await Ladder(pool, lambda: at).run_once():
        pass


async def messages_of(pool: db.Pool) -> list[tuple[str, str]]:
    return [tuple(row) for row in await pool.fetch("SELECT channel, address FROM messages ORDER BY message_id")]


async def verbs(pool: db.Pool) -> list[str]:
    return [row[0] for row in await pool.fetch("SELECT verb FROM commands ORDER BY sequence")]


async def places(pool: db.Pool) -> list[tuple[int, datetime]]:
    return [tuple(row) for row in await pool.fetch("SELECT rung, due_at FROM ladders")]


async def reason(pool: db.Pool) -> str:
    found: str = await pool.fetchval("SELECT reason FROM actions ORDER BY action_id LIMIT 1")
    return found


async def test_a_release_puts_its_action_onto_the_ladder(pool: db.Pool) -> None:
    await texted(pool, "accepted", TO_MAIL, TO_CALL)

    assert await places(pool) == [(0, TWO_DAYS)]


async def test_without_a_ladder_there_is_none_nor_in_shadow_mode(pool: db.Pool) -> None:
    await a_trigger(pool, "Plain")
    await a_trigger(pool, "Shadow", ladder=[TO_MAIL], shadow=True)

    await take_in(pool, event(session(), about=client()))
    await Release(pool, lambda: RELEASED).run_once()

    assert await places(pool) == []


async def test_before_its_time_nothing_happens(pool: db.Pool) -> None:
    await texted(pool, "undelivered")

    await climb(pool, TWO_DAYS - MINUTE)

    assert await messages_of(pool) == [TEXTED]
    assert await places(pool) == [(0, TWO_DAYS)]


async def test_what_was_delivered_is_left_alone(pool: db.Pool) -> None:
    await texted(pool, "delivered")

    await climb(pool)

    assert await messages_of(pool) == [TEXTED]
    assert await places(pool) == []
    assert await reason(pool) == "ladder step 1: delivered in time"


async def test_what_was_not_delivered_goes_by_mail_and_the_action_says_why(pool: db.Pool) -> None:
    await texted(pool, "undelivered")

    with capture_logs() as lines:
        await climb(pool)

    assert await messages_of(pool) == [TEXTED, MAILED]
    assert await places(pool) == []
    assert await reason(pool) == "ladder step 1: not delivered, so email"
    assert [(line["event"], line["record"]) for line in lines if line["event"].startswith("ladder")] == [
        ("ladder.climbed", "session/4711")
    ]


@pytest.mark.parametrize("state", ["unknown", "accepted", "queued"])
async def test_where_the_text_may_have_arrived_there_is_no_second_but_a_mail_or_a_call(
    pool: db.Pool, state: str
) -> None:
    to_mail, to_call = {**TO_MAIL, "by": "36h"}, {**TO_CALL, "by": "1d"}
    await texted(pool, state, TO_OTHER, to_mail, to_call)
    second = [{"number": "+13125550188", "sms": True}, {"number": "+13125550177", "sms": True}]
    await take_in(pool, event(about=client(version=2, phones=second), verb="updated"))

    await climb(pool, TWO_DAYS)
    assert await messages_of(pool) == [TEXTED]
    await climb(pool, TWO_DAYS + timedelta(hours=12))
    await climb(pool, ONE_DAY)

    assert await messages_of(pool) == [TEXTED, MAILED]
    assert await verbs(pool) == ["create_call"]
    assert "an earlier text may have arrived" in await reason(pool)


async def test_a_number_that_the_client_got_meanwhile_is_texted_where_the_first_text_is_proven_lost(
    pool: db.Pool,
) -> None:
    await texted(pool, "undelivered", TO_OTHER)
    second = [{"number": "+13125550188", "sms": True}, {"number": "+13125550177", "sms": True}]
    await take_in(pool, event(about=client(version=2, phones=second), verb="updated"))

    await climb(pool)

    assert await messages_of(pool) == [TEXTED, ("sms", "+13125550177")]


async def test_who_has_confirmed_is_not_called(pool: db.Pool) -> None:
    await texted(pool, "delivered", {"unless": "confirmed", "by": "2d", "action": "call"})
    await take_in(pool, event(session(version=2, flags={"confirmed": True}), "updated"), at=TWO_DAYS - MINUTE)

    await climb(pool)

    assert await verbs(pool) == []
    assert await reason(pool) == "ladder step 1: confirmed in time"


async def test_who_has_not_confirmed_is_called_with_the_call_that_the_trigger_names(pool: db.Pool) -> None:
    rung = {"unless": "confirmed", "by": "2d", "action": "call"}
    await texted(pool, "delivered", rung, call={"type": "Chase"})

    await climb(pool)

    (command,) = await pool.fetch("SELECT verb, data FROM commands")
    data = json.loads(command["data"])
    assert (command["verb"], data["client_id"], data["call_type"]) == ("create_call", "c-12", "Chase")
    found = await explain.explain(pool, lambda: TWO_DAYS, "main", data["cause"]["action"])
    told = " ".join(one.text for one in found.steps)
    assert "ladder step 1: not confirmed, so call" in told
    assert "the CRM was asked to create call" in told


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dates": {"session": "2027-07-12T14:00"}}, "moved: the session is now"),
        ({"flags": {"canceled": True}}, "canceled: the session is canceled"),
        ({"status": "Lost"}, "status: it is 'Lost'"),
    ],
)
async def test_a_session_that_moved_or_is_off_is_not_followed_up(
    pool: db.Pool, change: dict[str, Any], says: str
) -> None:
    await texted(pool, "undelivered", exclude={"canceled": True})
    await take_in(pool, event(session(version=2, **change), "updated"))

    await climb(pool)
    assert await messages_of(pool) == [TEXTED]
    await climb(pool, SESSION)

    assert await messages_of(pool) == [TEXTED]
    assert await places(pool) == []
    assert f"ladder ended before step 1: {says}" in await reason(pool)


async def test_a_hold_that_is_lifted_after_a_step_was_due_leaves_it_to_be_taken(pool: db.Pool) -> None:
    await texted(pool, "undelivered", exclude={"on_hold": True})
    await take_in(pool, event(session(version=2, flags={"on_hold": True}), "updated"))
    await climb(pool)
    assert await places(pool) == [(0, TWO_DAYS + timedelta(hours=1))]

    await take_in(pool, event(session(version=3), "updated"))
    await climb(pool, TWO_DAYS + timedelta(hours=1))

    assert await messages_of(pool) == [TEXTED, MAILED]


async def test_a_closed_window_holds_it_and_explain_says_until_when(pool: db.Pool) -> None:
    await texted(pool, "undelivered", processing={"mode": "automatic", "window": "09:00-13:00"})

    await climb(pool)

    opening = datetime(2027, 6, 11, 14, tzinfo=UTC)
    assert await places(pool) == [(0, opening)]
    action = await pool.fetchval("SELECT action_id FROM actions")
    found = await explain.explain(pool, lambda: TWO_DAYS, "main", f"a-{action}")
    assert "step 1 of its ladder is looked at on Fri 11 Jun 2027 at 09:00" in " ".join(one.text for one in found.steps)
    await climb(pool, opening)
    assert await messages_of(pool) == [TEXTED, MAILED]


async def test_an_address_that_said_stop_gets_nothing_and_the_next_step_still_comes(pool: db.Pool) -> None:
    await texted(pool, "failed", TO_MAIL, TO_CALL)
    async with db.transaction(pool) as tx:
        await said(tx, "jo@mail.example")

    await climb(pool)
    assert await messages_of(pool) == [TEXTED]
    assert await places(pool) == [(1, ONE_DAY)]
    await climb(pool, ONE_DAY)

    assert await verbs(pool) == ["create_call"]


async def test_after_a_climb_a_step_whose_time_is_past_is_left_out(pool: db.Pool) -> None:
    await texted(pool, "failed", TO_MAIL, TO_CALL)

    await climb(pool, ONE_DAY + MINUTE)

    assert await messages_of(pool) == [TEXTED, MAILED]
    assert await verbs(pool) == []
    assert await places(pool) == []


async def test_what_a_person_processed_climbs_too_without_its_window(pool: db.Pool) -> None:
    manual = {"mode": "manual", "window": "09:00-13:00"}
    await a_trigger(pool, "Reminder", ladder=[TO_CALL], processing=manual)
    await take_in(pool, event(session(), about=client()))
    await Release(pool, lambda: RELEASED).run_once()
    action = await pool.fetchval("SELECT action_id FROM actions WHERE state = 'review'")
    await review.process(pool, lambda: RELEASED, "main", [action], by="Ada")

    await climb(pool, ONE_DAY)

    assert await verbs(pool) == ["create_call"]


async def test_a_trigger_that_was_deleted_climbs_nothing(pool: db.Pool) -> None:
    await texted(pool, "undelivered")
    await pool.execute("DELETE FROM triggers")

    await climb(pool)

    assert await messages_of(pool) == [TEXTED]
    assert await reason(pool) == "ladder ended before step 1: trigger: it is switched off"


async def test_a_studio_that_is_switched_off_climbs_nothing(pool: db.Pool) -> None:
    await texted(pool, "undelivered")
    await pool.execute("UPDATE studios SET enabled = false")

    await climb(pool)

    assert await messages_of(pool) == [TEXTED]
    assert await places(pool) == [(0, TWO_DAYS)]


async def test_the_blast_guard_counts_no_climb(pool: db.Pool) -> None:
    await texted(pool, "undelivered", ceiling=1)

    await climb(pool)

    assert await messages_of(pool) == [TEXTED, MAILED]
    assert await pool.fetchval("SELECT sum(released) FROM release_counts") == 1


async def test_many_loops_side_by_side_climb_once(pool: db.Pool) -> None:
    await texted(pool, "undelivered")

    with capture_logs() as lines:
        await asyncio.gather(*(climb(pool) for _ in range(6)))

    assert await messages_of(pool) == [TEXTED, MAILED]
    assert [line["event"] for line in lines if line["event"].startswith("ladder")] == ["ladder.climbed"]


async def test_the_status_that_the_release_gave_the_session_does_not_end_its_ladder(pool: db.Pool) -> None:
    await texted(pool, "undelivered", status="Booked", then_status="Reminded")
    answer = {"status": "Reminded", "status_changed_at": "2027-06-05T17:00:01Z"}
    await take_in(pool, event(session(version=2, **answer), "status_changed"))

    await climb(pool)

    assert await messages_of(pool) == [TEXTED, MAILED]


@pytest.mark.parametrize(("state", "enrolled"), [("failed", 1), ("unknown", 1), ("undelivered", 0), ("accepted", 0)])
async def test_a_call_that_is_all_that_came_of_a_message_enters_the_client_into_the_program(
    pool: db.Pool, state: str, enrolled: int
) -> None:
    await texted(pool, state, TO_CALL, referral={"program": "Spring", "if_enrolled": "move"})

    await climb(pool, ONE_DAY)

    # What a provider took enrolled the client when it was taken.
    assert await verbs(pool) == ["create_call", *["assign_referral"] * enrolled]


async def test_a_client_who_was_deleted_is_not_followed_up(pool: db.Pool) -> None:
    await texted(pool, "undelivered", TO_CALL)
    await take_in(pool, event(about=client(version=2), verb="deleted"))

    await climb(pool, ONE_DAY)

    assert (await verbs(pool), await places(pool)) == ([], [])
    assert "deleted: the client no longer exists" in await reason(pool)
