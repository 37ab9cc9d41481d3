"""Who changes what they read, and was not the first, is told so: whatever it is, and nothing is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from control_center.web.api.routes import Route
from control_center.web.server import ROUTES
from tests.support.rows import a_client, a_message, a_trigger, an_action
from tests.web.conftest import Answer, Caller
from tests.web.test_api_triggers import a_table

STUDIO = {"name": "Main", "timezone": "America/Chicago"}
USER = {"name": "ada", "role": "viewer", "studios": ["main"]}
DAY = {"name": "Fair", "date": "2027-07-04"}

# What there is with a version: how it is made, and what two people want of it who both read the same.
THINGS: Mapping[str, tuple[Any, Any, Any]] = {
    "/studios": (
        {"id": "north", **STUDIO},
        {"id": "north", **STUDIO, "enabled": False},
        {"id": "north", **STUDIO, "phone": "555-0100", "enabled": True},
    ),
    "/users": (USER, {**USER, "active": False}, {**USER, "email": "ada@studio.example", "active": True}),
    "/blackouts": (DAY, {**DAY, "date": "2027-07-05"}, {**DAY, "name": "Fair, too"}),
    "/triggers": (a_table(), a_table(status="Done"), a_table(type="Wedding")),
    "/templates": ({"name": "hello", "sms": "Hello"}, {"sms": "Soon"}, {"sms": "Later"}),
}


DEEDS = {
    *("enable_trigger", "disable_trigger", "roll_back_trigger"),
    *("process_action", "release_action", "skip_action", "delete_action"),
}


async def made(app: Caller, collection: str) -> tuple[str, str]:
    """The address of a new one, and the tag that it was answered with."""
    answer = await app.post(collection, json=THINGS[collection][0])
    assert answer.status == 201, answer.body
    return answer.headers["Location"], answer.headers["ETag"]


async def put(app: Caller, where: str, body: Any, tag: str) -> Answer:
    return await app.call("PUT", where, json=body, headers={"If-Match": tag})


@pytest.mark.parametrize("collection", THINGS)
async def test_an_edit_of_what_somebody_else_has_changed_since_changes_nothing(app: Caller, collection: str) -> None:
    _, first, second = THINGS[collection]
    where, read = await made(app, collection)
    assert (await app.call("GET", where)).headers["ETag"] == read

    saved = await put(app, where, first, read)
    late = await put(app, where, second, read)

    assert (saved.status, late.status) == (200, 412), late.body
    assert saved.headers["ETag"] != read
    after = await app.call("GET", where)
    assert (after.json, after.headers["ETag"]) == (saved.json, saved.headers["ETag"])
    assert (await put(app, where, second, saved.headers["ETag"])).status == 200


@pytest.mark.parametrize("collection", THINGS)
async def test_what_somebody_else_has_changed_since_is_not_deleted(app: Caller, collection: str) -> None:
    where, read = await made(app, collection)
    tag = (await put(app, where, THINGS[collection][1], read)).headers["ETag"]

    late = await app.call("DELETE", where, headers={"If-Match": read})

    assert late.status == 412, late.body
    assert (await app.call("GET", where)).status == 200
    assert (await app.call("DELETE", where, headers={"If-Match": tag})).status == 204


@pytest.mark.parametrize("collection", THINGS)
async def test_any_of_several_tags_will_do_and_a_star_is_any(app: Caller, collection: str) -> None:
    _, first, second = THINGS[collection]
    where, read = await made(app, collection)

    assert (await put(app, where, first, f'"0", {read}')).status == 200
    assert (await put(app, where, second, "*")).status == 200
    for wrong in ("W/" + read, "3", '"', '"no tag of ours"'):
        assert (await put(app, where, first, wrong)).status == 400, wrong


@pytest.mark.parametrize(("deed", "body"), [("enable", None), ("disable", None), ("rollback", {"version": 1})], ids=str)
async def test_a_trigger_that_was_rewritten_since_is_not_switched_by_who_read_it_before(
    app: Caller, deed: str, body: Any
) -> None:
    where, read = await made(app, "/triggers")
    saved = await put(app, where, a_table(status="Done"), read)
    options = {} if body is None else {"json": body}

    late = await app.call("POST", f"{where}/{deed}", headers={"If-Match": read}, **options)

    assert late.status == 412, late.body
    assert (await app.call("GET", where)).json == saved.json
    again = await app.call("POST", f"{where}/{deed}", headers={"If-Match": saved.headers["ETag"]}, **options)
    assert again.status == 200, again.body


@pytest.mark.parametrize("deed", ["process", "release", "skip", "delete"])
async def test_an_action_that_has_moved_since_is_not_decided_on_by_who_saw_it_before(app: Caller, deed: str) -> None:
    """Whoever presses the button of a review list from this morning would send today what is due next week by now."""
    action = await an_action(app.pool, state="held" if deed == "release" else "review")
    where = f"/api/v1/actions/a-{action}"
    read = (await app.call("GET", where)).headers["ETag"]
    await app.pool.execute("UPDATE actions SET state = 'planned', due_at = due_at + interval '7 days'")
    moved = await app.call("GET", where)

    late = await app.call("POST", f"{where}/{deed}", headers={"If-Match": read})

    assert late.status == 412, late.body
    assert (await app.call("GET", where)).json == moved.json
    again = await app.call("POST", f"{where}/{deed}", headers={"If-Match": moved.headers["ETag"]})
    assert again.status == 200, again.body
    assert again.headers["ETag"] == (await app.call("GET", where)).headers["ETag"]


def heeds(route: Route) -> bool:
    return route.versioned and (route.method in {"PUT", "DELETE"} or route.name in DEEDS)


async def test_a_condition_that_a_call_does_not_look_at_is_refused_and_not_passed_over(app: Caller) -> None:
    await a_client(app.pool)
    await a_trigger(app.pool, "Reminder")
    action, message = await an_action(app.pool), await a_message(app.pool)
    named = {"actions": f"a-{action}", "messages": f"m-{message}", "studios": "main", "bulk": "b-1"}

    for route in ROUTES:
        if route.method == "GET" or heeds(route):
            continue
        path = route.path.replace("{id}", named.get(route.path.split("/")[1], "1")).replace("{name}", "hello")
        options: dict[str, Any] = {"json": {}} if route.reads else {}
        answer = await app.call(route.method, f"/api/v1{path}", headers={"If-Match": '"1"'}, **options)
        assert (answer.status, answer.json["field"]) == (400, "If-Match"), (route.name, answer.body)


async def test_the_document_says_which_calls_look_at_it(app: Caller) -> None:
    document = (await app.get("/openapi.json", token=None)).json

    for route in ROUTES:
        said = document["paths"][f"/api/v1{route.path}"][route.method.lower()]
        names = [one["name"] for one in said["parameters"]]
        assert ("If-Match" in names, "412" in said["responses"]) == (heeds(route), heeds(route)), route.name
