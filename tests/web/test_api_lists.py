"""Lists lose nothing and repeat nothing, and show what the contract says."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_center.store.pages import LONGEST
from control_center.web.api.routes import Route
from control_center.web.server import ROUTES
from tests.support.rows import a_client, a_message, a_record, a_trigger, an_action
from tests.web.conftest import NOW, Caller

LISTS = [route for route in ROUTES if route.listed]


async def every_page(app: Caller, path: str, limit: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = (await app.get(f"{path}limit={limit}{cursor}")).json
        items += answer["items"]
        assert len(answer["items"]) <= limit
        if answer["next_cursor"] is None:
            return items
        cursor = f"&cursor={answer['next_cursor']}"


async def test_pages_of_messages_lose_and_repeat_nothing_while_new_ones_come(app: Caller) -> None:
    made = [await a_message(app.pool) for _ in range(11)]
    first = (await app.get("/messages?limit=4")).json
    await a_message(app.pool)  # newer than the first page, so not part of what follows
    seen = [one["id"] for one in first["items"]]
    while first["next_cursor"]:
        first = (await app.get(f"/messages?limit=4&cursor={first['next_cursor']}")).json
        seen += [one["id"] for one in first["items"]]
    assert seen == [f"m-{number}" for number in reversed(made)]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 200])
@pytest.mark.parametrize("order", ["newest", "due"])
async def test_pages_of_actions_are_complete_in_both_orders(app: Caller, limit: int, order: str) -> None:
    same = NOW + timedelta(days=1)
    dues = [same, same, NOW, same, NOW + timedelta(days=2)]
    made = [await an_action(app.pool, due_at=due) for due in dues]
    expected = sorted(zip(dues, made, strict=True)) if order == "due" else [(None, n) for n in reversed(made)]
    listed = await every_page(app, f"/actions?order={order}&", limit)
    assert [one["id"] for one in listed] == [f"a-{number}" for _, number in expected]


async def test_pages_of_events_are_complete_where_many_came_at_once(app: Caller) -> None:
    for source in ("/a", "/b"):
        for number in range(5):
            await app.pool.execute(
                "INSERT INTO events (studio_id, source, event_id, type, subject, time, received_at, body)"
                " VALUES ('main', $1, $2, 'crm.session.created', 'session/1', $3, $3, '{}')",
                source,
                f"e-{number}",
                NOW,
            )
    listed = await every_page(app, "/events?", 3)
    assert len({(one["source"], one["id"]) for one in listed}) == len(listed) == 10


async def test_a_message_shows_what_the_contract_names(app: Caller) -> None:
    trigger = await a_trigger(app.pool, "Reminder")
    number = await a_message(app.pool, state="accepted", trigger_id=trigger, provider_id="SM1")
    [listed] = (await app.get("/messages")).json["items"]
    names = "id direction channel state from to subject text trigger action record client created_at sent_at reason"
    assert set(names.split()) <= listed.keys()
    assert (listed["id"], listed["direction"], listed["from"], listed["to"]) == (
        f"m-{number}",
        "out",
        "+13125550100",
        "+13125550188",
    )
    assert (listed["trigger"], listed["record"], listed["client"]) == ("Reminder", "session/4711", "c-12")
    one = (await app.get(f"/messages/m-{number}")).json
    assert one["attempt_log"][0]["provider_id"] == "SM1"
    assert one["receipts"] == []
    assert {key: one[key] for key in listed} == listed


async def test_an_action_shows_what_the_contract_names(app: Caller) -> None:
    trigger = await a_trigger(app.pool, "Reminder")
    number = await an_action(app.pool, trigger_id=trigger, reason="blackout day (Easter)")
    [listed] = (await app.get("/actions")).json["items"]
    assert {"id", "state", "trigger", "record", "occurrence", "due_at", "reason"} <= listed.keys()
    assert listed == (await app.get(f"/actions/a-{number}")).json
    assert (listed["trigger"], listed["state"], listed["reason"]) == ("Reminder", "planned", "blackout day (Easter)")


async def test_messages_are_filtered_by_what_is_asked(app: Caller) -> None:
    trigger = await a_trigger(app.pool, "Reminder")
    text = await a_message(app.pool, trigger_id=trigger, state="accepted", body="See you at 100% Lakeside_")
    mail = await a_message(app.pool, channel="email", record="invoice/9", client_id="c-9", state="held", trigger_id=99)

    async def found(query: str) -> list[str]:
        return [one["id"] for one in (await app.get(f"/messages?{query}")).json["items"]]

    for query in ("state=accepted", "channel=sms", "record=session/4711", "client=c-12", "trigger=Reminder"):
        assert await found(query) == [f"m-{text}"], query
    for query in ("search=lakeside", "search=you+LAKE", "search=%28312%29+555-0188", "search=see&client=c-12"):
        assert await found(query) == [f"m-{text}"], query
    assert await found("record=invoice/9") == [f"m-{mail}"]
    assert await found("state=accepted,held") == [f"m-{mail}", f"m-{text}"]
    for query in ("search=nowhere", "search=you+nowhere", "search=%25", "search=keside"):
        assert await found(query) == [], query
    action = (await app.get(f"/messages/m-{mail}")).json["action"]
    assert await found(f"action={action}") == [f"m-{mail}"]


async def test_actions_are_filtered_by_what_is_asked(app: Caller) -> None:
    trigger = await a_trigger(app.pool, "Reminder")
    early = await an_action(app.pool, trigger_id=trigger, due_at=datetime(2027, 6, 1, tzinfo=UTC))
    late = await an_action(
        app.pool, record="invoice/9", state="review", due_at=datetime(2027, 6, 2, tzinfo=UTC), trigger_id=99
    )

    async def found(query: str) -> list[str]:
        return [one["id"] for one in (await app.get(f"/actions?{query}")).json["items"]]

    for query in ("state=planned", "trigger=Reminder", "record=session/4711", "due_before=2027-06-02T00:00:00Z"):
        assert await found(query) == [f"a-{early}"], query
    for query in ("state=review,held", "record=invoice/9", "due_from=2027-06-02T00:00:00Z"):
        assert await found(query) == [f"a-{late}"], query
    assert (await app.get("/actions?due_from=2027-06-02")).status == 400


async def test_incoming_texts_are_shown_from_the_client_to_us(app: Caller) -> None:
    await a_message(app.pool, state="received")
    [listed] = (await app.get("/messages")).json["items"]
    assert (listed["direction"], listed["from"], listed["to"]) == ("in", "+13125550188", "+13125550100")


async def test_the_message_of_a_deleted_trigger_is_still_listed(app: Caller) -> None:
    await a_record(app.pool)
    await a_message(app.pool, trigger_id=99)
    assert (await app.get("/messages")).json["items"][0]["trigger"] is None


# Every list -------------------------------------------------------------------------------------------------


def a_cursor(key: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


async def something(app: Caller) -> None:
    """A trigger, and a bulk to one client: what lists within something are within the first of."""
    await a_trigger(app.pool)
    await a_client(app.pool, allow_marketing={"sms": True})
    await app.post("/templates", json={"name": "offer", "sms": "Hello"})
    made = await app.post("/bulk", json={"audience": {"record": "client"}, "template": "offer"})
    assert made.json["id"] == "b-1"


async def page_of(app: Caller, route: Route, query: str) -> tuple[int, str | None]:
    """The status of a page, and the field that is wrong."""
    named = "b-1" if route.path.startswith("/bulk/") else "1"
    path = f"/api/v1{route.path.replace('{id}', named)}?{query}"
    options: dict[str, Any] = {"json": {}} if route.reads else {}
    answer = await app.call(route.method, path, **options)
    return answer.status, answer.json.get("field")


@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.name)
async def test_every_list_comes_in_pages_of_at_most_200(app: Caller, route: Route) -> None:
    await something(app)
    assert LONGEST == 200
    assert await page_of(app, route, "limit=200") == (200, None)
    for limit in ("0", "201", "-1", "ten", "99999999999999999999"):
        assert await page_of(app, route, f"limit={limit}") == (400, "limit"), limit
    follows = "after" if route.name == "list_commands" else "cursor"  # these two are the contract's names for it
    assert follows in route.query.model_fields


# What no row has for a key, though it looks like one: too large, in no year of UTC, without offset, not to be stored.
_SOME, _NONE = "2027-06-01T15:00:00Z", ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2027-06-01T15:00:00")
STRANGE = [
    *("", "a", "____", a_cursor(None), a_cursor({}), a_cursor([]), a_cursor([None])),
    *(a_cursor([number]) for number in (2**63, 2**64, 10**40, -(2**63) - 1, 1.5)),
    *(a_cursor([at, 1]) for at in _NONE),
    *(a_cursor([at, "source", "id"]) for at in _NONE),
    *(a_cursor([_SOME, number]) for number in (2**63, 10**40)),
    *(a_cursor([_SOME, *names]) for names in (("\0", "id"), ("source", "\0"), ("source", "\ud800"))),
    *(a_cursor(name) for name in ("\0", "\ud800")),
]


@pytest.mark.parametrize("route", [one for one in LISTS if one.name != "list_commands"], ids=lambda route: route.name)
async def test_a_cursor_that_no_list_gave_is_refused_by_every_list(app: Caller, route: Route) -> None:
    await something(app)
    for cursor in STRANGE:
        assert await page_of(app, route, f"cursor={cursor}") == (400, "cursor"), cursor
        if route.name == "list_actions":
            assert await page_of(app, route, f"order=due&cursor={cursor}") == (400, "cursor"), cursor


@pytest.mark.parametrize("path", ["/actions?due_from", "/actions/count?due_before", "/actions/groups?due_from"])
@pytest.mark.parametrize("at", [*_NONE, "1", "99999999999", "2027-06-01", "2027-02-29T00:00:00Z", "now", "infinity"])
async def test_what_is_no_instant_that_can_be_compared_is_refused(app: Caller, path: str, at: str) -> None:
    answer = await app.get(f"{path}={at.replace('+', '%2B')}")
    assert (answer.status, answer.json["field"]) == (400, path.partition("?")[2])
    audit = await app.get(f"/audit?since={at.replace('+', '%2B')}")
    assert (audit.status, audit.json["field"]) == (400, "since")


@pytest.mark.parametrize("limit", [1, 3, 200])
async def test_pages_of_blackouts_holidays_and_what_waits_are_complete(app: Caller, limit: int) -> None:
    for day in range(1, 8):
        await app.post("/blackouts", json={"name": "Fair", "date": f"2027-07-0{day}"})
        await an_action(app.pool, trigger_id=await a_trigger(app.pool), due_at=NOW + timedelta(days=day))
    await an_action(app.pool, trigger_id=await a_trigger(app.pool), state="review", due_at=NOW + timedelta(days=9))

    closed = [one["date"] for one in await every_page(app, "/blackouts?", limit)]
    assert closed == [f"2027-07-0{day}" for day in range(1, 8)]
    holidays = [one["date"] for one in await every_page(app, "/blackouts/holidays?years=2027&", limit)]
    assert holidays == sorted(set(holidays))
    assert len(holidays) == len((await app.get("/blackouts/holidays?years=2027")).json["items"]) > 10
    waits = [one["trigger_id"] for one in await every_page(app, "/actions/groups?", limit)]
    assert len(waits) == len(set(waits)) == 8
    assert waits == [one["trigger_id"] for one in (await app.get("/actions/groups")).json["items"]]
