"""Over HTTP a whole list is decided on only with the number that was seen, and never by accident."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.rows import a_client, a_record, a_studio, a_trigger, an_action
from tests.web.conftest import NOW, Answer, Caller, a_token

LIST = "trigger=Reminder&state=review"


async def some_for_review(app: Caller, number: int) -> list[str]:
    """Reminders that may go out now, and one of another trigger that must not be touched."""
    trigger = await a_trigger(app.pool, "Reminder", processing={"mode": "manual"})
    await a_client(app.pool)
    made = []
    for n in range(number):
        await a_record(app.pool, f"session/{n}", dates={"session": "2027-06-02T14:00"})
        action = await an_action(
            app.pool,
            record=f"session/{n}",
            trigger_id=trigger,
            state="review",
            occurrence="2027-06-02T14:00:00",
            due_at=datetime(2027, 5, 26, 5, tzinfo=UTC),
        )
        made.append(f"a-{action}")
    await an_action(app.pool, state="review", trigger_id=trigger + 1)
    return made


async def states(app: Caller) -> dict[str, int]:
    return {row[0]: row[1] for row in await app.pool.fetch("SELECT state, count(*) FROM actions GROUP BY state")}


def told(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return {name: answer.json[name] for name in ("count", "done", "stopped", "not_applicable", "not_reached")}


async def test_who_saved_a_trigger_does_not_process_more_than_one_person_writes_to(app: Caller) -> None:
    listed = await some_for_review(app, 3)
    studio = (await app.get("/studios/main")).json
    assert (await app.call("PUT", "/api/v1/studios/main", json={**studio, "second_person_above": 2})).status == 200
    await app.pool.execute("UPDATE trigger_versions SET saved_by = 'Owner *'")
    await a_token(app.pool, "second", "front_desk")

    for body in ({"expect": 3}, {"ids": listed[:1]}):
        refused = await app.post("/actions/process" + ("" if "ids" in body else f"?{LIST}"), json=body)
        assert (refused.status, "somebody else with the role front_desk" in refused.json["detail"]) == (409, True)
    assert (await states(app)).get("released") is None
    answer = await app.post(f"/actions/process?{LIST}", json={"expect": 3}, token="second")
    assert told(answer)["done"] == 3


@pytest.mark.parametrize(
    "query", ["", LIST, "state=review", "state=planned,released", "record=session/1", "due_from=2027-06-01T00:00:00Z"]
)
async def test_what_is_counted_is_what_is_listed(app: Caller, query: str) -> None:
    await some_for_review(app, 3)
    await an_action(app.pool, state="released")
    listed = (await app.get(f"/actions?{query}&limit=200")).json["items"]
    counted = (await app.get(f"/actions/count?{query}")).json
    assert counted["count"] == len(listed) == sum(counted["states"].values())
    assert set(counted["states"]) == {one["state"] for one in listed}


async def test_processing_a_list_releases_it_and_nothing_else(app: Caller) -> None:
    await some_for_review(app, 3)
    answer = await app.post(f"/actions/process?{LIST}", json={"expect": 3})
    assert told(answer) == {"count": 3, "done": 3, "stopped": 0, "not_applicable": 0, "not_reached": 0}
    assert answer.json["why"] == []
    assert await states(app) == {"released": 3, "review": 1}
    assert await app.pool.fetchval("SELECT count(*) FROM messages") == 3
    assert await app.pool.fetchval("SELECT array_agg(DISTINCT released_by) FROM actions WHERE state = 'released'") == [
        "owner *"
    ]


@pytest.mark.parametrize(("deed", "after"), [("delete", {"deleted": 3, "review": 1}), ("skip", {"review": 4})])
async def test_a_list_is_deleted_or_skipped(app: Caller, deed: str, after: dict[str, int]) -> None:
    await some_for_review(app, 3)
    assert told(await app.post(f"/actions/{deed}?{LIST}", json={"expect": 3}))["done"] == 3
    assert await states(app) == after


@pytest.mark.parametrize("deed", ["process", "skip", "delete"])
async def test_another_number_than_was_seen_is_a_conflict_that_names_the_true_one(app: Caller, deed: str) -> None:
    await some_for_review(app, 3)
    for expect in (0, 2, 4):
        answer = await app.post(f"/actions/{deed}?{LIST}", json={"expect": expect})
        assert (answer.status, answer.headers["Content-Type"]) == (409, "application/problem+json")
        assert (answer.json["count"], answer.json["field"]) == (3, "expect")
        assert "3 review" in answer.json["detail"]
    mistyped = await app.post(f"/actions/{deed}?trigger=Remindr", json={"expect": 3})
    assert (mistyped.status, mistyped.json["count"]) == (409, 0)
    assert await states(app) == {"review": 4}


@pytest.mark.parametrize("deed", ["process", "skip", "delete"])
@pytest.mark.parametrize("query", ["", "?studio=main", "?state=planned,review,held"])
async def test_a_list_that_leaves_nothing_out_is_refused_unless_all_are_meant(
    app: Caller, deed: str, query: str
) -> None:
    await some_for_review(app, 3)
    answer = await app.post(f"/actions/{deed}{query}", json={"expect": 4})
    assert (answer.status, answer.json["field"]) == (422, "all")
    assert await states(app) == {"review": 4}
    assert told(await app.post(f"/actions/{deed}{query}", json={"expect": 4, "all": True}))["count"] == 4


@pytest.mark.parametrize(
    ("query", "body", "status", "field"),
    [
        (LIST, {}, 422, "ids"),
        (LIST, {"all": True}, 422, "expect"),
        (LIST, {"expect": "3"}, 422, "expect"),
        (LIST, {"expect": -1}, 422, "expect"),
        (LIST, {"expect": 10_001}, 422, "expect"),
        (LIST, {"expect": True}, 422, "expect"),
        (LIST, {"expect": 3, "all": True}, 422, "all"),
        (LIST, {"expect": 3, "ids": ["a-1"]}, 422, "expect"),
        (LIST, {"ids": ["a-1"]}, 422, "state"),
        ("state=waiting", {"expect": 3}, 400, "state"),
        ("triger=Reminder", {"expect": 3}, 400, "triger"),
        ("trigger=Reminder&limit=1", {"expect": 1}, 400, "limit"),
        ("trigger=Reminder&cursor=WzFd", {"expect": 1}, 400, "cursor"),
        ("due_from=yesterday", {"expect": 3}, 400, "due_from"),
    ],
)
async def test_a_wrong_list_is_named_and_changes_nothing(
    app: Caller, query: str, body: dict[str, Any], status: int, field: str
) -> None:
    await some_for_review(app, 3)
    answer = await app.post(f"/actions/delete?{query}", json=body)
    assert (answer.status, answer.json["field"]) == (status, field), answer.body
    assert await states(app) == {"review": 4}


async def test_what_is_over_is_told_with_its_reason_and_its_ids(app: Caller) -> None:
    first, *_ = await some_for_review(app, 3)
    await app.post(f"/actions/{first}/delete")
    answer = await app.post("/actions/process?trigger=Reminder", json={"expect": 3})
    assert told(answer) == {"count": 3, "done": 2, "stopped": 0, "not_applicable": 1, "not_reached": 0}
    [why] = answer.json["why"]
    assert (why["state"], why["count"], why["ids"]) == ("deleted", 1, [first])
    assert why["reason"].startswith("it is deleted already: deleted by owner *")


async def test_a_repeat_under_its_key_gets_the_first_account_and_sends_nothing(app: Caller) -> None:
    await some_for_review(app, 3)
    options = {"json": {"expect": 3}, "headers": {"Idempotency-Key": "k1"}}
    answers = await asyncio.gather(*(app.post(f"/actions/process?{LIST}", **options) for _ in range(4)))
    assert [told(answer)["done"] for answer in answers] == [3, 3, 3, 3]
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 3
    assert await app.pool.fetchval("SELECT count(*) FROM messages") == 3
    other = await app.post("/actions/process?state=review", **options)
    assert (other.status, other.json["field"]) == (422, "Idempotency-Key")
    assert (await app.post(f"/actions/process?{LIST}", json={"expect": 3})).status == 409


async def test_a_miscount_under_a_key_may_be_put_right_under_it(app: Caller) -> None:
    await some_for_review(app, 3)
    options = {"json": {"expect": 3}, "headers": {"Idempotency-Key": "k1"}}
    trigger = await app.pool.fetchval("SELECT trigger_id FROM triggers")
    surplus = await an_action(app.pool, trigger_id=trigger, state="review")
    assert (await app.post(f"/actions/delete?{LIST}", **options)).status == 409
    await app.pool.execute("DELETE FROM actions WHERE action_id = $1", surplus)
    assert told(await app.post(f"/actions/delete?{LIST}", **options))["done"] == 3


async def test_a_list_is_of_one_studio_and_for_the_front_desk(app: Caller) -> None:
    await some_for_review(app, 2)
    await a_studio(app.pool, "north")
    await a_token(app.pool, "north", "owner", "north")
    await a_token(app.pool, "viewer", "viewer")
    body = {"expect": 3}
    assert (await app.post("/actions/delete?state=review", token="viewer", json=body)).status == 403
    assert (await app.post("/actions/delete?state=review&studio=main", token="north", json=body)).status == 404
    assert (await app.post("/actions/delete?state=review", token="north", json=body)).json["count"] == 0
    assert (await app.get("/actions/count?state=review", token="viewer")).json["count"] == 3
    assert await states(app) == {"review": 3}


async def test_the_document_says_how_a_list_is_decided_on(app: Caller) -> None:
    document = (await app.get("/openapi.json", token=None)).json
    for deed in ("process", "skip", "delete"):
        operation = document["paths"][f"/api/v1/actions/{deed}"]["post"]
        names = {one["name"] for one in operation["parameters"]}
        assert names == {"studio", "state", "trigger", "record", "due_from", "due_before", "Idempotency-Key"}
        read = operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
        assert [one["$ref"].rpartition("/")[2] for one in read] == ["ActionIds", "Listed"]
        answered = operation["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"]
        assert [one["$ref"].rpartition("/")[2] for one in answered] == ["Done", "Tally"]
        assert "409" in operation["responses"]
    listed = document["components"]["schemas"]["Listed"]
    assert listed["required"] == ["expect"]
    assert "count" in document["components"]["schemas"]["ProblemDocument"]["properties"]


async def test_what_waits_is_shown_by_trigger_with_the_first_of_each(app: Caller) -> None:
    made = await some_for_review(app, 12)
    planned = await a_trigger(app.pool, "Thanks")
    await an_action(app.pool, record="session/1", trigger_id=planned, due_at=datetime(2027, 7, 1, tzinfo=UTC))
    await an_action(app.pool, trigger_id=planned, state="released")
    await an_action(app.pool, trigger_id=planned + 1)  # of a trigger that was deleted

    groups = (await app.get("/actions/groups")).json["items"]

    assert {(one["trigger"], one["count"]) for one in groups} == {("Reminder", 12), ("Thanks", 2), (None, 1)}
    [reminder] = [one for one in groups if one["trigger"] == "Reminder"]
    assert (reminder["states"], reminder["oldest_due"]) == ({"review": 12}, "2027-05-26T05:00:00Z")
    assert [one["id"] for one in reminder["samples"]] == made[:10]
    assert {one["who"] for one in reminder["samples"]} == {"Jo Park"}
    [thanks] = [one for one in groups if one["trigger"] == "Thanks"]
    assert thanks["states"] == {"planned": 1, "review": 1}
    assert [one["state"] for one in thanks["samples"]] == ["review", "planned"]
    assert thanks["samples"][1]["due_at"] == "2027-07-01T00:00:00Z"
    narrowed = (await app.get("/actions/groups?trigger=Thanks&state=planned")).json["items"]
    assert [one["trigger"] for one in narrowed] == ["Thanks"]


async def test_a_planned_action_of_an_automatic_trigger_can_be_deleted(app: Caller) -> None:
    trigger = await a_trigger(app.pool, "Thanks")
    number = await an_action(app.pool, trigger_id=trigger, due_at=datetime(2027, 7, 1, tzinfo=UTC))
    assert (await app.post(f"/actions/a-{number}/delete")).json["state"] == "deleted"


async def some_held(app: Caller, number: int) -> list[str]:
    """What a shut guard holds, and why."""
    made = await some_for_review(app, number)
    reason = "blast guard: a test"
    await app.pool.execute(
        "UPDATE actions SET state = 'held', reason = $1 WHERE action_id = ANY ($2)",
        reason,
        [int(one[2:]) for one in made],
    )
    trigger = await app.pool.fetchval("SELECT trigger_id FROM triggers")
    await app.pool.execute("INSERT INTO release_guards VALUES ('main', $1, '', $2, $3)", trigger, NOW, reason)
    return made


async def test_a_shut_guard_shows_since_when_why_and_whom_it_holds(app: Caller) -> None:
    made = await some_held(app, 3)
    [group] = (await app.get("/actions/groups?state=held")).json["items"]
    assert (group["trigger"], group["states"], group["reason"]) == ("Reminder", {"held": 3}, "blast guard: a test")
    assert group["held_since"] == "2027-06-01T15:00:00Z"
    assert [one["id"] for one in group["samples"]] == made
    metrics = (await app.call("GET", "/metrics")).body.decode()
    assert 'control_center_actions_held{studio="main",trigger="Reminder"} 3.0' in metrics


async def test_one_call_lets_go_what_is_held_of_a_trigger_and_opens_its_guard(app: Caller) -> None:
    await some_held(app, 3)
    miscounted = await app.post("/actions/release?trigger=Reminder", json={"expect": 2})
    assert (miscounted.status, miscounted.json["count"]) == (409, 3)

    answer = await app.post("/actions/release?trigger=Reminder", json={"expect": 3})

    assert told(answer) == {"count": 3, "done": 3, "stopped": 0, "not_applicable": 0, "not_reached": 0}
    assert await states(app) == {"planned": 3, "review": 1}
    assert await app.pool.fetchval("SELECT count(*) FROM release_guards WHERE held_since IS NOT NULL") == 0
    assert (await app.get("/actions/groups?state=held")).json["items"] == []


async def test_single_actions_are_let_go_by_their_ids(app: Caller) -> None:
    first, second, third = await some_held(app, 3)
    one = await app.post(f"/actions/{first}/release")
    assert (one.json["state"], one.json["reason"][:6]) == ("planned", "let go")
    both = await app.post("/actions/release", json={"ids": [second, third]})
    assert [item["state"] for item in both.json["items"]] == ["planned", "planned"]
    assert await app.pool.fetchval("SELECT count(*) FROM release_guards WHERE held_since IS NOT NULL") == 0


async def test_letting_go_all_that_is_held_has_to_be_meant(app: Caller) -> None:
    await some_held(app, 3)
    assert (await app.post("/actions/release", json={"expect": 3})).status == 422
    assert told(await app.post("/actions/release", json={"expect": 3, "all": True}))["done"] == 3


async def test_only_the_front_desk_and_above_let_go(app: Caller) -> None:
    await some_held(app, 2)
    await a_token(app.pool, "viewer", "viewer")
    body = {"expect": 2}
    assert (await app.post("/actions/release?trigger=Reminder", token="viewer", json=body)).status == 403
    assert (await app.get("/actions/groups", token="viewer")).status == 200
