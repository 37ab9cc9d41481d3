"""What a relay's address may look like, and what each of its replies proves."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.errors import Malformed
from control_center.domain.outcome import Accepted, Blocked, Cause, NotSent, Refused, Stage, Unknown
from control_center.domain.wire import smtp
from control_center.domain.wire.smtp import Relay, Step, Tls

# --- the address of the relay --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", Relay("mail.example", 587, Tls.STARTTLS)),
        ("smtp://ada:p%40ss%2F@mail.example:2525", Relay("mail.example", 2525, Tls.STARTTLS, "ada", "p@ss/")),
        ("smtps://ada:x@mail.example", Relay("mail.example", 465, Tls.IMPLICIT, "ada", "x")),
        ("smtp://mail.example?tls=none", Relay("mail.example", 587, Tls.NONE)),
        ("smtp://mail.example:25/?tls=none", Relay("mail.example", 25, Tls.NONE)),
        ("smtp://localhost:1025", Relay("localhost", 1025, Tls.NONE)),
        ("smtp://127.0.0.1:1025", Relay("127.0.0.1", 1025, Tls.NONE)),
        ("smtp://[::1]:1025", Relay("::1", 1025, Tls.NONE)),
        ("smtp://localhost?tls=starttls", Relay("localhost", 587, Tls.STARTTLS)),
        ("smtp://localhost.mail.example", Relay("localhost.mail.example", 587, Tls.STARTTLS)),
    ],
)
def test_an_address_says_where_and_how_safely(url: str, expected: Relay) -> None:
    assert smtp.relay(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example",
        "http://ada:hunter2@mail.example",
        "smtp://",
        "smtp://ada:hunter2@",
        "smtp://ada:hunter2",
        "smtp://ada:hun/ter2@mail.example",
        "smtp://ada:hunter2@mail.example:port",
        "smtp://ada:hunter2@mail.example:99999",
        "smtp://ada:hunter2@mail.example/path",
        "smtp://ada:hunter2@mail.example?tls=maybe",
        "smtp://ada:hunter2@mail.example?tsl=none",
        "smtp://ada:hunter2@mail.example?tls=none&tls=starttls",
        "smtps://ada:hunter2@mail.example?tls=none",
        "smtp://ada:hunter2@[mail.example",
    ],
)
def test_a_wrong_address_is_refused_by_name_and_without_its_secret(url: str) -> None:
    with pytest.raises(Malformed) as wrong:
        smtp.relay(url)

    assert wrong.value.field == "smtp_url"
    assert "hunter2" not in str(wrong.value)
    assert "hun/ter2" not in str(wrong.value)


def test_a_password_is_not_shown_with_its_relay() -> None:
    assert "hunter2" not in repr(smtp.relay("smtp://ada:hunter2@mail.example"))


# --- replies -------------------------------------------------------------------------------------------------

BEFORE_THE_TEXT = [Step.HELLO, Step.AUTH, Step.MAIL, Step.RCPT, Step.DATA]


@pytest.mark.parametrize(
    ("text", "queue_id"),
    [
        ("2.0.0 Ok: queued as 4XyZ9k1B2c", "4XyZ9k1B2c"),
        ("OK id=1tEabc-000000001Qz-2xYz", "1tEabc-000000001Qz-2xYz"),
        ("2.0.0 4ALG5Xyz012345 Message accepted for delivery", "4ALG5Xyz012345"),
        ("Ok 0100019a2b3c4d5e-1a2b3c4d-0000", "0100019a2b3c4d5e-1a2b3c4d-0000"),
        ("2.0.0 OK  1795276800 a1-20020aa7c1c1000000b0 - gsmtp", "1795276800 a1-20020aa7c1c1000000b0"),
        ("2.6.0 <m-7@s.example> [InternalId=123, Hostname=x] Queued mail for delivery", "123"),
        ("OK", None),
        ("", None),
        ("2.0.0 message accepted", None),
    ],
)
def test_the_last_reply_names_the_mail_where_we_can_read_it(text: str, queue_id: str | None) -> None:
    assert smtp.reply(Step.DOT, 250, text) == Accepted(queue_id)


@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize(
    ("code", "text"),
    [(421, "4.7.0 too many connections"), (450, "4.2.0 greylisted"), (451, ""), (452, "4.2.2 full"), (454, "later")],
)
def test_a_passing_refusal_is_proven_not_taken_at_every_step(step: Step, code: int, text: str) -> None:
    assert isinstance(smtp.reply(step, code, text), NotSent)


@pytest.mark.parametrize(
    ("step", "code", "text", "kind", "cause"),
    [
        # the recipient
        (Step.RCPT, 550, "5.1.1 no such user", Refused, Cause.RECIPIENT),
        (Step.RCPT, 550, "5.1.2 no such domain", Refused, Cause.RECIPIENT),
        (Step.RCPT, 556, "5.1.10 null MX", Refused, Cause.RECIPIENT),
        (Step.RCPT, 550, "5.2.1 disabled", Refused, Cause.RECIPIENT),
        (Step.RCPT, 550, "5.4.4 no route", Refused, Cause.RECIPIENT),
        (Step.RCPT, 550, "5.4.1 access denied", Refused, Cause.RECIPIENT),
        (Step.RCPT, 550, "no", Refused, Cause.RECIPIENT),
        (Step.RCPT, 551, "moved", Refused, Cause.RECIPIENT),
        (Step.RCPT, 553, "", Refused, Cause.RECIPIENT),
        (Step.DOT, 550, "5.1.1 no such user", Refused, Cause.RECIPIENT),
        # full: may pass
        (Step.RCPT, 552, "5.2.2 mailbox full", NotSent, None),
        (Step.RCPT, 552, "too many", NotSent, None),
        (Step.DOT, 552, "5.2.2 mailbox full", NotSent, None),
        # the text
        (Step.DOT, 550, "spam", Refused, Cause.CONTENT),
        (Step.DOT, 554, "5.7.1 looks like spam", Refused, Cause.CONTENT),
        (Step.DOT, 552, "5.3.4 too big", Refused, Cause.CONTENT),
        (Step.DOT, 552, "too big", Refused, Cause.CONTENT),
        (Step.MAIL, 552, "5.3.4 too big", Refused, Cause.CONTENT),
        (Step.DATA, 554, "5.6.0 no", Refused, Cause.CONTENT),
        (Step.RCPT, 501, "5.5.2 syntax", Refused, Cause.CONTENT),
        (Step.RCPT, 554, "no", Refused, Cause.CONTENT),
        # the account, the sender, its domain
        (Step.HELLO, 554, "go away", Blocked, None),
        (Step.AUTH, 535, "5.7.8 wrong password", Blocked, None),
        (Step.AUTH, 550, "", Blocked, None),
        (Step.MAIL, 530, "5.7.0 authentication required", Blocked, None),
        (Step.RCPT, 530, "", Blocked, None),
        (Step.MAIL, 550, "5.1.1 unknown sender", Blocked, None),
        (Step.MAIL, 553, "5.1.8 bad sender domain", Blocked, None),
        (Step.MAIL, 503, "bad sequence", Blocked, None),
        (Step.RCPT, 554, "5.7.1 relay access denied", Blocked, None),
        (Step.DOT, 550, "5.7.26 unauthenticated mail", Blocked, None),
        (Step.DOT, 550, "5.7.515 access denied", Blocked, None),
        # … which some relays say only once they have the text, or the command for it
        (Step.DOT, 550, "5.7.60 SMTP; Client does not have permissions to send as this sender", Blocked, None),
        (Step.DOT, 554, "5.2.252 SendAsDenied; ada@studio.example not allowed to send as", Blocked, None),
        (Step.DOT, 550, "5.7.708 Service unavailable. Access denied, traffic not accepted from this IP", Blocked, None),
        (Step.DOT, 550, "5.7.750 Client blocked from sending from unregistered domain", Blocked, None),
        (Step.DOT, 550, "5.7.705 Access denied, tenant has exceeded threshold", Blocked, None),
        (Step.DOT, 550, "5.7.64 TenantAttribution; Relay Access Denied", Blocked, None),
        (Step.DOT, 554, "Message rejected: Email address is not verified.", Blocked, None),
        (Step.DATA, 554, "5.7.1 Relaying denied", Blocked, None),
        (Step.DOT, 550, "5.7.1 Sender address rejected: not owned by user ada", Blocked, None),
    ],
)
def test_a_final_refusal_blames_whom_its_code_names(
    step: Step, code: int, text: str, kind: type, cause: Cause | None
) -> None:
    outcome = smtp.reply(step, code, text)

    assert isinstance(outcome, kind)
    assert getattr(outcome, "cause", None) is cause


def test_the_code_is_kept_with_its_enhanced_one() -> None:
    assert smtp.reply(Step.RCPT, 550, "5.1.1 <jo@mail.example>: User\nunknown") == Refused(
        "smtp rcpt: 550 5.1.1 <…@mail.example>: User unknown", Cause.RECIPIENT, "550 5.1.1"
    )


@pytest.mark.parametrize("code", [-1, 0, 199, 300, 354, 600, 999])
def test_a_reply_without_meaning_leaves_a_mail_in_doubt_only_after_the_dot(code: int) -> None:
    assert isinstance(smtp.reply(Step.DOT, code, "?"), Unknown)
    for step in BEFORE_THE_TEXT:
        assert isinstance(smtp.reply(step, code, "?"), NotSent)


def test_a_lost_connection_leaves_a_mail_in_doubt_only_once_its_text_had_left() -> None:
    assert smtp.lost(Step.DOT, "gone") == Unknown("smtp dot: gone", Stage.SENT)
    for step in BEFORE_THE_TEXT:
        assert smtp.lost(step, "gone") == NotSent(f"smtp {step.value}: gone")


@given(st.sampled_from(Step), st.integers(-1, 999), st.text())
def test_nothing_is_ever_accepted_before_the_dot_nor_in_doubt_by_a_definite_code(
    step: Step, code: int, text: str
) -> None:
    outcome = smtp.reply(step, code, text)

    if isinstance(outcome, Accepted):
        assert step is Step.DOT
        assert 200 <= code < 300
    if isinstance(outcome, Unknown):
        assert step is Step.DOT
        assert not 200 <= code < 600 or 300 <= code < 400


# --- the text on the wire ------------------------------------------------------------------------------------


def received(wire: bytes) -> bytes:
    """As a server reads it (RFC 5321 4.5.2)."""
    lines = wire.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert b"." not in lines[:-2]
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:-2])


@given(st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"..", b"\r\n.\r\n", b"\xc3\xa9"])).map(b"".join))
def test_the_text_arrives_whole_and_cannot_end_early(content: bytes) -> None:
    wire = smtp.transmission(content)

    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", wire)
    assert wire.count(b"\r\n.\r\n") + wire.startswith(b".\r\n") == 1
    expected = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    assert received(wire) == (expected if expected.endswith(b"\r\n") or not expected else expected + b"\r\n")
