"""The catalogue of a studio over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.rows import a_studio
from tests.web.conftest import Caller, a_token

STATUS = {"kind": "session", "type": None, "name": "Booked", "initial": True, "final": False, "submit": False}
USER = {"name": "Ada", "email": "ada@studio.example", "phone": None, "roles": ["photographer"], "active": True}
EMPTY: dict[str, Any] = {
    "statuses": [],
    "types": [],
    "relationships": [],
    "departments": [],
    "users": [],
    "referral_programs": [],
    "forms": [],
}
ADDRESS = "/api/v1/studios/main/catalog"


async def test_a_put_replaces_the_sections_it_names_and_answers_with_the_whole(app: Caller) -> None:
    first = await app.call("PUT", ADDRESS, json={"statuses": [STATUS], "users": [USER], "forms": ["Contact Us"]})
    second = await app.call("PUT", ADDRESS, json={"forms": [{"name": "Quote"}], "departments": []})

    assert first.status == 200, first.body
    assert first.json == {**EMPTY, "statuses": [STATUS], "users": [USER], "forms": ["Contact Us"]}
    assert second.json == {**EMPTY, "statuses": [STATUS], "users": [USER], "forms": ["Quote"]}
    assert (await app.get("/studios/main/catalog")).json == second.json


async def test_what_was_read_can_be_put_back(app: Caller) -> None:
    await app.call("PUT", ADDRESS, json={"statuses": [STATUS], "users": [USER]})
    read = (await app.get("/studios/main/catalog")).json

    assert (await app.call("PUT", ADDRESS, json=read)).json == read


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"statuses": [{"kind": "session"}]}, "statuses[0]"),
        ({"statuses": [{"kind": "sesion", "name": "X"}]}, "statuses[0].kind"),
        ({"statusses": []}, "statusses"),
        ({"users": [{"name": "Ada", "age": 5}]}, "users[0].age"),
        ({"forms": "Contact Us"}, "forms"),
        ({"forms": ["a\x00"]}, "forms[0]"),
    ],
)
async def test_a_wrong_body_is_named_by_its_field_and_changes_nothing(
    app: Caller, body: dict[str, Any], field: str
) -> None:
    await app.call("PUT", ADDRESS, json={"forms": ["Contact Us"]})

    answer = await app.call("PUT", ADDRESS, json=body)

    assert (answer.status, answer.json["field"]) == (422, field), answer.body
    assert (await app.get("/studios/main/catalog")).json == {**EMPTY, "forms": ["Contact Us"]}


async def test_the_catalogue_is_that_of_the_studio_in_the_address(app: Caller) -> None:
    await a_studio(app.pool, "north")

    await app.call("PUT", "/api/v1/studios/north/catalog", json={"forms": ["Quote"]})

    assert (await app.get("/studios/main/catalog")).json == EMPTY
    assert (await app.get("/studios/nowhere/catalog")).status == 404
    assert (await app.call("PUT", "/api/v1/studios/nowhere/catalog", json={})).status == 404


async def test_a_viewer_reads_it_and_an_author_replaces_it(app: Caller) -> None:
    may = {}
    for role in ("viewer", "front_desk", "author"):
        await a_token(app.pool, f"t-{role}", role, "main")
        read = await app.call("GET", ADDRESS, token=f"t-{role}")
        put = await app.call("PUT", ADDRESS, token=f"t-{role}", json={"forms": []})
        may[role] = (read.status, put.status)

    assert may == {"viewer": (200, 403), "front_desk": (200, 403), "author": (200, 200)}


async def test_a_token_of_another_studio_finds_no_such_catalogue(app: Caller) -> None:
    await a_studio(app.pool, "north")
    await a_token(app.pool, "t-north", "owner", "north")

    assert (await app.call("GET", ADDRESS, token="t-north")).status == 404
    assert (await app.call("PUT", ADDRESS, token="t-north", json={"forms": ["A"]})).status == 404
    assert (await app.get("/studios/main/catalog")).json == EMPTY


async def test_the_crm_tells_its_catalogue_by_an_event_over_http(app: Caller) -> None:
    event = {
        "specversion": "1.0",
        "id": "c-1",
        "source": "/crm/main",
        "type": "crm.catalog",
        "time": "2027-05-01T10:00:00Z",
        "studio": "main",
        "data": {"statuses": [STATUS]},
    }
    wrong = {**event, "id": "c-2", "data": {"statuses": [{**STATUS, "name": 5}]}}

    answer = await app.post("/events", json=[event, event, wrong])

    assert [one["result"] for one in answer.json["items"]] == ["accepted", "duplicate", "rejected"], answer.body
    assert answer.json["items"][2]["field"] == "data.statuses[0].name"
    assert (await app.get("/studios/main/catalog")).json == {**EMPTY, "statuses": [STATUS]}


async def test_the_catalogue_is_described(app: Caller) -> None:
    document = json.loads((await app.get("/openapi.json")).body)

    described = document["paths"][ADDRESS.replace("main", "{id}")]

    assert set(described) == {"get", "put"}
