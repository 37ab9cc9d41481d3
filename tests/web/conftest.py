"""The application on a real port, over a real database, and a client that holds a token."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_center.domain.links import Links
from control_center.engine.conversations import Conversations
from control_center.engine.following import Following
from control_center.engine.intake import Intake
from control_center.engine.mailroom import Mailroom
from control_center.store import db
from control_center.web import Account, Limits, Parts, serve
from tests.support.rows import a_studio

NOW = datetime(2027, 6, 1, 15, 0, tzinfo=UTC)  # 10:00 in Chicago
OWNER = "owner-token"
SECRET = "a-secret-of-the-provider"
TELNYX = Ed25519PrivateKey.from_private_bytes(b"a key that signs Telnyx's calls.")
PUBLIC_URL = "https://control.studio.example"
LINKS = Links(PUBLIC_URL, b"a key that nobody else has, really")


@dataclass
class Answer:
    """A whole answer, read."""

    status: int
    body: bytes
    headers: Mapping[str, str]  # whatever the case of their names

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Caller:
    """Calls the application; as the owner unless told otherwise."""

    base: str
    session: aiohttp.ClientSession
    pool: db.Pool
    missing: dict[str, str | None] = field(default_factory=dict)  # what /readyz finds missing

    async def call(self, method: str, path: str, *, token: str | None = OWNER, **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        headers |= options.pop("headers", {})
        async with self.session.request(method, self.base + path, headers=headers, **options) as response:
            return Answer(response.status, await response.read(), response.headers)

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", f"/api/v1{path}", **options)

    async def post(self, path: str, **options: Any) -> Answer:
        return await self.call("POST", f"/api/v1{path}", **options)


async def a_token(pool: db.Pool, token: str, role: str, *studios: str) -> str:
    """A user with this token; for every studio unless some are named."""
    user = await pool.fetchval(
        "INSERT INTO users (name, role, studios) VALUES ($1, $2, $3)"
        " ON CONFLICT (name) DO UPDATE SET role = $2 RETURNING user_id",
        f"{role} {' '.join(studios) or '*'}",
        role,
        list(studios) or ["*"],
    )
    digest = hashlib.sha256(token.encode()).hexdigest()
    await pool.execute(
        "INSERT INTO tokens (digest, user_id, origin, made_by) VALUES ($1, $2, 'issued', 'a test')", digest, user
    )
    return token


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test")
    await a_studio(pool)
    await a_token(pool, OWNER, "owner")
    yield pool
    await pool.close()


@pytest.fixture
async def app(pool: db.Pool) -> AsyncIterator[Caller]:
    missing: dict[str, str | None] = {}

    async def broker() -> str | None:
        return missing.get("broker")

    parts = Parts(
        pool=pool,
        clock=lambda: NOW,
        intake=Intake(pool, lambda: NOW),
        conversations=Conversations(pool, lambda: NOW),
        public_url=PUBLIC_URL,
        following=Following(pool, lambda: NOW, LINKS),
        mailroom=Mailroom(pool, lambda: NOW, LINKS),
        studio="main",
        accounts=(
            Account("sms/default", "twilio", "AC1", ("an-old-secret", SECRET)),
            Account("sms/telnyx", "telnyx", "", (base64.b64encode(TELNYX.public_key().public_bytes_raw()).decode(),)),
            Account("sms/kannel", "kannel", "", ("an-old-secret", SECRET)),
            Account("sms/gateway", "http", "", ("an-old-secret", SECRET)),
            Account("email/default", "smtp", "", ("an-old-secret", SECRET)),
            Account("email/other", "smtp", "", ("a-secret-of-its-own",)),
        ),
        sandboxes=frozenset({"sms/default"}),
        texting=frozenset({"sms/default", "sms/telnyx", "sms/kannel", "sms/gateway"}),
        readiness={"broker": broker},
        limits=Limits(body_seconds=1.0),
    )
    stop, opened = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(parts, host="127.0.0.1", port=0, stop=stop, listening=lambda host, port: opened.set_result((host, port)))
    )
    host, port = await opened
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield Caller(f"http://{host}:{port}", session, pool, missing)
    stop.set()
    await serving
