"""Whoever may call without a token: what is too large, too slow or unpacks to too much is refused, and not kept."""

from __future__ import annotations

import asyncio
import gzip
import io
import re
from typing import Final
from urllib.parse import urlsplit

import pytest

from control_center.web.server import ROUTES
from tests.web.conftest import Caller

MEGABYTE: Final = 1024 * 1024
HOOKS: Final = tuple(
    f"/hooks/sms/{provider}/{what}"
    for provider in ("twilio", "telnyx", "kannel", "http")
    for what in ("status", "inbound", "default/status", "default/inbound")
)
MAIL: Final = ("/hooks/email/inbound", "/hooks/email/bounce", "/hooks/email/default/inbound")
PAGES: Final = ("/u/x", "/c/x")
BOMB: Final = gzip.compress(b"a" * (40 * MEGABYTE))


async def rows(app: Caller) -> int:
    tables = await app.pool.fetch("SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public'")
    counts = [await app.pool.fetchval(f"SELECT count(*) FROM {table['relname']}") for table in tables]
    return sum(counts)


async def test_a_megabyte_is_not_read_by_a_hook_for_texts(app: Caller) -> None:
    before = await rows(app)

    for path in HOOKS:
        answer = await app.call("POST", path, token=None, data=io.BytesIO(b"a=" + b"x" * MEGABYTE))
        assert answer.status == 413, path

    assert await rows(app) == before


async def test_what_unpacks_to_forty_megabytes_is_refused_before_it_has(app: Caller) -> None:
    assert len(BOMB) < 64 * 1024
    before = await rows(app)

    for path in (*HOOKS, *MAIL):
        answer = await app.call("POST", path, token=None, data=BOMB, headers={"Content-Encoding": "gzip"})
        assert answer.status == 413, path

    assert await rows(app) == before


@pytest.mark.parametrize("path", [HOOKS[0], MAIL[0], "/api/v1/events"])
async def test_a_body_that_comes_a_byte_a_second_is_not_waited_for(app: Caller, path: str) -> None:
    where = urlsplit(app.base)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    token = "Authorization: Bearer owner-token\r\nContent-Type: application/json\r\n"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\n{token}Content-Length: 1000\r\n\r\na".encode())

    async with asyncio.timeout(30):
        said = await reader.readline()
        rest = await reader.read()

    assert b" 408 " in said
    assert b"onnection: close" in rest
    writer.close()


@pytest.mark.parametrize("nested", [b"[" * 100_000, b'{"a":' * 50_000, b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}"])
async def test_a_body_nested_without_end_is_told_so(app: Caller, nested: bytes) -> None:
    answer = await app.post("/events", data=nested, headers={"Content-Type": "application/json"})

    assert answer.status in {400, 413, 422}


async def test_every_answer_says_that_nothing_in_it_runs_is_kept_or_framed(app: Caller) -> None:
    paths = [re.sub(r"\{\w+\}", "1", f"/api/v1{route.path}") for route in ROUTES]
    paths += [*HOOKS, *MAIL, *PAGES, "/", "/healthz", "/readyz", "/metrics", "/nowhere"]
    for path in paths:
        for token in (None, "owner-token"):
            headers = (await app.call("GET", path, token=token)).headers
            assert headers["X-Content-Type-Options"] == "nosniff", path
            assert headers["Cache-Control"] == "no-store", path
            assert "default-src 'none'" in headers["Content-Security-Policy"], path
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
            assert headers["Server"] == "control-center", path
            assert "Access-Control-Allow-Origin" not in headers, path


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01 no HTTP\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n<script>alert(1)</script>\r\n\r\n",
        b"POST /u/x HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /u/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_with_the_same_headers_and_not_told_what_runs_here(
    app: Caller, said: bytes
) -> None:
    where = urlsplit(app.base)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(said)

    async with asyncio.timeout(60):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()

    writer.close()
    await writer.wait_closed()
    assert head.startswith(("http/1.0 400", "http/1.1 400"))
    assert "server: control-center" in head
    assert "x-content-type-options: nosniff" in head
    assert "default-src 'none'" in head
    assert "aiohttp" not in head


async def test_looking_at_any_address_changes_nothing(app: Caller) -> None:
    before = await rows(app)

    for route in ROUTES:
        path = re.sub(r"\{\w+\}", "1", f"/api/v1{route.path}")
        for method in ("GET", "HEAD", "OPTIONS"):
            assert (await app.call(method, path)).status < 500

    assert await rows(app) == before
