"""Texts that come in: attached to whom they are from, understood, and acted on at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest

from control_center.domain.inbound import Answered, Inbound
from control_center.engine.conversations import Conversations, Taken
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import consents, conversations, db
from tests.support.crm import client, event, session
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, ago, ahead, an_action, now

OURS, JO, KIM = "+13125550100", "+13125550188", "+13125550177"
SOON = ahead(days=5).date().isoformat()
_ids = count(1)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    await a_studio(pool)
    yield pool
    await pool.close()


def a_text(text: str, *, sender: str = JO, to: str = OURS, **more: Any) -> Inbound:
    known_by = more.pop("known_by", f"SM{next(_ids)}")
    return Inbound(known_by, known_by, sender, to, text, **more)


async def comes_in(
    pool: db.Pool, text: str | Inbound, *, at: datetime | None = None, account: str = "sms/default", **more: Any
) -> Taken:
    inbound = text if isinstance(text, Inbound) else a_text(text, **more)
    (taken,) = await Conversations(pool, lambda: at or now()).take(account, [(inbound, "{}")])
    return taken


async def incoming(pool: db.Pool) -> list[Any]:
    rows: list[Any] = await pool.fetch("SELECT * FROM messages WHERE origin = 'client' ORDER BY message_id")
    return rows


async def answers(pool: db.Pool) -> list[str]:
    """The texts that we answer with by ourselves."""
    return [row[0] for row in await pool.fetch("SELECT body FROM messages WHERE origin = 'answer' ORDER BY message_id")]


async def state(pool: db.Pool, message: int) -> str:
    found: str = await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", message)
    return found


async def stopped(pool: db.Pool, address: str = JO) -> bool:
    async with db.session(pool) as connection:
        found = await consents.standings(connection, [("main", "sms", address)])
    return any(one.stopped for one in found.values())


async def told(pool: db.Pool, verb: str) -> list[tuple[str, dict[str, Any]]]:
    rows = await pool.fetch("SELECT subject, data FROM commands WHERE verb = $1 ORDER BY sequence", verb)
    return [(subject, msgspec.json.decode(data)) for subject, data in rows]


async def a_confirmation(pool: db.Pool, *, date: str = SOON, record: str = "session/4711", **columns: Any) -> int:
    """A text that asked Jo to confirm a session, and its session."""
    if not await pool.fetchval("SELECT count(*) FROM records WHERE record_id = $1", record.partition("/")[2]):
        await a_record(pool, record, dates={"session": date})
    sent = {"state": "accepted", "question": "confirmation", "asked_date": date, "sent_at": ago(hours=1), **columns}
    return await a_message(pool, record=record, **sent)


async def flags(pool: db.Pool, record_id: str = "4711") -> Any:
    body = await pool.fetchval("SELECT body FROM records WHERE record_id = $1", record_id)
    return msgspec.json.decode(body).get("flags")


# Whose it is ----------------------------------------------------------------------------------------------


async def test_a_text_is_attached_to_the_one_client_with_that_number(pool: db.Pool) -> None:
    await a_client(pool, reach=[JO])

    taken = await comes_in(pool, "Can we bring the dog?")

    assert (taken.client_id, taken.meaning, taken.attention) == ("c-12", "plain", None)
    (row,) = await incoming(pool)
    assert (row["state"], row["address"], row["sender"], row["body"]) == ("received", JO, OURS, "Can we bring the dog?")
    assert row["read_at"] is None
    ((subject, report),) = await told(pool, "message.received")
    assert (subject, report["from"], report["text"]) == ("client/c-12", JO, "Can we bring the dog?")


async def test_of_several_people_on_one_number_it_is_the_one_we_texted_last(pool: db.Pool) -> None:
    await a_client(pool, "c-1", reach=[JO])
    await a_client(pool, "c-2", reach=[JO])
    await a_message(pool, client_id="c-1", state="accepted", sent_at=ago(days=2))
    await a_message(pool, client_id="c-2", state="accepted", sent_at=ago(days=1))

    assert (await comes_in(pool, "hello")).client_id == "c-2"


async def test_who_was_only_going_to_be_texted_is_not_the_one_we_texted_last(pool: db.Pool) -> None:
    await a_client(pool, "c-1", reach=[JO])
    await a_client(pool, "c-2", reach=[JO])
    await a_message(pool, client_id="c-1", state="accepted", sent_at=ago(days=2))
    for state in ("queued", "held", "suppressed", "cancelled", "expired", "failed", "shadow"):
        await a_message(pool, client_id="c-2", state=state)

    assert (await comes_in(pool, "hello")).client_id == "c-1"


async def test_an_answer_is_of_the_client_who_was_asked(pool: db.Pool) -> None:
    await a_client(pool, "c-12", reach=[JO])
    await a_client(pool, "c-2", reach=[JO])
    await a_confirmation(pool)
    await a_message(pool, client_id="c-2", state="accepted", sent_at=ago(minutes=5))

    assert (await comes_in(pool, "YES")).client_id == "c-12"
    assert (await comes_in(pool, "and where do we park?")).client_id == "c-2"
    first, second = await incoming(pool)
    assert (first["client_id"], first["record_id"], second["client_id"]) == ("c-12", "4711", "c-2")


async def test_where_that_is_a_tie_nobody_is_guessed(pool: db.Pool) -> None:
    at = ago(days=1)
    await a_client(pool, "c-1", reach=[JO])
    await a_client(pool, "c-2", reach=[JO])
    assert (await comes_in(pool, "hello")).client_id is None

    await a_message(pool, client_id="c-1", state="accepted", sent_at=at)
    await a_message(pool, client_id="c-2", state="accepted", sent_at=at)
    assert (await comes_in(pool, "hello?")).client_id is None


async def test_a_text_from_an_unknown_number_is_kept_unlinked_and_makes_no_client(pool: db.Pool) -> None:
    taken = await comes_in(pool, "hi, are you open on sundays?", sender=KIM)

    assert taken.client_id is None
    assert (await incoming(pool))[0]["client_id"] is None
    assert await told(pool, "create_client") == []


async def test_an_unknown_number_becomes_a_client_where_the_studio_wants_that_and_once(pool: db.Pool) -> None:
    settings = {"sms": {"numbers": [OURS]}, "create_unknown_clients": True}
    await pool.execute("UPDATE studios SET settings = $1", msgspec.json.encode(settings).decode())

    await comes_in(pool, "hi, are you open on sundays?", sender=KIM)
    await comes_in(pool, "and on mondays?", sender=KIM)

    assert [data["number"] for _, data in await told(pool, "create_client")] == [KIM]


async def test_a_text_to_a_number_of_no_studio_is_kept_and_changes_nothing(pool: db.Pool) -> None:
    taken = await comes_in(pool, "STOP", to="+13125550199")

    assert (taken.studio, taken.message_id) == (None, None)
    async with db.session(pool) as connection:
        (kept,) = await conversations.unrouted(connection, limit=10)
    assert (kept.sender, kept.to) == (JO, "+13125550199")
    assert await incoming(pool) == []


@pytest.mark.parametrize(("sender", "to"), [("3125550188", "3125550100"), ("13125550188", "13125550100")])
async def test_numbers_without_plus_or_country_code_are_those_they_stand_for(
    pool: db.Pool, sender: str, to: str
) -> None:
    await a_client(pool, reach=[JO])

    taken = await comes_in(pool, "STOP", sender=sender, to=to)

    assert (taken.studio, taken.client_id) == ("main", "c-12")
    assert await stopped(pool)


async def test_on_a_shared_number_it_is_the_studio_that_texted_this_person_last(pool: db.Pool) -> None:
    await a_studio(pool, "other")
    await a_message(pool, state="accepted", sent_at=ago(days=3))
    await a_message(pool, studio="other", state="accepted", sent_at=ago(days=1))

    assert (await comes_in(pool, "ok")).studio == "other"
    assert (await comes_in(pool, "ok", sender=KIM)).studio is None  # neither ever wrote to Kim


async def test_the_same_text_brought_twice_or_at_once_is_taken_once(pool: db.Pool) -> None:
    text = a_text("STOP")

    taken = await asyncio.gather(*(comes_in(pool, text) for _ in range(4)))

    assert [one.new for one in taken].count(True) == 1
    assert len(await incoming(pool)) == 1
    assert len(await answers(pool)) == 1


# STOP -----------------------------------------------------------------------------------------------------


async def test_stop_ends_what_waits_is_confirmed_once_and_told_to_the_crm(pool: db.Pool) -> None:
    await a_client(pool, reach=[JO])
    queued, claimed = await a_message(pool, state="queued"), await a_message(pool, state="claimed")
    gone, to_kim = await a_message(pool, state="submitting"), await a_message(pool, address=KIM)

    await comes_in(pool, "stop!")

    assert await stopped(pool)
    assert [await state(pool, one) for one in (queued, claimed, gone, to_kim)] == [
        "suppressed",
        "suppressed",
        "submitting",
        "queued",
    ]
    (confirmation,) = await answers(pool)
    assert "no more texts" in confirmation
    ((subject, said),) = await told(pool, "consent.changed")
    assert (subject, said["says"], said["source"], said["evidence"]) == ("client/c-12", "stop", "reply", "stop!")


async def test_a_second_stop_is_met_with_silence(pool: db.Pool) -> None:
    await comes_in(pool, "STOP")
    await comes_in(pool, "stop stop")

    assert await stopped(pool)
    assert len(await answers(pool)) == 1


async def test_a_stop_to_one_number_of_the_studio_ends_texts_from_all_of_them(pool: db.Pool) -> None:
    other = "+13125550101"
    await pool.execute("UPDATE studios SET numbers = $1", [OURS, other])
    waiting = [await a_message(pool, sender=OURS), await a_message(pool, sender=other)]

    await comes_in(pool, "STOP", to=other)
    await comes_in(pool, "STOP", to=OURS)

    assert [await state(pool, one) for one in waiting] == ["suppressed", "suppressed"]
    assert len(await answers(pool)) == 1


async def test_a_stop_to_a_number_that_studios_share_is_for_each_of_them_and_confirmed_once(pool: db.Pool) -> None:
    await a_studio(pool, "other")
    await a_message(pool, state="accepted", sent_at=ago(days=3))
    await a_message(pool, studio="other", state="accepted", sent_at=ago(days=1))
    waiting = [await a_message(pool), await a_message(pool, studio="other")]

    taken = await comes_in(pool, "STOP")

    assert taken.studio == "other"
    assert [await state(pool, one) for one in waiting] == ["suppressed", "suppressed"]
    assert len(await answers(pool)) == 1
    assert await pool.fetchval("SELECT count(DISTINCT studio_id) FROM consents WHERE says = 'stop'") == 2


async def test_a_stop_to_a_shared_number_is_obeyed_where_nobody_knows_whose_text_it_is(pool: db.Pool) -> None:
    await a_studio(pool, "other")

    await comes_in(pool, "Please stop")

    assert await pool.fetchval("SELECT count(DISTINCT studio_id) FROM consents WHERE says = 'stop'") == 2
    assert len(await answers(pool)) == 1


async def test_a_repeat_of_a_text_to_a_shared_number_stays_whose_it_was(pool: db.Pool) -> None:
    await a_studio(pool, "other")
    await a_message(pool, state="accepted", sent_at=ago(days=3))
    text = a_text("ok")
    assert (await comes_in(pool, text)).studio == "main"
    await a_message(pool, studio="other", state="accepted")

    assert not (await comes_in(pool, text)).new


async def test_a_start_that_was_sent_before_the_stop_and_comes_after_it_lifts_nothing(pool: db.Pool) -> None:
    await comes_in(pool, "STOP", at=ago(minutes=1))
    stop = a_text("STOP", at=ago(seconds=10))
    start = a_text("START", at=ago(seconds=20))

    await comes_in(pool, stop)
    late = await comes_in(pool, start)

    assert await stopped(pool)
    assert "before the STOP" in (late.attention or "")
    await comes_in(pool, a_text("START", at=ago(seconds=5)))
    assert not await stopped(pool)


async def test_a_repeat_of_an_old_stop_does_not_undo_the_start_since(pool: db.Pool) -> None:
    stop = a_text("STOP")
    await comes_in(pool, stop)
    await comes_in(pool, "START")

    await comes_in(pool, stop)

    assert not await stopped(pool)


async def test_where_the_provider_has_answered_stop_we_say_nothing(pool: db.Pool) -> None:
    await comes_in(pool, "STOP", answered=Answered.STOP)

    assert await stopped(pool)
    assert await answers(pool) == []


async def test_only_an_explicit_opt_in_lifts_a_stop(pool: db.Pool) -> None:
    await comes_in(pool, "STOP")
    for text in ("yes", "Yes please", "sorry, wrong button", "ok"):
        await comes_in(pool, text)
        assert await stopped(pool), text

    await comes_in(pool, "START")

    assert not await stopped(pool)


async def test_ticking_the_box_for_texts_again_does_not_undo_a_stop(pool: db.Pool) -> None:
    await a_trigger(pool, activate={"on": "status_changed"})
    await comes_in(pool, "STOP")
    ticked = client(version=2, phones=[{"number": JO, "sms": True}])

    await Intake(pool, now).take_in([event(session(status_changed_at=now().isoformat()), about=ticked)])
    while await Release(pool, now).run_once():
        pass

    assert await stopped(pool)
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE origin = 'trigger'") == 0
    assert "opted out" in await pool.fetchval("SELECT reason FROM actions")


async def test_a_bare_cancel_is_an_opt_out_and_the_studio_hears_of_it(pool: db.Pool) -> None:
    await a_confirmation(pool)

    taken = await comes_in(pool, "Cancel")

    assert await stopped(pool)
    assert "appointment" in (taken.attention or "")


async def test_a_stop_takes_the_other_leg_of_an_action_whose_text_was_waiting(pool: db.Pool) -> None:
    trigger = await a_trigger(pool, action="sms_or_email", moved="nothing")
    await a_client(pool, reach=[JO])
    await a_record(pool, "session/4711", dates={"session": SOON})
    action = await an_action(pool, state="released", trigger_id=trigger, occurrence=SOON, use_by=ahead(days=5))
    await a_message(pool, action=action, trigger_id=trigger)

    await comes_in(pool, "STOP")

    rows = await pool.fetch("SELECT channel, state FROM messages WHERE action_id = $1 ORDER BY message_id", action)
    assert [tuple(row) for row in rows] == [("sms", "suppressed"), ("email", "queued")]
    assert "opted out" in await pool.fetchval("SELECT reason FROM actions WHERE action_id = $1", action)


async def test_a_stop_after_a_text_was_on_its_way_takes_no_second_leg(pool: db.Pool) -> None:
    trigger = await a_trigger(pool, action="sms_or_email", moved="nothing")
    await a_client(pool, reach=[JO])
    await a_record(pool, "session/4711", dates={"session": SOON})
    action = await an_action(pool, state="released", trigger_id=trigger, occurrence=SOON, use_by=ahead(days=5))
    await a_message(pool, action=action, trigger_id=trigger, address="+13125550101", state="accepted")
    await a_message(pool, action=action, trigger_id=trigger)

    await comes_in(pool, "STOP")

    assert await pool.fetchval("SELECT count(*) FROM messages WHERE channel = 'email'") == 0


async def test_what_may_be_an_opt_out_holds_what_goes_by_itself_until_a_person_has_read_it(pool: db.Pool) -> None:
    by_itself, by_hand = await a_message(pool), await a_message(pool, origin="person")

    taken = await comes_in(pool, "who is this?? take me off your list")

    assert not await stopped(pool)
    assert "may be an opt-out" in (taken.attention or "")
    assert [await state(pool, one) for one in (by_itself, by_hand)] == ["held", "queued"]


# Questions ------------------------------------------------------------------------------------------------


async def test_a_yes_confirms_the_session_it_was_asked_about_at_once(pool: db.Pool) -> None:
    await a_client(pool, reach=[JO])
    question = await a_confirmation(pool)

    taken = await comes_in(pool, "Yes please!")

    assert (taken.meaning, taken.attention) == ("confirmation", None)
    assert (await flags(pool))["confirmed"] is True
    ((subject, data),) = await told(pool, "confirm_record")
    assert (subject, data["by"]) == ("session/4711", f"text from {JO}")
    assert await pool.fetchval("SELECT meaning FROM answers WHERE message_id = $1", question) == "confirmed"
    assert (await incoming(pool))[0]["record_id"] == "4711"


async def test_the_crms_next_version_overrules_a_yes(pool: db.Pool) -> None:
    await a_confirmation(pool)
    await comes_in(pool, "yes")

    newer = session("4711", version=2, dates={"session": SOON})
    await Intake(pool, now).take_in([event(newer, "updated")])

    assert not ((await flags(pool)) or {}).get("confirmed")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"flags": {"canceled": True}}, "canceled"),
        ({"dates": {"session": ahead(days=9).date().isoformat()}}, "moved"),
        ({"dates": {"session": ago(days=2).date().isoformat()}}, "over"),
    ],
)
async def test_a_yes_to_a_session_that_is_not_so_any_more_confirms_nothing(
    pool: db.Pool, changes: dict[str, Any], why: str
) -> None:
    dates = {"session": SOON, **changes.get("dates", {})}
    asked_date = dates["session"] if why == "over" else SOON
    await a_record(pool, "session/4711", **{"dates": dates, **changes})
    await a_confirmation(pool, asked_date=asked_date)

    taken = await comes_in(pool, "Yes")

    assert taken.meaning == "confirms_nothing"
    assert why in (taken.attention or "")
    assert await told(pool, "confirm_record") == []
    assert not ((await flags(pool)) or {}).get("confirmed")
    ((subject, noted),) = await told(pool, "add_note")
    assert (subject, noted["text"][-7:]) == ("session/4711", ": 'Yes'")


async def test_with_two_open_sessions_the_one_asked_about_last_is_confirmed_and_a_note_left(pool: db.Pool) -> None:
    await a_confirmation(pool, record="session/1", sent_at=ago(hours=5))
    await a_confirmation(pool, record="session/2", sent_at=ago(hours=1))

    await comes_in(pool, "yes")

    assert [subject for subject, _ in await told(pool, "confirm_record")] == ["session/2"]
    assert any("session 1" in data["text"] for _, data in await told(pool, "add_note"))


async def test_a_yes_while_opted_out_confirms_and_lifts_nothing(pool: db.Pool) -> None:
    await a_confirmation(pool)
    await comes_in(pool, "STOP")

    await comes_in(pool, "YES")

    assert (await flags(pool))["confirmed"] is True
    assert await stopped(pool)


async def test_a_score_is_the_sessions_at_once_and_the_next_text_within_a_day_its_comment(pool: db.Pool) -> None:
    await a_record(pool, "session/4711", dates={"session": SOON})
    await a_message(pool, state="accepted", question="nps", sent_at=ago(hours=1))

    await comes_in(pool, "9 great job")
    await comes_in(pool, "Ada was so patient with the kids", at=now() + timedelta(hours=2))

    body = msgspec.json.decode(await pool.fetchval("SELECT body FROM records WHERE record_id = '4711'"))
    assert (body["nps"]["score"], body["nps"]["comment"]) == (9, "great job\nAda was so patient with the kids")
    assert [data["score"] for _, data in await told(pool, "record_nps")] == [9, 9]


async def test_the_first_valid_score_wins(pool: db.Pool) -> None:
    await a_record(pool, "session/4711", dates={"session": SOON})
    await a_message(pool, state="accepted", question="nps", sent_at=ago(hours=1))

    await comes_in(pool, "3")
    taken = await comes_in(pool, "10", at=now() + timedelta(days=2))

    body = msgspec.json.decode(await pool.fetchval("SELECT body FROM records WHERE record_id = '4711'"))
    assert body["nps"]["score"] == 3
    assert taken.meaning == "plain"


async def test_of_a_question_put_to_two_numbers_the_first_score_counts(pool: db.Pool) -> None:
    await a_client(pool, reach=[JO, KIM])
    await a_record(pool)
    for number in (JO, KIM):
        await a_message(pool, state="accepted", address=number, question="nps", sent_at=ago(hours=1))

    assert (await comes_in(pool, "9")).meaning == "score"
    assert (await comes_in(pool, "2", sender=KIM)).meaning == "plain"

    assert [said["score"] for _, said in await told(pool, "record_nps")] == [9]


async def test_a_session_that_was_rated_before_may_be_asked_again(pool: db.Pool) -> None:
    await a_record(pool, nps={"id": "r-1", "score": 3, "comment": "", "received_at": ago(days=30).isoformat()})
    await a_message(pool, state="accepted", question="nps", asked_date=SOON, sent_at=ago(hours=1))

    assert (await comes_in(pool, "10")).meaning == "score"


async def test_a_score_asked_for_more_than_two_weeks_ago_is_a_plain_text(pool: db.Pool) -> None:
    await a_record(pool, "session/4711", dates={"session": SOON})
    await a_message(pool, state="accepted", question="nps", sent_at=ago(days=15))

    assert (await comes_in(pool, "9")).meaning == "plain"


# Else -----------------------------------------------------------------------------------------------------


async def test_help_is_answered_with_who_we_are_and_how_to_stop(pool: db.Pool) -> None:
    await comes_in(pool, "HELP")

    (answer,) = await answers(pool)
    assert "Ada Park Photography" in answer
    assert "STOP" in answer


async def test_a_keyword_fires_the_triggers_that_wait_for_it(pool: db.Pool) -> None:
    await a_trigger(pool, record="sms", status=None, keyword="prices", activate={"on": "received"})

    taken = await comes_in(pool, "Prices?")

    assert taken.meaning == "keyword"
    assert await pool.fetchval("SELECT count(*) FROM actions WHERE kind = 'sms'") == 1


async def test_a_doubtful_text_goes_to_a_person_with_its_readings(pool: db.Pool) -> None:
    await a_record(pool, "session/4711", dates={"session": SOON})
    await a_message(pool, state="accepted", question="nps", sent_at=ago(hours=1))

    taken = await comes_in(pool, "call me at 5")

    assert taken.meaning in {"doubtful", "plain"}
    assert await told(pool, "record_nps") == []


async def test_a_score_by_text_brings_back_the_invoice_that_waited_for_it(pool: db.Pool) -> None:
    await a_trigger(
        pool,
        record="invoice",
        status="Open",
        activate={"on": "status_changed"},
        exclude={"nps": {"only_between": [9, 10]}},
    )
    await a_record(pool, "session/4711", dates={"session": SOON})
    invoice = {"status": "Open", "dates": {}, "links": {"session": "4711"}, "status_changed_at": now().isoformat()}
    await Intake(pool, now).take_in([event({"kind": "invoice", "id": "9001", "version": 1, **invoice})])
    await Release(pool, now).catch_up()
    assert await pool.fetchval("SELECT state FROM actions WHERE kind = 'invoice'") == "lapsed"
    await a_message(pool, state="accepted", question="nps", sent_at=ago(hours=1))

    await comes_in(pool, "10")

    assert await pool.fetchval("SELECT state FROM actions WHERE kind = 'invoice'") == "planned"


# Machines at the other end --------------------------------------------------------------------------------


async def test_a_number_that_texts_as_no_person_does_is_not_answered_by_itself_and_a_person_hears_of_it(
    pool: db.Pool,
) -> None:
    taken = [await comes_in(pool, "HELP") for _ in range(14)]

    assert len(await answers(pool)) == 10
    assert [one.attention for one in taken[:10]] == [None] * 10
    assert all(one.attention and one.attention.startswith("robot: ") for one in taken[10:])


async def test_its_stop_counts_all_the_same_and_nobody_else_goes_unanswered(pool: db.Pool) -> None:
    for _ in range(12):
        await comes_in(pool, "HELP")

    await comes_in(pool, "STOP")
    await comes_in(pool, "HELP", sender=KIM)

    assert await stopped(pool)
    assert len(await answers(pool)) == 11


async def test_after_an_hour_it_is_answered_again_but_thirty_times_a_day_at_most(pool: db.Pool) -> None:
    for hours in range(5):
        for _ in range(12):
            await comes_in(pool, "HELP")
        await pool.execute("UPDATE messages SET created_at = created_at - interval '61 minutes'")
        assert len(await answers(pool)) == min(10 * (hours + 1), 26)


async def test_a_trigger_does_not_answer_it_either(pool: db.Pool) -> None:
    await a_trigger(pool, record="sms", status=None, keyword="prices", activate={"on": "received"})

    taken = [await comes_in(pool, "Prices?") for _ in range(12)]

    assert await pool.fetchval("SELECT count(*) FROM actions WHERE kind = 'sms'") == 10
    assert taken[-1].attention is not None


async def test_where_nothing_would_answer_nobody_is_troubled(pool: db.Pool) -> None:
    taken = [await comes_in(pool, f"and another thing, number {one}") for one in range(12)]

    assert [one.attention for one in taken] == [None] * 12
