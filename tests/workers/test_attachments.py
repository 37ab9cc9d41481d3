"""What goes along with a message, and what follows once a provider has taken it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from icalendar import Calendar

from control_center.domain.outcome import Accepted, CannotTell, Cause, Lookup, Mail, NotSent, Outcome, Refused, Text
from control_center.domain.wire.sandbox import read_outbox
from control_center.engine import individual, templates
from control_center.engine.addressee import Letter
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.days import booked_before, noon_near
from tests.support.rows import a_studio, a_trigger
from workers.channel import Channel
from workers.delivery import Delivery
from workers.sandbox import Sandbox

NOON = noon_near()
THIS_DAY, NEXT_DAY = f"{NOON:%Y-%m-%d}", f"{NOON + timedelta(days=1):%Y-%m-%d}"
DEADLINE = 20.0  # seconds that a test waits for a fact
TODAY: dict[str, Any] = {"activate": {"on": "status_changed"}}
MAILED: dict[str, Any] = {"action": "email", **TODAY}
SPRING: dict[str, Any] = {"referral": {"program": "Spring", "if_enrolled": "move"}}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


class Scripted:
    """A provider that answers what a test says, and remembers what it was asked."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[Any] = []

    async def submit(self, message: Mail | Text) -> Outcome:
        self.asked.append(message)
        return self.outcomes.pop(0) if self.outcomes else Accepted(f"P-{message.key}")

    async def lookup(self, _message: Mail | Text, _known: Collection[str] = ()) -> Lookup:
        return CannotTell("scripted")

    async def close(self) -> None:
        pass


def booked(**keys: Any) -> dict[str, Any]:
    """A session that was booked a minute before, whatever day it is."""
    return session(**{**booked_before(NOON), **keys})


async def released(pool: db.Pool, *bodies: bytes) -> None:
    await Intake(pool, lambda: NOON).take_in(bodies or (event(booked(), about=client()),))
    while await Release(pool, lambda: NOON).run_once():
        pass


@asynccontextmanager
async def running(pool: db.Pool, provider: Channel, account: str) -> AsyncIterator[None]:
    stop = asyncio.Event()
    delivery = Delivery(pool, provider, account=account, owner=uuid4(), clock=lambda: NOON)
    async with asyncio.TaskGroup() as group:
        group.create_task(delivery.run(stop))
        yield
        stop.set()


async def delivered(pool: db.Pool, provider: Channel, *, account: str = "email/default", ends: int = 1) -> None:
    """Deliver until so many messages have come to an end."""
    ended = "SELECT count(*) FROM messages WHERE state NOT IN ('queued', 'claimed', 'submitting')"
    async with asyncio.timeout(DEADLINE), running(pool, provider, account):
        while await pool.fetchval(ended) < ends:  # noqa: ASYNC110 - the fact is in the database
            await asyncio.sleep(0.01)


async def enrolments(pool: db.Pool) -> list[dict[str, Any]]:
    rows = await pool.fetch("SELECT data FROM commands WHERE verb = 'assign_referral'")
    return [json.loads(row["data"]) for row in rows]


# Attachments ----------------------------------------------------------------------------------------------


async def test_an_email_carries_the_session_for_the_calendar(pool: db.Pool) -> None:
    await a_trigger(pool, attach=["confirmation"], **MAILED)
    await released(pool, event(booked(version=7, fields={"location": "Lakeside"}), about=client()))
    provider = Scripted()

    await delivered(pool, provider)

    (mail,) = provider.asked
    (attachment,) = mail.attachments
    (entry,) = Calendar.from_ical(attachment.content).walk("VEVENT")
    assert attachment.name == "confirmation.ics"
    assert (entry["SEQUENCE"], entry["LOCATION"], entry.decoded("DTSTAMP")) == (7, "Lakeside", NOON)


async def a_template(pool: db.Pool, name: str, **body: Any) -> None:
    await templates.put(pool, "main", name, body, by="Ada")


async def test_an_email_carries_what_its_template_says_beside_what_its_trigger_says(pool: db.Pool) -> None:
    await a_template(pool, "booked", kind="session", text="See you.", attachments=["confirmation"])
    await a_trigger(pool, **{**MAILED, "text": None}, template="booked")
    await a_trigger(pool, **{**MAILED, "text": None}, template="booked", attach=["confirmation"])
    await released(pool)
    provider = Scripted()

    await delivered(pool, provider, ends=2)

    assert [[file.name for file in mail.attachments] for mail in provider.asked] == [["confirmation.ics"]] * 2


