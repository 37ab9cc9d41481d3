"""A mail as bytes: what it says, and that nothing a client or author types can make it say more."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from control_center.domain.errors import Malformed
from control_center.domain.outcome import Attachment, Mail
from control_center.domain.wire import mime

AT = datetime(2026, 11, 21, 16, 4, 5, tzinfo=UTC)
MAIL = Mail(
    key="m-8.1",
    message="m-8",
    message_id="m-8.k3x9@studio.example",
    sender="ada@studio.example",
    sender_name="Ada Studio",
    to="jo@mail.example",
    to_name="Jo Park",
    subject="Your session on Saturday",
    text="Hello Jo,\n\nsee you on Saturday.\n",
    at=AT,
    expires_at=AT + timedelta(hours=2),
)
OURS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
UNSUBSCRIBE = "https://studio.example/u/" + "x" * 90

nasty = st.lists(
    st.sampled_from(
        [
            "\r", "\n", "\r\n", "\r\n ", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\ud800", ",", ";",
            ":", '"', "\\", "<", ">", "@", "(", ")", "=?", "?=", "=?utf-8?q?a=0AEvil:_y?=", "=?utf-8?q?evil=40x=2C?=",
            "=?utf-8?b?ZXZpbEB4LA==?=", "Bcc: evil@x.example", "evil@x.example", "\r\nBcc: evil@x.example\r\n\r\n",
            "é", "家族", "👩\u200d👩\u200d👧", " ", "\t", "a" * 70,
        ]
    )
    | st.characters(),
    max_size=12,
).map("".join)  # fmt: skip


def parsed(mail: Mail) -> EmailMessage:
    return email.message_from_bytes(mime.build(mail), policy=email.policy.SMTP)


def mailboxes(message: EmailMessage, name: str) -> list[str]:
    return [address.addr_spec for address in cast("AddressHeader", message[name]).addresses]


def display_name(content: bytes) -> str:
    """By the older of Python's readers: the newer one leaves spaces between encoded words before 3.12."""
    name, spec = parseaddr(email.message_from_bytes(content)["To"])
    assert spec == "jo@mail.example"
    return str(make_header(decode_header(name)))


def one_line(value: str) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", " ", value).split())


def test_a_plain_mail_is_these_bytes() -> None:
    assert mime.build(MAIL) == (
        b'From: "Ada Studio" <ada@studio.example>\r\n'
        b'To: "Jo Park" <jo@mail.example>\r\n'
        b"Subject: Your session on Saturday\r\n"
        b"Date: Sat, 21 Nov 2026 16:04:05 +0000\r\n"
        b"Message-ID: <m-8.k3x9@studio.example>\r\n"
        b"Auto-Submitted: auto-generated\r\n"
        b"MIME-Version: 1.0\r\n"
        b'Content-Type: text/plain; charset="utf-8"\r\n'
        b"Content-Transfer-Encoding: quoted-printable\r\n"
        b"\r\n"
        b"Hello Jo,\r\n\r\nsee you on Saturday.\r\n"
    )


def test_text_comes_first_then_html() -> None:
    message = parsed(replace(MAIL, text="Grüße 家", html="<p>Grüße</p>"))

    assert message.get_content_type() == "multipart/alternative"
    parts = list(message.iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert [cast("EmailMessage", part).get_content().strip() for part in parts] == ["Grüße 家", "<p>Grüße</p>"]


def test_the_same_mail_is_always_the_same_bytes() -> None:
    mail = replace(MAIL, html="<p>x</p>")

    assert mime.build(mail) == mime.build(mail)


@given(subject=nasty, sender_name=nasty, to_name=nasty)
def test_no_subject_or_name_adds_a_header_or_a_recipient(subject: str, sender_name: str, to_name: str) -> None:
    mail = replace(MAIL, subject=subject, sender_name=sender_name, to_name=to_name)
    content = mime.build(mail)
    message = parsed(mail)

    assert message.keys() == [*OURS, "Content-Transfer-Encoding"]
    assert mailboxes(message, "To") == ["jo@mail.example"]
    assert mailboxes(message, "From") == ["ada@studio.example"]
    head = content.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
    starts = [line.partition(":")[0] for line in head if not line.startswith(" ")]
    assert starts == [*OURS, "Content-Transfer-Encoding"]
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n", content)
    assert max(map(len, head)) <= 90


@example("=?utf-8?q?evil=40x=2C?=")
@example('say "=?utf-8?b?ZXZpbA==?=" \\')
@example("a" * 300)
@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_a_subject_and_names_are_read_as_they_were_written(words: str) -> None:
    message = parsed(replace(MAIL, subject=words, to_name=words))

    assert message["Subject"] == one_line(words)
    assert display_name(mime.build(replace(MAIL, to_name=words))) == one_line(words)


@given(nasty | st.text(st.characters(codec="utf-8")), nasty)
def test_no_text_breaks_out_of_its_part(text: str, html: str) -> None:
    mail = replace(MAIL, text=text, html=html)
    content = mime.build(mail)
    message = parsed(mail)

    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 110
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", content)
    parts = [cast("EmailMessage", part).get_content() for part in message.iter_parts()]
    assert [kept(part) for part in parts] == [kept(text), kept(html)]


def kept(text: str) -> str:
    lines = re.sub(r"\r\n|\r", "\n", text).encode("utf-8", "replace").decode()
    return re.sub(r"[\x00-\x08\x0b-\x1f]", "", lines).rstrip("\n")


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "jo",
        "jo@",
        "@mail.example",
        "jo@mail.example, evil@x.example",
        "jo@mail.example\r\nRCPT TO:<evil@x.example>",
        "jo@mail.example>",
        "<jo@mail.example>",
        "Jo <jo@mail.example>",
        '"jo park"@mail.example',
        "jo park@mail.example",
        "jo@mail.example SIZE=1",
        "jö@mail.example",
        "jo@mäil.example",
        "jo@[127.0.0.1]",
        "jo..x@mail.example",
        "jo@mail..example",
        "jo@-mail.example",
        "jo@mail.example\0",
        "a" * 65 + "@mail.example",
        "jo@" + "a." * 130 + "example",
    ],
)
@pytest.mark.parametrize("field", ["to", "sender", "reply_to"])
def test_an_address_that_is_not_plain_is_refused_by_its_field(field: str, spec: str) -> None:
    with pytest.raises(Malformed) as wrong:
        mime.build(replace(MAIL, **{field: spec}))  # type: ignore[arg-type]

    assert wrong.value.field == field
    assert "evil" not in wrong.value.reason


