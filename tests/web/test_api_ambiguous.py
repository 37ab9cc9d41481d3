"""What could be read in two ways is not guessed at: it is refused, and nothing is done."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from tests.support.rows import a_client, a_message, a_studio
from tests.web.conftest import OWNER, Answer, Caller, a_token
from tests.web.test_api_deeds import an_event

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        (
            "POST",
            "/triggers",
            '{"name": "T", "record": "session", "action": "sms", "activate": {"on": "session", "days": -7, "days": 3}}',
            "activate.days",
        ),
        (
            "PUT",
            "/studios/main",
            '{"name": "Main", "timezone": "UTC", "enabled": false, "enabled": true}',
            "enabled",
        ),
        ("POST", "/actions/delete?state=review", '{"expect": 0, "expect": 0}', "expect"),
        ("POST", "/users", '{"name": "a", "role": "viewer", "role": "owner", "studios": ["*"]}', "role"),
        ("POST", "/templates/preview", '{"sms": "Hello", "\\u0073ms": "Goodbye"}', "sms"),
        ("PUT", "/studios/main/catalog", '{"types": [{"kind": "session", "name": "a", "name": "b"}]}', "types[0].name"),
    ],
)
async def test_a_field_that_a_body_gives_twice_is_refused_by_its_name(
    app: Caller, method: str, path: str, body: str, field: str
) -> None:
    answer = await app.call(method, f"/api/v1{path}", data=body, headers=JSON)

    assert (answer.status, answer.json["field"]) == (422, field), answer.body
    assert "more than once" in answer.json["detail"]


async def two_headers(app: Caller, name: str, first: str, second: str) -> bytes:
    """A call that could be done, with a header twice; the line of its answer."""
    where = urlsplit(app.base)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    body = b'{"name": "Closed", "date": "2027-07-04"}'
    head = [
        "POST /api/v1/blackouts HTTP/1.1",
        "Host: x",
        f"{name}: {first}",
        f"{name}: {second}",
        *([f"Authorization: Bearer {OWNER}"] if name != "Authorization" else []),
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    async with asyncio.timeout(60):
        said = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return said


@pytest.mark.parametrize(
    ("name", "first", "second", "status"),
    [
        ("Idempotency-Key", "one", "two", b" 400 "),
        ("Authorization", f"Bearer {OWNER}", "Bearer somebody-elses", b" 401 "),
    ],
)
async def test_a_header_that_comes_twice_is_not_taken_for_its_first(
    app: Caller, name: str, first: str, second: str, status: bytes
) -> None:
    assert status in await two_headers(app, name, first, second)
    assert await app.pool.fetchval("SELECT count(*) FROM blackouts") == 0


async def without_a_studio(app: Caller, method: str, path: str, **options: object) -> Answer:
    return await app.call(method, f"/api/v1{path}", token="both", **options)


async def test_who_is_for_several_studios_says_which_one_before_anything_is_changed(app: Caller) -> None:
    for studio in ("north", "south"):
        await a_studio(app.pool, studio)
    await a_token(app.pool, "both", "owner", "north", "south")
    closed = {"json": {"name": "Closed", "date": "2027-07-04"}}

    refused = await without_a_studio(app, "POST", "/blackouts", **closed)

    assert (refused.status, refused.json["field"]) == (400, "studio"), refused.body
    assert "north" in refused.json["detail"]
    assert "main" not in refused.json["detail"]
    assert await app.pool.fetchval("SELECT count(*) FROM blackouts") == 0
    assert (await without_a_studio(app, "POST", "/blackouts?studio=south", **closed)).status == 201
    assert (await without_a_studio(app, "GET", "/blackouts")).status == 200


async def test_events_name_their_studios_themselves(app: Caller) -> None:
    for studio in ("north", "south"):
        await a_studio(app.pool, studio)
    await a_token(app.pool, "both", "owner", "north", "south")

    answer = await without_a_studio(
        app, "POST", "/events", json=[{**an_event(f"e-{studio}"), "studio": studio} for studio in ("north", "south")]
    )

    assert (answer.status, answer.json["accepted"]) == (202, 2), answer.body


async def test_who_is_for_one_studio_need_not_name_it(app: Caller) -> None:
    await a_studio(app.pool, "north")
    await a_token(app.pool, "north", "owner", "north")

    answer = await app.post("/blackouts", token="north", json={"name": "Closed", "date": "2027-07-04"})

    assert answer.status == 201
    assert await app.pool.fetchval("SELECT studio_id FROM blackouts") == "north"


@pytest.mark.parametrize("bound", ["since", "until"])
@pytest.mark.parametrize("at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(microsecond=0, tzinfo=UTC)])
async def test_the_first_and_the_last_instant_that_there_are_bound_a_list(
    app: Caller, bound: str, at: datetime
) -> None:
    await a_client(app.pool)
    await a_message(app.pool)
    instant = at.isoformat().replace("+00:00", "Z")

    answer = await app.get(f"/messages?{bound}={instant}")

    within = (at.year == 1) == (bound == "since")
    assert (answer.status, len(answer.json["items"])) == (200, int(within)), answer.body
