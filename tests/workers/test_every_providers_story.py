"""One conversation with each provider, from the queue to the provider's own API and back: the same in the database.

Accounts are made of settings, and calls come to the real routes under the provider's real signature. Where histories
differ, the provider documents the difference, and its carrier says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from control_center import settings
from control_center.daemon.site import _accounts
from control_center.domain.signature import Signature
from control_center.engine import users
from control_center.engine.carrier import Carrier as SandboxNetwork
from control_center.engine.conversations import Conversations
from control_center.engine.hearing import Hearing
from control_center.engine.intake import Intake
from control_center.engine.replies import adopt
from control_center.store import db
from control_center.web import Parts, serve
from tests.support.carriers import EVERY, OURS, PUBLIC_URL, TOKEN, Carrier, Sandbox, Web
from tests.support.rows import a_client, a_message, a_studio, ago
from workers.__main__ import _channel
from workers.delivery import Delivery
from workers.inquiry import Inquiry

ACCOUNT = "sms/theirs"
DEADLINE = 20.0
HELLO, REPLY, AFTER = "See you soon.", "See you there 😀", "One more thing."


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Centre:
    """The control center at work, with one provider."""

    pool: db.Pool
    carrier: Carrier
    delivery: Delivery
    inquiry: Inquiry
    reader: Hearing
    network: SandboxNetwork

    async def text(self, body: str) -> None:
        await a_client(self.pool, reach=[self.carrier.theirs])
        await self.another(body)

    async def another(self, body: str) -> None:
        await a_message(
            self.pool, origin="person", account=ACCOUNT, address=self.carrier.theirs, body=body, due_at=now()
        )

    async def arrives(self, place: int) -> None:
        await self.carrier.receipt(place)
        await self.network.run_once()

    async def bring(self, words: str) -> None:
        await self.carrier.bring(words)

    async def holds(self, fact: str) -> None:
        """Wait until a condition holds for one of the messages, while the engine does its rounds."""

        async def reached() -> bool:
            return bool(await self.pool.fetchval(f"SELECT EXISTS (SELECT FROM messages WHERE {fact})"))

        await self.until(reached)

    async def until(self, fact: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not await fact():
                self.delivery.wake.set()
                await adopt(self.pool, limit=10)
                await self.reader.run_once()
                await asyncio.sleep(0.02)


@pytest.fixture(params=list(EVERY))
async def carrier(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Carrier]:
    made = EVERY[request.param](tmp_path)
    await made.begin()
    yield made
    await made.end()


@pytest.fixture
async def centre(
    database_url: str, carrier: Carrier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Centre]:
    file = tmp_path / "control_center.toml"
    file.write_text(f'public_url = "{PUBLIC_URL}"\n[accounts.theirs]\n{carrier.table}\n')
    monkeypatch.setenv("CONTROL_CENTER_CONFIG", str(file))
    monkeypatch.setenv("CONTROL_CENTER_DATA_DIR", str(tmp_path))
    chosen = settings.read()
    pool = await db.open_pool(database_url, application="test")
    await a_studio(pool, settings={"sms": {"account": "theirs", "numbers": [OURS]}})
    await users.admit_first(pool, TOKEN, configured=True, by=Signature(users.SETTINGS, "settings"))
    channel: Any = _channel(chosen, pool, ACCOUNT, chosen.accounts["theirs"])
    delivery = Delivery(pool, channel, account=ACCOUNT, owner=uuid4(), clock=now)
    stop, opened = asyncio.Event(), asyncio.get_running_loop().create_future()
    parts = Parts(
        pool=pool,
        clock=now,
        intake=Intake(pool, now),
        conversations=Conversations(pool, now),
        public_url=chosen.public_url,
        accounts=_accounts(chosen),
        sandboxes=frozenset({ACCOUNT} if isinstance(carrier, Sandbox) else ()),
    )
    running = [
        asyncio.create_task(delivery.run(stop)),
        asyncio.create_task(
            serve(parts, host="127.0.0.1", port=0, stop=stop, listening=lambda *bound: opened.set_result(bound))
        ),
    ]
    host, port = await opened
    async with aiohttp.ClientSession() as session:
        carrier.web = Web(session, f"http://{host}:{port}")
        yield Centre(
            pool,
            carrier,
            delivery,
            Inquiry(pool, channel, account=ACCOUNT, clock=now),
            Hearing(pool, now),
            SandboxNetwork(pool, tmp_path / "sandbox", now, travel=timedelta()),
        )
    stop.set()
    await asyncio.gather(*running)
    await channel.close()
    await pool.close()


# --- the history ---------------------------------------------------------------------------------------------------

MESSAGES = """
SELECT CASE WHEN origin = 'answer' THEN '(we confirm it)' ELSE body END, origin, state, asked, tries, client_id,
       meaning, attention IS NOT NULL
  FROM messages ORDER BY message_id"""
ATTEMPTS = """
SELECT messages.body, number, outcome, attempts.key = concat('m-', message_id, '.', number)
  FROM attempts JOIN messages USING (studio_id, message_id)
 WHERE origin <> 'answer' ORDER BY message_id, number"""
# Not how often its provider spoke of a text, but what it said last.
ARRIVED = """
SELECT DISTINCT messages.body FROM receipts JOIN messages USING (studio_id, message_id)
 WHERE fate = 'delivered' ORDER BY body"""
CAME = """
SELECT messages.body, arrivals.account, waiting FROM arrivals JOIN messages USING (studio_id, message_id)
 ORDER BY message_id"""
SAID = "SELECT channel, address, purpose, says, source, evidence FROM consents ORDER BY consent_id"
CONVERSATIONS = "SELECT channel, ours, theirs, client_id, linked_by FROM conversations"
# Of each message but our own confirmation, which is not everywhere.
TOLD = """
SELECT verb FROM commands
 WHERE data::jsonb ->> 'message'
       IS DISTINCT FROM concat('m-', (SELECT message_id FROM messages WHERE origin = 'answer'))
   AND verb <> 'add_note'
 ORDER BY sequence"""


async def rows(centre: Centre, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await centre.pool.fetch(statement)]


async def test_a_text_its_receipt_a_reply_a_stop_and_silence(centre: Centre) -> None:
    carrier = centre.carrier
    await centre.text(HELLO)
    await centre.holds("state IN ('accepted', 'delivered')")
    await centre.arrives(0)
    await centre.holds("state = 'delivered'")
    await centre.bring(REPLY)
    await centre.holds("meaning = 'plain'")
    await centre.bring("STOP")
    await centre.holds("meaning = 'opt_out'")
    if not carrier.answers_stop:
        await centre.holds("origin = 'answer' AND state IN ('accepted', 'delivered')")
        await centre.arrives(1)
        await centre.holds("origin = 'answer' AND state = 'delivered'")
    await centre.another(AFTER)
    await centre.holds("state = 'suppressed'")

    ours = [] if carrier.answers_stop else [("(we confirm it)", "answer", "delivered", 1, 1, "c-12", None, False)]
    assert await rows(centre, MESSAGES) == [
        (HELLO, "person", "delivered", 1, 1, "c-12", None, False),
        (REPLY, "client", "received", 0, 0, "c-12", "plain", False),
        ("STOP", "client", "received", 0, 0, "c-12", "opt_out", False),
        *ours,
        (AFTER, "person", "suppressed", 0, 0, "c-12", None, False),
    ]
    assert await rows(centre, ATTEMPTS) == [(HELLO, 1, "accepted", True)]
    assert await rows(centre, CAME) == [(REPLY, ACCOUNT, False), ("STOP", ACCOUNT, False)]
    assert await rows(centre, SAID) == [("sms", carrier.theirs, "all", "stop", "reply", "STOP")]
    assert await rows(centre, CONVERSATIONS) == [("sms", OURS, carrier.theirs, "c-12", None)]
    assert [verb for (verb,) in await rows(centre, TOLD)] == [
        "message.sent",
        "message.delivered",
        "message.received",
        "consent.changed",
        "message.received",
        "message.failed",
    ]
    assert carrier.texts[0] == HELLO
    assert ["no more texts" in text for text in carrier.texts[1:]] == [True] * len(ours)


async def test_a_lost_answer_is_settled_as_its_provider_can_and_the_text_goes_out_once(centre: Centre) -> None:
    carrier = centre.carrier
    carrier.lose()
    await centre.text(HELLO)
    await centre.holds("state = 'unknown' AND reason LIKE 'sent: %'")
    assert await rows(centre, ATTEMPTS) == [(HELLO, 1, "unknown", True)]

    await centre.pool.execute("UPDATE attempts SET started_at = $1", ago(minutes=5))
    await centre.inquiry.run_once()
    await centre.holds(f"state = '{carrier.settles}'")
    await centre.arrives(0)
    if carrier.echoes:
        await centre.holds("state = 'delivered'")
    await centre.inquiry.run_once()

    settled = carrier.echoes or carrier.settles == "accepted"
    outcome, state = ("accepted", "delivered") if settled else ("unknown", "unknown")
    assert await rows(centre, MESSAGES) == [(HELLO, "person", state, 1, 1, "c-12", None, False)]
    assert await rows(centre, ATTEMPTS) == [(HELLO, 1, outcome, True)]
    assert await rows(centre, ARRIVED) == ([(HELLO,)] if settled else [])
    told = [verb for (verb,) in await rows(centre, TOLD)]
    assert told == ["message.unknown", *(["message.sent", "message.delivered"] if settled else [])]
    assert carrier.texts == [HELLO]


async def test_a_throttled_minute_costs_a_wait_and_nothing_else(centre: Centre) -> None:
    carrier, began = centre.carrier, now()
    carrier.throttle(2)
    await centre.text(HELLO)
    for tried in (1, 2):
        await centre.holds(f"state = 'queued' AND tries = {tried} AND reason LIKE 'retry: %'")
        due = await centre.pool.fetchval("SELECT due_at FROM messages")
        assert due - began >= carrier.waits
        assert not await centre.pool.fetchval("SELECT count(*) FROM breakers")
        await centre.pool.execute("UPDATE messages SET due_at = now()")  # the wait is over
    await centre.holds("state IN ('accepted', 'delivered')")
    await centre.arrives(0)
    await centre.holds("state = 'delivered'")

    assert await rows(centre, MESSAGES) == [(HELLO, "person", "delivered", 3, 3, "c-12", None, False)]
    outcomes = ["not_sent", "not_sent", "accepted"]
    assert await rows(centre, ATTEMPTS) == [(HELLO, n, one, True) for n, one in enumerate(outcomes, 1)]
    assert [verb for (verb,) in await rows(centre, TOLD)] == ["message.sent", "message.delivered"]
    assert carrier.texts == [HELLO]
