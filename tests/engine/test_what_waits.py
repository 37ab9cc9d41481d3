"""What waits in the queue while its trigger is switched off, its number says STOP, or is another one by now."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_center.domain.blackouts import Blackout
from control_center.engine import blackouts, consenting, review, triggers
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import cases, db, messages, rulebooks, studios
from tests.support.crm import client, event, session
from tests.support.rows import a_message, a_studio
from tests.support.sayings import a_saying
from workers.writing import prepare

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
EVENING, MORNING = NOON + timedelta(hours=10), NOON + timedelta(hours=21)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def saved(pool: db.Pool, *, at: datetime = NOON, pending: str | None = None, **keys: Any) -> None:
    table = {
        "name": "Reminder",
        "record": "session",
        "status": "Booked",
        "activate": {"on": "session", "days": -7},
        "action": "sms_or_email",
        "text": "See you soon.",
        "purpose": "transactional",
        "processing": {"mode": "automatic"},
        "enabled": True,
        **keys,
    }
    await triggers.put(pool, lambda: at, "main", table, by="Ada", pending=pending)


async def queued(pool: db.Pool, **keys: Any) -> None:
    """A reminder was released at noon, and its text waits for the morning, as for its recipient's hours."""
    await saved(pool, **keys)
    told = session(dates={"session": "2026-12-01T14:00", "booked": "2026-11-21"})
    await Intake(pool, lambda: NOON - timedelta(days=2)).take_in([event(told, about=client())])
    await Release(pool, lambda: NOON + timedelta(days=1)).catch_up()
    assert await texts(pool) == [("sms", "queued")]
    await pool.execute("UPDATE messages SET due_at = now() + interval '9 hours', reason = 'quiet hours: at night'")


async def texts(pool: db.Pool) -> list[tuple[str, str]]:
    return [tuple(row) for row in await pool.fetch("SELECT channel, state FROM messages ORDER BY message_id")]


async def look(pool: db.Pool, at: datetime) -> None:
    """A worker's last check of what is due by the database's clock; what may not go is put back."""
    owner, lease = uuid.uuid4(), timedelta(minutes=5)
    since = datetime(1970, 1, 1, tzinfo=UTC)
    async with db.session(pool) as tx:
        claimed = await messages.claim_due(tx, "sms/default", owner, since=since, lease=lease, limit=10)
        book = await rulebooks.read(tx, (await studios.get(tx, ["main"]))["main"])
        found = [prepare(case, book, at) for case in await cases.gather(tx, claimed, owner)]
        await messages.put_back(tx, [one for one in found if isinstance(one, messages.Return)])


async def test_a_text_in_the_queue_is_dropped_with_what_is_planned_and_does_not_come_back(pool: db.Pool) -> None:
    """Nobody looks at it before the morning: the trigger that is on again by then would send what was dropped."""
    await queued(pool)
    at = NOON + timedelta(days=1, hours=1)

    await saved(pool, at=at, enabled=False, pending="drop")
    await look(pool, at)
    await saved(pool, at=at)
    await look(pool, at + timedelta(hours=12))

    assert await texts(pool) == [("sms", "cancelled")]
    assert [row[0] for row in await pool.fetch("SELECT state FROM actions")] == ["baselined"]


async def test_a_stop_on_a_closed_day_takes_the_second_leg_all_the_same(pool: db.Pool) -> None:
    """The email waits for the day that is open; nothing would look at the action again."""
    await queued(pool)
    at = NOON + timedelta(days=1, hours=1)
    await blackouts.add(pool, lambda: at, "main", Blackout.on("Closed", at.date()), by="Ada")

    async with db.transaction(pool) as tx:
        await consenting.say(tx, a_saying(), at)

    assert await texts(pool) == [("sms", "suppressed"), ("email", "queued")]


