"""A number that takes no texts is found out once, and not paid for again; nobody is taken to have said anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from control_center.domain.bulk import Audience
from control_center.domain.errors import Refused
from control_center.domain.inbound import brought_by_hand
from control_center.domain.message import key_of
from control_center.domain.outcome import Fate, Receipt
from control_center.domain.signature import Signature
from control_center.engine import bulks, individual, proof, replies
from control_center.engine.addressee import Letter
from control_center.engine.bulks import Wish
from control_center.engine.conversations import Conversations
from control_center.engine.explain import explain
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db, dead_numbers, views_bulks
from tests.support.crm import client, event, session
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, ago, ahead, an_action, now

OURS, JO, KIM = "+13125550100", "+13125550188", "+13125550177"
LANDLINE = "twilio 30006: a landline, or its carrier cannot be reached"
TOLD = f"this number takes no texts: {LANDLINE}"
NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
SOON = ahead(days=5).date().isoformat()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def comes_back(pool: db.Pool, message: int, fate: Fate = Fate.UNDELIVERED, *, name: str = "") -> None:
    failed = fate is Fate.UNDELIVERED
    said = Receipt(
        fate, key_of(message, 1), None, "30006" if failed else None, LANDLINE if failed else None, dead=failed
    )
    await replies.take_receipts(pool, "sms/default", [(f"{message} {fate.value} {name}", said, "{}")])


async def a_dead_number(pool: db.Pool, number: str = JO) -> int:
    message = await a_message(pool, state="failed", address=number)
    async with db.transaction(pool) as tx:
        await dead_numbers.mark(tx, ("main", number), LANDLINE, message, now())
    return message


async def is_dead(pool: db.Pool, number: str = JO) -> bool:
    return (await proof.read(pool, "main", number)).standing.dead != ""


async def rows(pool: db.Pool) -> list[tuple[str, str]]:
    found = await pool.fetch("SELECT channel, state FROM messages WHERE origin <> 'client' ORDER BY message_id")
    return [(row[0], row[1]) for row in found]


# When ---------------------------------------------------------------------------------------------------------


async def test_the_second_text_that_comes_back_for_it_says_so_and_the_first_one_does_not(pool: db.Pool) -> None:
    first, second = [await a_message(pool, state="accepted") for _ in range(2)]

    await comes_back(pool, first)
    await comes_back(pool, first, name="told again")
    assert not await is_dead(pool)
    await comes_back(pool, second)

    assert await is_dead(pool)
    assert await pool.fetchval("SELECT count(*) FROM consents") == 0
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'consent.changed'") == 0


async def test_what_came_back_longer_ago_or_before_the_number_took_a_text_does_not_count(pool: db.Pool) -> None:
    old, before, between, after = [await a_message(pool, state="accepted") for _ in range(4)]
    await comes_back(pool, old)
    await pool.execute("UPDATE receipts SET received_at = $1", ago(days=91))
    await comes_back(pool, before)
    assert not await is_dead(pool)

    await comes_back(pool, between, Fate.DELIVERED)
    await comes_back(pool, after)

    assert not await is_dead(pool)


async def test_it_takes_effect_on_the_action_that_showed_it_and_on_what_waits(pool: db.Pool) -> None:
    with_mail = await a_trigger(pool, action="sms_or_email", moved="nothing")
    without = await a_trigger(pool, moved="nothing")
    await a_client(pool)
    await a_record(pool, dates={"session": SOON})
    await comes_back(pool, await a_message(pool, state="accepted"))
    action = await an_action(pool, state="released", trigger_id=with_mail, occurrence=SOON, use_by=ahead(days=5))
    showing = await a_message(pool, state="accepted", action=action, trigger_id=with_mail)
    other = await an_action(pool, state="released", trigger_id=without, occurrence=SOON, use_by=ahead(days=5))
    waits = await a_message(pool, action=other, trigger_id=without)
    typed = await a_message(pool, origin="person")

    await comes_back(pool, showing)
    await comes_back(pool, showing, name="told again")

    states = {row[0]: row[1] for row in await pool.fetch("SELECT message_id, state FROM messages")}
    assert (states[showing], states[waits], states[typed]) == ("undelivered", "suppressed", "queued")
    [mail] = await pool.fetch("SELECT action_id, state, address FROM messages WHERE channel = 'email'")
    assert tuple(mail) == (action, "queued", "jo@mail.example")
    said = dict(await pool.fetch("SELECT action_id, reason FROM actions"))
    assert said[action] == f"{TOLD}; no route: client: {TOLD}; fallback: email for client"
    assert said[other] == f"{TOLD}; nobody else to write to"
    assert await pool.fetchval("SELECT reason FROM messages WHERE message_id = $1", waits) == TOLD
    steps = [one.text for one in (await explain(pool, now, "main", f"m-{waits}")).steps]
    assert f"{JO}: {TOLD}" in steps


# What follows -------------------------------------------------------------------------------------------------


async def test_a_trigger_takes_its_other_leg_or_ends_with_the_reason(pool: db.Pool) -> None:
    await a_trigger(pool, "mail", action="sms_or_email", activate={"on": "status_changed"})
    await a_trigger(pool, "call", action="sms_or_call", activate={"on": "status_changed"})
    await a_trigger(pool, "none", activate={"on": "status_changed"})
    await a_dead_number(pool)
    booked = session("1", client="c-1", status_changed_at="2026-11-23T17:59:00Z")
    about = client("c-1", phones=[{"number": JO, "sms": True}], emails=[{"address": "jo@mail.example"}])

    await Intake(pool, lambda: NOON).take_in([event(booked, about=about)])
    while await Release(pool, lambda: NOON).run_once():
        pass

    assert await rows(pool) == [("sms", "failed"), ("email", "queued")]
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'create_call'") == 1
    ended = await pool.fetchrow("SELECT state, reason FROM actions WHERE state = 'expired'")
    assert tuple(ended) == ("expired", f"no route: client: {TOLD}")


async def test_a_bulks_review_names_it_and_a_person_is_warned_and_may_insist(pool: db.Pool) -> None:
    body = msgspec.json.encode({"kind": "any", "purpose": "transactional", "sms": "We are open."}).decode()
    await pool.execute("INSERT INTO templates (studio_id, name, body) VALUES ('main', 'note', $1)", body)
    await a_client(pool)
    await a_dead_number(pool)

    bulk = await bulks.create(pool, lambda: NOON, "main", Wish(Audience("client"), "note"), by="Ada")
    async with db.session(pool) as connection:
        [listed] = (await views_bulks.recipients(connection, "main", bulk.bulk_id, limit=10)).items
    sent = await individual.send(pool, lambda: NOON, "main", Letter(to=JO, text="Hi"), by=Signature("Ada", "api"))

    assert listed.reason == TOLD
    assert f"{TOLD}; it goes all the same" in sent.warnings
    assert await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", sent.message_id) == "queued"


# And back -----------------------------------------------------------------------------------------------------


async def wrote(pool: db.Pool) -> None:
    inbound = brought_by_hand(JO, OURS, "Hello", at=now())
    await Conversations(pool, now).take("sms/default", [(inbound, "{}")])


async def arrived(pool: db.Pool) -> None:
    await comes_back(pool, await a_message(pool, state="accepted", origin="person"), Fate.DELIVERED)


async def says_so(pool: db.Pool) -> None:
    assert await proof.takes_texts(pool, "main", "312 555 0188", evidence="it is a mobile now", by="Ada") == JO
    with pytest.raises(Refused, match="nothing says"):
        await proof.takes_texts(pool, "main", JO, evidence="again", by="Ada")


async def ticked_anew(pool: db.Pool) -> None:
    about = client("c-1", phones=[{"number": "312 555 0188", "label": "home", "sms": True}])
    changed = client("c-1", version=2, phones=[{"number": JO, "label": "mobile", "sms": True}])
    for body in (event(about=about), event(verb="updated", about=changed)):
        assert await is_dead(pool), "a client who is new with this number says nothing of it"
        await Intake(pool, lambda: NOON).take_in([body])


@pytest.mark.parametrize(
    ("deed", "by"),
    [
        (wrote, "a text came from it"),
        (arrived, "a text arrived there"),
        (says_so, "person: Ada"),
        (ticked_anew, "the CRM says something else of it"),
    ],
)
async def test_it_is_lifted_by_a_text_from_it_by_one_that_arrives_by_a_person_and_by_the_crm(
    pool: db.Pool, deed: Any, by: str
) -> None:
    message = await a_dead_number(pool)
    await a_dead_number(pool, KIM)

    await deed(pool)

    found = await proof.read(pool, "main", JO)
    assert found.dead is not None
    assert (found.standing.dead, found.dead.lifted_by, found.dead.message_id) == ("", by, message)
    assert await is_dead(pool, KIM)
    await comes_back(pool, await a_message(pool, state="accepted"))
    assert not await is_dead(pool), "it is counted from then on"
