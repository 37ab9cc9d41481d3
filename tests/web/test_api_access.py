"""Who may call what: every route of the API, for every role, and for those who are not for every studio."""

from __future__ import annotations

import re

import pytest

from control_center.store.users import ROLES
from control_center.web.api.routes import Route
from control_center.web.server import ROUTES
from tests.support.rows import a_message, a_studio, a_trigger, an_action
from tests.web.conftest import OWNER, Caller, a_token

_IDS = {"bulk": "b-99", "actions": "a-99", "messages": "m-99", "studios": "north", "templates": "none"}

# Written by hand: what each role may beyond those before it. A route that is added has to be added here.
ALLOWED = {
    "viewer": {
        *("list_messages", "get_message", "list_actions", "count_actions", "group_actions", "get_action"),
        "get_usage",
        "get_scores",
        *("list_events", "explain", "get_forecast", "forecast_trigger", "get_catalog"),
        *(
            "list_triggers",
            "get_trigger",
            "list_trigger_versions",
            "list_templates",
            "get_template",
            "list_template_fields",
            "preview_template",
            "preview_draft",
            "list_studios",
            "get_studio",
        ),
        *("list_blackouts", "get_blackout", "list_holidays"),
        *("list_bulks", "get_bulk", "list_bulk_recipients", "get_consents", "list_held_prefixes", "list_spending"),
    },
    "front_desk": {
        *(f"{deed}_action{s}" for deed in ("process", "release", "skip", "delete") for s in ("", "s")),
        "receive_text",
        *("send_message", "read_message", "unread_message", "link_message", "assign_message", "task_message"),
        *("resolve_message", "record_consent", "release_prefix"),
        *("untick_bulk_recipients", "tick_bulk_recipients", "pause_bulk", "resume_bulk", "cancel_bulk"),
    },
    "author": {
        *("create_trigger", "replace_trigger", "delete_trigger", "copy_trigger", "enable_trigger", "disable_trigger"),
        *("create_template", "replace_template", "delete_template", "replace_catalog"),
        *("backtest_trigger", "preview_trigger", "roll_back_trigger"),
        *("add_blackouts", "change_blackout", "open_days"),
        *("create_bulk", "start_bulk", "approve_bulk"),
    },
    "owner": {
        "erase_client",
        *("overspend", "post_events", "list_dead_events", "list_commands", "acknowledge_commands", "list_audit"),
        *("create_studio", "replace_studio", "delete_studio"),
        *("list_users", "create_user", "get_user", "replace_user", "delete_user"),
    },
}


# What a call has to ask for before anything is looked at.
_ASKS = {"get_consents": {"address": "jo@mail.example"}}


def address(route: Route, **query: str) -> str:
    query = {**_ASKS.get(route.name, {}), **query}
    some = _IDS.get(route.path.split("/")[1], "99")
    path = re.sub(r"\{\w+\}", some, route.path)
    return f"/api/v1{path}?{'&'.join(f'{key}={value}' for key, value in query.items())}".rstrip("?")


async def call(app: Caller, route: Route, token: str, **query: str) -> int:
    """Call it with nothing that it could do: who may not is told so before anything is looked at."""
    return (await app.call(route.method, address(route, **query), token=token)).status


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_may_call_what_it_is_for_and_nothing_else(app: Caller, role: str) -> None:
    await a_token(app.pool, "t", role)

    refused = {route.name for route in ROUTES if await call(app, route, "t") == 403}

    assert refused == set().union(*(ALLOWED[higher] for higher in ROLES[ROLES.index(role) + 1 :]))


def test_of_every_route_it_is_decided_which_role_it_needs() -> None:
    decided = {name: role for role, names in ALLOWED.items() for name in names}
    assert {route.name: route.role for route in ROUTES} == decided


async def test_every_route_asks_for_a_token(app: Caller) -> None:
    assert {await call(app, route, "nobody's") for route in ROUTES} == {401}


async def test_a_studio_that_a_user_is_not_for_does_not_exist_on_any_route(app: Caller) -> None:
    await a_studio(app.pool, "south")
    await a_token(app.pool, "south", "owner", "south")
    trigger, action = await a_trigger(app.pool), await an_action(app.pool)
    await a_message(app.pool)
    about_one = [route for route in ROUTES if route.about == "query" and not route.everywhere]

    for route in about_one:
        hidden = await app.call(route.method, address(route, studio="main"), token="south")
        nowhere = await app.call(route.method, address(route, studio="nowhere"), token="south")
        assert (hidden.status, nowhere.status) == (404, 404), route.name
        assert hidden.body == nowhere.body.replace(b"nowhere", b"main"), route.name
    # Nor are its things there under the studio that the user is for.
    for path in (f"/triggers/{trigger}", f"/actions/a-{action}", "/studios/main"):
        assert (await app.get(path, token="south")).status == 404, path


async def test_what_is_about_every_studio_is_for_those_who_are_for_every_one(app: Caller) -> None:
    await a_studio(app.pool, "north")
    await a_token(app.pool, "north", "owner", "north")
    everywhere = {route.name for route in ROUTES if route.everywhere}
    assert everywhere == {"list_dead_events", "create_studio", "delete_studio"}
    assert {await call(app, route, "north") for route in ROUTES if route.everywhere} == {403}


async def test_a_user_of_several_studios_sees_each_of_them(app: Caller) -> None:
    for studio in ("north", "south"):
        await a_studio(app.pool, studio)
    await a_token(app.pool, "both", "viewer", "north", "south")
    assert [one["id"] for one in (await app.get("/studios", token="both")).json["items"]] == ["north", "south"]
    for studio, status in (("north", 200), ("south", 200), ("main", 404)):
        assert (await app.get(f"/triggers?studio={studio}", token="both")).status == status
    assert (await app.get("/triggers", token="both")).status == 200  # the first of theirs


async def test_a_user_who_was_switched_off_is_let_in_no_more(app: Caller) -> None:
    await a_token(app.pool, "t", "viewer")
    assert (await app.get("/messages", token="t")).status == 200
    await app.pool.execute("UPDATE users SET active = false WHERE role = 'viewer'")
    assert (await app.get("/messages", token="t")).status == 401


async def test_the_document_names_the_role_of_every_operation(app: Caller) -> None:
    document = (await app.get("/openapi.json", token=None)).json
    for route in ROUTES:
        operation = document["paths"][f"/api/v1{route.path}"][route.method.lower()]
        assert operation["x-role"] == route.role
        assert operation["security"] == [{"bearer": [route.role]}]


async def test_a_word_in_an_address_is_not_taken_for_an_id(app: Caller) -> None:
    answer = await app.get("/actions/delete", token=OWNER)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_the_same_key_from_another_user_is_not_answered_with_what_was_made_for_the_first(app: Caller) -> None:
    await a_token(app.pool, "t", "owner", "main")
    options = {"json": {"name": "Closed", "date": "2027-07-04"}, "headers": {"Idempotency-Key": "k1"}}
    assert (await app.post("/blackouts", **options)).status == 201
    assert (await app.post("/blackouts", token="t", **options)).status == 422
