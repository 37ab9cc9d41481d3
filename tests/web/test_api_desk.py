"""What the API lets people do with messages and consents, as a program that calls it sees it."""

from __future__ import annotations

from typing import Any

import pytest

from control_center.store import db, dead_numbers
from tests.support.rows import a_client, a_message, a_studio, now
from tests.web.conftest import Caller, a_token

JO = "+13125550188"


async def test_one_text_is_written_and_shown_with_who_wrote_it(app: Caller) -> None:
    await a_client(app.pool)
    await a_token(app.pool, "desk", "front_desk")

    answer = await app.post("/messages", token="desk", json={"client": "c-12", "text": "Your key is here."})

    assert answer.status == 201
    made = answer.json
    assert (made["state"], made["to"], made["text"], made["client"]) == ("queued", JO, "Your key is here.", "c-12")
    assert (made["made_by"], made["origin"], made["trigger"], made["action"]) == ("front_desk *", "person", None, None)
    assert made["warnings"] == []
    seen = (await app.get(answer.headers["Location"].removeprefix("/api/v1"))).json
    assert seen == {key: value for key, value in made.items() if key not in ("warnings", "advice")}
    [audit] = (await app.get(f"/audit?resource=message/{made['id']}")).json["items"]
    assert (audit["who"], audit["verb"]) == ("front_desk *", "send")


@pytest.mark.parametrize(
    ("letter", "field"),
    [
        ({"to": JO, "text": "Reply CANCEL to cancel"}, "text"),
        ({"to": "jo@mail.example", "subject": "Reply CANCEL to cancel", "text": "Hi"}, "subject"),
        ({"to": "jo@mail.example", "subject": "Hi", "text": "Hi", "html": "<i>Reply</i> CANCEL"}, "html"),
    ],
)
async def test_typed_words_are_refused_as_those_of_a_template_and_by_their_field(
    app: Caller, letter: dict[str, str], field: str
) -> None:
    refused = await app.post("/messages", json=letter)
    saved = await app.post("/templates", json={"name": "t", "sms": "Reply CANCEL to cancel"})
    assert (refused.status, refused.json["field"]) == (422, field)
    assert refused.json["detail"] == saved.json["detail"].replace("sms:", f"{field}:")


async def test_typed_words_are_advised_of_as_those_of_a_template(app: Caller) -> None:
    made = (await app.post("/messages", json={"to": JO, "text": "See bit.ly/x"})).json
    saved = (await app.post("/templates", json={"name": "t", "sms": "See bit.ly/x"})).json
    assert [(one["field"], one["code"]) for one in made["advice"]] == [("text", "shortener"), ("text", "identity")]
    assert made["advice"][0]["sentence"] == saved["warnings"][0]["sentence"]


async def test_who_said_stop_is_refused_with_the_reason_and_only_start_lifts_it(app: Caller) -> None:
    consent = {"address": "(312) 555-0188", "says": "stop", "evidence": "asked on the phone"}
    proof = await app.post("/consents", json=consent)
    assert (proof.status, proof.json["address"], proof.json["stopped"]) == (201, JO, True)

    refused = await app.post("/messages", json={"to": JO, "text": "Please come back."})
    assert (refused.status, "asked on the phone" in refused.json["detail"]) == (409, True)
    lifted = await app.post("/consents", json={**consent, "says": "no_stop"})
    assert lifted.status == 409
    await app.post("/consents", json={**consent, "says": "start", "evidence": "wrote START on a card"})
    assert (await app.post("/messages", json={"to": JO, "text": "Welcome back."})).status == 201


async def test_the_whole_proof_of_an_address_is_one_page(app: Caller) -> None:
    await a_client(app.pool, reach=[JO])
    await a_message(app.pool, state="delivered")
    await a_message(app.pool, state="received")
    await app.post("/consents", json={"address": JO, "says": "stop", "purpose": "marketing", "evidence": "by letter"})
    await app.post("/consents", json={"address": JO, "says": "stop", "evidence": "on the phone"})

    proof = (await app.get("/consents?address=%28312%29+555-0188")).json

    assert (proof["channel"], proof["address"]) == ("sms", JO)
    assert (proof["stopped"], proof["no_marketing"], proof["doubtful"]) == (True, True, False)
    assert [(one["purpose"], one["says"], one["evidence"]) for one in proof["items"]] == [
        ("marketing", "stop", "by letter"),
        ("all", "stop", "on the phone"),
    ]
    assert [one["source"] for one in proof["items"]] == ["person: owner *"] * 2
    assert (proof["clients"], proof["sent"], proof["received"], proof["suppressed"]) == (["c-12"], 1, 1, 0)
    assert (await app.get("/consents?address=nobody")).status == 400
    assert (await app.get("/consents")).status == 400


async def test_the_proof_shows_that_a_number_takes_no_texts_until_a_person_knows_better(app: Caller) -> None:
    message = await a_message(app.pool, state="failed")
    async with db.transaction(app.pool) as tx:
        await dead_numbers.mark(tx, ("main", JO), "twilio 21635: a landline", message, now())

    proof = (await app.get("/consents?address=%2B13125550188")).json
    lifted = await app.post("/consents", json={"address": JO, "says": "takes_texts", "evidence": "a mobile since May"})
    again = await app.post("/consents", json={"address": JO, "says": "takes_texts", "evidence": "once more"})

    known = (proof["stopped"], proof["takes_no_texts"], proof["dead"]["reason"], proof["dead"]["message"])
    assert known == (False, True, "twilio 21635: a landline", f"m-{message}")
    assert (lifted.status, lifted.json["takes_no_texts"], again.status) == (201, False, 409)
    assert lifted.json["dead"]["lifted_by"] == "person: owner *"
    assert lifted.json["items"] == []
    [audit] = (await app.get(f"/audit?resource=consent/{JO.replace('+', '%2B')}")).json["items"]
    assert audit["after"]["evidence"] == "a mobile since May"


