"""Every question "why?" has an answer in a sentence, from stored facts and from the planner itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from control_center.domain.blackouts import Blackout
from control_center.domain.errors import Malformed, NotFound
from control_center.engine import blackouts, explain, review
from control_center.engine.explain import Explanation
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, an_action
from tests.support.sayings import said

NOW = datetime(2027, 6, 1, 15, 0, tzinfo=UTC)  # 10:00 in Chicago
LATER = NOW + timedelta(days=30)


def at(instant: datetime) -> Callable[[], datetime]:
    return lambda: instant


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test")
    yield pool
    await pool.close()


def an_event(event_id: str = "e-1", *, verb: str = "created", version: int = 1, **record: Any) -> bytes:
    body = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/crm/main",
        "type": f"crm.session.{verb}",
        "subject": "session/4711",
        "time": "2027-05-01T12:00:00Z",
        "studio": "main",
        "data": {
            "record": {
                "kind": "session",
                "id": "4711",
                "version": version,
                "client_id": "c-12",
                "type": "Wedding",
                "status": "Booked",
                "status_changed_at": "2027-05-01T12:00:00Z",
                "dates": {"session": "2027-06-12T14:00", "booked": "2027-05-01"},
                **record,
            },
            "client": {"id": "c-12", "version": 1, "phones": [{"number": "+13125550188", "sms": True}]},
        },
    }
    return msgspec.json.encode(body)


async def why(pool: db.Pool, wanted: str, now: datetime = NOW) -> Explanation:
    return await explain.explain(pool, at(now), "main", wanted)


async def why_not(pool: db.Pool, trigger: str = "Reminder", record: str = "session/4711", now: datetime = NOW) -> str:
    return (await explain.explain_pair(pool, at(now), "main", trigger, record)).sentence


async def taken_in(pool: db.Pool, *bodies: bytes, now: datetime = NOW) -> None:
    taken = await Intake(pool, at(now)).take_in(bodies)
    assert not taken.dead, taken.dead


# Why nothing was sent ---------------------------------------------------------------------------------------


async def test_a_record_that_no_event_showed_is_the_reason(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    assert await why_not(pool) == "Nothing was sent: no event about session/4711 has come in, so it is not known here."


async def test_a_record_whose_event_was_set_aside_says_so_with_field_and_reason(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    await Intake(pool, at(NOW)).take_in([an_event(version=0)])

    told = await explain.explain_pair(pool, at(NOW), "main", "Reminder", "session/4711")

    assert "could not be understood" in told.sentence
    assert "data.record.version" in told.steps[0].text


async def test_a_trigger_that_is_switched_off_is_the_reason(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder", enabled=False)
    await a_record(pool)
    assert await why_not(pool) == "Nothing was sent: trigger: it is switched off."


async def test_a_trigger_on_another_kind_is_the_reason(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Dunning", record="invoice", status=None, activate={"on": "invoice", "days": 3})
    await a_record(pool)
    assert "is about invoice records, and this is of kind session" in await why_not(pool, "Dunning")


async def test_a_filter_that_lets_the_record_not_through_is_the_reason(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    await a_record(pool, status="Inquiry")
    assert await why_not(pool) == "Nothing was sent: status: it is 'Inquiry', the trigger wants 'Booked'."


async def test_an_empty_date_is_the_reason(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    await a_record(pool, dates={})
    assert await why_not(pool) == "Nothing was sent: date: the session has no session."


async def test_what_was_past_when_we_first_heard_of_it_is_baselined(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Thanks", activate={"on": "booked", "days": 0})
    await taken_in(pool, an_event(verb="updated", dates={"booked": "2027-04-01"}))
    assert "never sends: before us" in await why_not(pool, "Thanks")


async def test_on_hold_is_the_reason_although_the_reminder_stays_planned(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder", exclude={"on_hold": True})
    await taken_in(pool, an_event(flags={"on_hold": True}))
    assert "as things stand it would send nothing then: on hold" in await why_not(pool)


async def test_a_planned_action_says_until_when_it_waits_in_the_studios_time(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder", processing={"mode": "automatic", "window": "09:00-18:00"})
    await taken_in(pool, an_event())
    assert "waits until Sat 5 Jun 2027 at 09:00 (America/Chicago): outside the window 09:00-18:00" in (
        await why_not(pool)
    )


async def test_a_blackout_day_is_named(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    await taken_in(pool, an_event())
    day = Blackout.on("Founders' Day", datetime(2027, 6, 5, tzinfo=UTC).date())
    await blackouts.add(pool, at(NOW), "main", day, by="ada")
    assert "Sun 6 Jun 2027 at 00:00 (America/Chicago): blackout day (Founders' Day)" in await why_not(pool)


async def test_nobody_to_send_to_is_the_reason(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder", send_to=["family:Mother"])
    await taken_in(pool, an_event())
    due = datetime(2027, 6, 5, 15, tzinfo=UTC)
    await Release(pool, at(due)).run_once()
    assert "ended without a send: no recipient: the session has no family:Mother" in await why_not(pool, now=due)


async def test_an_opt_out_is_the_reason(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    await taken_in(pool, an_event())
    async with db.transaction(pool) as tx:
        await said(tx, "+13125550188")
    due = datetime(2027, 6, 5, 15, tzinfo=UTC)
    await Release(pool, at(due)).run_once()
    assert "ended without a send: opted out: client takes no sms" in await why_not(pool, now=due)


async def test_a_studio_that_is_switched_off_is_the_reason(pool: db.Pool) -> None:
    await a_studio(pool, enabled=False)
    await a_trigger(pool, "Reminder")
    await taken_in(pool, an_event())
    assert "studio 'main' is switched off" in await why_not(pool)


async def test_a_manual_trigger_says_that_a_person_has_to_act(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder", processing={"mode": "manual"})
    await taken_in(pool, an_event())
    due = datetime(2027, 6, 5, 15, tzinfo=UTC)
    await Release(pool, at(due)).run_once()
    assert "waits for a person to process or delete it: manual" in await why_not(pool, now=due)


async def test_a_deleted_action_says_who_deleted_it(pool: db.Pool) -> None:
    await a_studio(pool)
    trigger_id = await a_trigger(pool, "Reminder")
    await a_record(pool)
    action = await an_action(pool, trigger_id=trigger_id, state="review")
    await review.delete(pool, at(NOW), "main", [action], by="Ada")
    assert f"a-{action} sent nothing: deleted by Ada" in await why_not(pool)


async def test_a_misspelt_trigger_is_answered_with_the_nearest_names(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    with pytest.raises(NotFound, match="did you mean 'Reminder'"):
        await why_not(pool, "Remindr")


async def test_a_record_without_its_kind_is_refused(pool: db.Pool) -> None:
    await a_studio(pool)
    with pytest.raises(Malformed, match="session/4711"):
        await why_not(pool, record="4711")


# Why this one did what it did -------------------------------------------------------------------------------


async def test_the_story_of_an_action_runs_from_the_event_to_the_queue(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    await a_trigger(pool, "For inquiries", status="Inquiry")
    await taken_in(pool, an_event())
    due = datetime(2027, 6, 5, 15, tzinfo=UTC)
    await Release(pool, at(due)).run_once()
    action = await pool.fetchval("SELECT action_id FROM actions")

    told = await why(pool, f"a-{action}", LATER)

    texts = [step.text for step in told.steps]
    order = ["crm.session.created came", "version 1", "'For inquiries' did not act: status", "trigger 'Reminder' in"]
    places = [next(n for n, text in enumerate(texts) if wanted in text) for wanted in order]
    assert places == sorted(places)
    assert any("was released" in text for text in texts)
    assert any("sms to +13125550188 (client)" in text for text in texts)
    assert "has waited for a worker" in told.sentence


async def test_a_message_is_told_with_the_providers_words_and_its_receipt(pool: db.Pool) -> None:
    await a_studio(pool)
    trigger_id = await a_trigger(pool, "Reminder")
    await a_client(pool)
    await a_record(pool)
    message = await a_message(pool, state="undelivered", trigger_id=trigger_id, reason="30003: unreachable")
    await pool.execute("UPDATE attempts SET provider_id = 'SM123'")
    await pool.execute(
        "INSERT INTO receipts (studio_id, account, dedupe_key, fate, code, reason, body, message_id)"
        " VALUES ('main', 'sms/default', 'k', 'undelivered', '30003', 'unreachable', '', $1)",
        message,
    )

    told = await why(pool, f"m-{message}")

    assert told.id == f"m-{message}"
    assert "not delivered: 30003: unreachable" in told.sentence
    texts = " | ".join(step.text for step in told.steps)
    assert "accepted as SM123" in texts
    assert "the provider reported: undelivered (30003) - unreachable" in texts


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("queued", "waited for a worker"),
        ("held", "is held: breaker"),
        ("claimed", "is being prepared"),
        ("submitting", "is being sent at this moment"),
        ("accepted", "was accepted by the provider"),
        ("delivered", "and delivered"),
        ("failed", "was not sent, and is failed: breaker"),
        ("unknown", "may have been sent: breaker; a receipt, a lookup or a person"),
        ("cancelled", "was not sent, and is cancelled"),
        ("suppressed", "was not sent, and is suppressed"),
        ("expired", "was not sent, and is expired"),
        ("shadow", "was only recorded"),
        ("received", "came in from"),
    ],
)
async def test_every_state_of_a_message_has_its_sentence(pool: db.Pool, state: str, says: str) -> None:
    await a_studio(pool)
    await a_record(pool)
    message = await a_message(pool, state=state, reason="breaker")
    assert says in (await why(pool, f"m-{message}", LATER)).sentence


async def test_what_the_crm_was_asked_to_do_is_part_of_the_story(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(
        pool,
        "Confirm",
        action="change_status",
        text=None,
        change_status={"to": "Confirmed"},
        activate={"on": "status_changed", "days": 0},
    )
    await taken_in(pool, an_event())
    await Release(pool, at(datetime(2027, 5, 2, tzinfo=UTC))).run_once()
    action = await pool.fetchval("SELECT action_id FROM actions")

    told = await why(pool, f"a-{action}")

    assert "the CRM was asked to change status; the command still waits (new)" in told.sentence


# Why this event did what it did -----------------------------------------------------------------------------


async def test_an_event_names_what_it_planned(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    await taken_in(pool, an_event())
    told = await why(pool, "e-1")
    assert told.sentence.startswith("event e-1 about session/4711 planned a-")
    assert (await why(pool, "/crm/main#e-1")).sentence == told.sentence


async def test_of_two_triggers_that_acted_on_one_event_neither_is_said_not_to_have(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    await a_trigger(pool, "Thanks", activate={"on": "booked", "days": 0})
    await a_trigger(pool, "For inquiries", status="Inquiry")
    await taken_in(pool, an_event())
    made = {
        name: f"a-{number}"
        for name, number in await pool.fetch(
            "SELECT name, action_id FROM actions JOIN triggers USING (studio_id, trigger_id)"
        )
    }
    assert set(made) == {"Reminder", "Thanks"}

    for wanted in ("e-1", *made.values()):
        texts = [step.text for step in (await why(pool, wanted)).steps]
        assert [text for text in texts if "did not act" in text] == [
            "trigger 'For inquiries' did not act: status: it is 'Booked', the trigger wants 'Inquiry'"
        ], wanted
        for name, action in made.items():
            assert any(action in text and repr(name) in text for text in texts), (wanted, name)
    told = await explain.explain_pair(pool, at(NOW), "main", "Reminder", "session/4711")
    assert not any("'Thanks' did not act" in step.text for step in told.steps)


async def test_an_event_names_what_it_planned_for_the_client_whom_it_showed_too(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Welcome", record="client", status=None, activate={"on": "status_changed", "days": 0})
    body = msgspec.json.decode(an_event())
    body["data"]["client"] |= {"status": "Active", "status_changed_at": "2027-05-01T12:00:00Z"}
    await taken_in(pool, msgspec.json.encode(body))
    action = await pool.fetchval("SELECT action_id FROM actions WHERE kind = 'client'")

    told = await why(pool, "e-1")

    assert f"planned a-{action} of trigger 'Welcome'" in told.sentence
    assert any(f"a-{action} was made by trigger 'Welcome' for client/c-12" in step.text for step in told.steps)


async def test_every_action_names_the_event_that_caused_it(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    await taken_in(pool, an_event())
    await pool.execute("DELETE FROM events")  # even where the event itself is no longer kept
    told = await explain.explain_pair(pool, at(NOW), "main", "Reminder", "session/4711")
    assert all({"e-1"} <= set(step.ids) for step in told.steps if " made a-" in step.text)
    assert any(" made a-" in step.text for step in told.steps)


async def test_an_event_that_planned_nothing_says_why_each_trigger_did_not_act(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder", status="Inquiry")
    await taken_in(pool, an_event())
    told = await why(pool, "e-1")
    assert "planned nothing: trigger 'Reminder' did not act: status: it is 'Booked'" in told.sentence


async def test_an_older_version_changed_nothing(pool: db.Pool) -> None:
    await a_studio(pool)
    await taken_in(pool, an_event("e-2", version=5), now=NOW)
    await taken_in(pool, an_event("e-1", version=4), now=NOW)
    assert "event e-1 changed nothing: session/4711 was already known in version 5" in (await why(pool, "e-1")).sentence


async def test_an_event_that_was_set_aside_is_found_by_the_id_in_it(pool: db.Pool) -> None:
    await a_studio(pool)
    await Intake(pool, at(NOW)).take_in([an_event("e-9", version=0)])
    assert "could not be understood: data.record.version" in (await why(pool, "e-9")).sentence


async def test_an_unknown_id_is_not_found(pool: db.Pool) -> None:
    await a_studio(pool)
    for wanted in ("m-7", "a-7", "e-7", "/crm/main#e-7", "#"):
        with pytest.raises(NotFound, match="nothing here is known"):
            await why(pool, wanted)


async def test_asking_changes_nothing(pool: db.Pool) -> None:
    await a_studio(pool)
    await a_trigger(pool, "Reminder")
    await taken_in(pool, an_event())
    before = await pool.fetch("SELECT * FROM actions")
    await why_not(pool)
    await why(pool, "e-1")
    assert await pool.fetch("SELECT * FROM actions") == before