async def test_a_stop_to_a_trigger_that_is_on_hold_gives_nothing_away(pool: db.Pool) -> None:
    await queued(pool, action="sms_or_call")
    at = NOON + timedelta(days=1, hours=1)
    await saved(pool, at=at, action="sms_or_call", enabled=False, pending="hold")

    async with db.transaction(pool) as tx:
        await consenting.say(tx, a_saying(), at)

    assert await texts(pool) == [("sms", "suppressed")]
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'create_call'") == 0


async def test_a_text_in_the_queue_waits_for_a_person_where_its_trigger_was_made_manual(pool: db.Pool) -> None:
    """It was not asked of anybody yet: so it is shown for review, as what was planned is, and does not get lost."""
    await queued(pool)
    at = NOON + timedelta(days=1, hours=1)

    await saved(pool, at=at, processing={"mode": "manual"})
    await Release(pool, lambda: at).catch_up()
    assert await texts(pool) == [("sms", "cancelled")]
    (action,) = await pool.fetch("SELECT action_id, state FROM actions")
    assert action["state"] == "review"

    await review.process(pool, lambda: at, "main", [action["action_id"]], by="Ada")
    await look(pool, at)

    assert await texts(pool) == [("sms", "claimed")]  # and goes


async def test_a_text_that_a_person_let_go_is_not_asked_about_again(pool: db.Pool) -> None:
    await queued(pool)
    await pool.execute("UPDATE actions SET released_by = 'Ada'")

    await saved(pool, at=NOON + timedelta(days=1, hours=1), processing={"mode": "manual"})

    assert await texts(pool) == [("sms", "queued")]


@pytest.mark.parametrize(("pending", "purpose"), [("follow", "marketing"), ("keep", "transactional")])
async def test_a_text_in_the_queue_is_marketing_where_an_edit_says_that_its_trigger_is(
    pool: db.Pool, pending: str, purpose: str
) -> None:
    """Else it goes by night, and to whoever has unsubscribed from marketing."""
    await queued(pool)

    await saved(pool, at=NOON + timedelta(days=1, hours=1), purpose="marketing", pending=pending)

    assert await pool.fetchval("SELECT purpose FROM messages") == purpose


async def test_a_text_that_was_stopped_and_comes_back_has_the_purpose_that_its_trigger_has_by_now(
    pool: db.Pool,
) -> None:
    await queued(pool)
    at = NOON + timedelta(days=1, hours=1)
    await pool.execute("UPDATE messages SET state = 'cancelled', ended_at = now()")
    await saved(pool, at=at, purpose="marketing")

    told = session(version=2, dates={"session": "2026-12-01T14:00", "booked": "2026-11-21"}, type="Family")
    await Intake(pool, lambda: at).take_in([event(told, "updated")])
    await Release(pool, lambda: at).catch_up()

    assert await texts(pool) == [("sms", "queued")]
    assert await pool.fetchval("SELECT purpose FROM messages") == "marketing"


# Whose number it is ---------------------------------------------------------------------------------------

ANOTHER = {"number": "(312) 555-0199", "label": "mobile", "sms": True}
UNTICKED = {"number": "(312) 555-0188", "label": "mobile", "sms": False}


async def changed(pool: db.Pool, at: datetime = NOON + timedelta(days=1, hours=1), **keys: Any) -> None:
    """The CRM says something else of the client."""
    told = event(about=client(version=2, **keys), verb="updated")
    await Intake(pool, lambda: at).take_in([told])


async def where(pool: db.Pool) -> list[tuple[str, str]]:
    return [tuple(row) for row in await pool.fetch("SELECT address, state FROM messages ORDER BY message_id")]


async def test_a_text_that_waits_for_a_number_which_is_put_right_goes_to_the_right_one(pool: db.Pool) -> None:
    """Whoever has the wrong number is a stranger; and the client would never hear of their session."""
    await queued(pool)

    await changed(pool, phones=[ANOTHER])

    assert await where(pool) == [("+13125550188", "cancelled"), ("+13125550199", "queued")]
    assert await pool.fetchval("SELECT reason FROM messages WHERE state = 'cancelled'") == (
        "changed: the client has this number no more, or it takes no texts"
    )
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'message.failed'") == 1


