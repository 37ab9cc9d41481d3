"""The SMTP channel against a relay that fails at each step in turn, and against a normal one."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from control_center.domain.outcome import (
    Accepted,
    Blocked,
    CannotTell,
    Cause,
    Mail,
    NotSent,
    Outcome,
    Refused,
    Stage,
    Unknown,
)
from control_center.domain.wire import smtp
from tests.support.smtp_stub import (
    DROP,
    RESET,
    STALL,
    TAKEN_THEN_DROP,
    TAKEN_THEN_STALL,
    Act,
    Place,
    SmtpStub,
    says,
)
from workers.email.smtp import Smtp

AT = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
MAIL = Mail(
    key="m-8.1",
    message="m-8",
    message_id="m-8.k3x9@studio.example",
    sender="ada@studio.example",
    sender_name="Ada Müller",
    to="jo@mail.example",
    to_name="Jo Park",
    subject="Your session on Saturday",
    text="Hello Jo,\n.\n.. see you\n",
    html="<p>Hello Jo</p>",
    at=AT,
    expires_at=AT + timedelta(hours=2),
)


@pytest.fixture
async def stub() -> AsyncIterator[SmtpStub]:
    async with SmtpStub() as stub:
        yield stub


@asynccontextmanager
async def _channel(port: int, query: str = "", **options: Any) -> AsyncIterator[Smtp]:
    channel = Smtp(smtp.relay(f"smtp://127.0.0.1:{port}{query}"), **({"command": 5.0, "taking": 5.0} | options))
    try:
        yield channel
    finally:
        await channel.close()


async def submitted(port: int, mail: Mail = MAIL, **options: Any) -> Outcome:
    """One submission through a channel of its own."""
    async with _channel(port, **options) as channel:
        return await channel.submit(mail)


async def test_a_mail_is_one_transaction_for_one_recipient(stub: SmtpStub) -> None:
    outcome = await submitted(stub.port)

    assert outcome == Accepted("STUB1")
    (letter,) = stub.accepted
    assert (letter.sender, letter.recipients) == ("ada@studio.example", ("jo@mail.example",))
    assert b"Message-ID: <m-8.k3x9@studio.example>" in letter.content


async def test_the_text_arrives_with_its_dots(stub: SmtpStub) -> None:
    await submitted(stub.port, replace(MAIL, html=None))

    assert stub.accepted[0].content.endswith(b"\r\n\r\nHello Jo,\r\n=2E\r\n... see you\r\n.\r\n")


# --- what a lost connection or a silence proves, by the step it met ------------------------------------------


@pytest.mark.parametrize("place", [Place.GREETING, Place.EHLO, Place.MAIL, Place.RCPT, Place.DATA])
@pytest.mark.parametrize("act", [DROP, RESET, STALL])
async def test_before_the_text_has_left_a_failure_proves_that_nothing_was_taken(
    stub: SmtpStub, place: Place, act: Act
) -> None:
    stub.on(place, act)

    outcome = await submitted(stub.port, command=0.2)

    assert isinstance(outcome, NotSent)
    assert stub.accepted == []
    assert stub.connections == 1


@pytest.mark.parametrize("act", [DROP, RESET, STALL, TAKEN_THEN_DROP, TAKEN_THEN_STALL])
async def test_after_the_text_has_left_a_failure_leaves_the_mail_in_doubt(stub: SmtpStub, act: Act) -> None:
    stub.on(Place.DOT, act)

    outcome = await submitted(stub.port, taking=0.2)

    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.SENT
    assert stub.connections == 1


@pytest.mark.parametrize("reply", [b"what?\r\n", b"999 odd\r\n", b"354 again\r\n", b"x" * 40_000])
async def test_an_answer_to_the_text_that_makes_no_sense_leaves_the_mail_in_doubt(stub: SmtpStub, reply: bytes) -> None:
    stub.on(Place.DOT, Act(reply, accept=True))

    async with _channel(stub.port) as channel:
        outcome = await channel.submit(MAIL)
        assert isinstance(await channel.submit(MAIL), Accepted)

    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.ANSWERED
    assert [letter.connection for letter in stub.accepted] == [1, 2]


@pytest.mark.parametrize("place", [Place.AFTER, Place.QUIT])
@pytest.mark.parametrize("act", [DROP, RESET, STALL, Act(b"999999 ???\r\n")])
async def test_nothing_after_the_last_250_changes_the_result(stub: SmtpStub, place: Place, act: Act) -> None:
    stub.on(place, act)

    assert await submitted(stub.port) == Accepted("STUB1")


async def test_a_refused_connection_proves_that_nothing_was_taken() -> None:
    assert isinstance(await submitted(_unused_port()), NotSent)


async def test_a_slow_relay_has_its_time_for_the_text_only(stub: SmtpStub) -> None:
    """The reply to the text may take minutes while every other one is due soon."""
    stub.on(Place.DOT, TAKEN_THEN_STALL)
    async with _channel(stub.port, command=0.1, taking=30) as channel:
        call = asyncio.create_task(channel.submit(MAIL))
        await stub.until_command("DATA")

        done, _ = await asyncio.wait([call], timeout=0.5)

        assert not done
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


# --- what a reply proves -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "reply", "kind", "cause"),
    [
        (Place.GREETING, (421, "4.7.0 too many"), NotSent, None),
        (Place.GREETING, (554, "no service"), Blocked, None),
        (Place.EHLO, (550, "no"), Blocked, None),
        (Place.MAIL, (421, "4.3.2 closing"), NotSent, None),
        (Place.MAIL, (451, "4.3.0 later"), NotSent, None),
        (Place.MAIL, (550, "5.1.8 bad sender"), Blocked, None),
        (Place.RCPT, (450, "4.2.0 greylisted"), NotSent, None),
        (Place.RCPT, (550, "5.1.1 no such user"), Refused, Cause.RECIPIENT),
        (Place.RCPT, (554, "5.7.1 relay access denied"), Blocked, None),
        (Place.DATA, (451, "later"), NotSent, None),
        (Place.DATA, (554, "no"), Refused, Cause.CONTENT),
        (Place.DOT, (421, "4.3.0 closing"), NotSent, None),
        (Place.DOT, (451, "4.7.1 later"), NotSent, None),
        (Place.DOT, (554, "5.7.1 spam"), Refused, Cause.CONTENT),
    ],
)
async def test_a_reply_is_definite_at_every_step(
    stub: SmtpStub, place: Place, reply: tuple[int, str], kind: type, cause: Cause | None
) -> None:
    stub.on(place, says(*reply))

    outcome = await submitted(stub.port)

    assert isinstance(outcome, kind)
    assert getattr(outcome, "cause", None) is cause
    assert stub.accepted == []


@pytest.mark.parametrize(
    ("mail", "outcome"),
    [
        (replace(MAIL, to="jö@mail.example"), Refused),
        (replace(MAIL, to="jo@mail.example>\r\nRCPT TO:<evil@x.example"), Refused),
        (replace(MAIL, sender="Ada"), Blocked),
        (replace(MAIL, headers=(("Bcc", "evil@x.example"),)), Refused),
    ],
)
async def test_a_mail_that_cannot_be_written_is_not_even_tried(stub: SmtpStub, mail: Mail, outcome: type) -> None:
    assert isinstance(await submitted(stub.port, mail), outcome)
    assert stub.connections == 0


# --- connections that are used again -------------------------------------------------------------------------


async def test_after_a_refusal_a_connection_is_reset_and_used_again(stub: SmtpStub) -> None:
    stub.on(Place.RCPT, says(550, "5.1.1 no such user"))
    async with _channel(stub.port) as channel:
        outcomes = [await channel.submit(MAIL) for _ in range(3)]

    assert [type(outcome) for outcome in outcomes] == [Refused, Accepted, Accepted]
    assert stub.connections == 1
    verbs = [line.split(" ")[0] for line in stub.commands]
    assert verbs == ["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA", "MAIL", "RCPT", "DATA"]


async def test_calls_at_the_same_time_never_share_a_connection(stub: SmtpStub) -> None:
    async with _channel(stub.port, slots=3) as channel:
        outcomes = await asyncio.gather(*(channel.submit(replace(MAIL, key=f"m-{n}.1")) for n in range(20)))

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(stub.accepted) == 20
    assert stub.connections == 3


async def test_a_connection_that_died_while_idle_is_replaced(stub: SmtpStub) -> None:
    async with _channel(stub.port) as channel:
        await channel.submit(MAIL)
        stub.hang_up()
        await stub.until_open(0)

        assert await channel.submit(MAIL) == Accepted("STUB2")

    assert stub.connections == 2


@pytest.mark.parametrize("act", [DROP, RESET, STALL, says(421, "4.4.2 timeout"), says(500, "what?")])
async def test_a_connection_that_cannot_be_reset_is_replaced(stub: SmtpStub, act: Act) -> None:
    stub.on(Place.RCPT, says(550, "5.1.1 no such user"))
    stub.on(Place.RSET, act)
    async with _channel(stub.port, command=0.2) as channel:
        assert isinstance(await channel.submit(MAIL), Refused)
        assert await channel.submit(MAIL) == Accepted("STUB1")

    assert stub.connections == 2


@pytest.mark.parametrize("act", [DROP, RESET, STALL])
async def test_a_used_connection_that_dies_before_mail_is_answered_is_replaced(stub: SmtpStub, act: Act) -> None:
    async with _channel(stub.port, command=0.2) as channel:
        await channel.submit(MAIL)
        stub.on(Place.MAIL, act)

        assert await channel.submit(MAIL) == Accepted("STUB2")

    assert len(stub.accepted) == 2
    assert stub.connections == 2


async def test_the_new_connection_is_not_replaced_again(stub: SmtpStub) -> None:
    async with _channel(stub.port) as channel:
        await channel.submit(MAIL)
        stub.on(Place.MAIL, DROP, DROP)

        assert isinstance(await channel.submit(MAIL), NotSent)

    assert stub.connections == 2


@pytest.mark.parametrize("place", [Place.RCPT, Place.DATA])
async def test_later_than_that_a_used_connection_is_not_replaced(stub: SmtpStub, place: Place) -> None:
    async with _channel(stub.port) as channel:
        await channel.submit(MAIL)
        stub.on(place, DROP)

        assert isinstance(await channel.submit(MAIL), NotSent)

    assert stub.connections == 1


async def test_a_used_connection_that_dies_with_the_text_leaves_the_mail_in_doubt(stub: SmtpStub) -> None:
    async with _channel(stub.port) as channel:
        await channel.submit(MAIL)
        stub.on(Place.DOT, TAKEN_THEN_DROP)

        assert isinstance(await channel.submit(MAIL), Unknown)

    assert len(stub.accepted) == 2
    assert stub.connections == 1


async def test_an_idle_connection_is_closed_in_time(stub: SmtpStub) -> None:
    async with _channel(stub.port, idle=0.05) as channel:
        await channel.submit(MAIL)
        await stub.until_open(0)

        assert isinstance(await channel.submit(MAIL), Accepted)

    assert stub.commands.count("QUIT") >= 1


async def test_a_connection_carries_a_limited_number_of_mails(stub: SmtpStub) -> None:
    async with _channel(stub.port, messages=2) as channel:
        for _ in range(5):
            await channel.submit(MAIL)

    assert [letter.connection for letter in stub.accepted] == [1, 1, 2, 2, 3]


async def test_a_connection_out_of_step_is_not_used_again(stub: SmtpStub) -> None:
    stub.on(Place.RCPT, STALL)
    async with _channel(stub.port, command=0.2) as channel:
        assert isinstance(await channel.submit(MAIL), NotSent)
        assert isinstance(await channel.submit(MAIL), Accepted)

    assert stub.connections == 2


async def test_a_relay_that_says_goodbye_is_not_talked_to_again(stub: SmtpStub) -> None:
    stub.on(Place.DOT, Act(b"421 4.3.2 going down\r\n"))
    async with _channel(stub.port) as channel:
        assert isinstance(await channel.submit(MAIL), NotSent)
        assert isinstance(await channel.submit(MAIL), Accepted)

    assert stub.connections == 2


async def test_a_cancelled_call_takes_its_connection_with_it(stub: SmtpStub) -> None:
    stub.on(Place.RCPT, STALL)
    async with _channel(stub.port, slots=1) as channel:
        call = asyncio.create_task(channel.submit(MAIL))
        await stub.until_command("RCPT")

        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        assert await channel.submit(MAIL) == Accepted("STUB1")

    assert stub.connections == 2


async def test_closing_parts_from_the_relay(stub: SmtpStub) -> None:
    async with _channel(stub.port) as channel:
        await channel.submit(MAIL)

    await stub.until_open(0)
    assert stub.commands[-1] == "QUIT"


async def test_a_relay_cannot_be_asked_about_a_mail(stub: SmtpStub) -> None:
    async with _channel(stub.port) as channel:
        assert isinstance(await channel.lookup(MAIL), CannotTell)


# --- a normal relay ------------------------------------------------------------------------------------------


@dataclass
class Peer:
    """Takes everything for whoever logs in as ada."""

    envelopes: list[Envelope] = field(default_factory=list)
    over_tls: list[bool] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        self.over_tls.append(session.ssl is not None)
        return "250 OK: queued as PEER1"

    def login(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: object) -> AuthResult:
        known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ada", b"s3cret")
        return AuthResult(success=known, handled=False)


@pytest.fixture
def certificate(needs: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for this machine, trusted by nobody."""
    folder = tmp_path_factory.mktemp("tls")
    both = folder / "both.pem"
    command: list[str | Path] = [needs("openssl"), "req", "-x509", "-nodes", "-days", "2"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", both, "-out", folder / "certificate.pem"]
    subprocess.run(command, check=True, capture_output=True)
    both.write_bytes(both.read_bytes() + (folder / "certificate.pem").read_bytes())
    return both


@asynccontextmanager
async def _peer(certificate: Path, *, implicit: bool = False) -> AsyncIterator[tuple[Peer, int]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    peer = Peer()

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            # aiosmtpd does not see the TLS around it and warns of passwords in the open
            warnings.simplefilter("ignore", UserWarning)
            return SMTP(
                peer,
                tls_context=None if implicit else context,
                auth_require_tls=not implicit,
                authenticator=peer.login,
                auth_required=True,
                loop=asyncio.get_running_loop(),
            )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=context if implicit else None)
    async with server:
        yield peer, server.sockets[0].getsockname()[1]


def _trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


async def through(url: str, **options: Any) -> Outcome:
    channel = Smtp(smtp.relay(url), command=5.0, taking=5.0, **options)
    try:
        return await channel.submit(MAIL)
    finally:
        await channel.close()


async def test_a_mail_goes_through_a_relay_with_starttls_and_a_login(
    needs: Callable[[str], Path], certificate: Path
) -> None:
    async with _peer(certificate) as (peer, port):
        outcome = await through(f"smtp://ada:s3cret@127.0.0.1:{port}?tls=starttls", tls=_trusting(certificate))

    assert outcome == Accepted("PEER1")
    assert peer.over_tls == [True]
    (envelope,) = peer.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("ada@studio.example", ["jo@mail.example"])
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert message["From"] == "Ada Müller <ada@studio.example>"
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == MAIL.text.splitlines()


async def test_a_mail_goes_through_a_relay_with_tls_from_the_start(certificate: Path) -> None:
    async with _peer(certificate, implicit=True) as (peer, port):
        outcome = await through(f"smtps://ada:s3cret@127.0.0.1:{port}", tls=_trusting(certificate))

    assert outcome == Accepted("PEER1")
    assert len(peer.envelopes) == 1


async def test_a_wrong_password_blocks_the_account(certificate: Path) -> None:
    async with _peer(certificate) as (peer, port):
        outcome = await through(f"smtp://ada:wr0ng@127.0.0.1:{port}?tls=starttls", tls=_trusting(certificate))

    assert isinstance(outcome, Blocked)
    assert outcome.code == "535 5.7.8"
    assert "wr0ng" not in outcome.reason
    assert peer.envelopes == []


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_certificate_that_nobody_vouches_for_is_not_talked_to(certificate: Path, *, implicit: bool) -> None:
    scheme, query = ("smtps", "") if implicit else ("smtp", "?tls=starttls")
    async with _peer(certificate, implicit=implicit) as (peer, port):
        outcome = await through(f"{scheme}://ada:s3cret@127.0.0.1:{port}{query}")

    assert isinstance(outcome, NotSent)
    assert peer.envelopes == []


async def test_a_relay_without_starttls_gets_neither_password_nor_mail(stub: SmtpStub) -> None:
    outcome = await through(f"smtp://ada:s3cret@127.0.0.1:{stub.port}?tls=starttls")

    assert isinstance(outcome, Blocked)
    assert [line.split(" ")[0] for line in stub.commands] == ["EHLO"]


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
