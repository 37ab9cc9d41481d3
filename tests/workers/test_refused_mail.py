"""What a relay refuses is held against the address as a bounce from there would be, and by the same table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from control_center.domain.wire import smtp
from control_center.engine.hearing import Hearing
from control_center.store import db
from tests.support.rows import a_message, a_studio, now
from tests.support.smtp_stub import Place, SmtpStub, says
from tests.workers.test_delivery import running, until
from tests.workers.test_marketing_mail import LINKS, NOON, mailed, released
from workers.delivery import Delivery
from workers.email.smtp import Smtp


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def refused(pool: db.Pool, place: Place, code: int, text: str) -> tuple[list[tuple[Any, ...]], str]:
    """The consents once the engine has heard that a mail was refused, and the state of one behind it."""
    await released(pool, {"text": "Hello"}, purpose="transactional")
    async with SmtpStub() as stub:
        stub.on(place, says(code, text))
        await mailed(pool, stub)
    assert await pool.fetchval("SELECT state FROM messages") == "failed"
    behind = await a_message(pool, channel="email", address="jo@mail.example", state="queued")
    await Hearing(pool, now).run_once()
    assert await pool.fetchval("SELECT count(*) FROM arrivals") == 0
    rows = await pool.fetch("SELECT address, purpose, source FROM consents")
    return [tuple(row) for row in rows], await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", behind)


@pytest.mark.parametrize("text", ["5.1.1 no such user", "no such user", "5.1.10 null MX"])
async def test_an_address_that_a_relay_does_not_know_is_not_mailed_again(pool: db.Pool, text: str) -> None:
    said, behind = await refused(pool, Place.RCPT, 550, text)
    assert said == [("jo@mail.example", "all", "bounce")]
    assert behind == "suppressed"


@pytest.mark.parametrize(
    ("place", "code", "text"),
    [(Place.RCPT, 550, "5.2.1 disabled"), (Place.DOT, 550, "no"), (Place.DOT, 554, "5.7.1 no"), (Place.RCPT, 501, "")],
)
async def test_what_does_not_say_that_the_mailbox_is_gone_is_not_held_against_it(
    pool: db.Pool, place: Place, code: int, text: str
) -> None:
    assert await refused(pool, place, code, text) == ([], "queued")


async def test_a_domain_that_is_told_to_send_less_is_slowed_down_and_nobody_is_blamed(pool: db.Pool) -> None:
    await released(pool, {"text": "Hello"}, purpose="transactional")
    await pool.execute("UPDATE messages SET tries = 20")  # of a mail for more than a day, as long as it is of use
    async with SmtpStub() as stub:
        stub.on(Place.RCPT, says(450, "4.7.28 too much mail"))
        channel = Smtp(smtp.relay(f"smtp://127.0.0.1:{stub.port}"))
        worker = Delivery(pool, channel, account="email/default", owner=uuid4(), clock=lambda: NOON, links=LINKS)

        async def tried() -> bool:
            return bool(await pool.fetchval("SELECT tries > 20 FROM messages"))

        async with running(worker):
            await until(tried)
        await channel.close()
    assert [tuple(row) for row in await pool.fetch("SELECT number, slowed FROM senders")] == [("@studio.example", 1)]
    assert await pool.fetchval("SELECT reason FROM messages") == "retry: smtp rcpt: 450 4.7.28 too much mail"
    assert await pool.fetch("SELECT FROM consents") == []
