"""Mail that real programs send, through a real mail server and a signed call, comes in as what it is."""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from control_center.domain.links import message_header
from tests.support.rows import a_client, a_message
from tests.web.conftest import LINKS, NOW, SECRET, Caller


class Server:
    """A mail server that brings each mail as a relay does: its bytes, signed, and where they were delivered."""

    def __init__(self, app: Caller, swaks: Path) -> None:
        self.swaks = swaks
        self.app = app
        self.port = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        raw = b"Return-Path: <%s>\r\n%s" % ((envelope.mail_from or "").encode(), envelope.original_content or b"")
        at = str(int(NOW.timestamp()))
        digest = hmac.digest(SECRET.encode(), f"c-1.{at}.".encode() + raw, "sha256")
        headers = {
            "webhook-id": "c-1",
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
            "Content-Type": "message/rfc822",
            "X-Envelope-To": envelope.rcpt_tos[0],
        }
        answer = await self.app.call("POST", "/hooks/email/inbound", token=None, data=raw, headers=headers)
        return "250 taken" if answer.status == 200 else f"451 {answer.status}"


@pytest.fixture
async def server(app: Caller, needs: Callable[[str], Path]) -> AsyncIterator[Server]:
    handler = Server(app, needs("swaks"))
    await a_client(app.pool, reach=["jo@mail.example"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # aiosmtpd warns of what it does itself
        listening = await asyncio.get_running_loop().create_server(
            lambda: SMTP(handler, enable_SMTPUTF8=True, hostname="mx.studio.example"), "127.0.0.1", 0
        )
    handler.port = listening.sockets[0].getsockname()[1]
    yield handler
    listening.close()
    await listening.wait_closed()


async def swaks(server: Server, *words: str) -> None:
    """Send one mail, and see it taken."""
    program = await asyncio.create_subprocess_exec(
        str(server.swaks),
        *("--server", "127.0.0.1", "--port", str(server.port), "--helo", "relay.example", "--hide-all"),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await program.communicate()
    assert program.returncode == 0, said.decode()


async def a_mail(server: Server, **columns: Any) -> tuple[int, str, str]:
    """A mail of ours that has left: its number, its Message-ID, and its return path."""
    message = await a_message(server.app.pool, channel="email", state="accepted", **columns)
    nonce = await server.app.pool.fetchval("SELECT nonce FROM messages WHERE message_id = $1", message)
    back = LINKS.return_path(f"m-{message}.1", "bounces.studio.example") or ""
    return message, f"<{message_header(message, nonce.hex, 'ada@studio.example')}>", back


async def came(server: Server) -> Any:
    """The one message that came in."""
    (row,) = await server.app.pool.fetch("SELECT * FROM messages WHERE origin = 'client'")
    return row


async def consents(server: Server) -> list[tuple[Any, ...]]:
    rows = await server.app.pool.fetch("SELECT address, purpose, says, source FROM consents")
    return [tuple(row) for row in rows]


async def test_a_reply_that_swaks_sends_reaches_its_client(server: Server) -> None:
    _, header, _ = await a_mail(server)
    await swaks(
        server,
        *("--from", "jo@mail.example", "--to", "ada@studio.example", "--header", "Subject: Re: Your session"),
        *("--add-header", f"In-Reply-To: {header}", "--body", "We come at two.\\n\\n> Your session"),
    )
    row = await came(server)
    assert (row["client_id"], row["subject"], row["meaning"]) == ("c-12", "Re: Your session", "plain")
    assert row["body"].startswith("We come at two.")


async def test_a_stop_that_swaks_sends_ends_marketing(server: Server) -> None:
    _, header, _ = await a_mail(server, purpose="marketing")
    await swaks(
        server,
        *("--from", "jo@mail.example", "--to", "ada@studio.example", "--header", "Subject: Re: Spring"),
        *("--add-header", f"References: <x@y.example> {header}", "--body", "Unsubscribe"),
    )
    assert await consents(server) == [("jo@mail.example", "marketing", "stop", "reply")]


BOUNCE = """\
From: Mail Delivery Subsystem <MAILER-DAEMON@relay.example>
To: %TO_ADDRESS%
Subject: Returned mail: see transcript for details
Auto-Submitted: auto-generated (failure)
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="edge"

--edge

The original message was received at Tue, 1 Jun 2027 15:00:00 GMT

   ----- The following addresses had permanent fatal errors -----
<jo@mail.example>

--edge
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example

Final-Recipient: RFC822; jo@mail.example
Action: failed
Status: 5.1.1
Remote-MTA: DNS; mx.mail.example
Diagnostic-Code: SMTP; 550 5.1.1 <jo@mail.example>: Recipient address rejected: User unknown

--edge--
"""


async def test_a_bounce_that_swaks_sends_comes_back_to_its_attempt(server: Server, tmp_path: Path) -> None:
    message, _, back = await a_mail(server)
    file = tmp_path / "bounce"
    file.write_text(BOUNCE)
    await swaks(server, "--from", "<>", "--to", back, "--data", f"@{file}")
    row = await server.app.pool.fetchrow("SELECT state, reason FROM messages WHERE message_id = $1", message)
    assert row is not None
    assert row["state"] == "undelivered"
    assert re.match(r"550 5\.1\.1 <….mail\.example>", row["reason"])
    assert await consents(server) == [("jo@mail.example", "all", "stop", "bounce")]


COMPLAINT = """\
From: <feedback@mail.example>
To: %TO_ADDRESS%
Subject: FW: Spring
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="edge"

--edge
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report for an email message received from 192.0.2.1.

--edge
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Feedback/1.0
Version: 1
Source-IP: 192.0.2.1

--edge
Content-Type: message/rfc822
Content-Disposition: inline

From: <ada@studio.example>
To: <redacted@mail.example>
Subject: Spring
Message-ID: %OURS%

Spring is here.
--edge--
"""


async def test_a_complaint_that_swaks_sends_ends_marketing_to_whoever_had_the_mail(
    server: Server, tmp_path: Path
) -> None:
    _, header, _ = await a_mail(server, purpose="marketing")
    file = tmp_path / "complaint"
    file.write_text(COMPLAINT.replace("%OURS%", header))
    await swaks(server, "--from", "feedback@mail.example", "--to", "abuse@studio.example", "--data", f"@{file}")
    assert await consents(server) == [("jo@mail.example", "marketing", "stop", "complaint")]


async def test_a_holiday_notice_to_the_return_path_is_no_bounce(server: Server) -> None:
    _, _, back = await a_mail(server)
    await swaks(
        server,
        *("--from", "<>", "--to", back, "--header", "From: Jo <jo@mail.example>"),
        *("--add-header", "Auto-Submitted: auto-replied", "--body", "I am away until June."),
    )
    assert await server.app.pool.fetch("SELECT state FROM messages") == [("accepted",)]
    assert await consents(server) == []
