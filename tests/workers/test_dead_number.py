"""A landline, from the first reminder that its provider refuses to the next one, which goes by mail at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from control_center.domain.wire import smtp
from control_center.engine.explain import explain
from control_center.engine.hearing import Hearing
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db
from tests.support import provider_stub
from tests.support.crm import client, event, session
from tests.support.days import booked_before
from tests.support.provider_stub import ProviderStub
from tests.support.rows import a_studio, a_trigger, now
from tests.support.smtp_stub import SmtpStub
from tests.workers.test_delivery import NOON, delivering
from workers.delivery import Delivery
from workers.email.smtp import Smtp
from workers.sms.twilio import Twilio

TOLD = "this number takes no texts: twilio 21614: this number cannot receive texts"
ENDS = ("accepted", "failed")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def booked(pool: db.Pool, number: str) -> None:
    """A session is booked, and its reminder is due."""
    about = client("c-1") if number == "1" else None
    one = session(number, client="c-1", **booked_before(NOON))
    await Intake(pool, lambda: NOON).take_in([event(one, about=about)])
    while await Release(pool, lambda: NOON).run_once():
        pass


async def heard(pool: db.Pool) -> None:
    while await Hearing(pool, now).run_once():
        pass
    assert await pool.fetchval("SELECT count(*) FROM arrivals WHERE waiting") == 0


async def messages(pool: db.Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch("SELECT record_id, channel, state FROM messages ORDER BY message_id")
    return [tuple(row) for row in rows]


async def test_a_number_that_is_refused_as_none_for_texts_is_tried_once_and_mail_stands_in_for_it(
    pool: db.Pool,
) -> None:
    body = '{"kind": "any", "purpose": "transactional", "sms": "Soon.", "subject": "Soon", "text": "See you soon."}'
    await pool.execute("INSERT INTO templates (studio_id, name, body) VALUES ('main', 'soon', $1)", body)
    words: dict[str, Any] = {"action": "sms_or_email", "template": "soon", "text": None}
    await a_trigger(pool, activate={"on": "status_changed"}, **words)
    async with ProviderStub() as twilio, SmtpStub() as relay:
        twilio.script(*[provider_stub.refuse(400, 21614)] * 2)
        texts = Twilio(account="AC1", secret="s3cret", base=twilio.url)
        mails = Smtp(smtp.relay(f"smtp://127.0.0.1:{relay.port}"))
        workers = [
            Delivery(pool, channel, account=account, owner=uuid4(), clock=lambda: NOON)
            for account, channel in (("sms/default", texts), ("email/default", mails))
        ]

        await booked(pool, "1")
        await delivering(pool, *workers, ends=ENDS)
        await heard(pool)
        await delivering(pool, *workers, ends=ENDS)
        await booked(pool, "2")
        await delivering(pool, *workers, ends=ENDS)

        assert (len(twilio.requests), len(relay.accepted)) == (1, 2)
        await texts.close()
        await mails.close()
    assert await messages(pool) == [("1", "sms", "failed"), ("1", "email", "accepted"), ("2", "email", "accepted")]
    first, second = [row[0] for row in await pool.fetch("SELECT reason FROM actions ORDER BY action_id")]
    assert first == f"{TOLD}; no route: client: {TOLD}; fallback: email for client"
    assert second == f"no route: client: {TOLD}; fallback: email for client"
    assert any(TOLD in one.text for one in (await explain(pool, lambda: NOON, "main", "a-2")).steps)
    assert await pool.fetchval("SELECT count(*) FROM consents") == 0
