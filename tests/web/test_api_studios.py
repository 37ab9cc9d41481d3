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
