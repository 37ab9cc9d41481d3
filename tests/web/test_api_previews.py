"""A template is looked at before it goes to anybody: with a real record, and with one that is made up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rows import a_client, a_message, a_record
from tests.web.conftest import Caller

WORDS = {
    "name": "reminder",
    "kind": "session",
    "purpose": "transactional",
    "sms": "{{ studio.name }}: hi {{ client.first_name }} \u2013 see you on {{ session.date }} for 5€",
}


@pytest.fixture
async def furnished(app: Caller) -> Caller:
    await a_client(app.pool)
    await a_record(app.pool, dates={"session": "2027-06-12T14:00"})
    made = await app.post("/templates", json=WORDS)
    assert made.status == 201, made.body
    return app


async def test_a_preview_shows_the_very_words_what_they_cost_and_changes_nothing(furnished: Caller) -> None:
    answer = await furnished.post("/templates/reminder/preview", json={"record": "session/4711"})

    assert answer.status == 200, answer.body
    seen = answer.json
    assert (seen["record"], seen["client"], seen["missing"], seen["email"]) == ("session/4711", "c-12", [], None)
    text = "Ada Park Photography: hi Jo - see you on Saturday, June 12 for 5€"
    assert {key: seen["sms"][key] for key in ("text", "encoding", "units", "segments", "parts")} == {
        "text": text,
        "encoding": "gsm7",
        "units": len(text) + 1,
        "segments": 1,
        "parts": [text],
    }
    assert [(one["name"], one["effect"], one["becomes"]) for one in seen["sms"]["letters"]] == [
        ("EN DASH", "replaced", "-"),
        ("EURO SIGN", "double", None),
    ]
    assert seen["plan"] == {"texts_per_month": None, "used": 0, "left": None}
    assert await furnished.pool.fetchval("SELECT count(*) FROM messages") == 0


async def test_how_to_stop_is_shown_and_counted_where_the_text_would_be_the_first(furnished: Caller) -> None:
    body = {"name": "Ada Park Photography", "timezone": "America/Chicago", "sms": {"identify": True}}
    assert (await furnished.call("PUT", "/api/v1/studios/main", json=body)).status == 200

    async def shown() -> tuple[str, int]:
        sms = (await furnished.post("/templates/reminder/preview", json={"record": "session/4711"})).json["sms"]
        return sms["text"], sms["units"]

    text, units = await shown()
    await a_message(furnished.pool, state="delivered")
    later, fewer = await shown()

    assert text == f"{later} Reply STOP to opt out."
    assert units == fewer + len(" Reply STOP to opt out.")


async def test_every_value_that_is_missing_is_named(furnished: Caller) -> None:
    draft = {"kind": "session", "sms": "{{ client.birthday }} {{ session.nps.score }} {{ client.first_name }}"}
    answer = await furnished.post("/templates/preview", json={**draft, "record": "session/4711"})

    assert answer.status == 200, answer.body
    assert answer.json["sms"] is None
    assert [one["field"] for one in answer.json["missing"]] == ["client.birthday", "session.nps.score"]


async def test_a_draft_is_looked_at_with_a_made_up_record_and_its_layout(furnished: Caller) -> None:
    draft = {
        "kind": "session",
        "purpose": "transactional",
        "layout": "reminder",
        "subject": "Soon",
        "text": "Hi {{ client.first_name }},\n\nsee https://lakeside.example/x.",
    }
    answer = await furnished.post("/templates/preview", json=draft)

    assert answer.status == 200, answer.body
    mail = answer.json["email"]
    assert (answer.json["record"], answer.json["sms"], mail["subject"]) == (None, None, "Soon")
    assert '<a href="https://lakeside.example/x">' in mail["html"]
    assert "Saturday, June 12" in mail["html"]
    assert mail["html"].count("Ada Park Photography") >= 2
    assert mail["bytes"] == len(mail["html"].encode())
    assert await furnished.pool.fetchval("SELECT count(*) FROM templates") == 1


async def test_marketing_mail_is_shown_with_what_it_has_to_say_of_its_sender(furnished: Caller) -> None:
    draft = {"subject": "Offer", "text": "Hi", "html": "<p>Hi</p>"}
    await furnished.pool.execute("UPDATE studios SET settings = $1", "{}")
    lacks = await furnished.post("/templates/preview", json=draft)
    assert (lacks.json["email"], "postal_address" in lacks.json["missing"][0]["reason"]) == (None, True)

    address = '{"email": {"from": "a@studio.example", "postal_address": "12 Shore Drive"}}'
    await furnished.pool.execute("UPDATE studios SET settings = $1", address)
    shown = (await furnished.post("/templates/preview", json=draft)).json["email"]
    for part in ("text", "html"):
        assert "12 Shore Drive" in shown[part]
        assert "/u/" in shown[part]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"record": "session/9"}, 404, "no session/9"),
        ({"record": "invoice/9001"}, 422, "for session records"),
        ({"record": "wedding/1"}, 422, "such as session/4711"),
        ({"records": []}, 422, "records"),
    ],
)
async def test_a_record_that_does_not_fit_is_refused(furnished: Caller, body: Any, status: int, says: str) -> None:
    answer = await furnished.post("/templates/reminder/preview", json=body)
    assert (answer.status, says in answer.json["detail"]) == (status, True), answer.body


async def test_a_wrong_draft_is_refused_by_field_and_a_template_that_is_not_there_is_not_found(app: Caller) -> None:
    wrong = await app.post("/templates/preview", json={"sms": "{{ client.frist_name }}"})
    assert (wrong.status, wrong.json["field"]) == (422, "sms")
    assert (await app.post("/templates/nothing/preview", json={})).status == 404


async def test_the_fields_of_a_kind_come_with_a_sentence_and_an_example(app: Caller) -> None:
    answer = await app.get("/template-fields?kind=session&limit=200")
    assert answer.status == 200, answer.body
    found = {one["name"]: one for one in answer.json["items"]}
    assert found["session.date"] == {
        "name": "session.date",
        "insert": "{{ session.date }}",
        "sentence": found["session.date"]["sentence"],
        "example": "Saturday, June 12",
        "many": False,
    }
    assert found["session.staff"]["many"]
    assert "session.date" not in {one["name"] for one in (await app.get("/template-fields?kind=task")).json["items"]}
    assert (await app.get("/template-fields?kind=wedding")).status == 400


async def test_a_template_is_saved_with_what_its_author_should_think_over(app: Caller) -> None:
    made = await app.post("/templates", json={"name": "t", "sms": "Your pictures: https://bit.ly/x1."})
    assert made.status == 201
    codes = {one["code"] for one in made.json["warnings"]}
    assert codes == {"shortener", "link-punctuation", "identity"}
    again = await app.call("PUT", made.headers["Location"], json={**made.json, "sms": "{{ studio.name }}: soon!"})
    assert (again.status, again.json["warnings"]) == (200, [])


async def test_a_text_that_asks_to_be_answered_with_what_opts_out_is_not_saved(app: Caller) -> None:
    asks = await app.post("/templates", json={"name": "t", "sms": "Reply YES to confirm or CANCEL to cancel"})
    assert (asks.status, asks.json["field"]) == (422, "sms"), asks.body
    assert "CANCEL" in asks.json["detail"]
    assert (await app.post("/templates", json={"name": "t", "sms": "Reply STOP to opt out"})).status == 201


@pytest.mark.parametrize(
    ("keys", "says"),
    [({"layout": "shiny"}, "gallery, plain, reminder"), ({"layout": "reminder", "kind": "client"}, "record.date")],
)
async def test_a_layout_is_one_that_there_is_and_fits_the_kind(app: Caller, keys: Any, says: str) -> None:
    answer = await app.post("/templates", json={"name": "t", "text": "Hi", **keys})
    assert (answer.status, answer.json["field"], says in answer.json["detail"]) == (422, "layout", True), answer.body
    made = await app.post("/templates", json={"name": "t", "text": "Hi", "layout": "plain"})
    assert (made.status, made.json["layout"]) == (201, "plain")
    assert await app.pool.fetchval("SELECT frame LIKE '%[[content]]%' FROM templates")
    changed = await app.call("PUT", made.headers["Location"], json={"text": "Hi"})
    assert (changed.status, changed.json["layout"]) == (200, None)
    assert await app.pool.fetchval("SELECT frame FROM templates") is None
