"""What leaves as an email, on the wire: how it can be left, who sends it, where it bounces to, and who signed it."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import dkim  # type: ignore[import-untyped] # it has no types
import msgspec
import pytest

from control_center.domain.errors import ConfigurationError
from control_center.domain.links import URL_LENGTH, For, Links
from control_center.domain.outcome import Accepted, Mail
from control_center.domain.wire import mime, smtp
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db
from control_center.store.conversations import Pair
from control_center.store.outgoing import Outgoing, send
from tests.support.crm import client, event, session
from tests.support.days import noon_near
from tests.support.rows import a_studio, a_trigger
from tests.support.smtp_stub import Letter, SmtpStub
from tests.workers.test_delivery import delivering
from workers.delivery import Delivery
from workers.email.signing import signer
from workers.email.smtp import Smtp

NOON = noon_near()
LINKS = Links("https://control.studio.example", b"a key that nobody else has, really")
POSTAL = "12 Shore Drive\nChicago, IL 60601"
EMAIL = {"account": "default", "from": "ada@studio.example", "postal_address": POSTAL}
ENDS = ("accepted", "failed", "suppressed", "cancelled")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened, settings={"email": EMAIL})
    yield opened
    await opened.close()


@pytest.fixture
async def stub() -> AsyncIterator[SmtpStub]:
    async with SmtpStub() as stub:
        yield stub


async def released(pool: db.Pool, template: dict[str, str], **trigger: Any) -> None:
    """One released email to Jo about her session."""
    words = {"kind": "session", "purpose": "marketing", "subject": "Your session", **template}
    body = msgspec.json.encode(words).decode()
    await pool.execute("INSERT INTO templates (studio_id, name, body) VALUES ('main', 'mail', $1)", body)
    told = {"activate": {"on": "status_changed"}, "action": "email", "template": "mail", "text": None, **trigger}
    await a_trigger(pool, **told)
    jo = client("c-1", emails=[{"address": "jo@mail.example"}])
    booked = session("4711", client="c-1", status_changed_at=(NOON - timedelta(minutes=1)).isoformat())
    await Intake(pool, lambda: NOON).take_in([event(booked, about=jo)])
    while await Release(pool, lambda: NOON).run_once():
        pass


async def mailed(pool: db.Pool, stub: SmtpStub, **options: Any) -> list[EmailMessage]:
    """What the relay took, once everything that waited has ended."""
    channel = Smtp(smtp.relay(f"smtp://127.0.0.1:{stub.port}"), **options)
    worker = Delivery(pool, channel, account="email/default", owner=uuid4(), clock=lambda: NOON, links=LINKS)
    try:
        await delivering(pool, worker, ends=ENDS)
    finally:
        await channel.close()
    return [message_from_bytes(body(one), policy=policy.default) for one in stub.accepted]


def body(letter: Letter) -> bytes:
    """The mail without the dot that ends it on the wire."""
    return letter.content.removesuffix(b".\r\n")


async def the_message(pool: db.Pool) -> Any:
    return await pool.fetchrow("SELECT * FROM messages")


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")


async def test_marketing_mail_is_left_with_one_click_and_says_who_sends_it(pool: db.Pool, stub: SmtpStub) -> None:
    await released(pool, {"text": "Spring!", "html": "<body><p>Spring!</p></body>"}, purpose="marketing")

    (mail,) = await mailed(pool, stub)

    row = await the_message(pool)
    link = LINKS.unsubscribe(row["message_id"])
    assert mail["List-Unsubscribe"] == f"<{link}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Id"] == "<marketing.main.studio.example>"
    assert mail["Feedback-ID"] == f"t{row['trigger_id']}:main:marketing:controlcenter"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = part(mail, "plain"), part(mail, "html")
    assert text.rstrip() == f"Spring!\n\n-- \nAda Park Photography\n{POSTAL}\n\nUnsubscribe: {link}"
    assert f'<a href="{link}"' in html
    assert "12 Shore Drive<br>Chicago, IL 60601" in html
    assert row["body"].endswith(link), "what is kept with the attempt is what left"


async def test_the_header_survives_the_wire_unfolded_and_uncoded(pool: db.Pool, stub: SmtpStub) -> None:
    await released(pool, {"text": "Grüße"}, purpose="marketing")
    await mailed(pool, stub)
    link = LINKS.unsubscribe((await the_message(pool))["message_id"])
    head = stub.accepted[0].content.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert f"List-Unsubscribe: <{link}>".encode() in head
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in head
    assert len(link) <= URL_LENGTH


@pytest.mark.parametrize("length", [70, 76, 120, 400])
def test_a_link_of_any_length_stays_whole(length: int) -> None:
    link = "https://control.studio.example/u/".ljust(length, "x")
    mail = Mail(
        "m-1.1", "m-1", "m-1.x@studio.example", "a@studio.example", "", "jo@mail.example", "", "s", "t", NOON, NOON
    )
    raw = mime.build(replace(mail, headers=(("List-Unsubscribe", f"<{link}>"),)))
    assert f"\r\nList-Unsubscribe: <{link}>\r\n".encode() in raw


async def test_what_a_template_says_itself_is_not_said_twice(pool: db.Pool, stub: SmtpStub) -> None:
    words = "Spring!\n{{ studio.postal_address }}\nNo more: {{ unsubscribe_link }}"
    await released(pool, {"text": words}, purpose="marketing")
    (mail,) = await mailed(pool, stub)
    link = LINKS.unsubscribe((await the_message(pool))["message_id"])
    assert part(mail, "plain") == f"Spring!\n{POSTAL}\nNo more: {link}\n"


async def test_a_reminder_has_none_of_that(pool: db.Pool, stub: SmtpStub) -> None:
    await released(pool, {"text": "See you."})
    (mail,) = await mailed(pool, stub)
    assert part(mail, "plain") == "See you.\n"
    assert [name for name in mail if name.startswith("List-") or name == "Feedback-ID"] == []
    assert mail["Auto-Submitted"] == "auto-generated"


async def test_marketing_mail_of_a_studio_that_says_not_where_it_is_fails_by_name(
    pool: db.Pool, stub: SmtpStub
) -> None:
    await released(pool, {"text": "Spring!"}, purpose="marketing")
    settings = msgspec.json.encode({"email": {**EMAIL, "postal_address": None}}).decode()
    await pool.execute("UPDATE studios SET settings = $1", settings)
    assert await mailed(pool, stub) == []
    row = await the_message(pool)
    assert row["state"] == "failed"
    assert "email.postal_address" in row["reason"]


async def test_links_to_confirm_and_to_rate_are_filled_in(pool: db.Pool, stub: SmtpStub) -> None:
    words = {"text": "{{ confirm_link }} {{ record.nps_bar }}", "html": "<p>{{ session.nps_bar }}</p>"}
    await released(pool, words)
    (mail,) = await mailed(pool, stub)
    number = (await the_message(pool))["message_id"]
    confirm, score = part(mail, "plain").split()
    assert LINKS.message(For.CONFIRM, confirm.rpartition("/")[2]) == number
    assert score == LINKS.score(number)
    html = part(mail, "html")
    assert [html.count(f'href="{score}/{n}"') for n in range(11)] == [1] * 11


async def test_what_a_person_wrote_is_signed_off_and_not_called_automatic(pool: db.Pool, stub: SmtpStub) -> None:
    pair = Pair("main", "email", "ada@studio.example", "jo@mail.example")
    one = Outgoing(
        "person", "marketing", pair, "email/default", '{"role": "client"}', "Spring!", timedelta(days=30), "Hi"
    )
    async with db.transaction(pool) as tx:
        await send(tx, one)
    (mail,) = await mailed(pool, stub)
    assert mail["Auto-Submitted"] == "no"
    assert LINKS.unsubscribe((await the_message(pool))["message_id"]) in part(mail, "plain")


async def test_each_attempt_bounces_to_an_address_of_its_own(pool: db.Pool, stub: SmtpStub) -> None:
    await released(pool, {"text": "See you."})
    (mail,) = await mailed(pool, stub, return_path=partial(LINKS.return_path, domain="bounces.studio.example"))
    row = await the_message(pool)
    assert LINKS.returned(stub.accepted[0].sender) == f"m-{row['message_id']}.1"
    assert stub.accepted[0].sender.endswith("@bounces.studio.example")
    assert mail["From"].addresses[0].addr_spec == "ada@studio.example"


async def test_a_reply_can_name_the_mail_and_nobody_can_guess_it(pool: db.Pool, stub: SmtpStub) -> None:
    await released(pool, {"text": "See you."})
    (mail,) = await mailed(pool, stub)
    row = await the_message(pool)
    assert mail["Message-ID"] == f"<m-{row['message_id']}.{row['nonce'].hex}@studio.example>"


# --- DKIM -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("dkim") / "dkim.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(file), "2048"], check=True, capture_output=True)
    return file


def verified(raw: bytes, key: Path) -> bool:
    """Whether a receiver that asks for the key of `cc1` finds the signature good."""
    shown = subprocess.run(
        ["openssl", "rsa", "-in", str(key), "-pubout", "-outform", "PEM"], check=True, capture_output=True
    )
    public = b"".join(line for line in shown.stdout.splitlines() if not line.startswith(b"-"))

    def lookup(name: bytes, **_: Any) -> bytes:
        assert name == b"cc1._domainkey.studio.example."
        return b"v=DKIM1; k=rsa; p=" + public

    return bool(dkim.verify(raw, dnsfunc=lookup))


async def test_a_signed_mail_verifies_and_covers_how_it_is_left(pool: db.Pool, stub: SmtpStub, key: Path) -> None:
    await released(pool, {"text": "Grüße 🌸", "subject": "Frühling 🌸"}, purpose="marketing")

    (mail,) = await mailed(pool, stub, sign=signer(selector="cc1", domain="studio.example", key_file=key))

    raw = body(stub.accepted[0])
    assert verified(raw, key)
    assert "".join(mail["DKIM-Signature"].split()).find("h=from:from:to:reply-to:subject") > 0
    for header in (b"List-Unsubscribe:", b"List-Unsubscribe-Post:", b"Subject:", b"Message-ID:", b"Date:"):
        assert not verified(raw.replace(header, header + b" x", 1), key)
    assert not verified(b"From: somebody@else.example\r\n" + raw, key)


def test_a_key_that_is_none_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "dkim.pem").write_text("no key")
    for name, says in (("dkim.pem", "which is no RSA key"), ("gone.pem", "cannot be read")):
        with pytest.raises(ConfigurationError, match=says):
            signer(selector="cc1", domain="studio.example", key_file=tmp_path / name)


async def test_a_plain_relay_takes_an_unsigned_mail(pool: db.Pool, stub: SmtpStub) -> None:
    channel = Smtp(smtp.relay(f"smtp://127.0.0.1:{stub.port}"))
    mail = Mail(
        "m-1.1", "m-1", "m-1.x@studio.example", "a@studio.example", "", "jo@mail.example", "", "s", "t", NOON, NOON
    )
    assert isinstance(await channel.submit(mail), Accepted)
    await channel.close()
    assert stub.accepted[0].sender == "a@studio.example"
