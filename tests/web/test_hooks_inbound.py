"""A text that a provider brings: believed once its signature fits, stored before it is answered, and counted once."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

import pytest
from twilio.request_validator import RequestValidator

from control_center.domain.wire import kannel_hooks
from tests.support.rows import a_message, a_studio
from tests.web.conftest import NOW, PUBLIC_URL, SECRET, TELNYX, Answer, Caller

JO, OURS = "+13125550188", "+13125550100"
_ids = count(1)

Brings: TypeAlias = Callable[..., Awaitable[Answer]]


async def twilio(app: Caller, text: str, *, known_by: str, secret: str = SECRET, path: str = "") -> Answer:
    fields = {"AccountSid": "AC1", "MessageSid": known_by, "From": JO, "To": OURS, "Body": text, "NumMedia": "0"}
    path = path or "/hooks/sms/twilio/inbound"
    headers = {
        "X-Twilio-Signature": RequestValidator(secret).compute_signature(PUBLIC_URL + path, fields),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return await app.call("POST", path, token=None, data=urlencode(fields), headers=headers)


async def telnyx(
    app: Caller, text: str, *, known_by: str, secret: str = SECRET, sender: str = JO, to: str = OURS
) -> Answer:
    body = json.dumps(
        {
            "data": {
                "id": known_by,
                "event_type": "message.received",
                "payload": {
                    "id": f"p-{known_by}",
                    "from": {"phone_number": sender},
                    "to": [{"phone_number": to}],
                    "text": text,
                },
            }
        }
    ).encode()
    at = str(int(NOW.timestamp()))
    signature = TELNYX.sign(at.encode() + b"|" + body) if secret == SECRET else b"x" * 64
    headers = {"telnyx-timestamp": at, "telnyx-signature-ed25519": base64.b64encode(signature).decode()}
    return await app.call("POST", "/hooks/sms/telnyx/inbound", token=None, data=body, headers=headers)


async def kannel(app: Caller, text: str, *, known_by: str, secret: str = SECRET) -> Answer:
    query = f"token={kannel_hooks.token(secret)}&from={quote(JO)}&to={quote(OURS)}&text={quote(text)}&id={known_by}"
    return await app.call("GET", f"/hooks/sms/kannel/inbound?{query}", token=None)


async def gateway(app: Caller, text: str, *, known_by: str, secret: str = SECRET) -> Answer:
    body = json.dumps({"type": "message.received", "id": known_by, "from": JO, "to": OURS, "text": text}).encode()
    at = str(int(NOW.timestamp()))
    digest = hmac.digest(secret.encode(), f"{known_by}.{at}.".encode() + body, "sha256")
    headers = {
        "webhook-id": known_by,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    return await app.call("POST", "/hooks/sms/http/inbound", token=None, data=body, headers=headers)


PROVIDERS = pytest.mark.parametrize("brings", [twilio, telnyx, kannel, gateway])


async def incoming(app: Caller) -> list[Any]:
    rows: list[Any] = await app.pool.fetch("SELECT * FROM messages WHERE origin = 'client' ORDER BY message_id")
    return rows


@PROVIDERS
async def test_a_signed_text_is_kept_and_acted_on_before_it_is_answered(app: Caller, brings: Brings) -> None:
    answer = await brings(app, "Grüße, STOP?", known_by="a")
    assert answer.status == 200
    (row,) = await incoming(app)
    assert (row["address"], row["sender"], row["body"]) == (JO, OURS, "Grüße, STOP?")

    assert (await brings(app, "STOP", known_by="b")).status == 200
    assert await app.pool.fetchval("SELECT says FROM consents ORDER BY consent_id DESC LIMIT 1") == "stop"


@PROVIDERS
async def test_a_repeat_is_answered_and_changes_nothing(app: Caller, brings: Brings) -> None:
    for _ in range(3):
        assert (await brings(app, "see you then", known_by="same")).status == 200
    assert len(await incoming(app)) == 1
    assert await app.pool.fetchval("SELECT count(*) FROM arrivals") == 1


@PROVIDERS
async def test_a_text_that_its_provider_did_not_sign_changes_nothing(app: Caller, brings: Brings) -> None:
    answer = await brings(app, "STOP", known_by="forged", secret="somebody-elses")
    assert answer.status == 403
    for table in ("messages", "arrivals", "consents"):
        assert await app.pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_the_account_in_the_address_has_to_have_signed_it(app: Caller) -> None:
    named = "/hooks/sms/twilio/{}/inbound"
    assert (await twilio(app, "hi", known_by="1", path=named.format("default"))).status == 200
    assert (await twilio(app, "hi", known_by="2", path=named.format("other"))).status == 403


async def test_the_account_of_another_studio_brings_no_text_to_this_ones_number(app: Caller) -> None:
    await a_studio(app.pool, "south", settings={"sms": {"account": "telnyx", "numbers": []}}, numbers=[])

    assert (await telnyx(app, "STOP", known_by="1")).status == 200  # theirs by its signature: nobody's here
    assert await incoming(app) == []
    assert await app.pool.fetchval("SELECT count(*) FROM consents") == 0
    assert await app.pool.fetchval("SELECT studio_id FROM arrivals") == ""
    assert (await twilio(app, "STOP", known_by="2")).status == 200
    assert len(await incoming(app)) == 1

    await a_message(app.pool, state="accepted", address=JO, account="sms/telnyx")  # as it had taken over
    await telnyx(app, "see you then", known_by="3")
    assert [row["body"] for row in await incoming(app)] == ["STOP", "see you then"]


async def test_nothing_that_we_answer_is_texted_to_anybody(app: Caller) -> None:
    """Twilio takes an answer for what to do next, and complains of every one that is not in its language."""
    answer = await twilio(app, "hi", known_by="1")
    assert (answer.body, answer.headers["Content-Type"]) == (b"<Response/>", "text/xml; charset=utf-8")
    for brings in (telnyx, kannel, gateway):
        assert (await brings(app, "hi", known_by="2")).body == b""


async def test_a_stop_to_the_number_that_took_over_is_the_studios(app: Caller) -> None:
    sms = {"account": "default", "numbers": [OURS], "failover_numbers": ["+13125550199"]}
    house = {"id": "main", "name": "Ada Park", "timezone": "America/Chicago", "country": "US", "sms": sms}
    put = await app.call("PUT", "/api/v1/studios/main", json=house)
    assert (put.status, put.json["sms"]["failover_numbers"]) == (200, ["+13125550199"])

    assert (await telnyx(app, "STOP", known_by="1", to="+13125550199")).status == 200

    assert await app.pool.fetchval("SELECT says FROM consents WHERE address = $1", JO) == "stop"
    assert [row["sender"] for row in await incoming(app)] == ["+13125550199"]


async def test_forty_texts_at_once_are_each_answered_within_the_two_seconds_that_telnyx_gives(app: Caller) -> None:
    async def answered(number: int) -> float:
        began = time.monotonic()
        assert (await telnyx(app, "STOP", known_by=str(number), sender=f"+13125561{number:03}")).status == 200
        return time.monotonic() - began

    await answered(0)  # plans are made, and the pool has grown
    took = await asyncio.gather(*map(answered, range(1, 41)))
    assert max(took) < 2
    assert await app.pool.fetchval("SELECT count(*) FROM consents") == 41


async def test_what_twilio_answers_itself_is_met_with_silence(app: Caller) -> None:
    await twilio(app, "STOP", known_by="1")
    assert await app.pool.fetchval("SELECT count(*) FROM messages WHERE origin = 'answer'") == 0


async def test_a_provider_we_do_not_know_is_not_found(app: Caller) -> None:
    assert (await app.call("POST", "/hooks/sms/nobody/inbound", token=None, data=b"{}")).status == 404


async def test_a_text_comes_in_through_the_sandbox(app: Caller) -> None:
    answer = await app.post("/sandbox/inbound", json={"from": JO, "to": OURS, "text": "HELP"})
    assert answer.status == 201
    assert answer.json["meaning"] == "help"
    assert await app.pool.fetchval("SELECT count(*) FROM messages WHERE origin = 'answer'") == 1


async def test_the_sandbox_takes_texts_to_the_studios_own_numbers_only(app: Caller) -> None:
    answer = await app.post("/sandbox/inbound", json={"from": JO, "to": "+13125550199", "text": "HELP"})
    assert answer.status == 422
    assert answer.json["errors"][0]["field"] == "to"
