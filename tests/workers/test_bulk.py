"""Bulk from the list to the provider: the last check stands before each of its texts, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from control_center.domain.bulk import Audience
from control_center.domain.consent import Purpose, Said
from control_center.domain.outcome import Accepted, CannotTell, Lookup, Outcome, Text
from control_center.engine import bulks, consenting
from control_center.engine.bulks import Wish
from control_center.engine.pump import Pump
from control_center.store import breakers, db
from control_center.store.bulks import Bulk
from control_center.store.consents import Saying
from tests.support.days import monday_ahead
from tests.support.rows import a_client, a_message, a_studio
from workers.delivery import Delivery

NOON = monday_ahead()  # 12:00 in Chicago
OFFER = {"kind": "any", "purpose": "marketing", "sms": "Hello {{ client.first_name }}, our spring offer is here."}


class Provider:
    """Takes everything, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[Text] = []

    async def submit(self, message: Text) -> Outcome:
        self.asked.append(message)
        return Accepted(f"SM-{message.key}")

    async def lookup(self, _message: Text, _known: Any = ()) -> Lookup:
        return CannotTell("a test")

    async def close(self) -> None:
        pass


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    words = msgspec.json.encode(OFFER).decode()
    await opened.execute("INSERT INTO templates (studio_id, name, body) VALUES ('main', 'offer', $1)", words)
    for n in range(3):
        phones = [{"number": f"+1312555{n:04}", "sms": True}]
        await a_client(opened, f"c-{n}", phones=phones, allow_marketing={"sms": True})
    yield opened
    await opened.close()


async def released(pool: db.Pool) -> Bulk:
    """A bulk to three people, let go, and in the queue."""
    one = await bulks.create(pool, lambda: NOON, "main", Wish(Audience("client"), "offer", expect=3), by="Ada")
    while await Pump(pool, lambda: NOON).run_once():
        pass
    await good_for_long(pool)
    return one


async def good_for_long(pool: db.Pool) -> None:
    """Their clock stands at noon, while the database's goes on: what is queued is of use for two days of that one."""
    await pool.execute("UPDATE messages SET use_by = $1", NOON + timedelta(days=700))


async def delivered(pool: db.Pool, *, at: datetime = NOON) -> list[str]:
    """Deliver until nothing is due; the numbers that were texted."""
    provider, stop = Provider(), asyncio.Event()
    delivery = Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: at)

    async def idle() -> bool:
        waits = "state IN ('claimed', 'submitting') OR state = 'queued' AND due_at <= clock_timestamp()"
        return not await pool.fetchval(f"SELECT count(*) FROM messages WHERE {waits}")

    async with asyncio.TaskGroup() as group:
        group.create_task(delivery.run(stop))
        await until(idle)
        stop.set()
    return sorted(text.to for text in provider.asked)


async def until(fact: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not await fact():  # noqa: ASYNC110 - the fact is in the database, which sets no event here
            await asyncio.sleep(0.01)


async def states(pool: db.Pool) -> list[str]:
    return [row[0] for row in await pool.fetch("SELECT state FROM messages ORDER BY address")]


async def test_everybody_on_the_list_gets_it_once(pool: db.Pool) -> None:
    await released(pool)
    assert await delivered(pool) == ["+13125550000", "+13125550001", "+13125550002"]
    assert await states(pool) == ["accepted"] * 3


async def test_who_says_stop_after_the_release_gets_nothing(pool: db.Pool) -> None:
    await released(pool)
    async with db.transaction(pool) as tx:
        said = Saying("main", "sms", "+13125550001", Said.STOP, "reply", "no more offers", Purpose.MARKETING)
        await consenting.say(tx, said, NOON)
    assert await delivered(pool) == ["+13125550000", "+13125550002"]
    assert await states(pool) == ["accepted", "suppressed", "accepted"]


async def test_a_blackout_day_that_is_added_meanwhile_keeps_what_is_queued(pool: db.Pool) -> None:
    await released(pool)
    await pool.execute(
        "INSERT INTO blackouts (studio_id, name, first_day, last_day) VALUES ('main', 'Inventory', $1, $1)", NOON.date()
    )
    await pool.execute("UPDATE studios SET revision = revision + 1")
    assert await pool.fetchval("SELECT count(*) FROM messages") == 3
    reasons = await reasons_after_a_look(pool)
    assert [reason.startswith("blackout day (Inventory)") for reason in reasons] == [True] * 3


async def reasons_after_a_look(pool: db.Pool) -> list[str]:
    """Why each waits, once a worker has looked at it."""
    provider, stop = Provider(), asyncio.Event()
    delivery = Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: NOON)

    async def looked_at() -> bool:
        return not await pool.fetchval("SELECT count(*) FROM messages WHERE reason = ''")

    async with asyncio.TaskGroup() as group:
        group.create_task(delivery.run(stop))
        await until(looked_at)
        stop.set()
    assert provider.asked == []
    return [row[0] for row in await pool.fetch("SELECT reason FROM messages")]