async def test_what_a_person_writes_by_a_template_carries_it_too(pool: db.Pool) -> None:
    booked = {"kind": "session", "purpose": "transactional", "text": "See you.", "attachments": ["confirmation"]}
    await a_template(pool, "booked", **booked)
    await released(pool)
    letter = Letter(record=("session", "4711"), channel="email", template="booked")
    await individual.send(pool, lambda: NOON, "main", letter, by="Ada")
    await pool.execute("UPDATE messages SET use_by = $1", NOON + timedelta(days=1))
    provider = Scripted()

    await delivered(pool, provider)

    assert [[file.name for file in mail.attachments] for mail in provider.asked] == [["confirmation.ics"]]


async def test_only_the_template_that_is_used_says_what_goes_along(pool: db.Pool) -> None:
    await a_template(pool, "note", text="See you.", attachments=["confirmation"])
    await a_template(pool, "mail", text="See you soon.")
    await a_trigger(
        pool, **{**MAILED, "text": None, "action": "email_or_call"}, template={"email": "mail", "call": "note"}
    )
    await released(pool)
    provider = Scripted()

    await delivered(pool, provider)

    assert provider.asked[0].attachments == ()


async def test_a_template_puts_the_address_of_the_invoice_into_its_mails(pool: db.Pool) -> None:
    invoice = {"kind": "invoice", "id": "9001", "version": 1, "client_id": "c-12", "status": "Open"}
    invoice |= {
        "status_changed_at": (NOON - timedelta(minutes=1)).isoformat(),
        "links": {"invoice": "https://pay.example/9001"},
    }
    await a_template(pool, "due", kind="invoice", text="Please pay.", attachments=["invoice"])
    await a_trigger(pool, record="invoice", status="Open", **{**MAILED, "text": None}, template="due")
    await released(pool, event(invoice, about=client()))
    provider = Scripted()

    await delivered(pool, provider)

    assert provider.asked[0].text == "Please pay.\n\nInvoice: https://pay.example/9001\n"


async def test_every_attempt_of_a_message_carries_the_same_entry(pool: db.Pool) -> None:
    await a_trigger(pool, attach=["confirmation"], **MAILED)
    await released(pool)
    provider = Scripted(NotSent("busy"))

    async with asyncio.timeout(DEADLINE), running(pool, provider, "email/default"):
        waits = "SELECT count(*) FROM messages WHERE state = 'queued' AND tries = 1"
        while not await pool.fetchval(waits):  # noqa: ASYNC110 - the fact is in the database
            await asyncio.sleep(0.01)
    await pool.execute("UPDATE messages SET due_at = clock_timestamp()")  # the wait is over
    await delivered(pool, provider)

    first, second = (mail.attachments[0].content for mail in provider.asked)
    assert first == second


async def test_an_email_without_that_wish_carries_nothing(pool: db.Pool) -> None:
    await a_trigger(pool, **MAILED)
    await released(pool)
    provider = Scripted()

    await delivered(pool, provider)

    assert provider.asked[0].attachments == ()


async def test_the_text_beside_an_email_needs_no_entry(pool: db.Pool) -> None:
    await a_trigger(pool, **{**MAILED, "action": "email_and_sms"}, attach=["confirmation"])
    await released(pool)
    mails, texts = Scripted(), Scripted()

    await delivered(pool, mails)
    await delivered(pool, texts, account="sms/default", ends=2)

    assert [len(mail.attachments) for mail in mails.asked] == [1]
    assert isinstance(texts.asked[0], Text)


async def test_a_confirmation_of_a_session_without_a_date_is_not_sent_and_says_why(pool: db.Pool) -> None:
    await a_trigger(pool, attach=["confirmation"], **MAILED)
    await released(pool, event(booked(dates={}), about=client()))
    provider = Scripted()

    await delivered(pool, provider)

    row = await pool.fetchrow("SELECT state, reason FROM messages")
    assert tuple(row) == ("failed", "template: the session has no date to confirm")
    assert provider.asked == []


async def test_the_sandbox_says_what_a_mail_carried(pool: db.Pool, tmp_path: Path) -> None:
    await a_trigger(pool, attach=["confirmation"], **MAILED)
    await released(pool)
    outbox = tmp_path / "outbox.ndjson"

    await delivered(pool, Sandbox(outbox=outbox, clock=lambda: NOON))

    assert [line.attachments for line in read_outbox(outbox.read_bytes())] == [("confirmation.ics",)]