async def test_a_text_that_waits_for_a_number_whose_tick_is_taken_away_goes_by_mail(pool: db.Pool) -> None:
    """The tick is their leave: who takes it back in the evening is not texted in the morning."""
    await queued(pool)

    await changed(pool, phones=[UNTICKED])

    assert await where(pool) == [("+13125550188", "cancelled"), ("jo@mail.example", "queued")]


async def test_a_mail_that_waits_goes_to_the_address_that_is_theirs_by_now(pool: db.Pool) -> None:
    await queued(pool)
    await pool.execute("UPDATE messages SET channel = 'email', address = 'Jo@mail.example', account = 'email/default'")

    await changed(pool, phones=[UNTICKED], emails=[{"address": "jo.park@mail.example"}])

    assert await where(pool) == [("Jo@mail.example", "cancelled"), ("jo.park@mail.example", "queued")]


async def test_what_changes_nothing_of_their_numbers_leaves_what_waits_as_it_is(pool: db.Pool) -> None:
    await queued(pool)
    mother = {"relationship": "Mother", "first_name": "Kim", "phones": [{"number": "+13125550188", "sms": True}]}

    await changed(pool, last_name="Parker", phones=[ANOTHER, {**UNTICKED, "number": "+1 312 555 0188", "sms": True}])
    await Intake(pool, lambda: NOON).take_in(
        [event(about=client(version=3, phones=[], family=[mother]), verb="updated")]
    )

    assert await where(pool) == [("+13125550188", "queued")]


async def test_a_text_to_the_studios_own_people_does_not_hang_on_the_clients_number(pool: db.Pool) -> None:
    await queued(pool)
    await pool.execute("""UPDATE messages SET recipient = '{"role": "photographer", "first_name": "Ada"}'""")

    await changed(pool, phones=[ANOTHER])

    assert await where(pool) == [("+13125550188", "queued")]


@pytest.mark.parametrize("state", ["accepted", "unknown", "delivered"])
async def test_what_may_have_left_is_left_as_it_is(pool: db.Pool, state: str) -> None:
    await queued(pool)
    await pool.execute(
        "UPDATE messages SET state = $1, sent_at = CASE WHEN $1 <> 'unknown' THEN now() END,"
        " ended_at = CASE WHEN $1 = 'delivered' THEN now() END",
        state,
    )

    await changed(pool, phones=[ANOTHER])

    assert await where(pool) == [("+13125550188", state)]


async def test_of_a_list_that_was_let_go_nobody_is_written_to_at_a_number_that_is_not_theirs_any_more(
    pool: db.Pool,
) -> None:
    await Intake(pool, lambda: NOON).take_in([event(about=client())])
    await a_message(pool, origin="bulk", body="Our spring offer.", record="client/c-12")

    await changed(pool, phones=[ANOTHER])

    assert await where(pool) == [("+13125550188", "cancelled")]


async def test_a_stop_to_a_trigger_that_only_records_by_now_takes_no_other_way(pool: db.Pool) -> None:
    await queued(pool)
    at = NOON + timedelta(days=1, hours=1)
    await saved(pool, at=at, shadow=True)

    async with db.transaction(pool) as tx:
        await consenting.say(tx, a_saying(), at)

    assert await texts(pool) == [("sms", "suppressed")]


@pytest.mark.parametrize(
    ("purpose", "boxes", "after"),
    [("marketing", {"sms": True}, "claimed"), ("marketing", {}, "cancelled"), ("transactional", {}, "claimed")],
)
async def test_a_box_that_is_unticked_while_a_list_waits_stops_what_is_marketing(
    pool: db.Pool, purpose: str, boxes: dict[str, bool], after: str
) -> None:
    """The list was let go in the evening, when the box was ticked, and waits for its recipient's morning."""
    await Intake(pool, lambda: NOON).take_in([event(about=client(allow_marketing={"sms": True}))])
    await a_message(pool, origin="bulk", purpose=purpose, body="Our spring offer.", record="client/c-12")

    await changed(pool, allow_marketing=boxes)
    await look(pool, NOON)

    assert await texts(pool) == [("sms", after)]


