"""Mail that a stranger made to take long, to be asked for for ever, or to be taken for another's word."""

from __future__ import annotations

from typing import Final

import pytest

from control_center.domain.bounce import Verdict, verdict
from control_center.domain.links import Links
from control_center.domain.outcome import Blocked, Cause, Refused
from control_center.domain.wire import mime_reader, smtp
from control_center.domain.wire.incoming_mail import Automatic, Bounce, Complaint, Letter, read
from control_center.domain.wire.smtp import Step

LINKS: Final = Links("https://control.studio.example", b"a key that nobody else has, really")
OURS: Final = f"<m-12.{'0123456789abcdef' * 2}@studio.example>"
LONG: Final = 1_000_000  # characters; a mail may have sixteen million. What takes the square of it takes an hour


def plain(headers: bytes, body: bytes = b"hello", sender: bytes = b"jo@mail.example") -> bytes:
    return b"From: " + sender + b"\r\n" + headers + b"\r\n" + body


def report(diagnostic: bytes) -> bytes:
    return (
        b"From: mailer-daemon@mail.example\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=e"
        b"\r\n\r\n--e\r\n\r\nhi\r\n--e\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n"
        b"Final-Recipient: rfc822; jo@mail.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; "
        + diagnostic
        + b"\r\n\r\n--e--\r\n"
    )


@pytest.mark.parametrize(
    "raw",
    [
        report(b"a" * LONG),
        plain(b"Subject: " + b"a" * LONG + b"\r\n", sender=b"mailer-daemon@mail.example"),
        plain(b"Subject: " + b"=?a?q?x" * (LONG // 7) + b"\r\n"),
        plain(b'Content-Type: multipart/report; "' + b";" * LONG + b"\r\n"),
        plain(b"Content-Type: multipart/mixed; boundary=e\r\n", b'--e\r\nContent-Type: text/plain; "' + b";" * LONG),
    ],
    ids=["diagnostic", "a server's subject", "encoded words", "parameters", "parameters of a part"],
)
def test_no_header_takes_the_square_of_its_length(raw: bytes) -> None:
    assert isinstance(read(raw, LINKS), (Bounce, Letter))


def nested(levels: int, last: bytes) -> bytes:
    """A letter of parts within parts, none of which ends, and what stands in the innermost."""
    return (
        b"From: jo@mail.example\r\nSubject: Re: Spring\r\n"
        + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels))
        + b"\r\n"
        + last
    )


ATTACHED: Final = (b"A" * 76 + b"\r\n") * 200_000


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (nested(1200, b"hello"), "it has too many levels"),
        (nested(20, ATTACHED), "it has too many levels"),
        (nested(1, b"\r\n--b0\r\n\r\nhi" * 10_000), "it has too many parts"),
        (nested(1, b"").replace(b"=b0", b"*=\0''b0"), "nobody can tell where its parts end"),
    ],
    ids=["levels", "levels of much", "parts", "a boundary in no alphabet"],
)
def test_of_a_mail_whose_parts_are_beyond_reading_who_wrote_it_and_about_what_is_kept(raw: bytes, why: str) -> None:
    found = read(raw, LINKS)
    assert isinstance(found, Letter)
    assert (found.inbound.sender, found.subject) == ("jo@mail.example", "Re: Spring")
    assert found.inbound.text == f"[Its words could not be read: {why}.]"


def test_a_large_mail_of_as_many_levels_as_programs_write_is_read() -> None:
    words = b"See you on Saturday.\r\n--b7\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    found = read(nested(8, words + ATTACHED), LINKS)
    assert isinstance(found, Letter)
    assert found.inbound.text == "See you on Saturday."


def test_what_comes_after_more_lines_than_sixteen_mebibytes_have_is_not_read() -> None:
    found = read(plain(b"", b"See you on Saturday." + b"\n" * mime_reader.LINES + b"STOP"), LINKS)
    assert isinstance(found, Letter)
    assert found.inbound.text == "See you on Saturday."


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "raw-unicode-escape", "Unicode-Escape"])
def test_no_charset_of_python_alone_is_read_as_one_of_a_mail(charset: str) -> None:
    content = f"Content-Type: text/plain; charset={charset}\r\n".encode(), b"a\\x41\\-\xe999" * 100_000
    found = read(plain(*content), LINKS)
    assert isinstance(found, Letter)
    assert found.inbound.text.startswith("a\\x41\\-é99a")
    assert isinstance(read(plain(*content, sender=b"mailer-daemon@mail.example"), LINKS), Bounce)
    assert isinstance(read(plain(content[0].replace(b"charset=", b"charset*=utf-8''"), content[1]), LINKS), Letter)


def test_of_any_number_of_messages_that_a_mail_names_the_first_are_looked_up() -> None:
    named = "".join(f"<m-{n}.{'0123456789abcdef' * 2}@studio.example>\r\n" for n in range(1, 1000)).encode()
    found = read(plain(b"", named, sender=b"mailer-daemon@mail.example"), LINKS)
    assert isinstance(found, Bounce)
    assert [number for number, _ in found.origin.named] == list(range(1, 101))


def test_of_any_number_of_receivers_the_first_are_read() -> None:
    together = read(plain(b"Cc: " + b", ".join(b"n%d@mail.example" % n for n in range(400)) + b"\r\n"), LINKS)
    assert isinstance(together, Letter)
    assert together.to == tuple(f"n{n}@mail.example" for n in range(200))
    apart = read(plain(b"".join(b"Cc: n%d@mail.example\r\n" % n for n in range(1000))), LINKS)
    assert isinstance(apart, Letter)
    assert apart.to == tuple(f"n{n}@mail.example" for n in range(20))