async def test_the_address_of_the_invoice_is_part_of_the_words_on_record(pool: db.Pool) -> None:
    invoice = {
        "kind": "invoice",
        "id": "9001",
        "version": 1,
        "client_id": "c-12",
        "status": "Open",
        "status_changed_at": (NOON - timedelta(minutes=1)).isoformat(),
        "links": {"invoice": "https://pay.example/9001"},
    }
    await a_trigger(pool, record="invoice", status="Open", attach=["invoice"], **{**MAILED, "text": "Please pay."})
    await released(pool, event(invoice, about=client()))
    provider = Scripted()

    await delivered(pool, provider)

    words = "Please pay.\n\nInvoice: https://pay.example/9001\n"
    assert provider.asked[0].text == words
    assert await pool.fetchval("SELECT body FROM attempts") == words


# Allow Marketing ------------------------------------------------------------------------------------------


async def test_a_box_that_is_unticked_while_a_message_waits_stops_it(pool: db.Pool) -> None:
    await a_trigger(pool, exclude={"without_allow_marketing": True}, **TODAY)
    await released(pool, event(booked(), about=client(allow_marketing={"sms": True})))
    await Intake(pool, lambda: NOON).take_in([event(about=client(version=2, allow_marketing={"sms": False}))])
    provider = Scripted()

    await delivered(pool, provider, account="sms/default")

    row = await pool.fetchrow("SELECT state, reason FROM messages")
    assert tuple(row) == ("cancelled", "allow marketing: client has not ticked the box for sms")
    assert provider.asked == []


async def test_a_client_who_is_deleted_while_a_message_waits_does_not_get_it_and_staff_does(pool: db.Pool) -> None:
    staff = [{"role": "photographer", "name": "Ada", "phone": "+13125550123"}]
    await a_trigger(pool, send_to=["client", "photographer"], **TODAY)
    await released(pool, event(booked(staff=staff), about=client()))
    await Intake(pool, lambda: NOON).take_in([event(about=client(version=2), verb="deleted")])
    provider = Scripted()

    await delivered(pool, provider, account="sms/default", ends=2)

    rows = await pool.fetch("SELECT address, state, reason FROM messages ORDER BY message_id")
    assert [tuple(row) for row in rows] == [
        ("+13125550188", "cancelled", "deleted: the client no longer exists"),
        ("+13125550123", "accepted", ""),
    ]


# Referral programs ----------------------------------------------------------------------------------------


async def test_the_client_enters_the_program_when_the_message_is_accepted(pool: db.Pool) -> None:
    await a_trigger(pool, "Invite", **SPRING, **MAILED)
    await released(pool)
    assert await enrolments(pool) == []

    await delivered(pool, Scripted())

    (data,) = await enrolments(pool)
    assert (data["client_id"], data["program"], data["if_enrolled"]) == ("c-12", "Spring", "move")
    assert data["cause"]["trigger"] == "Invite"


async def test_two_texts_of_one_action_enrol_the_client_once(pool: db.Pool) -> None:
    phones = [{"number": f"+1312555018{digit}", "sms": True} for digit in (8, 9)]
    await a_trigger(pool, **SPRING, **TODAY)
    await released(pool, event(booked(), about=client(phones=phones)))

    await delivered(pool, Scripted(), account="sms/default", ends=2)

    assert len(await enrolments(pool)) == 1


async def test_nobody_enters_a_program_by_a_message_that_was_refused(pool: db.Pool) -> None:
    await a_trigger(pool, **SPRING, **MAILED)
    await released(pool)

    await delivered(pool, Scripted(Refused("no such address", Cause.RECIPIENT)))

    assert await pool.fetchval("SELECT state FROM messages") == "failed"
    assert await enrolments(pool) == []


# A change of status besides ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "keys"),
    [
        ({"activate": {"on": "status_changed"}}, {}),
        (
            {"activate": {"on": "status_due"}},
            {"status_due_date": THIS_DAY, "status_changed_at": f"{NOON - timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"},
        ),
        (
            {"activate": {"on": "session", "days": -1}, "status": "Booked"},
            {"dates": {"session": f"{NEXT_DAY}T14:00"}},
        ),
    ],
)
async def test_the_status_that_an_action_changes_besides_does_not_stop_its_own_message(
    pool: db.Pool, trigger: dict[str, Any], keys: dict[str, Any]
) -> None:
    await a_trigger(pool, then_status="Reminded", **trigger)
    await released(pool, event(booked(**keys), about=client()))
    answer = {**keys, "status": "Reminded", "status_changed_at": f"{NOON:%Y-%m-%dT%H}:00:01Z", "status_due_date": None}
    await released(pool, event(booked(version=2, **answer), "status_changed"))
    provider = Scripted()

    await delivered(pool, provider, account="sms/default")

    assert tuple(await pool.fetchrow("SELECT state, reason FROM messages")) == ("accepted", "")
    assert len(provider.asked) == 1
