"""A STOP beside messages that are already on their way through a worker, and at the provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from control_center.domain.inbound import brought_by_hand
from control_center.domain.outcome import Cause, Refused
from control_center.engine import consenting
from control_center.engine.conversations import Conversations
from control_center.engine.hearing import Hearing
from control_center.store import db
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, ahead, an_action, now
from tests.support.sayings import a_saying
from tests.workers.test_delivery import Scripted, delivering, delivery, running, until

OURS, JO, KIM = "+13125550100", "+13125550188", "+13125550177"
BLOCKED = Refused("the number said STOP", Cause.OPTED_OUT, "21610")
SOON = ahead(days=5).date().isoformat()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def comes_in(pool: db.Pool, text: str) -> None:
    inbound = brought_by_hand(JO, OURS, text, at=now())
    await Conversations(pool, now).take("sms/default", [(inbound, "{}")])


async def states(pool: db.Pool) -> list[tuple[str, str]]:
    rows = await pool.fetch(
        "SELECT origin, state FROM messages WHERE origin <> 'client' ORDER BY message_id",
    )
    return [(row[0], row[1]) for row in rows]


async def told(pool: db.Pool, verb: str) -> list[dict[str, Any]]:
    rows = await pool.fetch("SELECT data FROM commands WHERE verb = $1 ORDER BY sequence", verb)
    return [msgspec.json.decode(row[0]) for row in rows]


async def test_a_confirmation_that_cannot_leave_since_the_number_is_blocked_is_tried_once(pool: db.Pool) -> None:
    await comes_in(pool, "STOP")
    provider = Scripted(BLOCKED)

    await delivering(pool, delivery(pool, provider, at=now()), ends=("failed", "received"))
    await comes_in(pool, "STOP")

    assert len(provider.asked) == 1
    assert await states(pool) == [("answer", "failed")]
    assert await pool.fetchval("SELECT reason FROM messages WHERE origin = 'answer'") == f"opted_out: {BLOCKED.reason}"


async def test_a_stop_between_the_words_and_the_sending_wins(pool: db.Pool) -> None:
    for number in (KIM, JO):
        await a_message(pool, origin="person", address=number)
    provider = Scripted()
    provider.gate.clear()
    worker = delivery(pool, provider, at=now(), slots=1)

    async def one_flies_and_one_is_written() -> bool:
        claimed = await pool.fetchval("SELECT count(*) FROM messages WHERE state = 'claimed'")
        return provider.flying == 1 and claimed == 1

    async def over() -> bool:
        return not await pool.fetchval("SELECT count(*) FROM messages WHERE state IN ('claimed', 'submitting')")

    async with running(worker):
        await until(one_flies_and_one_is_written)
        waiting = await pool.fetchval("SELECT address FROM messages WHERE state = 'claimed'")
        async with db.transaction(pool) as tx:
            await consenting.say(tx, a_saying(waiting), now())
        provider.gate.set()
        await until(over)

    assert waiting not in [one.to for one in provider.asked]
    assert sorted(await states(pool)) == [("person", "accepted"), ("person", "suppressed")]


async def test_a_stop_that_only_the_provider_knew_ends_what_waits_and_is_told_to_the_crm(pool: db.Pool) -> None:
    trigger = await a_trigger(pool, action="sms_or_email", moved="nothing")
    await a_client(pool, reach=[JO])
    await a_record(pool, "session/4711", dates={"session": SOON})
    await a_message(pool, origin="person")
    action = await an_action(pool, state="released", trigger_id=trigger, occurrence=SOON, use_by=ahead(days=5))
    await a_message(pool, action=action, trigger_id=trigger, due_at=ahead(hours=1))

    async def refused() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM messages WHERE state = 'failed'"))

    async with running(delivery(pool, Scripted(BLOCKED), at=now())):
        await until(refused)
    while await Hearing(pool, now).run_once():
        pass

    rows = await pool.fetch("SELECT channel, state FROM messages ORDER BY message_id")
    assert [tuple(row) for row in rows] == [("sms", "failed"), ("sms", "suppressed"), ("email", "queued")]
    (said,) = await told(pool, "consent.changed")
    assert (said["address"], said["says"], said["source"]) == (JO, "stop", "provider")
