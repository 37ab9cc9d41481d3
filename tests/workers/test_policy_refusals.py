"""A policy that one recipient has is that one's; the account waits only when several in a row are told so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest

from control_center.domain.message import State, settle
from control_center.domain.outcome import Blocked
from control_center.domain.wire import smtp
from control_center.domain.wire.smtp import Step
from control_center.engine.hearing import Hearing
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.upkeep import Upkeep
from control_center.store import breakers, db
from tests.support.crm import client, event, session
from tests.support.programs import eventually
from tests.support.rows import a_studio, a_trigger, ahead, now
from tests.support.smtp_stub import Place, SmtpStub, says
from tests.workers.test_delivery import running
from tests.workers.test_marketing_mail import EMAIL, LINKS, NOON
from workers.delivery import Delivery
from workers.email.smtp import Smtp

NOT_FROM_YOU = "5.7.1 recipient does not accept mail from you"
ITS_TIME_HAS_COME = (
    "UPDATE breakers SET open_until = clock_timestamp() WHERE open_until > clock_timestamp() RETURNING 1"
)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened, settings={"email": EMAIL})
    yield opened
    await opened.close()


async def due(pool: db.Pool, *addresses: str, studio: str = "main") -> None:
    """A released mail to each of these, in this order."""
    words = {"kind": "session", "purpose": "transactional", "subject": "Your session", "text": "Hello"}
    body = msgspec.json.encode(words).decode()
    await pool.execute("INSERT INTO templates (studio_id, name, body) VALUES ($2, 'mail', $1)", body, studio)
    on = {"on": "status_changed"}
    await a_trigger(pool, studio=studio, activate=on, action="email", template="mail", text=None)
    for number, address in enumerate(addresses):
        about = client(f"c-{number}", emails=[{"address": address}])
        booked = session(
            f"5{number}", client=f"c-{number}", status_changed_at=(NOON - timedelta(minutes=1)).isoformat()
        )
        await Intake(pool, lambda: NOON).take_in(
            [event(booked, about=about, studio=studio, event_id=f"{studio}-{number}")]
        )
        while await Release(pool, lambda: NOON).run_once():
            pass


@asynccontextmanager
async def at_work(pool: db.Pool, stub: SmtpStub) -> AsyncIterator[None]:
    channel = Smtp(smtp.relay(f"smtp://127.0.0.1:{stub.port}"), slots=1)
    worker = Delivery(pool, channel, account="email/default", owner=uuid4(), clock=lambda: NOON, links=LINKS, slots=1)
    async with running(worker):
        yield
    await channel.close()


async def states(pool: db.Pool) -> list[tuple[str, str, int]]:
    rows = await pool.fetch("SELECT address, state, tries FROM messages ORDER BY message_id")
    return [tuple(row) for row in rows]


async def breaker_is_open(pool: db.Pool) -> bool:
    return bool(await pool.fetchval("SELECT count(*) FROM breakers WHERE open_until IS NOT NULL"))


async def test_one_recipient_who_takes_no_mail_of_ours_does_not_keep_everybody_elses(pool: db.Pool) -> None:
    await due(pool, "jo@mail.example", "kim@other.example", "lee@third.example")
    async with SmtpStub() as stub:
        stub.on(Place.RCPT, *[says(550, NOT_FROM_YOU)])

        async with at_work(pool, stub):

            async def all_were_asked() -> bool:
                return bool(await pool.fetchval("SELECT bool_and(asked > 0 AND state <> 'submitting') FROM messages"))

            await eventually(all_were_asked)
            await Upkeep(pool, now, uuid4()).return_held()

    assert await states(pool) == [
        ("jo@mail.example", "queued", 1),
        ("kim@other.example", "accepted", 1),
        ("lee@third.example", "accepted", 1),
    ]
    assert await pool.fetchval("SELECT count(*) FROM breakers WHERE failures > 0") == 0


async def test_the_same_recipient_asked_again_and_again_is_never_the_account(pool: db.Pool) -> None:
    await due(pool, "jo@mail.example")
    async with SmtpStub() as stub:
        stub.on(Place.RCPT, *[says(550, NOT_FROM_YOU)] * 50)

        async with at_work(pool, stub):

            async def ended() -> bool:
                await pool.execute("UPDATE messages SET due_at = clock_timestamp() WHERE state = 'queued'")
                return bool(await pool.fetchval("SELECT state = 'failed' FROM messages"))

            await eventually(ended)
        asked = sum(line.startswith("RCPT") for line in stub.commands)

    assert 1 < asked <= 5
    assert not await breaker_is_open(pool)
    await Hearing(pool, now).run_once()
    assert await pool.fetchval("SELECT count(*) FROM consents") == 0, "a policy is not held against an address"


async def test_several_recipients_in_a_row_who_are_told_so_pause_the_account_and_none_is_lost(pool: db.Pool) -> None:
    await due(pool, *(f"jo@mail{n}.example" for n in range(8)))
    async with SmtpStub() as stub:
        stub.on(Place.RCPT, *[says(550, "5.7.1 we know you not")] * 200)

        async with at_work(pool, stub):

            async def opened() -> bool:
                await Upkeep(pool, now, uuid4()).return_held()
                return await breaker_is_open(pool)

            await eventually(opened)
        asked = sum(line.startswith("RCPT") for line in stub.commands)

        assert asked <= 8
        assert {state for _, state, _ in await states(pool)} <= {"queued", "held"}
        assert "we know you not" in await pool.fetchval("SELECT reason FROM breakers")


async def test_a_mail_that_is_taken_between_them_says_that_it_was_the_recipients(pool: db.Pool) -> None:
    await due(pool, *(f"jo@mail{n}.example" for n in range(8)))
    refused, taken = says(550, NOT_FROM_YOU), says(250, "2.1.5 Ok")
    async with SmtpStub() as stub:
        stub.on(Place.RCPT, refused, refused, taken, refused, refused, taken, refused, refused)

        async with at_work(pool, stub):

            async def all_were_asked() -> bool:
                return bool(await pool.fetchval("SELECT bool_and(asked > 0 AND state <> 'submitting') FROM messages"))

            await eventually(all_were_asked)

    assert [state for _, state, _ in await states(pool)].count("accepted") == 2
    assert [state for _, state, _ in await states(pool)].count("queued") == 6
    assert await pool.fetchval("SELECT count(*) FROM breakers WHERE failures > 0") == 0


async def test_a_sender_that_an_account_may_not_have_does_not_keep_the_mail_of_studios_that_share_it(
    pool: db.Pool,
) -> None:
    await a_studio(pool, "north", settings={"email": {**EMAIL, "from": "kim@north.example"}})
    await due(pool, *(f"jo{n}@mail.example" for n in range(6)), studio="north")
    await due(pool, *(f"jo{n}@mail.example" for n in range(6)))
    await pool.execute("UPDATE messages SET state = 'held', reason = 'breaker: this sender may not'")
    await breakers.failed(pool, "email/default", "this sender may not", times=breakers.OPENS_AT)
    probes = 0
    async with SmtpStub(unwanted={"kim@north.example"}) as stub, at_work(pool, stub):

        async def all_of_the_other_went() -> bool:
            nonlocal probes
            probes += len(await pool.fetch(ITS_TIME_HAS_COME))
            await Upkeep(pool, now, uuid4()).return_held()
            return len(stub.accepted) == 6

        await eventually(all_of_the_other_went)

    rows = await pool.fetch("SELECT state, asked, tries FROM messages WHERE studio_id = 'north'")
    assert {row["state"] for row in rows} <= {"queued", "held"}
    assert {row["tries"] for row in rows} == {0}
    assert sum(row["asked"] for row in rows) <= len(rows) + probes, "nothing is asked for every few seconds"


async def test_many_recipients_of_one_domain_in_a_row_pause_the_account_too(pool: db.Pool) -> None:
    await due(pool, *(f"jo{n}@mail.example" for n in range(16)))
    async with SmtpStub() as stub:
        stub.on(Place.RCPT, *[says(550, NOT_FROM_YOU)] * 200)

        async with at_work(pool, stub):

            async def opened() -> bool:
                await Upkeep(pool, now, uuid4()).return_held()
                return await breaker_is_open(pool)

            await eventually(opened)

    assert {state for _, state, _ in await states(pool)} <= {"queued", "held"}


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Step.MAIL, "5.7.1 we know you not"),
        (Step.AUTH, "5.7.1 no"),
        (Step.RCPT, "5.7.1 <jo@mail.example>: Relay access denied"),
        (Step.RCPT, "5.7.1 Unable to relay"),
        (Step.RCPT, "5.7.0 Authentication required"),
        (Step.RCPT, "5.7.8 Authentication failed"),
        (Step.RCPT, "5.7.26 unauthenticated mail"),
        (Step.RCPT, "5.7.1 <ada@studio.example>: Sender address rejected: not owned by user ada"),
        (Step.RCPT, "5.7.1 <mail.studio.example[192.0.2.1]>: Client host rejected: Access denied"),
    ],
)
def test_what_says_that_it_is_about_us_blames_the_account_at_once(step: Step, text: str) -> None:
    outcome = smtp.reply(step, 550, text)

    assert isinstance(outcome, Blocked)
    assert not outcome.alone
    assert settle(outcome, key="m-1", tries=0, use_by=ahead(days=1), now=now()).state is State.HELD


@pytest.mark.parametrize("text", [NOT_FROM_YOU, "5.7.1 Recipient address rejected: Access denied", "5.7.2 no", "5.7.0"])
def test_a_policy_without_a_word_of_us_is_the_recipients_until_more_is_known(text: str) -> None:
    outcome = smtp.reply(Step.RCPT, 550, text)

    found = settle(outcome, key="m-1", tries=0, use_by=ahead(days=1), now=now())
    assert (found.state, found.blocked, found.counts) == (State.QUEUED, False, True)
    last = settle(outcome, key="m-1", tries=50, use_by=ahead(days=1), now=now())
    assert (last.state, last.blocked, last.dead, last.opted_out) == (State.FAILED, False, False, False)
