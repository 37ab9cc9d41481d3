"""The Twilio channel against a Twilio that takes, loses, delays and garbles: what it believes and how often it asks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from control_center.domain.outcome import (
    Accepted,
    Blocked,
    CannotTell,
    Cause,
    Fate,
    Found,
    NotFoundThere,
    NotSent,
    Refused,
    Stage,
    Text,
    Unknown,
)
from tests.support.provider_stub import DROP, Answer, ProviderStub, Step, problem, refuse
from workers.sms.twilio import Twilio

AT = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
TEXT = Text("m-7.1", "m-7", "+13125550100", "+13125550188", "See you on Saturday", AT, AT + timedelta(hours=2))
CALLBACK = "https://studio.example/hooks/sms/twilio/default/status?ref={key}"


@pytest.fixture
async def provider() -> AsyncIterator[ProviderStub]:
    async with ProviderStub(clock=lambda: AT) as stub:
        yield stub


@pytest.fixture
async def channel(provider: ProviderStub) -> AsyncIterator[Twilio]:
    async with _channel(provider.url) as channel:
        yield channel


@asynccontextmanager
async def _channel(base: str, **options: float) -> AsyncIterator[Twilio]:
    twilio = Twilio(account="AC1", secret="s3cret", callback_url_template=CALLBACK, base=base, **options)  # type: ignore[arg-type]
    try:
        yield twilio
    finally:
        await twilio.close()


async def submitted(base: str, text: Text = TEXT, **options: float) -> object:
    """One submission through a channel of its own."""
    async with _channel(base, **options) as channel:
        return await channel.submit(text)


async def test_an_accepted_text_is_one_signed_in_post(provider: ProviderStub, channel: Twilio) -> None:
    outcome = await channel.submit(TEXT)

    assert outcome == Accepted(provider.accepted[0].sid, 1)
    (request,) = provider.requests
    assert (request.method, request.target) == ("POST", "/2010-04-01/Accounts/AC1/Messages.json")
    assert request.user == "AC1:s3cret"
    assert request.form == {
        "To": "+13125550188",
        "From": "+13125550100",
        "Body": "See you on Saturday",
        "ValidityPeriod": "7200",
        "SmartEncoded": "false",
        "StatusCallback": CALLBACK.format(key="m-7.1"),
    }


async def test_an_api_key_logs_in_for_the_account(provider: ProviderStub) -> None:
    twilio = Twilio(account="AC1", secret="k3y", user="SK9", base=provider.url)

    await twilio.submit(TEXT)
    await twilio.close()

    assert provider.requests[0].user == "SK9:k3y"
    assert "/Accounts/AC1/" in provider.requests[0].target


async def test_connections_are_kept_and_never_more_than_the_slots(provider: ProviderStub) -> None:
    async with _channel(provider.url, slots=3) as channel:
        outcomes = await asyncio.gather(*(channel.submit(replace(TEXT, key=f"m-{n}.1")) for n in range(20)))

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(provider.accepted) == 20
    assert provider.connections <= 3


# --- proven not sent -----------------------------------------------------------------------------------------


async def test_a_refused_connection_proves_that_nothing_left() -> None:
    outcome = await submitted(f"http://127.0.0.1:{_unused_port()}")

    assert isinstance(outcome, NotSent)
    assert outcome.wait is None


async def test_a_host_that_does_not_resolve_proves_that_nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert isinstance(await submitted("http://api.twilio.invalid"), NotSent)


async def test_a_failed_tls_handshake_proves_that_nothing_left() -> None:
    async def speak_plainly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 not tls\r\n")
        writer.close()

    async with await asyncio.start_server(speak_plainly, "127.0.0.1", 0) as server:
        outcome = await submitted(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    assert isinstance(outcome, NotSent)


async def test_a_connection_that_is_not_made_in_time_proves_that_nothing_left() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [_dialled(full.getsockname()) for _ in range(3)]

        outcome = await submitted(f"http://127.0.0.1:{full.getsockname()[1]}", connect=0.2)

        for filler in fillers:
            filler.close()
    assert isinstance(outcome, NotSent)


async def test_a_call_that_got_no_free_connection_in_time_has_sent_nothing(provider: ProviderStub) -> None:
    provider.default = Step(delay=30)
    keys = [f"m-{number}.1" for number in range(8)]

    async with _channel(provider.url, slots=1, total=0.3) as channel:
        outcomes = await asyncio.gather(*(channel.submit(replace(TEXT, key=key)) for key in keys))

    heard = {request.form["StatusCallback"].rpartition("=")[2] for request in provider.requests}
    unsent = {key for key, outcome in zip(keys, outcomes, strict=True) if isinstance(outcome, NotSent)}
    assert unsent
    assert not unsent & heard


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (refuse(429, 20429, Retry_After="3"), NotSent("twilio: too many requests", "20429", timedelta(seconds=3))),
        (refuse(429, 20429), NotSent("twilio: too many requests", "20429")),
        (refuse(400, 21611), NotSent("twilio 21611: the sender's queue is full", "21611")),
        (refuse(401, 20003), Blocked("twilio 20003: wrong credentials", "20003")),
        (Step(accept=False, answer=Answer(403, b"")), Blocked("twilio: HTTP 403", "403")),
        (refuse(404, 20404), Blocked("twilio 20404: no such account", "20404")),
        (refuse(400, 21211), Refused("twilio 21211: not a phone number", Cause.RECIPIENT, "21211")),
        (refuse(400, 21610), Refused("twilio 21610: opted out", Cause.OPTED_OUT, "21610")),
        (refuse(400, 99999, "odd"), Refused("twilio 99999: odd", Cause.CONTENT, "99999")),
    ],
)
async def test_a_documented_refusal_is_what_it_says(
    provider: ProviderStub, channel: Twilio, step: Step, outcome: object
) -> None:
    provider.script(step)

    assert await channel.submit(TEXT) == outcome
    assert provider.accepted == []


# --- in doubt ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "stage"),
    [
        (DROP, Stage.SENT),
        (Answer(500), Stage.ANSWERED),
        (Answer(502, b"<html>bad gateway</html>"), Stage.ANSWERED),
        (problem(503, 20503), Stage.ANSWERED),
        (Answer(408, b""), Stage.ANSWERED),
        (Answer(201, cut=5), Stage.ANSWERED),
        (Answer(201, b"{not json"), Stage.ANSWERED),
        (Answer(201, b'{"status": "queued"}'), Stage.ANSWERED),
        (Answer(200, problem(400, 20500).body), Stage.ANSWERED),
        (Answer(201, b'{"sid": "' + b"x" * 400_000 + b'"}'), Stage.ANSWERED),
        (Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Stage.ANSWERED),
        (Answer(raw=b"HTTP/1.1 201 X\r\nContent-Le"), Stage.SENT),
        (Answer(201, b"{}", (("Content-Encoding", "gzip"),)), Stage.ANSWERED),
    ],
)
@pytest.mark.parametrize("accept", [True, False])
async def test_an_answer_that_was_lost_or_makes_no_sense_leaves_the_text_in_doubt(
    provider: ProviderStub, channel: Twilio, answer: Answer, stage: Stage, *, accept: bool
) -> None:
    provider.script(Step(accept=accept, answer=answer))

    outcome = await channel.submit(TEXT)

    assert isinstance(outcome, Unknown)
    assert outcome.stage is stage
    assert len(provider.requests) == 1


async def test_no_answer_in_time_leaves_the_text_in_doubt(provider: ProviderStub) -> None:
    provider.script(Step(delay=30))

    outcome = await submitted(provider.url, total=0.3)

    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.SENT
    assert len(provider.accepted) == 1


async def test_a_dropped_connection_is_one_request_and_not_two(provider: ProviderStub, channel: Twilio) -> None:
    """The HTTP client repeats a GET or PUT by itself when a kept connection drops; a POST it must not."""
    await channel.submit(TEXT)
    provider.script(Step(answer=DROP))

    outcome = await channel.submit(replace(TEXT, key="m-8.1"))

    assert isinstance(outcome, Unknown)
    assert [request.connection for request in provider.requests] == [1, 1]
    assert len(provider.accepted) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(provider: ProviderStub, channel: Twilio, status: int) -> None:
    provider.script(Step(answer=Answer(status, b"", (("Location", f"{provider.url}/again"),))))

    assert isinstance(await channel.submit(TEXT), Unknown)
    assert len(provider.requests) == 1


async def test_a_cancelled_call_ends_at_once_and_the_next_one_is_unharmed(
    provider: ProviderStub, channel: Twilio
) -> None:
    provider.script(Step(delay=30))
    call = asyncio.create_task(channel.submit(TEXT))
    await provider.heard(1)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert isinstance(await channel.submit(replace(TEXT, key="m-8.1")), Accepted)
    assert len(provider.accepted) == 2


async def test_a_proxy_of_the_environment_is_not_used(
    provider: ProviderStub, channel: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{_unused_port()}")

    assert isinstance(await channel.submit(TEXT), Accepted)


# --- looking -------------------------------------------------------------------------------------------------


async def test_a_text_whose_answer_was_lost_is_found_at_the_provider(provider: ProviderStub, channel: Twilio) -> None:
    provider.script(Step(answer=DROP))
    assert isinstance(await channel.submit(TEXT), Unknown)

    assert await channel.lookup(TEXT) == Found(provider.accepted[0].sid, Fate.SENT)
    assert await channel.lookup(TEXT, known={provider.accepted[0].sid}) == NotFoundThere()


async def test_a_text_that_never_arrived_is_not_found(provider: ProviderStub, channel: Twilio) -> None:
    provider.script(Step(accept=False, answer=Answer(500)))
    assert isinstance(await channel.submit(TEXT), Unknown)

    assert await channel.lookup(TEXT) == NotFoundThere()


async def test_a_provider_that_does_not_answer_cannot_tell() -> None:
    async with _channel(f"http://127.0.0.1:{_unused_port()}") as channel:
        assert isinstance(await channel.lookup(TEXT), CannotTell)


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _dialled(address: tuple[str, int]) -> socket.socket:
    """Takes a place in the queue of a listener that never accepts."""
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex(address)
    return filler
