"""What each action becomes when it is due: messages for the workers, commands for the CRM, each with what it needs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from control_center.engine import explain
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import actions, db
from tests.support.crm import client, event, session
from tests.support.rows import a_studio, a_trigger
from tests.support.sayings import said

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
TODAY: dict[str, Any] = {"activate": {"on": "status_changed"}}
NO_NUMBER: dict[str, Any] = {"phones": [{"number": "(312) 555-0188", "sms": False}]}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def released(pool: db.Pool, *bodies: bytes) -> None:
    """What follows when the CRM says this and everything due is released."""
    await Intake(pool, lambda: NOON).take_in(bodies or (event(session(), about=client(), event_id="e-1"),))
    while await Release(pool, lambda: NOON).run_once():
        pass


async def commands(pool: db.Pool) -> list[tuple[str, dict[str, Any]]]:
    """Every command with its data, without its cause."""
    rows = await pool.fetch("SELECT verb, data FROM commands WHERE verb NOT LIKE '%.%' ORDER BY sequence")
    found = [(row["verb"], json.loads(row["data"])) for row in rows]
    return [(verb, {key: value for key, value in data.items() if key != "cause"}) for verb, data in found]


async def messages(pool: db.Pool) -> list[tuple[str, str]]:
    return [tuple(row) for row in await pool.fetch("SELECT channel, address FROM messages ORDER BY channel, address")]


async def the_action(pool: db.Pool) -> Any:
    (row,) = await pool.fetch("SELECT * FROM actions")
    return row


async def a_template(pool: db.Pool, name: str, **body: Any) -> None:
    stored = msgspec.json.encode(body).decode()
    await pool.execute("INSERT INTO templates (studio_id, name, body) VALUES ('main', $1, $2)", name, stored)


# Commands -------------------------------------------------------------------------------------------------


async def test_a_task_is_created_with_its_words_filled_in_and_its_record_linked(pool: db.Pool) -> None:
    task = {
        "subject": "Call {{ client.first_name }}",
        "description": "About {{ session.type }}",
        "type": "Follow-up",
        "priority": 3,
        "due_days": 2,
        "assign": "Lab",
    }
    await a_trigger(pool, action="task", text=None, task=task, **TODAY)

    await released(pool, event(session(links={"invoice": "9001"}), about=client()))

    assert await commands(pool) == [
        (
            "create_task",
            {
                "client_id": "c-12",
                "links": {"invoice": "9001", "session": "4711"},
                "task_type": "Follow-up",
                "subject": "Call Jo",
                "description": "About Wedding",
                "start_date": "2026-11-23",
                "due_date": "2026-11-25",
                "priority": 3,
                "assign": "Lab",
            },
        )
    ]


async def test_a_task_whose_words_cannot_be_written_is_created_and_says_so(pool: db.Pool) -> None:
    await a_trigger(pool, "Look", action="task", text=None, task={"subject": "See {{ session.fields.x }}"}, **TODAY)

    await released(pool)

    ((verb, data),) = await commands(pool)
    assert (verb, data["subject"]) == ("create_task", "Look")
    assert "session.fields.x" in data["description"]


async def test_a_letter_is_merged_and_goes_to_the_crm(pool: db.Pool) -> None:
    await a_template(pool, "thanks", subject="Dear {{ client.first_name }}", text="See you.", html="<p>See you.</p>")
    await a_trigger(pool, action="letter", text=None, template="thanks", **TODAY)

    await released(pool)

    letter = {
        "client_id": "c-12",
        "template": "thanks",
        "subject": "Dear Jo",
        "html": "<p>See you.</p>",
        "text": "See you.",
    }
    assert await commands(pool) == [("create_letter", letter)]


async def test_a_letter_that_cannot_be_written_is_not_created_and_the_action_says_why(pool: db.Pool) -> None:
    await a_trigger(pool, action="letter", text="In {{ session.fields.place }}", **TODAY)

    await released(pool)

    assert await commands(pool) == []
    action = await the_action(pool)
    assert (action["state"], action["reason"]) == ("expired", "template: session.fields.place")


async def test_a_form_is_created_for_the_client(pool: db.Pool) -> None:
    await a_trigger(pool, action="web_form", text=None, web_form={"form": "Wishes"}, **TODAY)

    await released(pool)

    assert await commands(pool) == [("create_web_form", {"client_id": "c-12", "form": "Wishes"})]


async def test_the_red_warning_of_a_client_goes_along_with_a_call(pool: db.Pool) -> None:
    await a_trigger(pool, action="call", **TODAY)

    await released(pool, event(session(), about=client(fields={"call_warning": "Never before noon"})))

    ((_, data),) = await commands(pool)
    assert data["warning"] == "Never before noon"


@pytest.mark.parametrize(
    ("action", "about", "verb"),
    [
        ("sms_or_call", NO_NUMBER, "create_call"),
        ("email_or_call", {"emails": []}, "create_call"),
        ("email_or_letter", {"emails": []}, "create_letter"),
    ],
)
async def test_the_second_leg_is_taken_from_the_data_and_the_action_says_why(
    pool: db.Pool, action: str, about: dict[str, Any], verb: str
) -> None:
    await a_trigger(pool, action=action, **TODAY)

    await released(pool, event(session(), about=client(**about)))

    assert [name for name, _ in await commands(pool)] == [verb]
    assert await messages(pool) == []
    action_row = await the_action(pool)
    assert action_row["state"] == "released"
    assert "no route: client has no" in action_row["reason"]
    assert "fallback: " in action_row["reason"]


async def test_a_call_that_tells_of_a_new_date_has_the_words_for_that(pool: db.Pool) -> None:
    await a_template(pool, "moved", text="Now on {{ session.date }}")
    base: dict[str, Any] = {"activate": {"on": "session", "days": -7}, "moved": "tell", "moved_template": "moved"}
    await a_trigger(pool, action="sms_or_call", text="On {{ session.date }}", **base)
    first, second = ({"session": f"2026-11-{day}T14:00", "booked": "2026-11-23"} for day in (27, 28))

    await released(pool, event(session(dates=first), about=client(**NO_NUMBER)))
    await released(pool, event(session(version=2, dates=second), "updated"))

    notes = [data["note"] for _, data in await commands(pool)]
    assert notes == ["On Friday, November 27", "Now on Saturday, November 28"]


@pytest.mark.parametrize("action", ["sms_or_call", "email_or_call", "email_or_letter"])
async def test_where_the_first_leg_has_an_address_nothing_else_happens(pool: db.Pool, action: str) -> None:
    await a_trigger(pool, action=action, **TODAY)

    await released(pool)

    assert (len(await messages(pool)), await commands(pool)) == (1, [])


async def test_client_and_payer_are_each_called_once_and_explain_finds_both_calls(pool: db.Pool) -> None:
    invoice = {"kind": "invoice", "id": "9001", "version": 1, "client_id": "c-12", "status": "Open"}
    payer = {"id": "c-99", "first_name": "Lee", "phones": [], "emails": []}
    await a_trigger(
        pool,
        record="invoice",
        status="Open",
        action="email_or_call",
        send_to=["client", "bill_to"],
        text="Hello {{ recipient.first_name }}",
        **TODAY,
    )

    entered = {"status_changed_at": "2026-11-23T17:59:00Z"}
    await released(pool, event({**invoice, **entered, "bill_to": payer}, about=client(emails=[])))

    found = await commands(pool)
    assert [(verb, data["client_id"], data["note"]) for verb, data in found] == [
        ("create_call", "c-12", "Hello Jo"),
        ("create_call", "c-99", "Hello Lee"),
    ]
    action_id = (await the_action(pool))["action_id"]
    told = await explain.explain(pool, lambda: NOON, "main", f"a-{action_id}")
    assert sum("the CRM was asked to create call" in step.text for step in told.steps) == 2


async def test_a_status_changes_besides_whatever_else_the_action_does(pool: db.Pool) -> None:
    await a_trigger(pool, "Remind", then_status="Reminded", **TODAY)

    await released(pool)

    assert await messages(pool) == [("sms", "+13125550188")]
    assert await commands(pool) == [("change_status", {"status": "Reminded", "note": "by trigger 'Remind'"})]


async def test_no_status_changes_where_nobody_was_reached(pool: db.Pool) -> None:
    await a_trigger(pool, then_status="Reminded", **TODAY)

    await released(pool, event(session(), about=client(phones=[])))

    assert await commands(pool) == []


async def test_the_same_action_gives_the_same_commands_however_often_it_is_tried(
    pool: db.Pool,
) -> None:
    await a_trigger(pool, action="call", then_status="Called", **TODAY)
    await Intake(pool, lambda: NOON).take_in([event(session(), about=client())])

    ids: list[list[str]] = []
    for _ in range(2):
        async with db.transaction(pool) as tx:
            await tx.execute("SAVEPOINT before")
            due = await actions.claim_due(tx, NOON, without=[], limit=10)
            await Release(pool, lambda: NOON).apply(tx, due, by=None)
            ids.append([row[0] for row in await tx.fetch("SELECT command_id FROM commands ORDER BY sequence")])
            await tx.execute("ROLLBACK TO before")

    assert len(ids[0]) == 2
    assert ids[0] == ids[1]


async def test_a_client_who_was_deleted_is_not_written_to_whatever_their_records_say(pool: db.Pool) -> None:
    await a_trigger(pool, action="sms_or_call", **TODAY)
    await Intake(pool, lambda: NOON).take_in([event(session(), about=client())])

    await released(pool, event(about=client(version=2), verb="deleted"))

    assert (await messages(pool), await commands(pool)) == ([], [])
    action = await the_action(pool)
    assert (action["state"], action["reason"]) == ("expired", "deleted: the client no longer exists")


# Questions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "question"), [("confirmation_sms", "confirmation"), ("nps_sms", "nps"), ("sms", None)]
)
async def test_a_text_that_asks_is_marked_with_its_question(pool: db.Pool, action: str, question: str | None) -> None:
    await a_trigger(pool, action=action, **TODAY)

    await released(pool)

    assert await pool.fetchval("SELECT question FROM messages") == question


# Allow Marketing ------------------------------------------------------------------------------------------


async def test_who_does_not_allow_a_leg_gets_nothing_and_the_action_says_so(pool: db.Pool) -> None:
    await a_trigger(pool, action="sms_or_call", exclude={"without_allow_marketing": True}, **TODAY)

    await released(pool, event(session(), about=client(allow_marketing={"call": True})))

    assert (await messages(pool), await commands(pool)) == ([], [])
    action = await the_action(pool)
    assert (action["state"], action["reason"]) == (
        "expired",
        "allow marketing: client has not ticked the box for sms",
    )


async def test_a_number_that_said_stop_is_absent_before_its_box_is_asked(pool: db.Pool) -> None:
    await a_trigger(pool, action="sms_or_email", exclude={"without_allow_marketing": True}, **TODAY)
    async with db.transaction(pool) as tx:
        await said(tx, "+13125550188")

    await released(pool, event(session(), about=client(allow_marketing={"email": True})))

    assert await messages(pool) == [("email", "jo@mail.example")]


# Referral programs ----------------------------------------------------------------------------------------

SPRING: dict[str, Any] = {"referral": {"program": "Spring", "if_enrolled": "skip"}}


async def test_a_client_in_a_program_lapses_where_the_trigger_says_skip(pool: db.Pool) -> None:
    await a_trigger(pool, **SPRING, **TODAY)

    await released(pool, event(session(), about=client(referral_program="Autumn")))

    action = await the_action(pool)
    assert (action["state"], action["reason"]) == ("lapsed", "referral: the client is in the program 'Autumn' already")
    assert await messages(pool) == []


async def test_a_client_who_has_left_the_program_gets_it_when_the_record_is_looked_at_again(pool: db.Pool) -> None:
    await a_trigger(pool, **SPRING, **TODAY)
    await released(pool, event(session(), about=client(referral_program="Autumn")))
    await released(pool, event(session(version=2), "updated", about=client(version=2, referral_program="Autumn")))
    assert ((await the_action(pool))["state"], await messages(pool)) == ("lapsed", [])

    await released(pool, event(session(version=3), "updated", about=client(version=3, referral_program=None)))

    assert await messages(pool) == [("sms", "+13125550188")]


async def test_nobody_enters_a_program_before_the_message_was_handed_over(pool: db.Pool) -> None:
    await a_trigger(pool, **SPRING, **TODAY)

    await released(pool)

    assert await commands(pool) == []
    assert json.loads(await pool.fetchval("SELECT enrols FROM messages")) == {
        "client_id": "c-12",
        "program": "Spring",
        "if_enrolled": "skip",
    }


async def test_a_client_called_in_place_of_a_message_enters_the_program_with_the_call(pool: db.Pool) -> None:
    await a_trigger(pool, action="sms_or_call", referral={"program": "Spring", "if_enrolled": "move"}, **TODAY)

    await released(pool, event(session(), about=client(**NO_NUMBER)))

    assert [verb for verb, _ in await commands(pool)] == ["create_call", "assign_referral"]
    assert (await commands(pool))[1][1] == {"client_id": "c-12", "program": "Spring", "if_enrolled": "move"}


@pytest.mark.parametrize(
    ("send_to", "enrols"), [("family:Mother", "c-12"), ("photographer", None), ("address:+13125550124", None)]
)
async def test_the_client_is_enrolled_even_where_the_family_is_written_to_and_never_for_staff(
    pool: db.Pool, send_to: str, enrols: str | None
) -> None:
    await a_trigger(pool, send_to=[send_to], **SPRING, **TODAY)
    family = [{"relationship": "Mother", "phones": [{"number": "+13125550177", "sms": True}]}]
    staff = [{"role": "photographer", "name": "Ada", "phone": "+13125550123"}]

    await released(pool, event(session(staff=staff), about=client(family=family)))

    assert await pool.fetchval("SELECT enrols::json ->> 'client_id' FROM messages") == enrols
