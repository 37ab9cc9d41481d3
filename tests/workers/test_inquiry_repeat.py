"""At a provider that knows our key, a text whose answer was lost is submitted again: it goes out once or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.replies import adopt
from control_center.store import db, doubts, message_leases
from tests.support.crm import client, event, session
from tests.support.days import booked_before, noon_near
from tests.support.http_stub import DROP, Answer, Step
from tests.support.rows import a_studio, a_trigger, ago
from tests.support.sayings import said
from tests.support.telnyx_stub import TelnyxStub, refuse
from workers.delivery import Delivery
from workers.inquiry import PATIENCE, Inquiry
from workers.sms.telnyx import Telnyx

NOON = noon_near()  # a provider's memory, too, is measured by the database's clock
DEADLINE = 20.0  # seconds that a test waits for a fact
LOST, NEVER_CAME = Step(answer=DROP), Step(accept=False, answer=DROP)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


@pytest.fixture
async def provider() -> AsyncIterator[TelnyxStub]:
    async with TelnyxStub() as stub:
        yield stub


@pytest.fixture
async def channel(provider: TelnyxStub) -> AsyncIterator[Telnyx]:
    telnyx = Telnyx(secret="KEY-1", callback_url_template="https://studio.example/?ref={key}", base=provider.url)
    yield telnyx
    await telnyx.close()


async def in_doubt(pool: db.Pool, provider: TelnyxStub, channel: Telnyx, step: Step, **trigger: Any) -> None:
    """A text about a session just booked that met this step, and a few minutes that have passed since."""
    await a_trigger(pool, **{"activate": {"on": "status_changed"}, **trigger})
    booked = session("1000", client="c-1000", **booked_before(NOON))
    about = client("c-1000", phones=[{"number": "+13125551000", "sms": True}])
    await Intake(pool, lambda: NOON).take_in([event(booked, about=about)])
    while await Release(pool, lambda: NOON).run_once():
        pass
    provider.script(step)
    delivery = Delivery(pool, channel, account="sms/default", owner=uuid4(), clock=lambda: NOON)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(delivery.run(stop))
        await until(lambda: is_in(pool, "unknown"))
        stop.set()
    await pool.execute("UPDATE attempts SET started_at = $1", ago(minutes=5))


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await fact():  # noqa: ASYNC110 - the fact is in the database, which sets no event here
            await asyncio.sleep(0.01)


async def is_in(pool: db.Pool, state: str) -> bool:
    return bool(await pool.fetchval("SELECT count(*) FROM messages WHERE state = $1", state))


def inquiry(pool: db.Pool, channel: Telnyx, at: datetime = NOON) -> Inquiry:
    return Inquiry(pool, channel, account="sms/default", clock=lambda: at)


async def the_message(pool: db.Pool) -> Any:
    (row,) = await pool.fetch("SELECT * FROM messages")
    return row


# --- it goes out once ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [LOST, NEVER_CAME], ids=["it had arrived", "it never arrived"])
async def test_a_text_whose_answer_was_lost_is_settled_by_the_same_request(
    pool: db.Pool, provider: TelnyxStub, channel: Telnyx, step: Step
) -> None:
    await in_doubt(pool, provider, channel, step)

    await inquiry(pool, channel).run_once()
    await adopt(pool, limit=10)

    first, again = provider.requests
    assert first.body == again.body
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"]
    assert len(provider.accepted) == 1
    message = await the_message(pool)
    assert (message["state"], message["provider_id"], message["asked"]) == ("accepted", "40385f64-000000000000", 1)
    attempt = await pool.fetchrow("SELECT * FROM attempts")
    assert (attempt["outcome"], attempt["provider_id"]) == ("accepted", "40385f64-000000000000")
    told = await pool.fetch("SELECT verb FROM commands WHERE verb LIKE 'message.%'")
    assert sorted(row["verb"] for row in told) == ["message.sent", "message.unknown"]
    assert message["reason"] == ""


async def test_two_workers_do_not_ask_at_once(pool: db.Pool, provider: TelnyxStub, channel: Telnyx) -> None:
    await in_doubt(pool, provider, channel, LOST)

    await asyncio.gather(*(inquiry(pool, channel).run_once() for _ in range(3)))
    await adopt(pool, limit=10)

    assert len(provider.requests) == 2
    assert (await the_message(pool))["state"] == "accepted"


async def test_a_provider_that_is_away_is_asked_again_and_again(
    pool: db.Pool, provider: TelnyxStub, channel: Telnyx
) -> None:
    await in_doubt(pool, provider, channel, NEVER_CAME)
    provider.script(*(refuse(429, "10011") for _ in range(PATIENCE + 2)))
    asking = inquiry(pool, channel)

    for _ in range(PATIENCE + 2):
        await asking.run_once()
    assert (await the_message(pool))["state"] == "unknown"
    await asking.run_once()
    await adopt(pool, limit=10)

    assert (await the_message(pool))["state"] == "accepted"
    assert len(provider.accepted) == 1


async def test_a_repeat_whose_answer_is_lost_too_is_repeated(
    pool: db.Pool, provider: TelnyxStub, channel: Telnyx
) -> None:
    await in_doubt(pool, provider, channel, NEVER_CAME)
    provider.script(LOST)
    asking = inquiry(pool, channel)

    await asking.run_once()
    await asking.run_once()
    await adopt(pool, limit=10)

    assert (await the_message(pool))["state"] == "accepted"
    assert (len(provider.requests), len(provider.accepted)) == (3, 1)


async def test_a_worker_that_dies_while_it_asks_again_leaves_it_unknown(
    pool: db.Pool, provider: TelnyxStub, channel: Telnyx
) -> None:
    await in_doubt(pool, provider, channel, NEVER_CAME)
    provider.script(Step(delay=30))
    dying = asyncio.create_task(inquiry(pool, channel).run_once())
    await provider.heard(2)

    assert (await the_message(pool))["state"] == "submitting"  # so that nobody else settles it meanwhile
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    await pool.execute("UPDATE messages SET lease_until = $1", ago(seconds=1))
    async with db.transaction(pool) as tx:
        (rescued,) = await message_leases.rescue_expired_leases(tx, poison=3, limit=10)
    assert rescued.state.value == "unknown"

    await inquiry(pool, channel).run_once()
    await adopt(pool, limit=10)
    assert (await the_message(pool))["state"] == "accepted"
    assert len(provider.accepted) == 1


# --- or not at all -------------------------------------------------------------------------------------------


async def stays_unknown(pool: db.Pool, provider: TelnyxStub, channel: Telnyx, at: datetime = NOON) -> None:
    """It is not asked again, in no round."""
    before = len(provider.requests)
    asking = inquiry(pool, channel, at)

    for _ in range(3):
        await asking.run_once()
        await adopt(pool, limit=10)

    assert len(provider.requests) == before
    assert (await the_message(pool))["state"] == "unknown"


async def test_not_after_a_stop(pool: db.Pool, provider: TelnyxStub, channel: Telnyx) -> None:
    await in_doubt(pool, provider, channel, NEVER_CAME)
    async with db.transaction(pool) as tx:
        await said(tx, "+13125551000")

    await stays_unknown(pool, provider, channel)


async def test_not_at_night(pool: db.Pool, provider: TelnyxStub, channel: Telnyx) -> None:
    processing = {"mode": "automatic", "window": "09:00-20:00"}
    await in_doubt(pool, provider, channel, NEVER_CAME, processing=processing)

    await stays_unknown(pool, provider, channel, NOON + timedelta(hours=9))


@pytest.mark.parametrize(
    "change", [{"dates": {"session": "2027-07-01T10:00"}}, {"status": "Canceled"}, {"type": "Portrait"}]
)
async def test_not_for_a_session_that_is_another_now(
    pool: db.Pool, provider: TelnyxStub, channel: Telnyx, change: dict[str, Any]
) -> None:
    words = "{{ session.type }} on {{ session.date }}"
    await in_doubt(pool, provider, channel, NEVER_CAME, text=words)
    await Intake(pool, lambda: NOON).take_in([event(session("1000", client="c-1000", version=2, **change), "updated")])

    await stays_unknown(pool, provider, channel)


async def test_not_longer_than_the_provider_knows_the_key(pool: db.Pool, provider: TelnyxStub, channel: Telnyx) -> None:
    await in_doubt(pool, provider, channel, LOST)
    await pool.execute("UPDATE attempts SET started_at = $1", ago(hours=23, minutes=5))

    await stays_unknown(pool, provider, channel)


@pytest.mark.parametrize("answer", [Answer(500), Answer(502, b"<html>"), Answer(200, b"{")])
async def test_not_where_an_answer_came(pool: db.Pool, provider: TelnyxStub, channel: Telnyx, answer: Answer) -> None:
    """Telnyx answers a repeat as before only where it took the first."""
    await in_doubt(pool, provider, channel, Step(answer=answer))

    await stays_unknown(pool, provider, channel)


async def test_not_once_a_person_has_settled_it(pool: db.Pool, provider: TelnyxStub, channel: Telnyx) -> None:
    await in_doubt(pool, provider, channel, NEVER_CAME)
    await pool.execute("UPDATE messages SET state = 'failed', ended_at = $1, resolved_by = 'ada'", ago(seconds=1))

    await inquiry(pool, channel).run_once()

    assert len(provider.requests) == 1
    assert (await the_message(pool))["state"] == "failed"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (refuse(403, "40300", "Blocked due to STOP message"), "telnyx 40300: opted out"),
        (refuse(422, "x", "Idempotency-Key was used with another body"), "telnyx: HTTP 422"),
        (Step(accept=False, answer=Answer(500, b"")), "telnyx: HTTP 500"),
    ],
)
async def test_what_a_repeat_is_answered_is_kept_for_the_person_who_decides(
    pool: db.Pool, provider: TelnyxStub, channel: Telnyx, step: Step, said: str
) -> None:
    await in_doubt(pool, provider, channel, NEVER_CAME)
    provider.script(step)

    await inquiry(pool, channel).run_once()

    assert (await the_message(pool))["reason"] == f"answered: asked again: {said}"
    await stays_unknown(pool, provider, channel)
    assert provider.accepted == {}


@pytest.mark.parametrize("stands_still", [timedelta(hours=7), timedelta(days=2)], ids=["its hours", "the key's time"])
async def test_a_worker_that_stood_still_since_its_mark_does_not_ask_again_once_it_is_too_late(
    pool: db.Pool, provider: TelnyxStub, channel: Telnyx, monkeypatch: pytest.MonkeyPatch, stands_still: timedelta
) -> None:
    window = {"mode": "automatic", "blackouts": False}
    if stands_still < timedelta(days=1):
        window["window"] = "09:00-18:00"
    await in_doubt(pool, provider, channel, NEVER_CAME, processing=window)
    await pool.execute("UPDATE attempts SET started_at = clock_timestamp() - interval '5 minutes'")
    clock, repeat = [NOON], doubts.repeat

    async def asleep_after_the_mark(*args: Any, **named: Any) -> int | None:
        token = await repeat(*args, **named)
        clock[0] = NOON + stands_still
        return token

    monkeypatch.setattr(doubts, "repeat", asleep_after_the_mark)
    await Inquiry(pool, channel, account="sms/default", clock=lambda: clock[0]).run_once()

    assert len(provider.requests) == 1, "the first one alone"
    assert (await the_message(pool))["state"] == "unknown"