@pytest.mark.parametrize(
    "spec", ["jo@mail.example", "jo.park+spring@mail.example", "o'neil@x", "a_b=c@xn--mil-bma.example"]
)
def test_a_plain_address_stands_as_it_is(spec: str) -> None:
    assert mailboxes(parsed(replace(MAIL, to=spec)), "To") == [spec]


def test_a_mail_without_names_has_bare_addresses() -> None:
    assert b"\r\nTo: jo@mail.example\r\n" in mime.build(replace(MAIL, to_name=" \r\n"))


def test_replies_may_go_elsewhere() -> None:
    assert mailboxes(parsed(replace(MAIL, reply_to="desk@studio.example")), "Reply-To") == ["desk@studio.example"]


def test_each_address_of_an_unsubscribe_header_stays_whole() -> None:
    headers = (
        ("List-Unsubscribe", f"<{UNSUBSCRIBE}>, <mailto:stop@studio.example>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    )
    content = mime.build(replace(MAIL, headers=headers))

    assert f"\r\nList-Unsubscribe: <{UNSUBSCRIBE}>,\r\n <mailto:stop@studio.example>\r\n".encode() in content
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in content


def test_a_person_who_writes_may_say_so() -> None:
    message = parsed(replace(MAIL, headers=(("Auto-Submitted", "no"),)))

    assert message.get_all("Auto-Submitted") == ["no"]


@pytest.mark.parametrize(
    "header",
    [
        ("Bcc", "evil@x.example"),
        ("to", "evil@x.example"),
        ("Subject", "again"),
        ("Content-Type", "text/html"),
        ("Resent-To", "evil@x.example"),
        ("X-A\r\nBcc", "evil@x.example"),
        ("X A", "b"),
        ("X-A:", "b"),
        ("", "b"),
        ("X-Ä", "b"),
        ("X-A", "b\r\nBcc: evil@x.example"),
        ("X-A", "b\x00"),
        ("X-A", "b" * 901),
        ("List-Unsubscribe", "<https://ä.example>"),
    ],
)
def test_a_further_header_cannot_say_who_writes_to_whom_or_break_its_line(header: tuple[str, str]) -> None:
    with pytest.raises(Malformed):
        mime.build(replace(MAIL, headers=(header,)))


def test_a_further_header_stands_once() -> None:
    with pytest.raises(Malformed):
        mime.build(replace(MAIL, headers=(("X-A", "1"), ("x-a", "2"))))


@pytest.mark.parametrize("message_id", ["", "m-8", "<m-8@x>", "m 8@x", "m-8@x\r\nBcc: y", "é@x"])
def test_a_message_id_has_the_form_of_one(message_id: str) -> None:
    with pytest.raises(Malformed):
        mime.build(replace(MAIL, message_id=message_id))


ENTRY = Attachment(
    "confirmation.ics", "text/calendar; method=PUBLISH; charset=utf-8", "ORT:Großmutter\r\n".encode() * 40
)


@pytest.mark.parametrize("html", [None, "<p>Hello</p>"])
def test_a_file_goes_along_after_the_words_byte_for_byte(html: str | None) -> None:
    message = parsed(replace(MAIL, html=html, attachments=(ENTRY,)))

    words, attached = message.iter_parts()
    assert message.get_content_type() == "multipart/mixed"
    assert words.get_content_type() == ("text/plain" if html is None else "multipart/alternative")
    assert (attached.get_content_type(), attached.get_param("method")) == ("text/calendar", "PUBLISH")
    assert (attached.get_content_disposition(), attached.get_filename()) == ("attachment", "confirmation.ics")
    assert attached.get_payload(decode=True) == ENTRY.content
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == MAIL.text.splitlines()


def test_a_mail_without_files_is_the_mail_it_was() -> None:
    assert b"multipart/mixed" not in mime.build(replace(MAIL, html="<p>Hello</p>"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 'a"; filename="b.exe'},
        {"name": "a\r\nBcc: evil@x.example"},
        {"name": ""},
        {"name": "../a"},
        {"type": "text/calendar\r\nBcc: evil@x.example"},
        {"type": "calendar"},
    ],
)
def test_a_file_has_a_plain_name_and_a_plain_type(wrong: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match="attachments"):
        mime.build(replace(MAIL, attachments=(replace(ENTRY, **wrong),)))