async def test_the_boxes_of_the_hub(app: Caller) -> None:
    out = await a_message(app.pool, state="accepted")
    came = await a_message(app.pool, state="received", client_id=None, attention="may be an opt-out: please")
    read = await a_message(app.pool, state="received")
    await app.post(f"/messages/m-{read}/read")

    async def found(query: str) -> list[str]:
        return [one["id"] for one in (await app.get(f"/messages?{query}")).json["items"]]

    assert await found("") == [f"m-{read}", f"m-{came}", f"m-{out}"]
    assert await found("box=inbox") == [f"m-{read}", f"m-{came}"]
    assert await found("box=sent") == [f"m-{out}"]
    for only in ("unread", "unlinked", "attention"):
        assert await found(f"{only}=true") == [f"m-{came}"], only
        assert await found(f"{only}=false") == await found("")
    assert await found("since=2026-01-01T00:00:00Z&until=2999-01-01T00:00:00Z") == await found("")
    assert await found("until=2026-01-01T00:00:00Z") == []
    assert await found("box=sent&state=received") == []
    assert await found("box=inbox&state=accepted") == []
    await app.post(f"/messages/m-{came}/read")
    assert await found("attention=true") == []
    await app.post(f"/messages/m-{came}/unread")
    assert await found("unread=true") == [f"m-{came}"]


async def test_linking_assigning_and_a_task(app: Caller) -> None:
    await a_client(app.pool)
    first = await a_message(app.pool, state="received", client_id=None)
    second = await a_message(app.pool, state="received", client_id=None)

    offered = await app.post(f"/messages/m-{second}/link", json={"client": "c-12"})
    assert offered.json == {"linked": [f"m-{second}"], "earlier": 1}
    linked = await app.post(f"/messages/m-{second}/link", json={"client": "c-12", "earlier": True})
    assert linked.json == {"linked": [f"m-{second}", f"m-{first}"], "earlier": 0}
    assert (await app.get("/messages?unlinked=true")).json["items"] == []

    path = f"/messages/m-{first}"
    assert (await app.post(f"{path}/assign", json={"user": "owner *"})).json["assigned_to"] == "owner *"
    assert [one["id"] for one in (await app.get("/messages?assigned_to=owner+*")).json["items"]] == [f"m-{first}"]
    assert (await app.post(f"{path}/task", json={"due_date": "2027-06-05"})).json["task"]
    again = await app.post(f"{path}/task", json={})
    assert again.status == 409
    assert (await app.post(f"{path}/task", json={"due_date": "2027-02-30"})).json["field"] == "due_date"


async def test_an_unknown_message_is_settled_and_written_again_only_as_another(app: Caller) -> None:
    await a_client(app.pool)
    unknown = await a_message(app.pool, state="unknown")

    assert (await app.post("/messages", json={"again": f"m-{unknown}"})).status == 409
    settled = await app.post(f"/messages/m-{unknown}/resolve", json={"outcome": "not_sent", "evidence": "their log"})
    assert (settled.json["state"], settled.json["resolved_by"]) == ("failed", "owner *")
    made = (await app.post("/messages", json={"again": f"m-{unknown}"})).json
    assert (made["parent"], made["text"], made["origin"]) == (f"m-{unknown}", "See you soon.", "person")
    assert (await app.get(f"/messages/m-{unknown}")).json["state"] == "failed"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/messages", {"to": JO, "text": "Hi"}),
        ("/messages/m-1/read", None),
        ("/messages/m-1/unread", None),
        ("/messages/m-1/link", {"client": None}),
        ("/messages/m-1/assign", {"user": None}),
        ("/messages/m-1/task", {}),
        ("/messages/m-1/resolve", {"outcome": "sent", "evidence": "a look"}),
        ("/consents", {"address": JO, "says": "stop", "evidence": "a call"}),
    ],
)
async def test_all_of_this_is_for_the_front_desk(app: Caller, path: str, body: Any) -> None:
    options = {"json": body} if body is not None else {}
    for role, allowed in (("viewer", False), ("front_desk", True)):
        await a_token(app.pool, f"t-{role}", role)
        assert ((await app.post(path, token=f"t-{role}", **options)).status != 403) is allowed
    await a_token(app.pool, "t-reader", "viewer")
    assert (await app.get(f"/consents?address=%2B{JO[1:]}", token="t-reader")).status == 200


async def test_of_another_studio_no_message_is_touched(app: Caller) -> None:
    await a_studio(app.pool, "south")
    await a_token(app.pool, "south", "owner", "south")
    came = await a_message(app.pool, state="received")
    for verb, body in (("read", None), ("link", {"client": None}), ("task", {})):
        options = {"json": body} if body is not None else {}
        assert (await app.post(f"/messages/m-{came}/{verb}", token="south", **options)).status == 404