async def test_a_client_who_is_deleted_while_a_list_waits_does_not_get_it(pool: db.Pool) -> None:
    await Intake(pool, lambda: NOON).take_in([event(about=client())])
    await a_message(pool, origin="bulk", body="We are closed.", record="client/c-12")

    await Intake(pool, lambda: NOON).take_in([event(about=client(version=2), verb="deleted")])
    await look(pool, NOON)

    assert await texts(pool) == [("sms", "cancelled")]
    assert await pool.fetchval("SELECT reason FROM messages") == "deleted: the client no longer exists"


# Whose session it is ---------------------------------------------------------------------------------------

MOVED: dict[str, Any] = {"dates": {"session": "2026-12-01T14:00", "booked": "2026-11-21"}, "version": 2}


async def handed_over(pool: db.Pool, **keys: Any) -> None:
    """The session is Kim's from now on."""
    kim = client("c-13", first_name="Kim", **{"phones": [ANOTHER], **keys})
    told = event(session(client="c-13", **MOVED), "updated", about=kim)
    await Intake(pool, lambda: NOON + timedelta(days=1, hours=1)).take_in([told])


async def test_a_text_that_waits_for_a_session_which_gets_another_client_goes_to_that_one(pool: db.Pool) -> None:
    """Whose it was would hear of a session that is none of theirs, and whose it is of nothing."""
    await queued(pool)

    await handed_over(pool)

    assert await where(pool) == [("+13125550188", "cancelled"), ("+13125550199", "queued")]
    row = await pool.fetchrow("SELECT client_id, recipient FROM messages WHERE state = 'queued'")
    assert (row["client_id"], "Kim" in row["recipient"]) == ("c-13", True)
    assert await pool.fetchval("SELECT reason FROM messages WHERE state = 'cancelled'") == (
        "changed: it is another client's now"
    )


@pytest.mark.parametrize("state", ["queued", "claimed", "held"])
async def test_a_couple_that_shares_a_number_hears_of_the_session_once_as_the_one_whose_it_is(
    pool: db.Pool, state: str
) -> None:
    await queued(pool)
    await pool.execute(
        "UPDATE messages SET state = $1, reason = 'breaker: it is',"
        " lease_owner = CASE $1 WHEN 'claimed' THEN gen_random_uuid() END,"
        " lease_until = CASE $1 WHEN 'claimed' THEN now() END",
        state,
    )

    await handed_over(pool, phones=[{**UNTICKED, "sms": True}])

    assert await where(pool) == [("+13125550188", "held" if state == "held" else "queued")]
    row = await pool.fetchrow("SELECT client_id, recipient FROM messages")
    assert (row["client_id"], "Kim" in row["recipient"]) == ("c-13", True)


async def test_a_couple_that_shares_a_number_which_the_other_has_not_ticked_is_written_to_by_mail(
    pool: db.Pool,
) -> None:
    await queued(pool)

    await handed_over(pool, phones=[UNTICKED], emails=[{"address": "kim@mail.example"}])

    assert await where(pool) == [("+13125550188", "cancelled"), ("kim@mail.example", "queued")]


async def test_what_went_to_the_one_whose_session_it_was_is_not_said_again(pool: db.Pool) -> None:
    await queued(pool)
    await pool.execute("UPDATE messages SET state = 'accepted', sent_at = now()")

    await handed_over(pool)

    assert await where(pool) == [("+13125550188", "accepted")]


async def test_what_waits_for_the_photographer_goes_whosever_the_session_is(pool: db.Pool) -> None:
    await queued(pool)
    await pool.execute("""UPDATE messages SET recipient = '{"role": "photographer", "first_name": "Ada"}'""")

    await handed_over(pool)

    assert await where(pool) == [("+13125550188", "queued")]
