"""Users over HTTP: made, changed, switched off and deleted, and never more than whoever does it has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rows import a_studio
from tests.web.conftest import Caller, a_token

ADA = {"name": "ada", "email": "ada@studio.example", "role": "author", "studios": ["main"], "active": True}


async def test_a_user_is_made_read_changed_and_deleted(app: Caller) -> None:
    made = await app.post("/users", json=ADA)
    assert (made.status, {**made.json, "id": None}) == (201, {**ADA, "id": None, "signature": None})
    path = made.headers["Location"]
    changed = await app.call("PUT", path, json={**made.json, "role": "viewer", "active": False})
    assert (changed.status, changed.json["role"], changed.json["active"]) == (200, "viewer", False)
    assert (await app.call("GET", path)).json == changed.json
    assert "ada" in [one["name"] for one in (await app.get("/users")).json["items"]]
    assert (await app.call("DELETE", path)).status == 204
    assert (await app.call("GET", path)).status == 404


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"role": "king"}, "role"),
        ({"email": "nobody"}, "email"),
        ({"studios": ["nowhere"]}, "studios[0]"),
        ({"studios": "main"}, "studios"),
        ({"active": 1}, "active"),
        ({"signature": "x" * 201}, "signature"),
        ({"signature": "a\x1bb"}, "signature"),
        ({"token": "x"}, "token"),
    ],
)
async def test_a_wrong_user_is_refused_by_the_name_of_its_field(app: Caller, keys: Any, field: str) -> None:
    answer = await app.post("/users", json={**ADA, **keys})
    assert (answer.status, answer.json["field"]) == (422, field), answer.body


async def test_a_name_is_taken_once(app: Caller) -> None:
    await app.post("/users", json=ADA)
    assert (await app.post("/users", json=ADA)).status == 409


async def test_a_changed_role_counts_at_once_for_a_token_that_is_out(app: Caller) -> None:
    await a_token(app.pool, "t", "author", "main")
    [user] = [one for one in (await app.get("/users")).json["items"] if one["role"] == "author"]
    assert (await app.post("/blackouts", token="t", json={"name": "Closed", "date": "2027-07-04"})).status == 201
    await app.call("PUT", f"/api/v1/users/{user['id']}", json={**user, "role": "viewer"})
    assert (await app.post("/blackouts", token="t", json={"name": "Closed", "date": "2027-07-05"})).status == 403


async def test_an_owner_of_one_studio_manages_its_users_and_gives_away_no_more_than_that(app: Caller) -> None:
    await a_studio(app.pool, "north")
    await a_token(app.pool, "north", "owner", "north")
    others = []
    for name, studios in (("of main", ["main"]), ("of both", ["main", "north"]), ("of all", ["*"]), ("of none", [])):
        others.append((await app.post("/users", json={**ADA, "name": name, "studios": studios})).json["id"])

    for other in others:
        for method in ("GET", "DELETE", "PUT"):
            body = {"json": {**ADA, "studios": ["north"]}} if method == "PUT" else {}
            assert (await app.call(method, f"/api/v1/users/{other}", token="north", **body)).status == 404
    for studios in (["main"], ["*"], ["nowhere"], []):
        refused = await app.post("/users", token="north", json={**ADA, "studios": studios})
        assert (refused.status, refused.json["field"].split("[")[0]) == (422, "studios")
    assert (await app.post("/users", token="north", json={**ADA, "studios": ["north"]})).status == 201
    listed = (await app.get("/users", token="north")).json["items"]
    assert {studio for one in listed for studio in one["studios"]} == {"north"}


async def test_nobody_takes_their_own_rights_nor_the_last_ones_there_are(app: Caller) -> None:
    [oneself] = (await app.get("/users")).json["items"]
    path = f"/api/v1/users/{oneself['id']}"
    for change in ({"role": "viewer"}, {"active": False}, {"studios": ["main"]}):
        assert (await app.call("PUT", path, json={**oneself, **change})).status == 409
    assert (await app.call("DELETE", path)).status == 409
    assert (await app.call("PUT", path, json={**oneself, "email": "me@studio.example"})).status == 200
