"""Every channel says when a message is about to leave: before the provider has seen a byte of it, and only then."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import workers
from control_center.domain.outcome import Accepted, NotSent, Outcome
from control_center.domain.wire import smtp
from tests.support import smsc
from tests.support.gateway_stub import GatewayStub
from tests.support.http_stub import HttpStub
from tests.support.kannel_stub import KannelStub
from tests.support.outgoing import AT, a_mail, a_text
from tests.support.provider_stub import ProviderStub
from tests.support.smtp_stub import Place, SmtpStub, says
from tests.support.telnyx_stub import TelnyxStub
from workers import leaving
from workers.channel import Channel
from workers.email.smtp import Smtp
from workers.sandbox import Sandbox
from workers.sms.gateway import Gateway
from workers.sms.kannel import Kannel
from workers.sms.smpp import Smpp
from workers.sms.smpp_session import Centre
from workers.sms.telnyx import Telnyx
from workers.sms.twilio import Twilio

TEXT = a_text("See you on Saturday")
LONG = a_text("See you at the lake. " * 20)
MAIL = a_mail()
SECRET = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"


def nowhere() -> str:
    """An address where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


async def told(channel: Any, message: Any, seen: Callable[[], int]) -> tuple[Outcome, list[int]]:
    """The outcome, and how much the provider had seen each time that the channel said it was about to leave."""
    said: list[int] = []

    async def send() -> Outcome:
        leaving.tell(lambda: said.append(seen()))
        outcome: Outcome = await channel.submit(message)
        return outcome

    return await asyncio.create_task(send()), said


def over_http(stub: type[HttpStub], made: Callable[[str], Any]) -> Any:
    return pytest.param(stub, made, id=stub.__name__)


HTTP = pytest.mark.parametrize(
    ("stub", "made"),
    [
        over_http(ProviderStub, lambda base: Twilio(account="AC1", secret="s", base=base)),
        over_http(TelnyxStub, lambda base: Telnyx(secret="s", profile="", base=base)),
        over_http(KannelStub, lambda base: Kannel(base=base, user="u", secret="s")),
        over_http(GatewayStub, lambda base: Gateway(url=base, secret=SECRET)),
    ],
)


@HTTP
async def test_over_http_it_is_said_before_the_request_is_there(stub: type[Any], made: Callable[[str], Any]) -> None:
    async with stub(clock=lambda: AT) as provider:
        channel = made(provider.url)
        try:
            outcome, said = await told(channel, TEXT, lambda: len(provider.requests))
        finally:
            await channel.close()

    assert len(provider.requests) == 1, outcome
    assert said == [0]


@HTTP
async def test_over_http_it_is_not_said_where_nobody_could_be_reached(
    stub: type[Any], made: Callable[[str], Any]
) -> None:
    channel = made(nowhere())
    try:
        outcome, said = await told(channel, TEXT, lambda: 0)
    finally:
        await channel.close()

    assert isinstance(outcome, NotSent)
    assert said == []


@asynccontextmanager
async def relayed(stub: SmtpStub) -> AsyncIterator[Smtp]:
    channel = Smtp(smtp.relay(f"smtp://127.0.0.1:{stub.port}?tls=none"))
    try:
        yield channel
    finally:
        await channel.close()


async def test_over_smtp_it_is_said_when_the_relay_waits_for_the_text() -> None:
    async with SmtpStub() as stub, relayed(stub) as channel:
        outcome, said = await told(channel, MAIL, lambda: len(stub.accepted))

        assert isinstance(outcome, Accepted)
        assert said == [0]


async def test_over_smtp_it_is_not_said_where_the_relay_takes_no_recipient() -> None:
    async with SmtpStub() as stub, relayed(stub) as channel:
        stub.on(Place.RCPT, says(450, "later"))

        outcome, said = await told(channel, MAIL, lambda: len(stub.accepted))

        assert isinstance(outcome, NotSent)
        assert said == []


async def test_over_smpp_it_is_said_before_each_part() -> None:
    async def hear(*_: Any) -> bool:
        return True

    async with smsc.running() as centre:
        channel = Smpp(Centre("127.0.0.1", centre.port, "studio", "secret", "SMPP"), hear, clock=lambda: AT)
        try:
            outcome, said = await told(channel, LONG, lambda: len(centre.texts))
        finally:
            await channel.close()

    assert isinstance(outcome, Accepted)
    assert said == [0, 1, 2]


@pytest.mark.parametrize(("kind", "message"), [(Sandbox, TEXT), (Sandbox, MAIL)])
async def test_the_sandbox_says_so_before_its_line_is_written(tmp_path: Path, kind: Any, message: Any) -> None:
    outbox = tmp_path / "outbox.ndjson"

    outcome, said = await told(kind(outbox=outbox, clock=lambda: AT), message, lambda: int(outbox.exists()))

    assert isinstance(outcome, Accepted)
    assert outbox.exists()
    assert said == [0]


def test_every_channel_there_is_says_so() -> None:
    """A new one is tried above, or everything of its counts as having left from the call on."""
    modules = [module.name for module in pkgutil.walk_packages(workers.__path__, "workers.")]
    found = {
        value
        for name in modules
        if not name.endswith("__main__")
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, type) and value is not Channel and hasattr(value, "submit") and hasattr(value, "lookup")
    }

    assert {one for one in found if getattr(one, "says_when_it_leaves", False)} == found
    assert found == {Twilio, Telnyx, Kannel, Gateway, Smpp, Smtp, Sandbox}
