"""Every provider that is asked over HTTP, against one that takes, loses, delays and garbles: what it believes of a
text, and how often it asks. What each one's own answers mean stands in a file of its own.
"""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from control_center.domain.outcome import Accepted, CannotTell, NotSent, Stage, Unknown
from tests.support.gateway_stub import GatewayStub
from tests.support.http_stub import DROP, Answer, HttpStub, Step
from tests.support.kannel_stub import KannelStub
from tests.support.outgoing import a_text
from tests.support.provider_stub import ProviderStub
from tests.support.telnyx_stub import TelnyxStub
from workers.channel import Channel
from workers.sms.gateway import Gateway
from workers.sms.kannel import Kannel
from workers.sms.line import Answer as Answered
from workers.sms.line import Line
from workers.sms.telnyx import Telnyx
from workers.sms.twilio import Twilio

TEXT = a_text("See you on Saturday?")
SECRET = "s3cret"
BACK = "https://studio.example/hooks/sms/it/default/status?ref={key}"
TAKEN = 0  # stands for the status that means it has been taken


@dataclass(frozen=True)
class Provider:
    stub: Callable[[], HttpStub]
    channel: Callable[..., Channel]
    taken: int


PROVIDERS = {
    "twilio": Provider(
        ProviderStub,
        lambda base, **more: Twilio(account="AC1", secret=SECRET, callback_url_template=BACK, base=base, **more),
        201,
    ),
    "telnyx": Provider(
        TelnyxStub, lambda base, **more: Telnyx(secret=SECRET, callback_url_template=BACK, base=base, **more), 200
    ),
    "kannel": Provider(
        KannelStub,
        lambda base, **more: Kannel(base=base, user="cc", secret=SECRET, callback_url_template=f"{BACK}&t=0", **more),
        202,
    ),
    "http": Provider(GatewayStub, lambda base, **more: Gateway(url=f"{base}/texts", secret=SECRET, **more), 202),
}


@pytest.fixture(params=list(PROVIDERS))
def provider(request: pytest.FixtureRequest) -> Provider:
    return PROVIDERS[request.param]


@pytest.fixture
async def stub(provider: Provider) -> AsyncIterator[Any]:
    async with provider.stub() as stub:
        yield stub


@pytest.fixture
async def channel(provider: Provider, stub: HttpStub) -> AsyncIterator[Channel]:
    made = provider.channel(stub.url)
    yield made
    await made.close()


# --- in doubt ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "stage"),
    [
        (DROP, Stage.SENT),
        (Answer(500), Stage.ANSWERED),
        (Answer(502, b"<html>bad gateway</html>"), Stage.ANSWERED),
        (Answer(503, b"<html>unavailable</html>"), Stage.ANSWERED),
        (Answer(408, b""), Stage.ANSWERED),
        (Answer(409, b"{}"), Stage.ANSWERED),
        (Answer(TAKEN, cut=5), Stage.ANSWERED),
        (Answer(TAKEN, b"{not json"), Stage.ANSWERED),
        (Answer(TAKEN, b"{}"), Stage.ANSWERED),
        (Answer(TAKEN, b"0: " + b"x" * 400_000), Stage.ANSWERED),
        (Answer(TAKEN, b"{}", (("Content-Encoding", "gzip"),)), Stage.ANSWERED),
        (Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Stage.ANSWERED),
        (Answer(raw=b"HTTP/1.1 201 X\r\nContent-Le"), Stage.SENT),
    ],
)
async def test_an_answer_that_was_lost_or_makes_no_sense_leaves_the_text_in_doubt(
    provider: Provider, stub: Any, channel: Channel, answer: Answer, stage: Stage
) -> None:
    if answer.status == TAKEN:
        answer = replace(answer, status=provider.taken)
    for number, taken in enumerate((True, False), 1):
        stub.script(Step(accept=taken, answer=answer))

        outcome = await channel.submit(replace(TEXT, key=f"m-{number}.1"))

        assert isinstance(outcome, Unknown)
        assert outcome.stage is stage
        assert len(stub.requests) == number
        for secret in (SECRET, "Saturday", "5550188"):  # some of the HTTP client's errors quote the whole address
            assert secret not in outcome.reason
    assert len(stub.accepted) == 1


async def test_no_answer_in_time_leaves_the_text_in_doubt(provider: Provider, stub: Any) -> None:
    stub.script(Step(delay=30))
    channel = provider.channel(stub.url, total=0.3)

    outcome = await channel.submit(TEXT)
    await channel.close()

    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.SENT
    assert len(stub.accepted) == 1