@pytest.mark.parametrize("name", [b"From", b"To"])
@pytest.mark.parametrize("value", [b"(" * 5000, b"a:" * 3000])
def test_an_address_that_nobody_can_take_apart_is_none(name: bytes, value: bytes) -> None:
    first = b"" if name == b"From" else b"From: jo@mail.example\r\n"
    found = read(first + name + b": " + value + b"\r\nCc: copy@mail.example\r\n\r\nhello", LINKS)
    if isinstance(found, Letter):
        assert (found.inbound.sender, found.to) == ("jo@mail.example", ("copy@mail.example",))
    else:
        assert isinstance(found, Bounce)
        assert found.code is None  # from nobody: kept for a person


def enclosing(
    enclosed: bytes, words: bytes = b"Content-Type: text/plain\r\n\r\nMy mail to you bounced, see below."
) -> bytes:
    """A client's answer to a mail of ours, with another mail attached."""
    return (
        b"From: jo@mail.example\r\nTo: ada@studio.example\r\nSubject: Re: Spring\r\nIn-Reply-To: "
        + OURS.encode()
        + b"\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
        + words
        + b"\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"
        + enclosed
        + b"\r\n--o--\r\n"
    )


FEEDBACK: Final = (
    b"From: feedback@mail.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=e\r\n\r\n"
    b"--e\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n\r\n--e--\r\n"
)


@pytest.mark.parametrize("enclosed", [report(b"550 5.1.1 no such user"), FEEDBACK])
def test_a_bounce_that_a_client_encloses_is_not_a_bounce_of_what_they_answer(enclosed: bytes) -> None:
    found = read(enclosing(enclosed), LINKS)
    assert isinstance(found, Letter)
    assert found.inbound.text == "My mail to you bounced, see below."
    assert isinstance(read(enclosed, LINKS), (Bounce, Complaint))


def test_the_words_of_a_mail_are_never_those_of_one_that_it_encloses() -> None:
    enclosed = b"From: x@y.example\r\nContent-Type: text/plain\r\n\r\nSTOP"
    found = read(enclosing(enclosed, b"Content-Type: text/html\r\n\r\n<p>Is this from you?</p>"), LINKS)
    assert isinstance(found, Letter)
    assert found.inbound.text == "Is this from you?"


BACK: Final = LINKS.return_path("m-12.1", "bounces.studio.example") or ""


def test_a_holiday_notice_is_no_bounce_whatever_it_says_of_its_mail() -> None:
    words = "Your message could not be delivered to me.\r\nMy colleague ann@mail.example reads it."
    raw = f"Return-Path: <>\r\nFrom: jo@mail.example\r\nTo: {BACK}\r\nAuto-Submitted: auto-replied\r\n\r\n{words}\r\n"
    assert isinstance(read(raw.encode(), LINKS), Automatic)
    assert isinstance(read(raw.replace("jo@", "MAILER-DAEMON@").encode(), LINKS), Bounce)


@pytest.mark.parametrize("headers", ["List-Id: <info.studio.example>", "Precedence: list"])
def test_an_answer_that_comes_by_a_list_is_a_letter(headers: str) -> None:
    raw = f"From: jo@mail.example\r\nTo: info@studio.example\r\n{headers}\r\nIn-Reply-To: {OURS}\r\n\r\nSTOP\r\n"
    assert isinstance(read(raw.encode(), LINKS), Letter)
    assert isinstance(read(raw.replace("In-Reply-To", "X-Other").encode(), LINKS), Automatic)
    assert isinstance(
        read(raw.replace("To: info", "Auto-Submitted: auto-replied\r\nTo: info").encode(), LINKS), Automatic
    )


RELAYING: Final = [
    (550, "relay not permitted"),
    (550, "Please turn on SMTP Authentication in your mail client, or login to the IMAP/POP3 server"),
    (550, "mail.studio.example is not permitted to relay through this server without authentication."),
    (550, "Relaying denied"),
    (551, "we do not relay"),
    (553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    (554, "Relay rejected for policy reasons."),
    (513, "Relaying denied."),
    (503, "This mail server requires authentication when attempting to send to a non-local e-mail address."),
]


@pytest.mark.parametrize(("code", "text"), RELAYING)
def test_a_relay_that_does_not_relay_for_us_says_nothing_of_the_address(code: int, text: str) -> None:
    assert isinstance(smtp.reply(Step.RCPT, code, text), Blocked)
    assert verdict(str(code), f"smtp rcpt: {code} {text}") in {Verdict.POLICY, Verdict.OURS}


@pytest.mark.parametrize(
    "text",
    [
        "no such user here",
        "<jo@mail.example>: Recipient address rejected: User unknown in relay recipient table",
        "relay.mail.example knows no jo",
        "sorry, no mailbox here by that name. (#5.1.1)",
    ],
)
def test_an_address_that_is_not_there_is_gone_whatever_stands_beside_it(text: str) -> None:
    found = smtp.reply(Step.RCPT, 550, text)
    assert isinstance(found, Refused)
    assert found.cause is Cause.RECIPIENT
    assert verdict("550", f"smtp rcpt: 550 {text}") is Verdict.GONE
