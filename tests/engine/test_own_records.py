"""What became of an email is a record of ours, and triggers hang on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from control_center.domain.outcome import Fate, Receipt
from control_center.engine.release import Release
from control_center.engine.replies import take_receipts
from control_center.store import db
from tests.support.rows import a_client, a_message, a_studio, a_trigger, now

ON_EMAIL: dict[str, Any] = {"record": "email", "status": None, "activate": {"on": "received"}}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    await a_client(opened, "c-12")
    yield opened
    await opened.close()


async def an_email(pool: db.Pool, **columns: Any) -> int:
    trigger = await a_trigger(pool, name="Newsletter")
    keys = {"channel": "email", "address": "jo@mail.example", "account": "email/default", "client_id": "c-12"}
    return await a_message(pool, state="accepted", trigger_id=trigger, **{**keys, **columns})


async def arrives(pool: db.Pool, message: int, fate: Fate, *, times: int = 1) -> None:
    for number in range(times):
        receipt = Receipt(fate, f"m-{message}.1", None)
        await take_receipts(pool, "email/default", [(f"{message} {fate.value} {number}", receipt, "{}")])


async def planned(pool: db.Pool) -> list[tuple[str, str]]:
    rows = await pool.fetch("SELECT kind || '/' || record_id, occurrence FROM actions WHERE kind = 'email'")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(("fate", "event"), [(Fate.DELIVERED, "delivered"), (Fate.UNDELIVERED, "bounced")])
async def test_an_email_trigger_acts_on_what_a_receipt_says(pool: db.Pool, fate: Fate, event: str) -> None:
    await a_trigger(pool, event=event, action="call", text=None, **ON_EMAIL)
    message = await an_email(pool)

    await arrives(pool, message, fate)

    assert await planned(pool) == [(f"email/m-{message}.{event}", "received")]
    await Release(pool, now).run_once()
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'create_call'") == 1


async def test_a_repeated_event_of_an_email_does_not_count(pool: db.Pool) -> None:
    await a_trigger(pool, **ON_EMAIL)
    message = await an_email(pool)

    await arrives(pool, message, Fate.DELIVERED, times=3)

    assert len(await planned(pool)) == 1


@pytest.mark.parametrize("wrong", [{"event": "bounced"}, {"category": "Reminder"}, {"enabled": False}])
async def test_an_email_trigger_acts_on_its_event_and_category_alone(pool: db.Pool, wrong: dict[str, Any]) -> None:
    await a_trigger(pool, **{**ON_EMAIL, **wrong})
    await arrives(pool, await an_email(pool), Fate.DELIVERED)

    assert await planned(pool) == []


async def test_an_email_of_a_trigger_on_emails_starts_nothing(pool: db.Pool) -> None:
    await a_trigger(pool, **ON_EMAIL)
    await arrives(pool, await an_email(pool, kind="email", record_id="m-1.delivered"), Fate.DELIVERED)

    assert await planned(pool) == []


async def test_without_a_trigger_on_emails_none_is_kept(pool: db.Pool) -> None:
    await arrives(pool, await an_email(pool), Fate.DELIVERED)

    assert await pool.fetchval("SELECT count(*) FROM records WHERE kind = 'email'") == 0
