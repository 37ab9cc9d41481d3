"""The Kannel channel against a Kannel that takes, loses, delays and garbles: what it believes and how often it asks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_center.domain.outcome import (
    Accepted,
    Blocked,
    CannotTell,
    Cause,
    NotSent,
    Refused,
    Stage,
    Text,
    Unknown,
)
from tests.support.http_stub import DROP, Answer, Step
from tests.support.kannel_stub import KannelStub, refuse
from workers.sms.kannel import Kannel

AT = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
TEXT = Text("m-7.1", "m-7", "+13125550100", "+13125550188", "See you on Saturday?", AT, AT + timedelta(hours=2))
CALLBACK = "https://studio.example/hooks/sms/kannel/default/status?ref={key}&token=t0"


@pytest.fixture
async def provider() -> AsyncIterator[KannelStub]:
    async with KannelStub() as stub:
        yield stub


@pytest.fixture
async def channel(provider: KannelStub) -> AsyncIterator[Kannel]:
    async with _channel(provider.url) as channel:
        yield channel


@asynccontextmanager
async def _channel(base: str, secret: str = "s3cret", **options: Any) -> AsyncIterator[Kannel]:
    kannel = Kannel(base=base, user="cc", secret=secret, callback_url_template=CALLBACK, **options)
    try:
        yield kannel
    finally:
        await kannel.close()


async def submitted(base: str, text: Text = TEXT, **options: Any) -> object:
    """One submission through a channel of its own."""
    async with _channel(base, **options) as channel:
        return await channel.submit(text)


async def test_an_accepted_text_is_one_get_without_an_id(provider: KannelStub, channel: Kannel) -> None:
    assert await channel.submit(TEXT) == Accepted(None)

    (request,) = provider.requests
    assert (request.method, request.path) == ("GET", "/cgi-bin/sendsms")
    assert (request.query["username"], request.query["to"]) == ("cc", "+13125550188")
    assert request.query["text"] == "See you on Saturday?"
    assert request.query["dlr-url"] == f"{CALLBACK.format(key='m-7.1')}&status=%d&said=%A"


async def test_a_text_that_kannel_queues_is_accepted(provider: KannelStub, channel: Kannel) -> None:
    provider.script(Step(answer=Answer(202, b"3: Queued for later delivery")))

    assert await channel.submit(TEXT) == Accepted(None)


async def test_a_wrong_password_blocks_the_account(provider: KannelStub) -> None:
    async with _channel(provider.url, secret="other") as channel:
        outcome = await channel.submit(TEXT)

    assert outcome == Blocked("kannel: HTTP 403 Authorization failed for sendsms", "403")
    assert provider.accepted == []


# --- proven not sent -----------------------------------------------------------------------------------------


async def test_a_refused_connection_proves_that_nothing_left() -> None:
    assert isinstance(await submitted(f"http://127.0.0.1:{_unused_port()}"), NotSent)


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (
            refuse(503, "Temporal failure, try again later.", Retry_After="3"),
            NotSent("kannel: Temporal failure, try again later.", "503", timedelta(seconds=3)),
        ),
        (refuse(429, ""), NotSent("kannel: too many requests", "429")),
        (
            refuse(403, "Not routable. Do not try again."),
            Refused("kannel: no route to this number", Cause.RECIPIENT, "403"),
        ),
        (
            refuse(400, "Charset or body misformed, rejected"),
            Refused("kannel: Charset or body misformed, rejected", Cause.CONTENT, "400"),
        ),
    ],
)
async def test_a_documented_refusal_is_what_it_says(
    provider: KannelStub, channel: Kannel, step: Step, outcome: object
) -> None:
    provider.script(step)

    assert await channel.submit(TEXT) == outcome
    assert provider.accepted == []


# --- in doubt ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "stage"),
    [
        (DROP, Stage.SENT),
        (Answer(500, b"Sending failed."), Stage.ANSWERED),
        (Answer(503, b"<html>unavailable</html>"), Stage.ANSWERED),
        (Answer(202, cut=5), Stage.ANSWERED),
        (Answer(202, b"{}"), Stage.ANSWERED),
        (Answer(202, b"0: " + b"x" * 400_000), Stage.ANSWERED),
        (Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Stage.ANSWERED),
        (Answer(raw=b"HTTP/1.1 202 X\r\nContent-Le"), Stage.SENT),
    ],
)
@pytest.mark.parametrize("accept", [True, False])
async def test_an_answer_that_was_lost_or_makes_no_sense_leaves_the_text_in_doubt(
    provider: KannelStub, channel: Kannel, answer: Answer, stage: Stage, *, accept: bool
) -> None:
    provider.script(Step(accept=accept, answer=answer))

    outcome = await channel.submit(TEXT)

    assert isinstance(outcome, Unknown)
    assert outcome.stage is stage
    assert len(provider.requests) == 1


@pytest.mark.parametrize("answer", [DROP, Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Answer(raw=b"HTTP/1.1 202 X\r\nCo")])
async def test_a_reason_holds_neither_password_nor_words(provider: KannelStub, channel: Kannel, answer: Answer) -> None:
    """Some of the HTTP client's errors quote the whole address."""
    provider.script(Step(answer=answer))

    outcome = await channel.submit(TEXT)

    assert isinstance(outcome, Unknown)
    assert "s3cret" not in outcome.reason
    assert "Saturday" not in outcome.reason


async def test_no_answer_in_time_leaves_the_text_in_doubt(provider: KannelStub) -> None:
    provider.script(Step(delay=30))

    outcome = await submitted(provider.url, total=0.3)

    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.SENT
    assert len(provider.accepted) == 1


async def test_a_dropped_connection_is_one_request_and_not_two(provider: KannelStub, channel: Kannel) -> None:
    """The HTTP client repeats a GET by itself when a connection drops; here that would be a second text."""
    await channel.submit(TEXT)
    provider.script(Step(answer=DROP))

    outcome = await channel.submit(replace(TEXT, key="m-8.1"))

    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.SENT
    assert [request.connection for request in provider.requests] == [1, 1]
    assert len(provider.accepted) == 2


async def test_a_connection_that_drops_at_its_first_request_is_no_second_text(
    provider: KannelStub, channel: Kannel
) -> None:
    provider.script(Step(answer=DROP))

    assert isinstance(await channel.submit(TEXT), Unknown)
    assert len(provider.requests) == 1
    assert await channel.submit(replace(TEXT, key="m-8.1")) == Accepted(None)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(provider: KannelStub, channel: Kannel, status: int) -> None:
    provider.script(Step(answer=Answer(status, b"", (("Location", f"{provider.url}/again"),))))

    assert isinstance(await channel.submit(TEXT), Unknown)
    assert len(provider.requests) == 1


async def test_a_cancelled_call_ends_at_once_and_the_next_one_is_unharmed(
    provider: KannelStub, channel: Kannel
) -> None:
    provider.script(Step(delay=30))
    call = asyncio.create_task(channel.submit(TEXT))
    await provider.heard(1)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert await channel.submit(replace(TEXT, key="m-8.1")) == Accepted(None)


async def test_a_proxy_of_the_environment_is_not_used(
    provider: KannelStub, channel: Kannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{_unused_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{_unused_port()}")

    assert await channel.submit(TEXT) == Accepted(None)


async def test_there_is_no_list_to_look_into(provider: KannelStub, channel: Kannel) -> None:
    assert isinstance(await channel.lookup(TEXT), CannotTell)
    assert provider.requests == []


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
