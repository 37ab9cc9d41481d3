"""What a mail that comes in is, by its bytes: bounce, complaint, automatic answer, or a letter to be read."""

from __future__ import annotations

from textwrap import dedent
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.links import Links
from control_center.domain.wire import letter
from control_center.domain.wire.incoming_mail import Automatic, Bounce, Complaint, Letter, read

LINKS = Links("https://control.studio.example", b"a key that nobody else has, really")
BACK = LINKS.return_path("m-12.1", "bounces.studio.example") or ""
NONCE = "0123456789abcdef" * 2
OURS = f"<m-12.{NONCE}@studio.example>"


def mail(text: str) -> bytes:
    return dedent(text).lstrip("\n").replace("\n", "\r\n").encode()


def report(
    *, status: str = "5.1.1", action: str = "failed", diagnostic: str = "", to: str = BACK, ours: str = ""
) -> bytes:
    """A delivery report as RFC 3464 has it: words, fields, and the headers of what came back."""
    code = f"Diagnostic-Code: {diagnostic}\n" if diagnostic else ""
    return (
        (
            "Return-Path: <>\nFrom: Mail Delivery System <MAILER-DAEMON@relay.example>\n"
            f"To: {to}\nSubject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n"
            'Content-Type: multipart/report; report-type=delivery-status; boundary="edge"\n\n'
            "--edge\nContent-Type: text/plain\n\nYour mail could not be delivered. 5.2.2 says the postmaster.\n\n"
            "--edge\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; relay.example\n"
            "Arrival-Date: Tue, 1 Jun 2027 15:00:00 +0000\n\n"
            f"Final-Recipient: rfc822; jo@mail.example\nAction: {action}\nStatus: {status}\n{code}\n"
            f"--edge\nContent-Type: text/rfc822-headers\n\nFrom: ada@studio.example\n{ours}\n--edge--\n"
        )
        .replace("\n", "\r\n")
        .encode()
    )


def test_a_delivery_report_tells_attempt_code_and_reason() -> None:
    found = read(report(diagnostic="smtp; 550 5.1.1 <jo@mail.example>: user unknown"), LINKS)
    assert isinstance(found, Bounce)
    assert (found.origin.attempt, found.code) == ("m-12.1", "5.1.1")
    assert found.reason == "550 5.1.1 <…@mail.example>: user unknown"


def test_without_a_return_path_of_its_own_the_message_id_in_what_came_back_tells() -> None:
    found = read(report(to="ada@studio.example", ours=f"Message-ID: {OURS}"), LINKS)
    assert isinstance(found, Bounce)
    assert (found.origin.attempt, found.origin.named) == (None, ((12, NONCE),))


def test_where_the_mail_was_delivered_may_be_told_beside_it() -> None:
    found = read(report(to="undisclosed-recipients:;"), LINKS, to=BACK.upper())
    assert isinstance(found, Bounce)
    assert found.origin.attempt == "m-12.1"


def test_a_code_is_never_read_out_of_the_words_where_the_report_has_one() -> None:
    found = read(report(status="5.7.1"), LINKS)
    assert isinstance(found, Bounce)
    assert found.code == "5.7.1"


def test_what_a_bare_code_was_the_reply_to_stands_in_the_words_of_the_server_that_wrote_it_down() -> None:
    raw = report(status="5.0.0", diagnostic="smtp; 550 no").replace(
        b"could not be delivered.",
        b"could not be delivered: <jo@mail.example>: said: 550 no (in reply to RCPT TO command)",
    )
    found = read(raw, LINKS)
    assert isinstance(found, Bounce)
    assert (found.code, found.reason) == ("550", "smtp rcpt: 550 no")


@pytest.mark.parametrize("action", ["delayed", "relayed", "delivered", "expanded"])
def test_a_report_of_anything_but_a_failure_says_nothing_final(action: str) -> None:
    assert isinstance(read(report(action=action, status="4.4.1"), LINKS), Automatic)


