"""Studios over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rows import a_studio, a_trigger, an_action
from tests.web.conftest import Caller, a_token

NORTH = {
    "id": "north",
    "name": "North Light",
    "timezone": "Europe/Berlin",
    "country": "DE",
    "sms": {"account": "default", "numbers": ["+493012345"]},
    "email": {"account": "default", "from": "post@north.example"},
    "enabled": True,
}


async def test_a_studio_is_made_read_changed_and_deleted(app: Caller) -> None:
    made = await app.post("/studios", json=NORTH)
    assert (made.status, {key: made.json[key] for key in NORTH}) == (201, NORTH)
    path = made.headers["Location"]
    changed = await app.call("PUT", path, json={**NORTH, "name": "South Light", "enabled": False})
    assert (changed.status, changed.json["name"], changed.json["enabled"]) == (200, "South Light", False)
    assert (await app.call("GET", path)).json == changed.json
    assert [one["id"] for one in (await app.get("/studios")).json["items"]] == ["main", "north"]
    assert (await app.call("DELETE", path)).status == 204
    assert (await app.call("GET", path)).status == 404


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"timezone": "Europe/Nowhere"}, "timezone"),
        ({"country": "Germany"}, "country"),
        ({"id": "North!"}, "id"),
        ({"sms": {"numbers": "+49"}}, "sms.numbers"),
        ({"sms": {"numbers": 0}}, "sms.numbers"),
        ({"sms": {"numbers": {}}}, "sms.numbers"),
        ({"sms": {"numbers": [""]}}, "sms.numbers"),
        ({"email": {"from": "Ada Park"}}, "email.from"),
        ({"email": {"from": "post@north.example", "reply_to": "post@north.example, x@y.example"}}, "email.reply_to"),
        ({"colour": "red"}, "colour"),
        ({"name": None}, "name"),
    ],
)
async def test_a_wrong_studio_is_refused_by_the_name_of_its_field(app: Caller, keys: Any, field: str) -> None:
    answer = await app.post("/studios", json={**NORTH, **keys})
    assert (answer.status, answer.json["field"]) == (422, field), answer.body


async def test_a_studio_keeps_its_id_and_there_is_one_of_each(app: Caller) -> None:
    await app.post("/studios", json=NORTH)
    assert (await app.post("/studios", json=NORTH)).status == 409
    moved = await app.call("PUT", "/api/v1/studios/north", json={**NORTH, "id": "main"})
    assert (moved.status, moved.json["field"]) == (422, "id")


async def test_a_studio_for_which_something_waits_is_not_deleted(app: Caller) -> None:
    await a_studio(app.pool, "north")
    trigger = await a_trigger(app.pool, studio="north")
    action = await an_action(app.pool, studio="north", trigger_id=trigger)
    assert (await app.call("DELETE", "/api/v1/studios/north")).status == 409
    await app.post(f"/actions/a-{action}/delete?studio=north")
    assert (await app.call("DELETE", "/api/v1/studios/north")).status == 204


async def test_who_was_for_a_deleted_studio_is_not_for_a_new_one_of_that_id(app: Caller) -> None:
    await a_studio(app.pool, "north")
    await a_token(app.pool, "north", "owner", "north")
    await app.call("DELETE", "/api/v1/studios/north")
    await app.post("/studios", json=NORTH)
    assert (await app.get("/studios/north", token="north")).status == 404


async def test_the_owner_of_one_studio_changes_that_one_alone(app: Caller) -> None:
    await a_studio(app.pool, "north")
    await a_token(app.pool, "north", "owner", "north")
    assert [one["id"] for one in (await app.get("/studios", token="north")).json["items"]] == ["north"]
    assert (await app.call("PUT", "/api/v1/studios/north", token="north", json=NORTH)).status == 200
    assert (await app.call("PUT", "/api/v1/studios/main", token="north", json={**NORTH, "id": "main"})).status == 404


async def a_southern_owner(app: Caller, **sms: Any) -> None:
    """The owner of `south` alone, beside `main`, which texts from +1 312 555 0100."""
    settings = {"sms": {"account": "southern", "numbers": ["+13125550155"], **sms}}
    await a_studio(app.pool, "south", settings=settings, numbers=settings["sms"]["numbers"])
    await a_token(app.pool, "south", "owner", "south")


SOUTH = {"name": "South", "timezone": "America/Chicago", "country": "US", "email": {"account": "default"}}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"sms": {"account": "southern", "numbers": ["+13125550100"]}}, "the number +13125550100 belongs to another"),
        ({"sms": {"account": "southern", "numbers": ["(312) 555-0100"]}}, "the number +13125550100 belongs to another"),
        ({"sms": {"account": "default", "numbers": ["+13125550155"]}}, "the sms account 'default' belongs to another"),
        ({"sms": {"numbers": ["+13125550155"]}}, "the sms account 'default' belongs to another"),
    ],
)
async def test_an_owner_of_one_studio_does_not_take_what_is_another_studios(
    app: Caller, keys: dict[str, Any], words: str
) -> None:
    await a_southern_owner(app)
    before = (await app.get("/studios/south")).json

    answer = await app.call("PUT", "/api/v1/studios/south", token="south", json={**SOUTH, **keys})

    assert (answer.status, words in answer.json["detail"]) == (409, True), answer.body
    assert "main" not in answer.json["detail"]
    assert (await app.get("/studios/south")).json == before


async def test_an_owner_of_one_studio_keeps_what_it_has_and_takes_what_is_free(app: Caller) -> None:
    await a_southern_owner(app)
    sms = {"account": "southern", "numbers": ["+13125550155", "+13125550156"]}

    answer = await app.call("PUT", "/api/v1/studios/south", token="south", json={**SOUTH, "sms": sms})

    assert (answer.status, answer.json["sms"]["numbers"]) == (200, sms["numbers"])


async def test_an_owner_keeps_a_number_that_is_shared_already(app: Caller) -> None:
    await a_southern_owner(app, numbers=["+13125550100"], account="default")
    sms = {"account": "default", "numbers": ["+13125550100"]}

    answer = await app.call("PUT", "/api/v1/studios/south", token="south", json={**SOUTH, "sms": sms, "name": "New"})

    assert (answer.status, answer.json["name"]) == (200, "New")


async def test_who_is_for_every_studio_may_let_several_use_one_number(app: Caller) -> None:
    await a_southern_owner(app)
    sms = {"account": "default", "numbers": ["+13125550100"]}

    answer = await app.call("PUT", "/api/v1/studios/south", json={**SOUTH, "sms": sms})

    assert (answer.status, answer.json["sms"]["numbers"]) == (200, ["+13125550100"])
