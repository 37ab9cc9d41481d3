"""What each provider over HTTP is asked, and that of its answer status, wait and words reach us.

What every code means stands with the wire formats, in tests/domain.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

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
    Unknown,
)
from tests.support import gateway_stub, kannel_stub, provider_stub, telnyx_stub
from tests.support.gateway_stub import GatewayStub
from tests.support.http_stub import DROP, Answer, Step
from tests.support.kannel_stub import KannelStub
from tests.support.outgoing import AT, a_text
from tests.support.provider_stub import ProviderStub
from tests.support.telnyx_stub import TelnyxStub
from workers.channel import Channel
from workers.sms.gateway import Gateway
from workers.sms.kannel import Kannel
from workers.sms.telnyx import Telnyx
from workers.sms.twilio import Twilio

TEXT = a_text("See you on Saturday?")
BACK = "https://studio.example/hooks/sms/it/default/status?ref={key}"
BACK_HERE = BACK.format(key="m-7.1")


@pytest.fixture
async def twilio() -> AsyncIterator[tuple[ProviderStub, Twilio]]:
    async with ProviderStub(clock=lambda: AT) as stub:
        channel = Twilio(account="AC1", secret="s3cret", callback_url_template=BACK, base=stub.url)
        yield stub, channel
        await channel.close()


@pytest.fixture
async def telnyx() -> AsyncIterator[tuple[TelnyxStub, Telnyx]]:
    async with TelnyxStub() as stub:
        channel = Telnyx(secret="KEY-1", profile="40017", callback_url_template=BACK, base=stub.url)
        yield stub, channel
        await channel.close()


@pytest.fixture
async def kannel() -> AsyncIterator[tuple[KannelStub, Kannel]]:
    async with KannelStub() as stub:
        channel = Kannel(base=stub.url, user="cc", secret="s3cret", callback_url_template=f"{BACK}&token=t0")
        yield stub, channel
        await channel.close()


@pytest.fixture
async def gateway() -> AsyncIterator[tuple[GatewayStub, Gateway]]:
    async with GatewayStub() as stub:
        channel = Gateway(url=f"{stub.url}/texts", secret="s3cret")
        yield stub, channel
        await channel.close()


@pytest.fixture
def every(twilio: Any, telnyx: Any, kannel: Any, gateway: Any) -> dict[str, tuple[Any, Channel]]:
    return {"twilio": twilio, "telnyx": telnyx, "kannel": kannel, "gateway": gateway}


async def test_twilio_is_asked_in_one_signed_in_post(twilio: tuple[ProviderStub, Twilio]) -> None:
    stub, channel = twilio

    assert await channel.submit(TEXT) == Accepted(stub.accepted[0].sid, 1)

    (request,) = stub.requests
    assert (request.method, request.target) == ("POST", "/2010-04-01/Accounts/AC1/Messages.json")
    assert request.user == "AC1:s3cret"
    assert request.form == {
        "To": "+13125550188",
        "From": "+13125550100",
        "Body": "See you on Saturday?",
        "ValidityPeriod": "7200",
        "SmartEncoded": "false",
        "StatusCallback": BACK_HERE,
    }


async def test_telnyx_is_asked_in_one_post_with_our_key(telnyx: tuple[TelnyxStub, Telnyx]) -> None:
    stub, channel = telnyx

    assert await channel.submit(TEXT) == Accepted("40385f64-000000000000", 1)

    (request,) = stub.requests
    assert (request.method, request.target) == ("POST", "/v2/messages")
    assert (request.headers["authorization"], request.headers["content-type"]) == ("Bearer KEY-1", "application/json")
    assert request.headers["idempotency-key"].startswith("m-7:1:")
    assert (request.json["webhook_url"], request.json["messaging_profile_id"]) == (BACK_HERE, "40017")


async def test_kannel_is_asked_in_one_get_and_gives_no_id(kannel: tuple[KannelStub, Kannel]) -> None:
    stub, channel = kannel

    assert await channel.submit(TEXT) == Accepted(None)

    (request,) = stub.requests
    assert (request.method, request.path) == ("GET", "/cgi-bin/sendsms")
    assert (request.query["username"], request.query["to"]) == ("cc", "+13125550188")
    assert request.query["text"] == "See you on Saturday?"
    assert request.query["dlr-url"] == f"{BACK_HERE}&token=t0&status=%d&said=%A"


async def test_a_gateway_is_asked_in_one_post_with_the_secret(gateway: tuple[GatewayStub, Gateway]) -> None:
    stub, channel = gateway

    assert await channel.submit(TEXT) == Accepted("g-1", 1)

    (request,) = stub.requests
    assert (request.method, request.target) == ("POST", "/texts")
    assert (request.headers["authorization"], request.headers["content-type"]) == ("Bearer s3cret", "application/json")
    assert (stub.accepted[0]["reference"], stub.accepted[0]["expires_at"]) == ("m-7.1", "2026-11-21T18:00:00+00:00")


SOON = {"Retry_After": "3"}
WAIT = timedelta(seconds=3)
DENIED = "kannel: HTTP 403 Authorization failed for sendsms"


@pytest.mark.parametrize(
    ("provider", "step", "outcome"),
    [
        ("twilio", provider_stub.refuse(429, 20429, **SOON), NotSent("twilio: too many requests", "20429", WAIT)),
        ("twilio", Step(accept=False, answer=Answer(403, b"")), Blocked("twilio: HTTP 403", "403")),
        ("twilio", provider_stub.refuse(400, 21610), Refused("twilio 21610: opted out", Cause.OPTED_OUT, "21610")),
        ("telnyx", telnyx_stub.refuse(429, "10011", **SOON), NotSent("telnyx: too many requests", "10011", WAIT)),
        ("telnyx", telnyx_stub.refuse(401, "10009"), Blocked("telnyx 10009: wrong credentials", "10009")),
        (
            "telnyx",
            telnyx_stub.refuse(403, "40300", "Blocked due to STOP message"),
            Refused("telnyx 40300: opted out", Cause.OPTED_OUT, "40300"),
        ),
        ("kannel", kannel_stub.refuse(429, "", **SOON), NotSent("kannel: too many requests", "429", WAIT)),
        ("kannel", Step(answer=Answer(202, b"3: Queued for later delivery")), Accepted(None)),
        ("kannel", kannel_stub.refuse(403, "Authorization failed for sendsms"), Blocked(DENIED, "403")),
        ("gateway", gateway_stub.refuse(429, **SOON), NotSent("gateway 429", "429", WAIT)),
        ("gateway", gateway_stub.refuse(422, "recipient", "7", "off"), Refused("gateway 7: off", Cause.RECIPIENT, "7")),
        ("gateway", gateway_stub.refuse(401), Blocked("gateway 401", "401")),
    ],
)
async def test_a_documented_answer_is_what_it_says(
    every: dict[str, tuple[Any, Channel]], provider: str, step: Step, outcome: object
) -> None:
    stub, channel = every[provider]
    stub.script(step)

    assert await channel.submit(TEXT) == outcome
    assert len(stub.accepted) == step.accept


# --- what its provider can say of a text whose answer was lost -------------------------------------------------------


async def test_twilio_finds_a_text_that_it_took(twilio: tuple[ProviderStub, Twilio]) -> None:
    stub, channel = twilio
    stub.script(Step(answer=DROP))
    assert isinstance(await channel.submit(TEXT), Unknown)

    assert await channel.lookup(TEXT) == Found(stub.accepted[0].sid, Fate.SENT)
    assert await channel.lookup(TEXT, known={stub.accepted[0].sid}) == NotFoundThere()


async def test_twilio_does_not_find_a_text_that_never_arrived(twilio: tuple[ProviderStub, Twilio]) -> None:
    stub, channel = twilio
    stub.script(Step(accept=False, answer=Answer(500)))
    assert isinstance(await channel.submit(TEXT), Unknown)

    assert await channel.lookup(TEXT) == NotFoundThere()


async def test_a_list_that_does_not_come_cannot_tell(twilio: tuple[ProviderStub, Twilio]) -> None:
    stub, channel = twilio
    await stub.__aexit__()

    assert isinstance(await channel.lookup(TEXT), CannotTell)


async def test_telnyx_sends_a_text_once_that_is_submitted_again_with_the_same_bytes(
    telnyx: tuple[TelnyxStub, Telnyx],
) -> None:
    stub, channel = telnyx
    stub.script(Step(answer=DROP))
    assert isinstance(await channel.submit(TEXT), Unknown)

    assert await channel.submit(replace(TEXT, at=AT + timedelta(hours=1))) == Accepted("40385f64-000000000000", 1)
    assert stub.requests[0].body == stub.requests[1].body
    assert len(stub.accepted) == 1


async def test_telnyx_refuses_a_repeat_after_our_address_changed_which_proves_nothing(
    telnyx: tuple[TelnyxStub, Telnyx],
) -> None:
    stub, channel = telnyx
    await channel.submit(TEXT)
    moved = Telnyx(secret="KEY-1", callback_url_template="https://moved.example/?ref={key}", base=stub.url)

    outcome = await moved.submit(TEXT)
    await moved.close()

    assert outcome == Unknown("telnyx: HTTP 422", Stage.ANSWERED, "422")
    assert len(stub.accepted) == 1
