"""Over HTTP a whole list is decided on only with the number that was seen, and never by accident."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.rows import a_client, a_record, a_studio, a_trigger, an_action
from tests.web.conftest import Answer, Caller, a_token

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
    assert (await app.post("/actions/delete?state=review&studio=main", token="north", json=body)).status == 403
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
