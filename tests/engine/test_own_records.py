"""What became of an email is a record of ours, and so is a text that came in: triggers hang on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from control_center.domain.outcome import Fate, Receipt
from control_center.engine.own_records import note_texts
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


# Texts that came in ---------------------------------------------------------------------------------------


ON_TEXT: dict[str, Any] = {"record": "sms", "status": None, "keyword": "book", "activate": {"on": "received"}}


async def a_text(pool: db.Pool, body: str = "Book!", **columns: Any) -> int:
    return await a_message(pool, state="received", body=body, **columns)


async def comes_in(pool: db.Pool, *messages: int) -> None:
    async def work(tx: db.Connection) -> None:
        await note_texts(tx, [("main", message) for message in messages], now())

    await db.retried(pool, work)


async def answers(pool: db.Pool) -> list[tuple[str, str, str]]:
    rows = await pool.fetch("""
        SELECT record_id, state, triggers.name FROM actions JOIN triggers USING (studio_id, trigger_id)
         WHERE actions.kind = 'sms' ORDER BY record_id, triggers.name""")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("match", "body"), [("whole", "  BOOK. "), ("first_word", "Book me on Friday"), ("first_word", "book")]
)
async def test_a_text_trigger_acts_on_its_keyword(pool: db.Pool, match: str, body: str) -> None:
    await a_trigger(pool, "Answer", match=match, **ON_TEXT)
    message = await a_text(pool, body)

    await comes_in(pool, message)
    await Release(pool, now).run_once()

    assert await answers(pool) == [(f"m-{message}", "released", "Answer")]
    answer = await pool.fetchrow("SELECT address, client_id FROM messages WHERE kind = 'sms' AND state = 'queued'")
    assert tuple(answer) == ("+13125550188", "c-12")


@pytest.mark.parametrize("body", ["Book me on Friday", "I would like to book", "", None])
async def test_a_text_that_says_something_else_starts_nothing(pool: db.Pool, body: str | None) -> None:
    await a_trigger(pool, **ON_TEXT)
    await comes_in(pool, await a_message(pool, state="received", body=body))

    assert await answers(pool) == []


async def test_a_text_counts_once_however_often_it_is_told(pool: db.Pool) -> None:
    await a_trigger(pool, "Answer", **ON_TEXT)
    message = await a_text(pool)

    await comes_in(pool, message, message)
    await comes_in(pool, message)

    assert await answers(pool) == [(f"m-{message}", "planned", "Answer")]


async def test_a_text_told_by_two_processes_at_once_counts_once(pool: db.Pool) -> None:
    await a_trigger(pool, "Answer", **ON_TEXT)
    message = await a_text(pool)

    await asyncio.gather(*(comes_in(pool, message) for _ in range(8)))

    assert await answers(pool) == [(f"m-{message}", "planned", "Answer")]


async def test_all_rules_on_one_keyword_act(pool: db.Pool) -> None:
    for name in ("First", "Second"):
        await a_trigger(pool, name, **ON_TEXT)
    await a_trigger(pool, "Third", match="first_word", **ON_TEXT)
    await a_trigger(pool, "Other", **{**ON_TEXT, "keyword": "price"})
    message = await a_text(pool)

    await comes_in(pool, message)

    assert await answers(pool) == [(f"m-{message}", "planned", name) for name in ("First", "Second", "Third")]


async def test_a_text_of_an_unknown_number_is_a_record_and_what_needs_a_client_ends_with_its_reason(
    pool: db.Pool,
) -> None:
    await a_trigger(pool, "Answer", **ON_TEXT)
    await a_trigger(pool, "Tell Ada", send_to=["address:+13125550123"], **ON_TEXT)
    message = await a_text(pool, client_id=None)

    await comes_in(pool, message)
    await Release(pool, now).run_once()

    assert await pool.fetchval("SELECT client_id FROM records WHERE kind = 'sms'") is None
    states = dict(
        await pool.fetch("""
        SELECT triggers.name, state || ': ' || reason FROM actions JOIN triggers USING (studio_id, trigger_id)
         WHERE actions.kind = 'sms'""")
    )
    assert states == {"Answer": "expired: no recipient: the sms has no client", "Tell Ada": "released: "}


async def test_what_we_sent_ourselves_is_no_text_that_came_in(pool: db.Pool) -> None:
    await a_trigger(pool, **ON_TEXT)
    await comes_in(pool, await a_message(pool, state="delivered", body="book"))

    assert await pool.fetchval("SELECT count(*) FROM records WHERE kind = 'sms'") == 0


async def test_without_a_trigger_on_texts_none_is_kept(pool: db.Pool) -> None:
    await comes_in(pool, await a_text(pool))

    assert await pool.fetchval("SELECT count(*) FROM records WHERE kind = 'sms'") == 0
