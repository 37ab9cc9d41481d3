"""What a person writes to one address: to whom it goes, in which words, and who is not written to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from control_center.domain.consent import Purpose, Said
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.links import Links
from control_center.domain.signature import Signature
from control_center.engine import consenting, individual, templates
from control_center.engine.addressee import Letter
from control_center.engine.following import Following
from control_center.engine.individual import Sent
from control_center.store import db
from tests.support.rows import a_client, a_message, a_record, a_studio, now
from tests.support.sayings import a_saying

NOON = datetime(2027, 6, 1, 17, 0, tzinfo=UTC)  # 12:00 in Chicago
NIGHT = datetime(2027, 6, 1, 4, 30, tzinfo=UTC)  # 23:30
OURS, JO, KIM = "+13125550100", "+13125550188", "+13125550177"
ADA = Signature("Ada", "api")
LINKS = Links("https://control.studio.example", b"a key that nobody else has, really")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    await a_studio(pool)
    yield pool
    await pool.close()


async def sends(pool: db.Pool, *, at: datetime = NOON, links: Links | None = None, **letter: Any) -> Sent:
    return await individual.send(pool, lambda: at, "main", Letter(**letter), by=ADA, links=links)


async def row(pool: db.Pool, sent: Sent) -> Any:
    return await pool.fetchrow("SELECT * FROM messages WHERE message_id = $1", sent.message_id)


async def says(pool: db.Pool, what: Said, *, purpose: Purpose = Purpose.ALL, address: str = JO) -> None:
    async with db.transaction(pool) as tx:
        await consenting.say(tx, a_saying(address, what, purpose=purpose), NOON)


# To whom ----------------------------------------------------------------------------------------------------


async def test_a_free_text_is_linked_to_nobody_and_says_who_wrote_it(pool: db.Pool) -> None:
    await a_client(pool, reach=[JO])

    made = await row(pool, await sends(pool, to="(312) 555-0188", text="We are open on Sunday."))

    assert (made["origin"], made["state"], made["address"], made["sender"]) == ("person", "queued", JO, OURS)
    assert (made["client_id"], made["kind"], made["made_by"]) == (None, None, "Ada")
    assert made["body"] == "We are open on Sunday."


async def test_a_text_to_a_client_goes_to_their_ticked_number_and_is_in_their_history(pool: db.Pool) -> None:
    phones = [{"number": KIM, "label": "home", "sms": False}, {"number": JO, "label": "mobile", "sms": True}]
    await a_client(pool, phones=phones)

    made = await row(pool, await sends(pool, client="c-12", text="See you soon."))

    assert (made["address"], made["client_id"]) == (JO, "c-12")
    assert msgspec.json.decode(made["recipient"])["first_name"] == "Jo"


async def test_another_number_of_the_client_may_be_picked_and_a_strangers_not(pool: db.Pool) -> None:
    phones = [{"number": KIM, "label": "home", "sms": False}, {"number": JO, "label": "mobile", "sms": True}]
    await a_client(pool, phones=phones)

    assert (await row(pool, await sends(pool, client="c-12", to="312 555 0177", text="Hi")))["address"] == KIM
    with pytest.raises(Malformed, match="none of client 'c-12'"):
        await sends(pool, client="c-12", to="+13125550166", text="Hi")


async def test_a_text_about_a_session_is_in_its_history_and_its_clients(pool: db.Pool) -> None:
    await a_client(pool)
    await a_record(pool)

    made = await row(pool, await sends(pool, record=("session", "4711"), text="It moved to the park."))

    assert (made["kind"], made["record_id"], made["client_id"], made["address"]) == ("session", "4711", "c-12", JO)


async def test_a_reply_goes_back_to_who_wrote_from_the_number_they_wrote_to(pool: db.Pool) -> None:
    await pool.execute("UPDATE studios SET settings = $1", '{"sms":{"numbers":["+13125550100","+13125550101"]}}')
    came = await a_message(pool, state="received", client_id=None, sender="+13125550101", address=KIM)

    made = await row(pool, await sends(pool, reply_to=came, text="Yes, dogs are welcome."))

    assert (made["address"], made["sender"], made["client_id"]) == (KIM, "+13125550101", None)


@pytest.mark.parametrize(
    ("letter", "field"),
    [
        ({"to": "555-0188", "text": "Hi"}, "to"),
        ({"to": "+18005550188", "text": "Hi"}, "to"),
        ({"to": "+442071838750", "text": "Hi"}, "to"),
        ({"text": "Hi"}, "to"),
        ({"client": "c-99", "text": "Hi"}, "client"),
        ({"record": ("session", "99"), "text": "Hi"}, "record"),
        ({"to": JO}, "text"),
        ({"to": JO, "text": "Hi", "template": "hello"}, "text"),
        ({"to": JO, "text": "  "}, "text"),
        ({"to": JO, "text": "x" * 2000}, "text"),
        ({"to": JO, "template": "nowhere"}, "template"),
        ({"to": "jo@mail.example", "text": "Hi"}, "subject"),
        ({"to": JO, "text": "Hi", "html": "<p>Hi</p>"}, "html"),
        ({"to": JO, "text": "Reply CANCEL to cancel."}, "text"),
        ({"to": "jo@mail.example", "subject": "Your session", "text": "Reply CANCEL to cancel."}, "text"),
        ({"to": "jo@mail.example", "subject": "Reply CANCEL to cancel", "text": "Hi"}, "subject"),
        ({"to": "jo@mail.example", "subject": "s", "text": "Hi", "html": "<p>Reply <b>CANCEL</b>.</p>"}, "html"),
        ({"to": "jo@mail.example", "subject": "s", "text": "Hi", "html": "<script>a()</script>"}, "html"),
    ],
)
async def test_what_cannot_be_sent_is_refused_at_once_naming_the_field(
    pool: db.Pool, letter: dict[str, Any], field: str
) -> None:
    with pytest.raises(Malformed) as refused:
        await sends(pool, **letter)
    assert refused.value.field == field
    assert await pool.fetchval("SELECT count(*) FROM messages") == 0


# What -------------------------------------------------------------------------------------------------------


async def test_a_template_is_filled_in_with_the_record_and_keeps_its_purpose(pool: db.Pool) -> None:
    await a_client(pool)
    await a_record(pool)
    body = {
        "kind": "session",
        "purpose": "transactional",
        "sms": "Hi {{ client.first_name }}, {{ session.date }} it is.",
    }
    await templates.put(pool, "main", "hello", body, by=ADA)

    made = await row(pool, await sends(pool, record=("session", "4711"), template="hello"))

    assert made["body"].startswith("Hi Jo, ")
    assert made["purpose"] == "transactional"


async def test_a_template_without_a_value_or_without_its_record_says_which(pool: db.Pool) -> None:
    await templates.put(pool, "main", "hello", {"sms": "Hi {{ client.first_name }}"}, by=ADA)
    await templates.put(pool, "main", "date", {"kind": "session", "sms": "{{ session.date }}"}, by=ADA)

    with pytest.raises(Malformed, match=r"client\.first_name"):
        await sends(pool, to=JO, template="hello")
    with pytest.raises(Malformed, match="is for a session"):
        await sends(pool, to=JO, template="date")


async def test_links_in_a_template_lead_to_the_session_it_is_about(pool: db.Pool) -> None:
    await a_client(pool)
    await a_record(pool)
    body = {"kind": "session", "purpose": "transactional", "text": "{{ confirm_link }} {{ session.nps_bar }}"}
    await templates.put(pool, "main", "asks", body, by=ADA)
    asked: dict[str, Any] = {"record": ("session", "4711"), "channel": "email", "template": "asks"}

    sent = await sends(pool, links=LINKS, **asked)

    confirm, rate = (await row(pool, sent))["body"].split()
    following = Following(pool, now, LINKS)
    await following.confirm(confirm.rpartition("/")[2])
    await following.score(rate.rpartition("/")[2], 9, "")
    told = await pool.fetch("SELECT subject, verb FROM commands WHERE verb IN ('confirm_record', 'record_nps')")
    assert {tuple(one) for one in told} == {("session/4711", "confirm_record"), ("session/4711", "record_nps")}
    with pytest.raises(Malformed, match="there is no key"):
        await sends(pool, **asked)


@pytest.mark.parametrize(
    ("words", "channel", "why"),
    [
        ("{{ confirm_link }}", "email", "confirm_link: it is for a message about a session or an appointment"),
        ("{{ record.nps_bar }}", "email", "nps_bar: it is for a message about a session"),
        ("{{ unsubscribe_link }}", "sms", "unsubscribe_link: it is for an email"),
    ],
)
async def test_a_link_that_would_lead_nowhere_is_refused_when_it_is_written(
    pool: db.Pool, words: str, channel: str, why: str
) -> None:
    await a_client(pool)
    await pool.execute(
        "INSERT INTO templates (studio_id, name, body) VALUES ('main', 'asks', $1)",
        msgspec.json.encode({"kind": "any", "purpose": "transactional", "text": words}).decode(),
    )

    with pytest.raises(Malformed, match=why):
        await sends(pool, links=LINKS, client="c-12", channel=channel, template="asks")


async def test_a_template_s_attachments_go_along_and_need_their_record(pool: db.Pool) -> None:
    await a_client(pool)
    await a_record(pool, "invoice/9001", links={"invoice": "https://pay.example/9001"}, dates={})
    await templates.put(pool, "main", "pay", {"kind": "any", "text": "Here.", "attachments": ["invoice"]}, by=ADA)

    sent = await sends(pool, record=("invoice", "9001"), channel="email", template="pay")

    assert "https://pay.example/9001" in (await row(pool, sent))["body"]
    with pytest.raises(Malformed, match="name the record"):
        await sends(pool, to="kim@mail.example", template="pay")


async def test_an_email_needs_a_subject_and_keeps_its_words(pool: db.Pool) -> None:
    await a_client(pool)

    sent = await sends(pool, client="c-12", channel="email", subject="Your\r\nphotos", text="Here they are.")

    made = await row(pool, sent)
    assert (made["channel"], made["address"], made["subject"]) == ("email", "jo@mail.example", "Your photos")
    assert made["account"] == "email/default"


async def test_who_types_is_told_of_a_text_what_the_author_of_a_template_is_told_and_it_goes(pool: db.Pool) -> None:
    sent = await sends(pool, to=JO, text="Your pictures: bit.ly/3x")

    assert [(one.field, one.code) for one in sent.advice] == [("text", "shortener"), ("text", "identity")]
    assert (await row(pool, sent))["state"] == "queued"


async def test_who_answers_need_not_say_who_writes(pool: db.Pool) -> None:
    came = await a_message(pool, state="received", client_id=None, address=KIM)
    assert (await sends(pool, reply_to=came, text="Dogs are welcome.")).advice == ()


async def test_words_that_are_sent_again_are_looked_at_again(pool: db.Pool) -> None:
    await a_client(pool, reach=[JO])
    failed = await a_message(pool, state="failed", body="Reply CANCEL to cancel.")
    with pytest.raises(Malformed, match="CANCEL"):
        await sends(pool, again=failed)
    assert (await sends(pool, again=failed, text="Call us to cancel.")).message_id


# Whether ----------------------------------------------------------------------------------------------------


async def test_who_said_stop_is_written_to_by_nobody_and_the_reason_says_when(pool: db.Pool) -> None:
    await a_client(pool)
    await says(pool, Said.STOP)

    letters: list[dict[str, Any]] = [{"client": "c-12"}, {"to": JO}]
    for letter in letters:
        with pytest.raises(Refused, match=r"\+13125550188 said STOP on .*'STOP'.*only they"):
            await sends(pool, **letter, text="Please come back.")
    assert await pool.fetchval("SELECT count(*) FROM messages") == 0

    await says(pool, Said.START)
    assert (await row(pool, await sends(pool, to=JO, text="Welcome back.")))["state"] == "queued"


async def test_who_left_marketing_still_gets_what_is_none(pool: db.Pool) -> None:
    await templates.put(pool, "main", "offer", {"purpose": "marketing", "sms": "10 % off"}, by=ADA)
    await says(pool, Said.STOP, purpose=Purpose.MARKETING)

    with pytest.raises(Refused, match="unsubscribed from marketing"):
        await sends(pool, to=JO, template="offer")
    assert (await sends(pool, to=JO, text="Your key is still here.")).message_id


async def test_what_may_be_an_opt_out_does_not_stop_a_person(pool: db.Pool) -> None:
    await says(pool, Said.DOUBT)
    assert (await sends(pool, to=JO, text="Did you mean to stop all texts?")).message_id


async def test_at_night_a_person_is_warned_and_the_text_goes(pool: db.Pool) -> None:
    (warning,) = (await sends(pool, to=JO, text="The studio is on fire.", at=NIGHT)).warnings
    assert "23:30" in warning
    (warning,) = (await sends(pool, to="+18085550188", text="Good day.")).warnings
    assert warning.startswith("it is 07:00 there, outside 08:00-21:00 (zone from the number: Pacific/Honolulu)")
    assert (await sends(pool, to=JO, text="Good day.")).warnings == ()


# Again ------------------------------------------------------------------------------------------------------


async def test_what_is_proven_not_sent_is_written_again_as_another_message_once(pool: db.Pool) -> None:
    await a_client(pool, reach=[JO])
    failed = await a_message(pool, state="failed", body="See you soon.")

    made = await row(pool, await sends(pool, again=failed))

    assert (made["parent_id"], made["body"], made["client_id"], made["origin"]) == (
        failed,
        "See you soon.",
        "c-12",
        "person",
    )
    assert made["action_id"] is None
    with pytest.raises(Refused, match="already"):
        await sends(pool, again=failed)


@pytest.mark.parametrize("state", ["unknown", "queued", "submitting", "accepted", "delivered"])
async def test_what_may_have_been_taken_is_not_written_again(pool: db.Pool, state: str) -> None:
    await a_client(pool)
    message = await a_message(pool, state=state)
    with pytest.raises(Refused, match="not written again"):
        await sends(pool, again=message)
    with pytest.raises(NotFound):
        await sends(pool, again=message + 1)
