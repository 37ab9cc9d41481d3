"""Mail that a relay brings: believed once its signature fits, stored before it is answered, and counted once."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import pytest

from tests.support.rows import a_client, a_message
from tests.web.conftest import LINKS, NOW, SECRET, Answer, Caller

HEADERS = b"From: Jo <jo@mail.example>\r\nTo: ada@studio.example\r\nSubject: May\r\nMessage-ID: <1@mail.example>\r\n"
LETTER = HEADERS + b"\r\nHello\r\n"


async def brings(
    app: Caller, raw: bytes, *, secret: str = SECRET, path: str = "/hooks/email/inbound", at: int = 0, **headers: Any
) -> Answer:
    signed_at = str(int(NOW.timestamp()) + at)
    digest = hmac.digest(secret.encode(), f"c-1.{signed_at}.".encode() + raw, "sha256")
    sent = {
        "webhook-id": "c-1",
        "webhook-timestamp": signed_at,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        "Content-Type": "message/rfc822",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return await app.call("POST", path, token=None, data=raw, headers=sent)


async def counted(app: Caller) -> dict[str, Any]:
    return {
        table: await app.pool.fetchval(f"SELECT count(*) FROM {table}")
        for table in ("messages", "arrivals", "consents", "receipts")
    }


def a_bounce(message: int, *, envelope: bool = False) -> bytes:
    back = LINKS.return_path(f"m-{message}.1", "bounces.studio.example")
    to = "" if envelope else f"To: {back}\r\n"
    return (
        f"From: MAILER-DAEMON@relay.example\r\n{to}"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="e"\r\n\r\n'
        "--e\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\n"
        "Final-Recipient: rfc822; jo@mail.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--e--\r\n"
    ).encode()


@pytest.mark.parametrize("path", ["/hooks/email/inbound", "/hooks/email/default/inbound", "/hooks/email/bounce"])
async def test_a_signed_letter_is_kept_whichever_address_it_came_to(app: Caller, path: str) -> None:
    await a_client(app.pool, reach=["jo@mail.example"])
    for _ in range(2):
        answer = await brings(app, LETTER, path=path)
        assert (answer.status, answer.body) == (200, b"")
    (row,) = await app.pool.fetch("SELECT * FROM messages WHERE origin = 'client'")
    assert (row["client_id"], row["subject"], row["body"]) == ("c-12", "May", "Hello")


@pytest.mark.parametrize("path", ["/hooks/email/bounce", "/hooks/email/default/bounce", "/hooks/email/inbound"])
async def test_a_signed_bounce_ends_what_it_should_end(app: Caller, path: str) -> None:
    mail = await a_message(app.pool, channel="email", state="accepted")
    assert (await brings(app, a_bounce(mail), path=path)).status == 200
    assert await app.pool.fetchval("SELECT state FROM messages") == "undelivered"
    assert await app.pool.fetchval("SELECT source FROM consents") == "bounce"


async def test_where_it_was_delivered_may_stand_beside_it(app: Caller) -> None:
    mail = await a_message(app.pool, channel="email", state="accepted")
    back = LINKS.return_path(f"m-{mail}.1", "bounces.studio.example") or ""
    assert (await brings(app, a_bounce(mail, envelope=True), X_Envelope_To=back)).status == 200
    assert await app.pool.fetchval("SELECT state FROM messages") == "undelivered"


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "somebody-elses"},
        {"at": -301},
        {"path": "/hooks/email/other/inbound"},
        {"webhook_signature": "v1,"},
    ],
)
async def test_what_nobody_signed_changes_nothing(app: Caller, wrong: dict[str, Any]) -> None:
    mail = await a_message(app.pool, channel="email", state="accepted")
    before = await counted(app)
    for raw in (LETTER, a_bounce(mail)):
        assert (await brings(app, raw, **wrong)).status == 403
    assert await counted(app) == before


async def test_the_account_of_a_letter_is_that_of_its_studio(app: Caller) -> None:
    """Whoever may bring mail for one account cannot write into the studios of another."""
    assert (await brings(app, LETTER, secret="a-secret-of-its-own")).status == 200
    assert await app.pool.fetchval("SELECT count(*) FROM messages") == 0
    assert await app.pool.fetchval("SELECT count(*) FROM arrivals WHERE studio_id = ''") == 1