def test_of_several_recipients_the_one_that_failed_counts() -> None:
    raw = report().replace(
        b"Final-Recipient: rfc822; jo@",
        b"Final-Recipient: rfc822; kim@mail.example\r\nAction: delivered\r\n"
        b"Status: 2.0.0\r\n\r\nFinal-Recipient: rfc822; jo@",
    )
    found = read(raw, LINKS)
    assert isinstance(found, Bounce)
    assert found.code == "5.1.1"


def test_a_report_without_fields_is_a_bounce_that_nobody_can_read() -> None:
    raw = report().replace(b"Content-Type: message/delivery-status", b"Content-Type: text/x-nothing")
    found = read(raw, LINKS)
    assert isinstance(found, Bounce)
    assert found.code is None


QMAIL = f"""
    Return-Path: <>
    From: MAILER-DAEMON@relay.example
    To: {BACK}
    Subject: failure notice

    Hi. This is the qmail-send program at relay.example.
    I'm afraid I wasn't able to deliver your message to the following addresses.
    This is a permanent error; I've given up. Sorry it didn't work out.

    <jo@mail.example>:
    Sorry, no mailbox here by that name.

    --- Below this line is a copy of the message.

    Return-Path: <ada@studio.example>
    Message-ID: {OURS}
"""
EXIM = f"""
    Return-Path: <>
    X-Failed-Recipients: jo@mail.example
    From: Mail Delivery System <Mailer-Daemon@relay.example>
    To: {BACK}
    Subject: Mail delivery failed: returning message to sender
    Auto-Submitted: auto-replied

    This message was created automatically by mail delivery software.

    A message that you sent could not be delivered to one or more of its
    recipients. This is a permanent error. The following address(es) failed:

      jo@mail.example
        Unrouteable address
"""


# What comes back to a return path with no return path of its own is read as a bounce whoever says that it is from.
ANYBODYS: Final = QMAIL.replace("MAILER-DAEMON@", "no-reply@")


@pytest.mark.parametrize("text", [QMAIL, EXIM, ANYBODYS], ids=["qmail", "exim", "anybody's"])
def test_a_bounce_in_a_servers_own_words_is_permanent_and_unclear(text: str) -> None:
    found = read(mail(text), LINKS)
    assert isinstance(found, Bounce)
    assert (found.origin.attempt, found.code) == ("m-12.1", "5.0.0")


def test_what_a_mail_server_says_and_nobody_understands_is_kept_for_a_person() -> None:
    found = read(mail(f"From: postmaster@relay.example\nTo: {BACK}\nSubject: hm\n\nSomething happened.\n"), LINKS)
    assert isinstance(found, Bounce)
    assert (found.origin.attempt, found.code) == ("m-12.1", None)


def test_a_forged_return_path_names_nothing() -> None:
    forged = BACK.replace(BACK[5], "a" if BACK[5] != "a" else "b", 1)
    found = read(report(to=forged), LINKS)
    assert isinstance(found, Bounce)
    assert found.origin.attempt is None


ARF = f"""
    From: feedback@mail.example
    To: abuse@studio.example
    Subject: complaint
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type=feedback-report; boundary="edge"

    --edge
    Content-Type: text/plain

    This is an email abuse report.

    --edge
    Content-Type: message/feedback-report

    Feedback-Type: abuse
    User-Agent: Somebody/1.0
    Version: 1
    Original-Mail-From: <{BACK}>

    --edge
    Content-Type: message/rfc822

    From: ada@studio.example
    To: jo@mail.example
    Subject: Spring
    Message-ID: {OURS}
    List-Unsubscribe: <{LINKS.unsubscribe(12)}>

    Spring is here.
    --edge--
"""


