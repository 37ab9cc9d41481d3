"""Bulk over HTTP: made, reviewed, let go, stopped; and refused by the name of the field."""

from __future__ import annotations

from typing import Any

import pytest

from control_center.domain.bulk import AUDIENCES
from tests.support.rows import a_client, a_studio
from tests.web.conftest import OWNER, Caller, a_token

OFFER = {"name": "offer", "purpose": "marketing", "sms": "Hello {{ client.first_name }}, our spring offer is here."}
WISH = {"audience": {"record": "client", "status": ["Active"]}, "template": "offer"}


@pytest.fixture(autouse=True)
async def _people(app: Caller) -> None:
    assert (await app.post("/templates", json=OFFER)).status == 201
    for n in range(3):
        phones = [{"number": f"+1312555{n:04}", "sms": True}]
        await a_client(app.pool, f"c-{n}", phones=phones, allow_marketing={"sms": True})
    await a_client(app.pool, "c-9", phones=[{"number": "+13125550009", "sms": True}])


async def made(app: Caller, **keys: Any) -> Any:
    answer = await app.post("/bulk", json={**WISH, **keys})
    assert answer.status == 201, answer.body
    return answer.json


async def test_a_bulk_is_made_reviewed_let_go_and_stopped(app: Caller) -> None:
    answer = await app.post("/bulk", json=WISH)
    one, path = answer.json, answer.headers["Location"].removeprefix("/api/v1")
    assert (one["state"], one["name"], one["words"]["sms"]) == ("review", "offer", OFFER["sms"])
    assert (one["progress"]["listed"], one["progress"]["barred"], one["progress"]["messages"]) == (3, 1, {})

    rows = (await app.get(f"{path}/recipients?limit=2")).json
    assert [(row["no"], row["to"]) for row in rows["items"]] == [(1, "+13125550000"), (2, "+13125550001")]
    rest = (await app.get(f"{path}/recipients?state=listed,barred&cursor={rows['next_cursor']}")).json["items"]
    assert [(row["no"], row["state"]) for row in rest] == [(3, "listed"), (4, "barred")]
    unticked = await app.post(f"{path}/untick", json={"recipients": [1]})
    assert unticked.json["progress"]["unticked"] == 1

    wrong = await app.post(f"{path}/start", json={"expect": 3})
    assert (wrong.status, wrong.json["count"], wrong.json["field"]) == (409, 2, "expect")
    begun = await app.post(f"{path}/start", json={"expect": 2, "when": "2027-07-05T15:00:00Z"})
    assert (begun.status, begun.json["state"], begun.json["start_at"]) == (200, "scheduled", "2027-07-05T15:00:00Z")
    assert (await app.post(f"{path}/start", json={"expect": 2})).status == 409
    assert (await app.post(f"{path}/pause")).json["state"] == "paused"
    assert (await app.post(f"{path}/resume")).json["state"] == "scheduled"
    assert (await app.post(f"{path}/cancel")).json["progress"]["cancelled"] == 2
    assert [row["state"] for row in (await app.get("/bulk?state=cancelled,done")).json["items"]] == ["cancelled"]


