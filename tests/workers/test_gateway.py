"""The channel to a gateway of one's own, against one that takes, loses, delays and garbles."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

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
from tests.support.gateway_stub import GatewayStub, refuse
from tests.support.http_stub import DROP, Answer, Step
from workers.sms.gateway import Gateway

AT = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
TEXT = Text("m-7.1", "m-7", "+13125550100", "+13125550188", "See you on Saturday", AT, AT + timedelta(hours=2))


@pytest.fixture
async def provider() -> AsyncIterator[GatewayStub]:
    async with GatewayStub() as stub:
        yield stub


@pytest.fixture
async def channel(provider: GatewayStub) -> AsyncIterator[Gateway]:
    async with _channel(f"{provider.url}/texts") as channel:
        yield channel


@asynccontextmanager
async def _channel(url: str, secret: str = "s3cret", **options: float) -> AsyncIterator[Gateway]:
    gateway = Gateway(url=url, secret=secret, **options)  # type: ignore[arg-type]
    try:
        yield gateway
    finally:
        await gateway.close()


async def test_an_accepted_text_is_one_post_with_the_secret(provider: GatewayStub, channel: Gateway) -> None:
    assert await channel.submit(TEXT) == Accepted("g-1", 1)

    (request,) = provider.requests
    assert (request.method, request.target) == ("POST", "/texts")
    assert request.headers["authorization"] == "Bearer s3cret"
    assert request.headers["content-type"] == "application/json"
    assert provider.accepted == [
        {
            "from": "+13125550100",
            "to": "+13125550188",
            "text": "See you on Saturday",
            "reference": "m-7.1",
            "expires_at": "2026-11-21T18:00:00+00:00",
        }
    ]


async def test_a_wrong_secret_blocks_the_account(provider: GatewayStub) -> None:
    async with _channel(provider.url, secret="other") as channel:
        assert await channel.submit(TEXT) == Blocked("gateway 401", "401")
    assert provider.accepted == []


async def test_a_refused_connection_proves_that_nothing_left() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with _channel(f"http://127.0.0.1:{port}/texts") as channel:
        assert isinstance(await channel.submit(TEXT), NotSent)


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (refuse(429, Retry_After="3"), NotSent("gateway 429", "429", timedelta(seconds=3))),
        (refuse(422, "recipient", "7", "landline"), Refused("gateway 7: landline", Cause.RECIPIENT, "7")),
        (refuse(403, code="credit", message="none"), Blocked("gateway credit: none", "credit")),
        (refuse(422, "opted_out"), Refused("gateway 422", Cause.OPTED_OUT, "422")),
        (refuse(400), Refused("gateway 400", Cause.CONTENT, "400")),
    ],
)
async def test_a_documented_refusal_is_what_it_says(
    provider: GatewayStub, channel: Gateway, step: Step, outcome: object
) -> None:
    provider.script(step)

    assert await channel.submit(TEXT) == outcome
    assert provider.accepted == []


@pytest.mark.parametrize(
    ("answer", "stage"),
    [
        (DROP, Stage.SENT),
        (Answer(500), Stage.ANSWERED),
        (Answer(409), Stage.ANSWERED),
        (Answer(202, cut=5), Stage.ANSWERED),
        (Answer(202, b"taken"), Stage.ANSWERED),
        (Answer(202, b'{"id": "' + b"x" * 400_000 + b'"}'), Stage.ANSWERED),
        (Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Stage.ANSWERED),
        (Answer(307, b"", (("Location", "/again"),)), Stage.ANSWERED),
    ],
)
@pytest.mark.parametrize("accept", [True, False])
async def test_an_answer_that_was_lost_or_makes_no_sense_leaves_the_text_in_doubt(
    provider: GatewayStub, channel: Gateway, answer: Answer, stage: Stage, *, accept: bool
) -> None:
    provider.script(Step(accept=accept, answer=answer))

    outcome = await channel.submit(TEXT)

    assert isinstance(outcome, Unknown)
    assert outcome.stage is stage
    assert len(provider.requests) == 1


async def test_no_answer_in_time_leaves_the_text_in_doubt(provider: GatewayStub) -> None:
    provider.script(Step(delay=30))

    async with _channel(provider.url, total=0.3) as channel:
        outcome = await channel.submit(TEXT)

    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.SENT
    assert len(provider.accepted) == 1


async def test_there_is_no_list_to_look_into(provider: GatewayStub, channel: Gateway) -> None:
    assert isinstance(await channel.lookup(TEXT), CannotTell)
    assert provider.requests == []