async def test_what_a_worker_has_at_hand_does_not_leave_once_its_bulk_is_paused(pool: db.Pool) -> None:
    one = await released(pool)
    await pool.execute(
        "UPDATE messages SET state = 'claimed', lease_token = 1, lease_owner = $1, lease_until = now() + $2",
        uuid4(),
        timedelta(minutes=1),
    )
    await bulks.pause(pool, lambda: NOON, "main", one.bulk_id, by="Ada")
    assert await delivered(pool) == []
    assert await states(pool) == ["held"] * 3
    await bulks.resume(pool, lambda: NOON, "main", one.bulk_id, by="Ada")
    await good_for_long(pool)
    assert len(await delivered(pool)) == 3


async def test_what_comes_back_to_the_queue_while_its_bulk_is_paused_waits_for_it(pool: db.Pool) -> None:
    one = await released(pool)
    await bulks.pause(pool, lambda: NOON, "main", one.bulk_id, by="Ada")
    await pool.execute("UPDATE messages SET state = 'queued', reason = 'waited for its provider account'")
    assert await delivered(pool) == []
    assert await states(pool) == ["held"] * 3
    await bulks.cancel(pool, lambda: NOON, "main", one.bulk_id, by="Ada")
    await pool.execute("UPDATE messages SET state = 'queued', ended_at = NULL")
    assert await delivered(pool) == []
    assert await states(pool) == ["cancelled"] * 3


async def test_a_pause_outlasts_the_breaker_that_held_what_it_holds(pool: db.Pool) -> None:
    one = await released(pool)
    await pool.execute("UPDATE messages SET state = 'held', reason = 'breaker: 503'")
    await bulks.pause(pool, lambda: NOON, "main", one.bulk_id, by="Ada")
    async with db.session(pool) as connection:
        assert await breakers.return_held(connection, limit=10) == []
    await bulks.resume(pool, lambda: NOON, "main", one.bulk_id, by="Ada")
    await good_for_long(pool)
    assert len(await delivered(pool)) == 3


class Slow(Provider):
    """A provider that lets bulk wait for its answers."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def submit(self, message: Text) -> Outcome:
        self.asked.append(message)
        if message.body.startswith("Offer"):
            await self.gate.wait()
        return Accepted(f"SM-{message.key}")


async def test_bulk_that_waits_for_a_slow_provider_holds_up_nobody_else(pool: db.Pool) -> None:
    await a_studio(pool, "south")
    for n in range(120):
        await a_message(
            pool, origin="bulk", purpose="marketing", address=f"+1312555{n:04}", record="client/c-1", body="Offer"
        )
    provider, stop = Slow(), asyncio.Event()
    delivery = Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: NOON)

    async def asked(body: str, count: int) -> None:
        await until(lambda: _true(sum(one.body == body for one in provider.asked) == count))

    async with asyncio.TaskGroup() as group:
        group.create_task(delivery.run(stop))
        await asked("Offer", 14)  # all but the places that are kept for others
        for n in range(5):
            await a_message(pool, origin="person", studio="south", address=f"+1312556{n:04}", body="See you soon")
        delivery.wake.set()
        await asked("See you soon", 5)
        assert not provider.gate.is_set()
        provider.gate.set()
        await asked("Offer", 120)
        stop.set()


async def _true(fact: bool) -> bool:  # noqa: FBT001 - what is waited for
    return fact