async def test_a_repeat_under_the_same_key_makes_no_second_list(app: Caller) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = await app.post("/bulk", json={**WISH, "when": "now", "expect": 3}, headers=headers)
    again = await app.post("/bulk", json={**WISH, "when": "now", "expect": 3}, headers=headers)
    assert (first.json["state"], first.json) == ("scheduled", again.json)
    assert await app.pool.fetchval("SELECT count(*) FROM bulks") == 1


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"template": "gone"}, "template"),
        ({"audience": {"record": "sms"}}, "audience.record"),
        ({"audience": {"record": "invoice", "type": "Wedding"}}, "audience.type"),
        ({"audience": {"status": []}}, "audience.status"),
        ({"channel": "letter"}, "channel"),
        ({"when": "soon"}, "when"),
        ({"when": "2037-01-01T00:00:00Z"}, "when"),
        ({"use_by": "soon"}, "use_by"),
        ({"expect": 0}, "expect"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_wish_is_refused_by_the_name_of_its_field(app: Caller, keys: Any, field: str) -> None:
    answer = await app.post("/bulk", json={**WISH, **keys})
    assert (answer.status, answer.json["field"].startswith(field)) == (422, True), answer.body
    assert await app.pool.fetchval("SELECT count(*) FROM bulks") == 0


async def test_a_bulk_says_what_to_think_over_of_its_words_before_it_is_let_go(app: Caller) -> None:
    one = await made(app)
    assert [(said["field"], said["code"]) for said in one["advice"]] == [("sms", "identity")]
    begun = await app.post(f"/bulk/{one['id']}/start", json={"expect": 3})
    assert begun.json["advice"] == one["advice"]


async def test_a_bulk_that_is_scheduled_is_in_the_forecast_and_counted_by_its_number(app: Caller) -> None:
    one = await made(app)
    await app.post(f"/bulk/{one['id']}/start", json={"expect": 3, "when": "2027-06-07T18:00:00Z"})

    lines = (await app.get("/forecast?days=30&limit=2")).json
    rest = (await app.get(f"/forecast?days=30&limit=2&cursor={lines['next_cursor']}")).json["items"]
    counted = (await app.get("/forecast?days=30&by=trigger")).json["items"]

    assert [(line["bulk"], line["fate"], line["at"]) for line in [*lines["items"], *rest]] == [
        (one["id"], "goes", "2027-06-07T18:00:00Z")
    ] * 3
    assert lines["items"][0]["segments"] == 1
    assert "0000" not in lines["items"][0]["address"]
    assert [(group["name"], group["goes"], group["segments"]) for group in counted] == [(one["id"], 3, 3)]


async def test_more_than_one_person_writes_to_is_let_go_by_another_one(app: Caller) -> None:
    studio = (await app.get("/studios/main")).json
    answer = await app.call("PUT", "/api/v1/studios/main", json={**studio, "second_person_above": 2})
    assert (answer.status, answer.json["second_person_above"]) == (200, 2)
    await a_token(app.pool, "second", "author")
    asked = await made(app, expect=3, when="2027-07-05T15:00:00Z")
    path, approval = f"/bulk/{asked['id']}", asked["approval"]
    assert (asked["state"], approval["asked_by"], approval["asked_for"]) == (
        "review",
        "owner *",
        "2027-07-05T15:00:00Z",
    )
    assert (approval["needed"], approval["above"], asked["changed_by"]) == (True, 2, None)
    again = await app.post(f"{path}/start", json={"expect": 3, "when": "now"}, headers={"Idempotency-Key": "k"})
    assert (again.status, again.json["state"], again.json["approval"]["asked_for"]) == (200, "review", None), again.body
    seen = {"expect": 3, "seen": again.json["approval"]["seen"]}

    for body, token, told in (
        (seen, OWNER, "made by owner *: somebody else with the role author"),
        ({"expect": 3, "seen": approval["seen"]}, "second", "look again"),
        ({**seen, "expect": 2}, "second", "2 were expected"),
    ):
        refused = await app.post(f"{path}/approve", json=body, token=token)
        assert (refused.status, told in refused.json["detail"]) == (409, True), refused.body
    assert (await app.post(f"{path}/approve", json={"expect": 3, "seen": "x"}, token="second")).status == 422
    begun = await app.post(f"{path}/approve", json=seen, token="second")
    assert (begun.status, begun.json["state"], begun.json["start_at"]) == (200, "scheduled", "2027-06-01T15:00:00Z")
    assert (begun.json["approval"]["approved_by"], begun.json["released_by"]) == ("author *", "owner *")


async def test_nobody_is_no_list(app: Caller) -> None:
    answer = await app.post("/bulk", json={**WISH, "audience": {"status": "Nowhere"}})
    assert (answer.status, "nobody" in answer.json["detail"]) == (409, True)


async def test_the_bulk_of_another_studio_is_not_there(app: Caller) -> None:
    one = await made(app)
    await a_studio(app.pool, "south")
    await a_token(app.pool, "south", "owner", "south")
    for method, path in (
        ("GET", ""),
        ("GET", "/recipients"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/cancel"),
    ):
        assert (await app.call(method, f"/api/v1/bulk/{one['id']}{path}", token="south")).status == 404, path
    for path, body in (
        *((name, {"recipients": [1]}) for name in ("untick", "tick")),
        ("start", {"expect": 3}),
        ("approve", {"expect": 3, "seen": "0123456789ab"}),
    ):
        assert (await app.post(f"/bulk/{one['id']}/{path}", json=body, token="south")).status == 404, path
    assert (await app.get("/bulk", token="south")).json["items"] == []
    assert (await app.get(f"/bulk/{one['id']}", token=OWNER)).json["state"] == "review"


async def test_a_studio_whose_bulk_still_runs_is_not_deleted(app: Caller) -> None:
    await made(app, expect=3)
    assert (await app.call("DELETE", "/api/v1/studios/main")).status == 409


def test_the_document_names_every_kind_of_audience() -> None:
    assert AUDIENCES[0] == "client"
    assert not {"sms", "email"} & set(AUDIENCES)