def test_a_complaint_names_its_mail_in_three_ways() -> None:
    found = read(mail(ARF), LINKS)
    assert isinstance(found, Complaint)
    assert found.kind == "abuse"
    assert (found.origin.attempt, found.origin.named, found.origin.link) == ("m-12.1", ((12, NONCE),), 12)


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "virus"])
def test_feedback_that_is_no_complaint_is_none(kind: str) -> None:
    assert isinstance(read(mail(ARF.replace("abuse\n    User", f"{kind}\n    User")), LINKS), Automatic)


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated; owner-email=jo@mail.example",
        "X-Autoreply: yes",
        "Precedence: bulk",
        "Return-Path: <>",
        "List-Id: <news.mail.example>",
    ],
)
def test_an_automatic_answer_is_neither_reply_nor_bounce(headers: str) -> None:
    raw = mail(f"From: Jo <jo@mail.example>\nTo: {BACK}\nSubject: Away\n{headers}\n\nI am away. STOP by in June.\n")
    assert isinstance(read(raw, LINKS), Automatic)


def test_a_note_that_a_mail_was_read_is_no_reply() -> None:
    kind = "multipart/report; report-type=disposition-notification; boundary=e"
    raw = mail(f"From: jo@mail.example\nContent-Type: {kind}\n\n--e\n\nread\n--e--\n")
    assert isinstance(read(raw, LINKS), Automatic)


REPLY = f"""
    From: =?utf-8?q?J=C3=B6?= Park <Jo@Mail.Example>
    To: Ada <ada@studio.example>, copy@mail.example
    Subject: =?utf-8?q?Re=3A_Gr=C3=BC=C3=9Fe?=
    Message-ID: <reply-1@mail.example>
    In-Reply-To: {OURS}
    References: <first@mail.example> {OURS}
    Content-Type: text/plain; charset=iso-8859-1
    Content-Transfer-Encoding: quoted-printable

    Gr=FC=DFe, we come at two.

    On Tue, Jun 1, 2027 at 10:00 Ada <ada@studio.example> wrote:
    > Please reply STOP
"""


def test_a_reply_tells_who_wrote_what_and_which_mail_it_answers() -> None:
    found = read(mail(REPLY), LINKS, to="ada@studio.example")
    assert isinstance(found, Letter)
    assert (found.inbound.sender, found.subject) == ("jo@mail.example", "Re: Grüße")
    assert found.to == ("ada@studio.example", "copy@mail.example")
    assert found.answered == ((12, NONCE),)
    assert found.inbound.known_by == "<reply-1@mail.example>"
    assert letter.own(found.inbound.text) == "Grüße, we come at two."


def test_html_alone_is_read_as_its_text() -> None:
    raw = mail(
        "From: jo@mail.example\nContent-Type: text/html\n\n"
        "<html><head><style>p{}</style></head><body><p>We &amp; the dog<br>come</p><script>x()</script></body></html>\n"
    )
    found = read(raw, LINKS)
    assert isinstance(found, Letter)
    assert found.inbound.text == "We & the dog\ncome"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("STOP\n\nSent from my iPhone", "STOP"),
        ("yes\n-- \nJo Park\nStop by!", "yes"),
        ("ja\n\nAm 1. Juni 2027 um 10:00 schrieb Ada <a@b.example>:\n\n> stop", "ja"),
        ("> stop\nwe come", "we come"),
        ("we come\n\n-----Original Message-----\nstop", "we come"),
        ("we come\n\nFrom: Ada <ada@studio.example>\nstop", "we come"),
    ],
)
def test_what_is_quoted_or_signed_is_not_what_they_wrote(text: str, expected: str) -> None:
    assert letter.own(text) == expected


def test_what_a_report_says_is_kept_as_one_line_of_what_can_be_printed() -> None:
    found = read(report(action="\0rel\x1bayed"), LINKS)
    assert isinstance(found, Automatic)
    assert found.why == "a delivery report: rel"


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reading(raw: bytes) -> None:
    read(raw, LINKS)


@given(st.sampled_from([report(), mail(ARF), mail(REPLY), mail(QMAIL)]), st.data())
def test_no_damage_breaks_the_reading(raw: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    read(raw[:start] + data.draw(st.binary(max_size=20)) + raw[end:], LINKS)
