"""Mail that comes in: bounces end what should end, letters reach their client, and nobody is believed without proof."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest

from control_center.domain.consent import Standing
from control_center.domain.links import Links, message_header
from control_center.engine.hearing import Hearing
from control_center.engine.mailroom import Mailroom
from control_center.engine.returned_mail import Came
from control_center.store import consents, db, heard
from control_center.store.heard import Refusal
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, ago, now

LINKS = Links("https://control.studio.example", b"a key that nobody else has, really")
JO = "jo@mail.example"
BETWEEN = b"From: jo@mail.example\r\nTo: ada@studio.example\r\n"
_ids = count(1)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    await a_studio(pool)
    await a_client(pool, reach=[JO])
    yield pool
    await pool.close()


async def a_mail(pool: db.Pool, **columns: Any) -> int:
    return await a_message(pool, **{"channel": "email", "state": "accepted", **columns})


async def message_id(pool: db.Pool, message: int) -> str:
    nonce = await pool.fetchval("SELECT nonce FROM messages WHERE message_id = $1", message)
    return f"<{message_header(message, nonce.hex, 'ada@studio.example')}>"


async def comes_in(pool: db.Pool, raw: str, *, at: datetime | None = None, to: str = "") -> Came:
    mailroom = Mailroom(pool, lambda: at or now(), LINKS)
    return await mailroom.take("email/default", raw.replace("\n", "\r\n").encode(), to=to)


def a_bounce(message: int, *, status: str = "5.1.1", to: str | None = None, ours: str = "") -> str:
    to = to if to is not None else LINKS.return_path(f"m-{message}.1", "bounces.studio.example")
    return (
        f"From: MAILER-DAEMON@relay.example\nTo: {to}\nX-Copy: {next(_ids)}\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="edge"\n\n'
        "--edge\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; relay.example\n\n"
        f"Final-Recipient: rfc822; {JO}\nAction: failed\nStatus: {status}\nDiagnostic-Code: smtp; 550 {status} no\n\n"
        f"--edge\nContent-Type: text/rfc822-headers\n\nFrom: ada@studio.example\n{ours}\n--edge--\n"
    )


def a_letter(
    text: str, *, sender: str = JO, subject: str = "Hello", to: str = "ada@studio.example", **headers: str
) -> str:
    more = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
    more += f"Message-ID: <{next(_ids)}@m.example>\n"
    return f"From: Jo Park <{sender}>\nTo: {to}\nSubject: {subject}\n{more}\n{text}\n"


async def stands(pool: db.Pool, address: str = JO) -> Standing:
    async with db.session(pool) as connection:
        found = await consents.standings(connection, [("main", "email", address)])
    return next(iter(found.values()), Standing())


async def incoming(pool: db.Pool) -> list[Any]:
    rows: list[Any] = await pool.fetch("SELECT * FROM messages WHERE origin = 'client' ORDER BY message_id")
    return rows


async def state(pool: db.Pool, message: int) -> tuple[str, str]:
    row = await pool.fetchrow("SELECT state, reason FROM messages WHERE message_id = $1", message)
    assert row is not None
    return row["state"], row["reason"]


# Bounces --------------------------------------------------------------------------------------------------


async def test_no_such_mailbox_ends_all_mail_to_the_address(pool: db.Pool) -> None:
    mail, waiting = await a_mail(pool), await a_mail(pool, state="queued")

    came = await comes_in(pool, a_bounce(mail))

    assert (came.what, came.reason) == ("bounce", "5.1.1: no such mailbox or domain")
    assert await state(pool, mail) == ("undelivered", "550 5.1.1 no")
    assert (await state(pool, waiting))[0] == "suppressed"
    row = await pool.fetchrow("SELECT purpose, says, source, evidence FROM consents")
    assert tuple(row) == ("all", "stop", "bounce", "5.1.1 550 5.1.1 no")


async def test_a_bounce_that_comes_twice_counts_once(pool: db.Pool) -> None:
    raw = a_bounce(await a_mail(pool))
    assert [(await comes_in(pool, raw)).new for _ in range(2)] == [True, False]
    assert await pool.fetchval("SELECT count(*) FROM consents") == 1


async def test_a_disabled_mailbox_ends_mail_the_second_time(pool: db.Pool) -> None:
    for number in range(2):
        await comes_in(pool, a_bounce(await a_mail(pool), status="5.2.1"))
        assert (await stands(pool)).stopped is (number == 1)


async def test_a_refusal_by_the_relay_and_a_bounce_are_two_times(pool: db.Pool) -> None:
    failed = await a_mail(pool, state="failed")
    await pool.execute("UPDATE attempts SET code = '550 5.2.1' WHERE message_id = $1", failed)
    await comes_in(pool, a_bounce(await a_mail(pool), status="5.2.1"))
    assert (await stands(pool)).stopped


async def test_a_refusal_in_other_codes_than_those_of_mail_is_held_against_nobody(pool: db.Pool) -> None:
    for _ in range(2):
        failed = await a_mail(pool, state="failed")
        await pool.execute("UPDATE attempts SET code = '0001' WHERE message_id = $1", failed)
        async with db.session(pool) as connection:
            refusal = Refusal(f"m-{failed}.1", "0001", "recipient: sandbox: no such recipient")
            await heard.keep_refusals(connection, "email/default", [(JO, refusal)])
    await Hearing(pool, now).run_once()
    assert await pool.fetchval("SELECT count(*) FROM arrivals") == 0
    assert not (await stands(pool)).stopped


async def test_the_same_mail_bouncing_twice_is_not_the_second_time(pool: db.Pool) -> None:
    mail = await a_mail(pool)
    for _ in range(2):
        await comes_in(pool, a_bounce(mail, status="5.2.1"))
    assert not (await stands(pool)).stopped


async def test_a_full_mailbox_ends_mail_after_several_over_days(pool: db.Pool) -> None:
    for _ in range(3):
        await comes_in(pool, a_bounce(await a_mail(pool), status="5.2.2"))
    assert not (await stands(pool)).stopped
    await pool.execute("UPDATE receipts SET received_at = received_at - interval '4 days' WHERE receipt_id = 1")
    await comes_in(pool, a_bounce(await a_mail(pool), status="4.2.2"))
    assert (await stands(pool)).stopped


@pytest.mark.parametrize("status", ["4.4.7", "4.7.1", "5.7.1", "5.3.4", "5.5.2"])
async def test_what_is_not_the_recipients_fault_is_not_held_against_them(pool: db.Pool, status: str) -> None:
    mail = await a_mail(pool)
    for one in (mail, await a_mail(pool), await a_mail(pool)):
        await comes_in(pool, a_bounce(one, status=status))
    assert (await state(pool, mail))[0] == "undelivered"
    assert not (await stands(pool)).stopped


async def test_mail_that_nobody_takes_from_our_domain_pauses_the_account(pool: db.Pool) -> None:
    for _ in range(3):
        await comes_in(pool, a_bounce(await a_mail(pool), status="5.7.26"))
    reason = await pool.fetchval("SELECT reason FROM breakers WHERE account = 'email/default' AND open_until > now()")
    assert reason.startswith("bounce 5.7.26")


async def test_a_bounce_for_our_reputation_slows_the_domain_down_and_nobody_else(pool: db.Pool) -> None:
    await comes_in(pool, a_bounce(await a_mail(pool), status="4.7.28"))
    assert [tuple(row) for row in await pool.fetch("SELECT number, slowed FROM senders")] == [("@studio.example", 1)]


async def test_without_a_return_path_the_message_id_proves_it(pool: db.Pool) -> None:
    mail = await a_mail(pool)
    ours = f"Message-ID: {await message_id(pool, mail)}"
    assert (await comes_in(pool, a_bounce(mail, to="ada@studio.example", ours=ours))).what == "bounce"
    assert (await state(pool, mail))[0] == "undelivered"


@pytest.mark.parametrize("ours", ["", "Message-ID: <m-1.00000000000000000000000000000000@studio.example>"])
async def test_a_forged_bounce_changes_nothing_and_is_kept_for_a_person(pool: db.Pool, ours: str) -> None:
    mail = await a_mail(pool)
    came = await comes_in(pool, a_bounce(mail, to=f"b.{'a' * 32}@bounces.studio.example", ours=ours))
    assert (came.what, came.message_id) == ("unread bounce", None)
    assert (await state(pool, mail))[0] == "accepted"
    assert not (await stands(pool)).stopped
    assert await pool.fetchval("SELECT count(*) FROM arrivals WHERE studio_id = ''") == 1


async def test_a_bounce_that_nobody_can_read_is_shown_beside_its_client(pool: db.Pool) -> None:
    mail = await a_mail(pool)
    back = LINKS.return_path(f"m-{mail}.1", "bounces.studio.example")
    came = await comes_in(pool, f"From: postmaster@relay.example\nTo: {back}\nSubject: hm\n\nSomething happened.\n")
    assert came.what == "unread bounce"
    (row,) = await incoming(pool)
    assert (row["meaning"], row["client_id"], row["body"]) == ("bounce", "c-12", "Something happened.")
    assert row["attention"].endswith(f"m-{mail}")


async def test_triggers_on_bounced_emails_fire(pool: db.Pool) -> None:
    await a_trigger(pool, record="email", status=None, event="bounced", activate={"on": "received"})
    await comes_in(pool, a_bounce(await a_mail(pool)))
    assert await pool.fetchval("SELECT count(*) FROM actions WHERE kind = 'email'") == 1


# Complaints -----------------------------------------------------------------------------------------------


def a_complaint(message: int, kind: str = "abuse") -> str:
    back = LINKS.return_path(f"m-{message}.1", "bounces.studio.example")
    return (
        'From: fbl@mail.example\nContent-Type: multipart/report; report-type=feedback-report; boundary="e"\n\n'
        f"--e\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nOriginal-Mail-From: <{back}>\n\n--e--\n"
    )


async def test_a_complaint_ends_marketing_at_once(pool: db.Pool) -> None:
    await a_trigger(pool, record="email", status=None, event="complained", activate={"on": "received"})
    mail = await a_mail(pool, purpose="marketing")
    waiting = await a_mail(pool, state="queued", purpose="marketing")
    for _ in range(2):
        assert (await comes_in(pool, a_complaint(mail))).what == "complaint"
    assert (await state(pool, waiting))[0] == "suppressed"
    rows = [tuple(row) for row in await pool.fetch("SELECT purpose, says, source FROM consents")]
    assert rows == [("marketing", "stop", "complaint")]
    assert await pool.fetchval("SELECT count(*) FROM actions WHERE kind = 'email'") == 1


async def test_a_complaint_taken_back_ends_nothing(pool: db.Pool) -> None:
    assert (await comes_in(pool, a_complaint(await a_mail(pool), "not-spam"))).what == "automatic"
    assert not (await stands(pool)).no_marketing


# Letters --------------------------------------------------------------------------------------------------


async def test_a_reply_reaches_the_client_of_the_mail_it_answers(pool: db.Pool) -> None:
    await a_record(pool)
    mail = await a_mail(pool)

    raw = a_letter("We come at two.", sender="jos-office@work.example", In_Reply_To=await message_id(pool, mail))
    came = await comes_in(pool, raw)

    assert (came.what, came.reason) == ("letter", "plain")
    (row,) = await incoming(pool)
    assert (row["channel"], row["client_id"], row["record_id"]) == ("email", "c-12", "4711")
    assert (row["address"], row["sender"], row["subject"]) == ("jos-office@work.example", "ada@studio.example", "Hello")
    data = msgspec.json.decode(await pool.fetchval("SELECT data FROM commands WHERE verb = 'message.received'"))
    assert (data["channel"], data["text"]) == ("email", "We come at two.")


async def test_without_a_reference_the_addresses_tell(pool: db.Pool) -> None:
    await comes_in(pool, a_letter("Do you have a date in May?", to="Ada <ADA@studio.example>"))
    (row,) = await incoming(pool)
    assert (row["client_id"], row["address"]) == ("c-12", JO)


async def test_a_reference_with_a_guessed_number_is_none(pool: db.Pool) -> None:
    mail = await a_mail(pool, client_id="c-99")
    guessed = f"<m-{mail}.{'0' * 32}@studio.example>"
    await comes_in(pool, a_letter("Hello", In_Reply_To=guessed))
    (row,) = await incoming(pool)
    assert row["client_id"] == "c-12"


async def test_a_letter_to_nobody_we_know_is_kept(pool: db.Pool) -> None:
    came = await comes_in(pool, a_letter("Hello", to="somebody@else.example"))
    assert (came.what, came.message_id) == ("letter", None)
    assert await pool.fetchval("SELECT count(*) FROM arrivals WHERE studio_id = ''") == 1


async def test_a_letter_brought_twice_is_one(pool: db.Pool) -> None:
    raw = a_letter("Hello")
    assert [(await comes_in(pool, raw)).new for _ in range(2)] == [True, False]
    assert len(await incoming(pool)) == 1


async def test_an_automatic_answer_is_no_reply(pool: db.Pool) -> None:
    assert (await comes_in(pool, a_letter("I am away", Auto_Submitted="auto-replied"))).what == "automatic"
    assert await incoming(pool) == []


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("STOP", "Re: Spring"),
        ("Unsubscribe\n\nSent from my iPhone", "Re: x"),
        ("", "unsubscribe"),
        ("stop\n\nJo", "Re: x"),
    ],
)
async def test_stop_in_a_reply_ends_marketing_to_both_their_addresses(pool: db.Pool, text: str, subject: str) -> None:
    mail = await a_mail(pool, purpose="marketing")
    raw = a_letter(text, sender="alias@mail.example", subject=subject, In_Reply_To=await message_id(pool, mail))
    await comes_in(pool, raw)
    for address in (JO, "alias@mail.example"):
        found = await stands(pool, address)
        assert (found.no_marketing, found.stopped) == (True, False)
    (row,) = await incoming(pool)
    assert row["meaning"] == "opt_out"


@pytest.mark.parametrize(
    ("text", "subject"),
    [("See you!\n\nOn Tue, Ada wrote:\n> Reply STOP to end", "Re: Spring"), ("See you", "Re: Stop")],
)
async def test_what_we_wrote_ourselves_ends_nothing(pool: db.Pool, text: str, subject: str) -> None:
    await comes_in(pool, a_letter(text, subject=subject))
    assert await stands(pool) == Standing()


async def test_start_counts_only_where_it_answers_a_mail_of_ours(pool: db.Pool) -> None:
    mail = await a_mail(pool)
    await comes_in(pool, a_letter("STOP"))
    await comes_in(pool, a_letter("START"))
    assert (await stands(pool)).no_marketing
    await comes_in(pool, a_letter("START", In_Reply_To=await message_id(pool, mail)))
    assert not (await stands(pool)).no_marketing


async def test_of_two_studios_at_one_address_nobody_is_guessed(pool: db.Pool) -> None:
    await a_studio(pool, "second", numbers=[])
    assert (await comes_in(pool, a_letter("Hello"))).message_id is None


async def test_an_old_bounce_counts_for_its_time_only(pool: db.Pool) -> None:
    await comes_in(pool, a_bounce(await a_mail(pool), status="5.2.1"))
    await pool.execute("UPDATE receipts SET received_at = $1", ago(days=200))
    await comes_in(pool, a_bounce(await a_mail(pool), status="5.2.1"), at=now() + timedelta(0))
    assert not (await stands(pool)).stopped


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0\0\0",
        b"\xff\xfe garbage \x00",
        b"From: Jo <jo@mail.example>\r\nTo: ada@studio.example\r\nSubject: \0 a\xff\r\n\r\n\0\xff\xfe",
        BETWEEN + b"Subject: =?utf-7?Q?+2AA-?=\r\nMessage-ID: <\0a>\r\n\r\nHi",
        BETWEEN + b"Content-Type: text/plain; charset=utf-7\r\n\r\nHi +2AA- there",
        BETWEEN + b"Content-Type: text/plain; charset=unicode_escape\r\n\r\n\\ud83d\\x00 hi",
        BETWEEN + b"Content-Type: text/plain; charset=idna\r\n\r\nHi \xff there",
        BETWEEN + b"Content-Type: text/plain; charset=undefined\r\n\r\nHi",
        BETWEEN + b"Content-Type: text/html; charset=zip\r\n\r\n<p>Hi<![x",
        BETWEEN + b"Content-Transfer-Encoding: base64\r\n\r\n=====",
        b"From: " + b"a" * 5000 + b"@mail.example\r\nTo: ada@studio.example\r\nSubject: " + b"s" * 9000 + b"\r\n\r\nHi",
        b"From: jo@mail.example\r\nTo: " + b"ada@studio.example, " * 3000 + b"\r\n\r\nHi",
    ],
)
async def test_whatever_bytes_a_mail_has_it_is_taken_in_and_not_asked_for_again(pool: db.Pool, raw: bytes) -> None:
    mailroom = Mailroom(pool, now, LINKS)
    first, again = await mailroom.take("email/default", raw), await mailroom.take("email/default", raw)

    assert first.what == again.what
    assert first.what == "automatic" or (first.new, again.new) == (True, False)
    if first.what == "letter" and first.studio is not None:
        (row,) = await incoming(pool)
        assert row["client_id"] == "c-12"


@pytest.mark.parametrize("to", ["ada\udcfc@studio.example", "\ud800", "x" * 5000])
async def test_wherever_it_is_said_to_have_been_delivered_a_mail_is_taken_in(pool: db.Pool, to: str) -> None:
    """The web server hands on a header's bytes that are no UTF-8 as halves of letters."""
    assert (await comes_in(pool, a_letter("Yes"), to=to)).what == "letter"


async def test_mail_that_a_detector_of_bounces_fails_on_fills_no_log(
    pool: db.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    await comes_in(
        pool,
        "Return-Path: <>\nX: MAILER-DAEMON\nTo: " + (LINKS.return_path("m-1.1", "b.example") or "") + "\n\nhello\n",
    )

    assert not caplog.records