@pytest.mark.parametrize("kept", [True, False])
async def test_a_dropped_connection_is_one_request_and_not_two(stub: Any, channel: Channel, *, kept: bool) -> None:
    """The HTTP client repeats a GET by itself when its connection drops; here that would be a second text."""
    if kept:
        await channel.submit(TEXT)
    stub.script(Step(answer=DROP))

    outcome = await channel.submit(replace(TEXT, key="m-8.1"))

    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.SENT
    assert [request.connection for request in stub.requests] == [1] * (1 + kept)
    assert isinstance(await channel.submit(replace(TEXT, key="m-9.1")), Accepted)


async def test_a_refusal_that_quotes_what_it_was_asked_brings_no_secret_back(stub: Any, channel: Channel) -> None:
    login = b64encode(f"AC1:{SECRET}".encode()).decode()
    quoted = f"denied: /send?user=cc&password={SECRET} Authorization: Bearer {SECRET} Basic {login}"
    body = json.dumps(
        {"code": 20003, "message": quoted, "cause": "content", "errors": [{"code": "1", "detail": quoted}]}
    )
    for status in (400, 401, 403, 404, 429, 503):
        stub.script(Step(accept=False, answer=Answer(status, body.encode())))

        said = repr(await channel.submit(TEXT))

        assert SECRET not in said
        assert login not in said or not isinstance(channel, Twilio), "of the others none says it so"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(stub: Any, channel: Channel, status: int) -> None:
    stub.script(Step(answer=Answer(status, b"", (("Location", f"{stub.url}/again"),))))

    assert isinstance(await channel.submit(TEXT), Unknown)
    assert len(stub.requests) == 1


async def test_a_cancelled_call_ends_at_once_and_the_next_one_is_unharmed(stub: Any, channel: Channel) -> None:
    stub.script(Step(delay=30))
    call = asyncio.ensure_future(channel.submit(TEXT))
    await stub.heard(1)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert isinstance(await channel.submit(replace(TEXT, key="m-8.1")), Accepted)
    assert len(stub.accepted) == 2


async def test_what_has_no_list_to_look_into_is_not_asked(provider: Provider, stub: Any, channel: Channel) -> None:
    if provider is not PROVIDERS["twilio"]:
        assert isinstance(await channel.lookup(TEXT), CannotTell)
        assert stub.requests == []


# --- nothing has left ----------------------------------------------------------------------------------------------


async def test_a_refused_connection_proves_that_nothing_left(provider: Provider) -> None:
    channel = provider.channel(f"http://127.0.0.1:{_unused_port()}")

    outcome = await channel.submit(TEXT)
    await channel.close()

    assert isinstance(outcome, NotSent)
    assert outcome.wait is None


async def posted(url: str, **options: float) -> object:
    """One request over a line of its own, as all of them have."""
    line = Line("it", secret="", **options)  # type: ignore[arg-type]
    try:
        return await line.post(url, b"", {})
    finally:
        await line.close()


async def test_a_host_that_does_not_resolve_proves_that_nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert isinstance(await posted("http://api.provider.invalid"), NotSent)


@pytest.mark.parametrize("greeting", [b"", b"220 not tls\r\n"])
async def test_a_failed_tls_handshake_proves_that_nothing_left(greeting: bytes) -> None:
    async def speak_plainly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(speak_plainly, "127.0.0.1", 0) as server:
        assert isinstance(await posted(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"), NotSent)


async def test_a_connection_that_is_not_made_in_time_proves_that_nothing_left() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [_dialled(full.getsockname()) for _ in range(3)]

        outcome = await posted(f"http://127.0.0.1:{full.getsockname()[1]}", connect=0.2)

        for filler in fillers:
            filler.close()
    assert isinstance(outcome, NotSent)


async def test_a_call_that_got_no_free_connection_in_time_has_sent_nothing() -> None:
    keys = [f"m-{number}.1" for number in range(8)]
    async with ProviderStub(default=Step(delay=30)) as stub:
        channel = PROVIDERS["twilio"].channel(stub.url, slots=1, total=0.3)
        outcomes = await asyncio.gather(*(channel.submit(replace(TEXT, key=key)) for key in keys))
        await channel.close()

    heard = {request.form["StatusCallback"].rpartition("=")[2] for request in stub.requests}
    unsent = {key for key, outcome in zip(keys, outcomes, strict=True) if isinstance(outcome, NotSent)}
    assert unsent
    assert not unsent & heard


# --- its connections -----------------------------------------------------------------------------------------------


async def test_connections_are_kept_and_never_more_than_the_slots(provider: Provider, stub: Any) -> None:
    channel = provider.channel(stub.url, slots=3)

    outcomes = await asyncio.gather(*(channel.submit(replace(TEXT, key=f"m-{n}.1")) for n in range(20)))
    await channel.close()

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(stub.accepted) == 20
    assert stub.connections <= 3


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{_unused_port()}")

    async with GatewayStub() as stub:
        assert isinstance(await posted(stub.url), Answered)


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
