"""How long a call may take, and after how long its worker counts as lost: the second follows from the first."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from control_center.domain import sms
from control_center.domain.outcome import Accepted, NotSent, Unknown
from control_center.domain.wire import smtp
from control_center.store import db
from tests.support.rows import a_studio
from tests.support.smtp_stub import STALL, TAKEN_THEN_STALL, Act, Place, SmtpStub
from tests.workers.test_delivery import NOON, Scripted, queued, running, until
from tests.workers.test_smtp import MAIL
from workers import __main__ as entry
from workers.delivery import Delivery
from workers.email import smtp as relay
from workers.email.smtp import Smtp
from workers.sms import line, smpp_session

SLOW = (Place.GREETING, Place.EHLO, Place.MAIL, Place.RCPT, Place.DATA)
USUAL = {
    Place.GREETING: b"220 stub ESMTP\r\n",
    Place.EHLO: b"250 stub\r\n",
    Place.MAIL: b"250 Ok\r\n",
    Place.RCPT: b"250 Ok\r\n",
    Place.DATA: b"354 go ahead\r\n",
}


def test_no_worker_counts_as_lost_while_its_longest_call_goes_on() -> None:
    assert entry.LONGEST["smtp"].total_seconds() >= relay.TALK + relay.TAKING
    assert entry.LONGEST_TEXT.total_seconds() > line.TOTAL
    assert entry.LONGEST["smpp"].total_seconds() >= smpp_session.CONNECT + sms.MOST_PARTS * smpp_session.ANSWER


async def test_the_lease_of_what_is_being_sent_outlasts_the_longest_call(database_url: str) -> None:
    pool = await db.open_pool(database_url, application="test")
    await a_studio(pool)
    await queued(pool)
    longest = entry.LONGEST["smtp"]
    provider: Any = Scripted()
    provider.gate.clear()
    worker = Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: NOON, longest=longest)

    async def flies() -> bool:
        return bool(await pool.fetchval("SELECT state = 'submitting' FROM messages"))

    async with running(worker):
        await until(flies)
        granted = await pool.fetchval(
            "SELECT lease_until - started_at FROM messages JOIN attempts USING (studio_id, message_id)"
        )
        provider.gate.set()
    await pool.close()

    assert granted > longest + timedelta(seconds=30), "its mark, its way to us and back, and a busy machine"


def test_a_relay_has_time_for_each_of_its_replies() -> None:
    assert relay.TALK >= 8 * relay.COMMAND


async def test_a_relay_that_is_slow_with_each_reply_is_given_up_before_the_text_and_nothing_was_sent() -> None:
    """Each reply is in time, and all of them together are not: its worker would count as lost in the midst of it."""
    async with SmtpStub() as stub:
        for place in SLOW:
            stub.on(place, Act(USUAL[place], delay=1.0))
        channel = Smtp(smtp.relay(f"smtp://127.0.0.1:{stub.port}"), command=60.0, taking=60.0, talk=2.5)

        outcome = await channel.submit(MAIL)

        assert isinstance(outcome, NotSent)
        assert stub.accepted == []
        assert not any(line.startswith("DATA") for line in stub.commands)
        assert await channel.submit(replace(MAIL, key="m-8.2")) == Accepted("STUB1")
        await channel.close()


async def test_the_time_for_the_talk_does_not_run_once_the_text_has_left() -> None:
    async with SmtpStub() as stub:
        stub.on(Place.DOT, Act(b"250 2.0.0 Ok: queued as SLOW1\r\n", accept=True, delay=3.0))
        channel = Smtp(smtp.relay(f"smtp://127.0.0.1:{stub.port}"), command=60.0, taking=60.0, talk=1.5)

        assert await channel.submit(MAIL) == Accepted("SLOW1")
        await channel.close()


async def test_a_relay_that_says_nothing_after_the_text_is_waited_for_that_long_and_no_longer() -> None:
    async with SmtpStub() as stub:
        stub.on(Place.DOT, TAKEN_THEN_STALL)
        channel = Smtp(smtp.relay(f"smtp://127.0.0.1:{stub.port}"), command=60.0, taking=0.3, talk=60.0)

        assert isinstance(await channel.submit(MAIL), Unknown)
        await channel.close()


@pytest.mark.parametrize("place", [Place.MAIL, Place.RSET])
async def test_an_old_connection_and_the_new_one_share_the_time(place: Place) -> None:
    """An idle connection that is gone is replaced within the same call, not within the same time again."""
    async with SmtpStub() as stub:
        channel = Smtp(smtp.relay(f"smtp://127.0.0.1:{stub.port}"), command=2.0, taking=60.0, talk=3.0)
        if place is Place.RSET:
            stub.on(Place.RCPT, Act(b"550 5.1.1 no such user\r\n"))
        await channel.submit(MAIL)
        stub.on(place, STALL)
        stub.on(Place.GREETING, STALL)

        async with asyncio.timeout(60):
            outcome = await channel.submit(replace(MAIL, key="m-8.2"))

        assert isinstance(outcome, NotSent)
        assert "in all" in outcome.reason
        await channel.close()
