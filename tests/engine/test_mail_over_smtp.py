"""Mail that real programs send, through a real mail server, comes in as what it is."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from control_center.domain.links import Links, message_header
from control_center.engine.mailroom import Mailroom
from control_center.engine.returned_mail import Came
from control_center.store import db
from tests.support.rows import a_client, a_message, a_studio, now

LINKS = Links("https://control.studio.example", b"a key that nobody else has, really")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=2)
    await a_studio(pool)
    await a_client(pool, reach=["jo@mail.example"])
    yield pool
    await pool.close()


class Server:
    """A mail server that hands each mail over as a pipe would: the bytes, and where they were delivered."""

    def __init__(self, pool: db.Pool, swaks: Path) -> None:
        self.swaks = swaks
        self._mailroom = Mailroom(pool, now, LINKS)
        self.came: list[Came] = []
        self.port = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        content = envelope.original_content or b""
        head = b"Return-Path: <%s>\r\n" % (envelope.mail_from or "").encode()
        self.came.append(await self._mailroom.take("email/default", head + content, to=envelope.rcpt_tos[0]))
        return "250 taken"


@pytest.fixture
async def server(pool: db.Pool, needs: Callable[[str], Path]) -> AsyncIterator[Server]:
    handler = Server(pool, needs("swaks"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # aiosmtpd warns of what it does itself
        listening = await asyncio.get_running_loop().create_server(
            lambda: SMTP(handler, enable_SMTPUTF8=True, hostname="mx.studio.example"), "127.0.0.1", 0
        )
    handler.port = listening.sockets[0].getsockname()[1]
    yield handler
    listening.close()
    await listening.wait_closed()


async def swaks(server: Server, *words: str) -> Came:
    """Send one mail; what it came in as."""
    program = await asyncio.create_subprocess_exec(
        str(server.swaks),
        *("--server", "127.0.0.1", "--port", str(server.port), "--helo", "relay.example", "--hide-all"),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await program.communicate()
    assert program.returncode == 0, said.decode()
    return server.came[-1]


async def a_mail(pool: db.Pool, **columns: Any) -> tuple[int, str]:
    message = await a_message(pool, channel="email", state="accepted", **columns)
    nonce = await pool.fetchval("SELECT nonce FROM messages WHERE message_id = $1", message)
    return message, f"<{message_header(message, nonce.hex, 'ada@studio.example')}>"


async def test_a_reply_that_swaks_sends_reaches_its_client(pool: db.Pool, server: Server) -> None:
    message, header = await a_mail(pool)
    came = await swaks(
        server,
        *("--from", "jo@mail.example", "--to", "ada@studio.example", "--header", "Subject: Re: Your session"),
        *("--add-header", f"In-Reply-To: {header}", "--body", "We come at two.\\n\\n> Your session"),
    )
    assert (came.what, came.reason) == ("letter", "plain")
    row = await pool.fetchrow("SELECT * FROM messages WHERE message_id = $1", came.message_id)
    assert row is not None
    assert (row["client_id"], row["subject"]) == ("c-12", "Re: Your session")
    assert row["body"].startswith("We come at two.")
    assert message != came.message_id


async def test_a_stop_that_swaks_sends_ends_marketing(pool: db.Pool, server: Server) -> None:
    _, header = await a_mail(pool, purpose="marketing")
    await swaks(
        server,
        *("--from", "jo@mail.example", "--to", "ada@studio.example", "--header", "Subject: Re: Spring"),
        *("--add-header", f"References: <x@y.example> {header}", "--body", "Unsubscribe"),
    )
    rows = [tuple(row) for row in await pool.fetch("SELECT purpose, says, source FROM consents")]
    assert rows == [("marketing", "stop", "reply")]


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


async def test_a_bounce_that_swaks_sends_comes_back_to_its_attempt(
    pool: db.Pool, server: Server, tmp_path: Path
) -> None:
    message, _ = await a_mail(pool)
    back = LINKS.return_path(f"m-{message}.1", "bounces.studio.example") or ""
    file = tmp_path / "bounce"
    file.write_text(BOUNCE)
    came = await swaks(server, "--from", "<>", "--to", back, "--data", f"@{file}")
    assert (came.what, came.message_id) == ("bounce", message)
    row = await pool.fetchrow("SELECT state, reason FROM messages WHERE message_id = $1", message)
    assert row is not None
    assert row["state"] == "undelivered"
    assert re.match(r"5\.1\.1 .*550 5\.1\.1 <….mail\.example>", row["reason"])
    assert [tuple(one) for one in await pool.fetch("SELECT purpose, source FROM consents")] == [("all", "bounce")]


async def test_a_holiday_notice_to_the_return_path_is_no_bounce(pool: db.Pool, server: Server) -> None:
    message, _ = await a_mail(pool)
    back = LINKS.return_path(f"m-{message}.1", "bounces.studio.example") or ""
    came = await swaks(
        server,
        *("--from", "<>", "--to", back, "--header", "From: Jo <jo@mail.example>"),
        *("--add-header", "Auto-Submitted: auto-replied", "--body", "I am away until June."),
    )
    assert came.what == "automatic"
    assert await pool.fetchval("SELECT state FROM messages") == "accepted"
