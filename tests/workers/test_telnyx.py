"""The Telnyx channel against a Telnyx that takes, loses, delays and garbles: what it believes and how often it asks."""

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
    NotSent,
    Refused,
    Stage,
    Text,
    Unknown,
)
from tests.support.http_stub import DROP, Answer, Step, refusal
from tests.support.telnyx_stub import TelnyxStub, refuse
from workers.sms.telnyx import Telnyx

AT = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
TEXT = Text("m-7.1", "m-7", "+13125550100", "+13125550188", "See you on Saturday", AT, AT + timedelta(hours=2))
CALLBACK = "https://studio.example/hooks/sms/telnyx/default/status?ref={key}"


@pytest.fixture
async def provider() -> AsyncIterator[TelnyxStub]:
    async with TelnyxStub() as stub:
        yield stub


@pytest.fixture
async def channel(provider: TelnyxStub) -> AsyncIterator[Telnyx]:
    async with _channel(provider.url) as channel:
        yield channel


@asynccontextmanager
async def _channel(base: str, **options: float) -> AsyncIterator[Telnyx]:
    telnyx = Telnyx(secret="KEY-1", callback_url_template=CALLBACK, base=base, **options)  # type: ignore[arg-type]
    try:
        yield telnyx
    finally:
        await telnyx.close()


async def submitted(base: str, text: Text = TEXT, **options: float) -> object:
    """One submission through a channel of its own."""
    async with _channel(base, **options) as channel:
        return await channel.submit(text)


async def test_an_accepted_text_is_one_post_with_our_key(provider: TelnyxStub, channel: Telnyx) -> None:
    outcome = await channel.submit(TEXT)

    (request,) = provider.requests
    assert outcome == Accepted("40385f64-000000000000", 1)
    assert (request.method, request.target) == ("POST", "/v2/messages")
    assert request.headers["authorization"] == "Bearer KEY-1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"].startswith("m-7:1:")
    assert request.json["webhook_url"] == CALLBACK.format(key="m-7.1")


async def test_a_messaging_profile_goes_along(provider: TelnyxStub) -> None:
    telnyx = Telnyx(secret="KEY-1", profile="40017", base=provider.url)

    await telnyx.submit(TEXT)
    await telnyx.close()

    assert provider.requests[0].json["messaging_profile_id"] == "40017"
    assert "webhook_url" not in provider.requests[0].json


async def test_connections_are_kept_and_never_more_than_the_slots(provider: TelnyxStub) -> None:
    async with _channel(provider.url, slots=3) as channel:
        outcomes = await asyncio.gather(*(channel.submit(replace(TEXT, key=f"m-{n}.1")) for n in range(20)))

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(provider.accepted) == 20
    assert provider.connections <= 3


# --- proven not sent -----------------------------------------------------------------------------------------


async def test_a_refused_connection_proves_that_nothing_left() -> None:
    assert isinstance(await submitted(f"http://127.0.0.1:{_unused_port()}"), NotSent)


async def test_a_connection_that_is_reset_before_any_byte_proves_that_nothing_left() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        outcome = await submitted(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    assert isinstance(outcome, NotSent)


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (refuse(429, "10011", Retry_After="3"), NotSent("telnyx: too many requests", "10011", timedelta(seconds=3))),
        (refuse(401, "10009"), Blocked("telnyx 10009: wrong credentials", "10009")),
        (refusal(403, b""), Blocked("telnyx: HTTP 403", "403")),
        (refuse(400, "40305"), Blocked("telnyx 40305: the sender does not belong to this messaging profile", "40305")),
        (refuse(422, "40310"), Refused("telnyx 40310: not a phone number", Cause.RECIPIENT, "40310")),
        (
            refuse(403, "40300", "Blocked due to STOP message"),
            Refused("telnyx 40300: opted out", Cause.OPTED_OUT, "40300"),
        ),
        (refuse(400, "99999", "odd"), Refused("telnyx 99999: odd odd", Cause.CONTENT, "99999")),
    ],
)
async def test_a_documented_refusal_is_what_it_says(
    provider: TelnyxStub, channel: Telnyx, step: Step, outcome: object
) -> None:
    provider.script(step)

    assert await channel.submit(TEXT) == outcome
    assert provider.accepted == {}


# --- in doubt ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "stage"),
    [
        (DROP, Stage.SENT),
        (Answer(500), Stage.ANSWERED),
        (Answer(502, b"<html>bad gateway</html>"), Stage.ANSWERED),
        (Answer(408, b""), Stage.ANSWERED),
        (Answer(409, b"{}"), Stage.ANSWERED),
        (Answer(200, cut=5), Stage.ANSWERED),
        (Answer(200, b"{not json"), Stage.ANSWERED),
        (Answer(200, b'{"data": {}}'), Stage.ANSWERED),
        (Answer(200, b'{"data": {"id": "' + b"x" * 400_000 + b'"}}'), Stage.ANSWERED),
        (Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Stage.ANSWERED),
        (Answer(raw=b"HTTP/1.1 200 X\r\nContent-Le"), Stage.SENT),
    ],
)
@pytest.mark.parametrize("accept", [True, False])
async def test_an_answer_that_was_lost_or_makes_no_sense_leaves_the_text_in_doubt(
    provider: TelnyxStub, channel: Telnyx, answer: Answer, stage: Stage, *, accept: bool
) -> None:
    provider.script(Step(accept=accept, answer=answer))

    outcome = await channel.submit(TEXT)

    assert isinstance(outcome, Unknown)
    assert outcome.stage is stage
    assert len(provider.requests) == 1


async def test_no_answer_in_time_leaves_the_text_in_doubt(provider: TelnyxStub) -> None:
    provider.script(Step(delay=30))

    outcome = await submitted(provider.url, total=0.3)

    assert isinstance(outcome, Unknown)
    assert outcome.stage is Stage.SENT
    assert len(provider.accepted) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(provider: TelnyxStub, channel: Telnyx, status: int) -> None:
    provider.script(Step(answer=Answer(status, b"", (("Location", f"{provider.url}/again"),))))

    assert isinstance(await channel.submit(TEXT), Unknown)
    assert len(provider.requests) == 1


async def test_a_proxy_of_the_environment_is_not_used(
    provider: TelnyxStub, channel: Telnyx, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{_unused_port()}")

    assert isinstance(await channel.submit(TEXT), Accepted)


# --- once more -----------------------------------------------------------------------------------------------


async def test_a_text_whose_answer_was_lost_may_be_submitted_again_and_goes_out_once(
    provider: TelnyxStub, channel: Telnyx
) -> None:
    provider.script(Step(answer=DROP))
    assert isinstance(await channel.submit(TEXT), Unknown)

    later = replace(TEXT, at=AT + timedelta(hours=1))

    assert await channel.submit(later) == Accepted("40385f64-000000000000", 1)
    assert len(provider.requests) == 2
    assert provider.requests[0].body == provider.requests[1].body
    assert len(provider.accepted) == 1


async def test_a_repeat_after_our_address_changed_is_refused_and_proves_nothing(provider: TelnyxStub) -> None:
    await submitted(provider.url)
    moved = Telnyx(secret="KEY-1", callback_url_template="https://moved.example/?ref={key}", base=provider.url)

    outcome = await moved.submit(TEXT)
    await moved.close()

    assert outcome == Unknown("telnyx: HTTP 422", Stage.ANSWERED, "422")
    assert len(provider.accepted) == 1


async def test_there_is_no_list_to_look_into(provider: TelnyxStub, channel: Telnyx) -> None:
    assert isinstance(await channel.lookup(TEXT), CannotTell)
    assert provider.requests == []


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
