"""What every call of the API has in common: who may call, what is wrong with a call, and what is repeated."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging

import msgspec
import pytest

from control_center.web.api import openapi, serving
from control_center.web.server import ROUTES
from tests.support.rows import a_message, a_studio, an_action
from tests.web.conftest import Caller, a_token


def problem(answer: object) -> dict[str, object]:
    assert answer.headers["Content-Type"] == "application/problem+json"  # type: ignore[attr-defined]
    document: dict[str, object] = answer.json  # type: ignore[attr-defined]
    assert document["status"] == answer.status  # type: ignore[attr-defined]
    return document


# Who may call -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer unknown", "Bearer \xfc", "Bearer " + "x" * 600]
)
async def test_without_a_known_token_nothing_is_told(app: Caller, header: str) -> None:
    answer = await app.get("/messages", token=None, headers={"Authorization": header} if header else {})
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "items" not in problem(answer)


@pytest.mark.parametrize(
    ("method", "path", "body", "least"),
    [
        ("GET", "/messages", None, "viewer"),
        ("GET", "/explain?event=e-1", None, "viewer"),
        ("POST", "/actions/a-1/skip", None, "front_desk"),
        ("POST", "/actions/delete", {"ids": ["a-1"]}, "front_desk"),
        ("POST", "/blackouts", {"name": "Closed", "date": "2027-07-04"}, "author"),
        ("DELETE", "/blackouts/1", None, "author"),
        ("POST", "/events", [], "owner"),
        ("GET", "/commands", None, "owner"),
        ("POST", "/commands/ack", {"up_to": "0"}, "owner"),
    ],
)
async def test_a_role_may_what_it_is_for_and_no_more(
    app: Caller, method: str, path: str, body: object, least: str
) -> None:
    roles = ["viewer", "front_desk", "author", "owner"]
    allowed = {}
    for role in roles:
        await a_token(app.pool, f"t-{role}", role)
        answer = await app.call(method, f"/api/v1{path}", token=f"t-{role}", json=body)
        allowed[role] = answer.status != 403
    assert allowed == {role: roles.index(role) >= roles.index(least) for role in roles}


async def test_a_token_of_one_studio_sees_that_studio_only(app: Caller) -> None:
    await a_studio(app.pool, "north")
    await a_token(app.pool, "t", "owner", "north")
    await a_message(app.pool, studio="main")

    assert (await app.get("/messages", token="t")).json["items"] == []
    assert (await app.get("/messages?studio=north", token="t")).status == 200
    hidden, nowhere = [await app.get(f"/messages?studio={one}", token="t") for one in ("main", "nowhere")]
    assert (hidden.status, hidden.body) == (404, nowhere.body.replace(b"nowhere", b"main"))
    assert (await app.get("/events/dead", token="t")).status == 403


async def test_the_studio_is_chosen_by_the_query_and_must_exist(app: Caller) -> None:
    await a_studio(app.pool, "north")
    await a_message(app.pool, studio="north")
    assert len((await app.get("/messages?studio=north")).json["items"]) == 1
    assert (await app.get("/messages?studio=main")).json["items"] == []
    unknown = await app.get("/messages?studio=nowhere")
    assert unknown.status == 404
    assert problem(unknown)["field"] == "studio"


# What is wrong with a call ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=true", "limit"),
        ("limit=ten", "limit"),
        ("limit=5&limit=6", "limit"),
        ("cursor=nonsense!", "cursor"),
        ("cursor=WyJhIl0", "cursor"),
        ("cursor=%C3%BC", "cursor"),
        ("state=lost", "state"),
        ("state=queued,", "state"),
        ("channel=fax", "channel"),
        ("record=4711", "record"),
        ("action=12", "action"),
        ("action=a-99999999999999999999", "action"),
        ("search=a%00b", "search"),
        ("stat=queued", "stat"),
        ("studio=", "studio"),
    ],
)
async def test_a_wrong_parameter_is_named(app: Caller, query: str, field: str) -> None:
    answer = await app.get(f"/messages?{query}")
    assert answer.status == 400
    assert problem(answer)["field"] == field


async def test_a_misspelt_parameter_is_answered_with_the_right_one(app: Caller) -> None:
    assert "did you mean 'state'?" in str(problem(await app.get("/messages?stat=queued"))["detail"])


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 400, ""),
        (b"{", 400, ""),
        (b"\xff", 400, ""),
        (b"[]", 422, ""),
        (b"{}", 422, "name"),
        (b'{"name": "X"}', 422, "date"),
        (b'{"name": 5, "date": "2027-07-04"}', 422, "name"),
        (b'{"name": "a\\u0000", "date": "2027-07-04"}', 422, "name"),
        (b'{"name": "", "date": "2027-07-04"}', 422, "name"),
        (b'{"name": "X", "date": "2027-02-30"}', 422, "date"),
        (b'{"name": "X", "date": 20270704}', 422, "date"),
        (b'{"name": "X", "date": "2027-07-04", "extra": 1}', 422, "extra"),
        (b'{"name": "X", "from": "2027-07-04"}', 422, "to"),
        (b'{"name": "X", "from": "2027-07-04", "to": "2027-07-01"}', 422, "to"),
        (b'{"name": "X", "yearly": "02-30"}', 422, "yearly"),
        (b'{"name": "X", "yearly": "7-4"}', 422, "yearly"),
        (b'{"holidays": {"country": "XX", "years": [2027]}}', 422, "holidays.country"),
        (b'{"holidays": {"country": "US", "subdivision": "ZZ", "years": [2027]}}', 422, "holidays.subdivision"),
        (b'{"holidays": {"country": "US", "years": []}}', 422, "holidays.years"),
        (b'{"holidays": {"country": "US", "years": ["2027"]}}', 422, "holidays.years[0]"),
    ],
)
async def test_a_wrong_body_is_named_by_its_field_and_changes_nothing(
    app: Caller, body: bytes, status: int, field: str
) -> None:
    answer = await app.post("/blackouts", data=body, headers={"Content-Type": "application/json"})
    assert answer.status == status, answer.body
    assert problem(answer)["errors"][0]["field"] == field  # type: ignore[index]
    assert await app.pool.fetchval("SELECT count(*) FROM blackouts") == 0


async def test_nesting_without_end_is_refused(app: Caller) -> None:
    body = b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    answer = await app.post("/blackouts", data=body, headers={"Content-Type": "application/json"})
    assert answer.status in {400, 422}


async def test_what_is_not_there_is_a_problem_too(app: Caller) -> None:
    for path in ("/nothing", "/messages/m-0", "/messages/x", "/messages/m-1", "/actions/a-1", "/blackouts/0"):
        answer = await app.get(path)
        assert answer.status == 404, path
        problem(answer)


async def test_another_method_is_answered_with_those_that_are_offered(app: Caller) -> None:
    answer = await app.call("PATCH", "/api/v1/blackouts/1")
    assert (answer.status, answer.headers["Allow"]) == (405, "DELETE, GET, PUT")
    problem(answer)


async def test_another_media_type_is_answered_with_those_that_are_taken(app: Caller) -> None:
    answer = await app.post("/commands/ack", data=b"up_to=1", headers={"Content-Type": "text/plain"})
    assert answer.status == 415
    assert "application/json" in str(problem(answer)["detail"])


async def test_a_body_beyond_the_limit_is_not_read(app: Caller) -> None:
    async def endless() -> object:
        for _ in range(1000):
            yield b" " * 65536

    headers = {"Content-Type": "application/json"}
    declared = await app.post("/commands/ack", data=io.BytesIO(b" " * (8 * 1024 * 1024 + 1)), headers=headers)
    assert declared.status == 413
    with contextlib.suppress(OSError):  # where the connection is closed on us while we still talk
        assert (await app.post("/commands/ack", data=endless(), headers=headers)).status == 413


async def test_a_body_that_does_not_arrive_is_given_up(app: Caller) -> None:
    never = asyncio.Event()

    async def stalled() -> object:
        yield b"{"
        await never.wait()

    answer = await app.post("/commands/ack", data=stalled(), headers={"Content-Type": "application/json"})
    assert answer.status == 408


async def test_while_the_database_is_away_the_caller_is_told_to_come_again(app: Caller) -> None:
    await app.pool.close()
    answer = await app.get("/messages")
    assert answer.status == 503
    assert answer.headers["Retry-After"]
    problem(answer)


async def test_what_is_no_http_is_answered_without_a_traceback(app: Caller, caplog: pytest.LogCaptureFixture) -> None:
    host, port = app.base.removeprefix("http://").split(":")
    with caplog.at_level(logging.INFO, "aiohttp.server"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /api/v1/messages\x00 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
    assert all(record.exc_info is None for record in caplog.records)


async def test_every_answer_carries_the_headers_that_protect_it(app: Caller) -> None:
    for path in ("/healthz", "/api/v1/messages", "/nothing"):
        headers = (await app.call("GET", path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "aiohttp" not in headers["Server"]


async def test_the_log_names_the_route_and_never_the_address(app: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    await app.get("/messages?search=%2B13125550188")
    out = capsys.readouterr()
    logged = out.out + out.err
    assert "list_messages" in logged
    assert "13125550188" not in logged
    assert "owner-token" not in logged


# Repeats ----------------------------------------------------------------------------------------------------


async def test_the_same_key_and_body_get_the_same_answer_and_create_once(app: Caller) -> None:
    options = {"json": {"name": "Closed", "date": "2027-07-04"}, "headers": {"Idempotency-Key": "k1"}}
    first = await app.post("/blackouts", **options)
    second = await app.post("/blackouts", **options)
    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body
    assert second.headers["Idempotency-Replayed"] == "true"
    assert await app.pool.fetchval("SELECT count(*) FROM blackouts") == 1


async def test_the_same_key_at_once_creates_once(app: Caller) -> None:
    options = {"json": {"name": "Closed", "date": "2027-07-04"}, "headers": {"Idempotency-Key": "k1"}}
    answers = await asyncio.gather(*(app.post("/blackouts", **options) for _ in range(12)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert await app.pool.fetchval("SELECT count(*) FROM blackouts") == 1


async def test_the_same_key_with_another_body_or_address_is_refused(app: Caller) -> None:
    key = {"Idempotency-Key": "k1"}
    await app.post("/blackouts", json={"name": "Closed", "date": "2027-07-04"}, headers=key)
    for path, body in (("/blackouts", {"name": "Closed", "date": "2027-07-05"}), ("/commands/ack", {"up_to": "1"})):
        answer = await app.post(path, json=body, headers=key)
        assert answer.status == 422
        assert problem(answer)["field"] == "Idempotency-Key"


async def test_what_failed_may_be_tried_again_under_its_key(app: Caller) -> None:
    key = {"Idempotency-Key": "k1"}
    assert (await app.post("/actions/a-1/skip", headers=key)).status == 404
    action = await an_action(app.pool)
    assert (await app.post(f"/actions/a-{action}/skip", headers=key)).status == 200


@pytest.mark.parametrize("key", ["", "x" * 201, "\xe9"])
async def test_a_key_that_cannot_be_kept_is_refused(app: Caller, key: str) -> None:
    answer = await app.post("/commands/ack", json={"up_to": "0"}, headers={"Idempotency-Key": key})
    assert answer.status == 400
    assert problem(answer)["field"] == "Idempotency-Key"


# The document -----------------------------------------------------------------------------------------------


async def test_the_document_lists_every_route_and_resolves(app: Caller) -> None:
    answer = await app.get("/openapi.json", token=None)
    document = answer.json
    assert document["openapi"] == "3.1.0"
    listed = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert listed == {(route.method, serving.PREFIX + route.path) for route in ROUTES}
    names = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))
    _check_references(document, document)


def _check_references(part: object, document: dict[str, object]) -> None:
    if isinstance(part, dict):
        reference = part.get("$ref")
        if reference is not None:
            place: object = document
            for step in str(reference).removeprefix("#/").split("/"):
                assert isinstance(place, dict)
                place = place[step]
        for value in part.values():
            _check_references(value, document)
    elif isinstance(part, list):
        for value in part:
            _check_references(value, document)


def test_the_document_is_structurally_what_openapi_asks_for() -> None:
    document = json.loads(msgspec.json.encode(openapi.document(ROUTES, server="http://127.0.0.1", prefix="/api/v1")))
    for path, methods in document["paths"].items():
        in_path = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for operation in methods.values():
            assert operation["responses"]
            given = [(one["in"], one["name"]) for one in operation["parameters"]]
            assert len(given) == len(set(given))
            assert {name for place, name in given if place == "path"} == in_path
            assert all("schema" in one for one in operation["parameters"])
            for response in operation["responses"].values():
                assert response["description"]
