"""What is odd in a provider's call: it is kept as far as it can be read, and never asked for again in vain."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any
from urllib.parse import unquote_plus, urlencode

import pytest
from twilio.request_validator import RequestValidator

from control_center.domain.wire import kannel_hooks
from tests.support.rows import a_message
from tests.web.conftest import NOW, PUBLIC_URL, SECRET, TELNYX, Answer, Caller

JO, OURS = "+13125550188", "+13125550100"
INBOUND = "/hooks/sms/twilio/inbound"


async def twilio(app: Caller, body: str, *, url: str = PUBLIC_URL + INBOUND, path: str = INBOUND) -> Answer:
    """A call with this very body, signed as Twilio signs what it has sent."""
    fields: dict[str, list[str]] = {}
    for pair in body.split("&"):
        name, _, value = pair.partition("=")
        fields.setdefault(_bytes(name), []).append(_bytes(value))
    signed = url + "".join(name + value for name in sorted(fields) for value in sorted(set(fields[name])))
    digest = hmac.digest(SECRET.encode(), signed.encode("utf-8", "surrogateescape"), "sha1")
    headers = {
        "X-Twilio-Signature": base64.b64encode(digest).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return await app.call("POST", path, token=None, data=body, headers=headers)


def _bytes(encoded: str) -> str:
    return unquote_plus(encoded, errors="surrogateescape")


def form(**fields: str) -> str:
    return urlencode({"AccountSid": "AC1", "MessageSid": "SM1", "From": JO, "To": OURS, "Body": "hi", **fields})


async def telnyx(app: Caller, payload: bytes) -> Answer:
    body = b'{"data": {"id": "e-1", "event_type": "message.received", "payload": %b}}' % payload
    at = str(int(NOW.timestamp()))
    signature = base64.b64encode(TELNYX.sign(at.encode() + b"|" + body)).decode()
    headers = {"telnyx-timestamp": at, "telnyx-signature-ed25519": signature}
    return await app.call("POST", "/hooks/sms/telnyx/inbound", token=None, data=body, headers=headers)


async def gateway(app: Caller, body: bytes) -> Answer:
    at = str(int(NOW.timestamp()))
    digest = hmac.digest(SECRET.encode(), f"g-1.{at}.".encode() + body, "sha256")
    headers = {
        "webhook-id": "g-1",
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    return await app.call("POST", "/hooks/sms/http/inbound", token=None, data=body, headers=headers)


async def the_text(app: Caller) -> Any:
    (row,) = await app.pool.fetch("SELECT * FROM messages WHERE origin = 'client'")
    return row


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (form(Body=""), ""),
        (form(Body="\0STOP\0"), "\ufffdSTOP\ufffd"),
        (form(Body="*").replace("%2A", "caf%E9"), "caf\ufffd"),
        (form(Body="*").replace("%2A", "%ED%A0%80"), "\ufffd\ufffd\ufffd"),
        (form(Body="x" * 20_000), "x" * 20_000),
        (form() + "&Extra=b&Extra=a&Extra=b", "hi"),
        (form(From="\0" + JO), "hi"),
    ],
)
async def test_whatever_letters_a_text_has_it_is_kept(app: Caller, body: str, kept: str) -> None:
    assert (await twilio(app, body)).status == 200
    assert (await the_text(app))["body"] == kept


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps({"id": "p", "from": {"phone_number": JO}, "to": [{"phone_number": OURS}], "text": "a\0b"}).encode(),
        b'{"id": "p", "from": {"phone_number": "%b"}, "to": [{"phone_number": "%b"}], "text": "a\\ud800b"}'
        % (JO.encode(), OURS.encode()),
        json.dumps(
            {"id": "p", "from": {"phone_number": JO}, "to": OURS, "text": None, "media": [{"url": "https://m/1"}]}
        ).encode(),
    ],
)
async def test_a_text_of_telnyx_is_kept_whatever_its_letters(app: Caller, payload: bytes) -> None:
    assert (await telnyx(app, payload)).status == 200
    assert (await the_text(app))["body"] in {"a\ufffdb", ""}


@pytest.mark.parametrize(
    ("words", "kept"), [(b"a\\ud800b\\u0000", "a\ufffdb\ufffd"), ("café STOP".encode("latin-1"), "caf\ufffd STOP")]
)
async def test_a_gateways_text_is_kept_whatever_its_letters(app: Caller, words: bytes, kept: str) -> None:
    body = b'{"type": "message.received", "id": "1", "from": "%b", "to": "%b", "text": "%b"}'
    assert (await gateway(app, body % (JO.encode(), OURS.encode(), words))).status == 200
    assert (await the_text(app))["body"] == kept


@pytest.mark.parametrize("charset", ["KOI8-R", "GSM-03.38", "nonsense"])
async def test_a_text_in_an_alphabet_we_do_not_know_is_kept_as_far_as_it_can_be_read(app: Caller, charset: str) -> None:
    token = kannel_hooks.token(SECRET)
    query = f"token={token}&from=%2B13125550188&to=%2B13125550100&text=STOP%FF&charset={charset}&id=k1"
    assert (await app.call("GET", f"/hooks/sms/kannel/inbound?{query}", token=None)).status == 200
    assert (await the_text(app))["body"].startswith("STOP")


async def test_a_picture_without_words_is_kept_with_its_address(app: Caller) -> None:
    url = "https://api.twilio.com/media/ME1"
    assert (await twilio(app, form(Body="", NumMedia="1", MediaUrl0=url))).status == 200
    row = await the_text(app)
    assert (row["body"], row["media"], row["meaning"]) == ("", [url], "plain")
    answer = await app.get(f"/messages/m-{row['message_id']}", params={"studio": "main"})
    assert answer.json["media"] == [url]


@pytest.mark.parametrize(
    "signed_as",
    [
        "https://control.studio.example:443/hooks/sms/twilio/inbound",
        "https://control.studio.example/hooks/sms/twilio/inbound",
    ],
)
async def test_the_port_may_stand_in_what_is_signed(app: Caller, signed_as: str) -> None:
    assert (await twilio(app, form(), url=signed_as)).status == 200


async def test_another_port_or_host_or_scheme_is_not_ours(app: Caller) -> None:
    for other in ("https://control.studio.example:8443", "http://control.studio.example", "https://studio.example"):
        assert (await twilio(app, form(), url=other + INBOUND)).status == 403


async def test_our_check_agrees_with_twilios_own_on_fields_that_are_said_twice(app: Caller) -> None:
    fields = {"AccountSid": "AC1", "MessageSid": "SM1", "From": JO, "To": OURS, "Body": "hi", "A": ["2", "1", "2"]}
    signature = RequestValidator(SECRET).compute_signature(PUBLIC_URL + INBOUND, _Multi(fields))
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode(fields, doseq=True)
    assert (await app.call("POST", INBOUND, token=None, data=body, headers=headers)).status == 200


class _Multi(dict[str, Any]):
    def getall(self, name: str) -> list[str]:
        value = self[name]
        return value if isinstance(value, list) else [value]


async def test_receipts_that_came_before_the_answer_are_folded_in_any_order(app: Caller) -> None:
    message = await a_message(app.pool, state="submitting", account="sms/default")
    path = f"/hooks/sms/twilio/status?ref=m-{message}.1"
    for status in ("delivered", "sent", "delivered", "queued"):
        body = urlencode({"AccountSid": "AC1", "MessageSid": "SM9", "MessageStatus": status})
        assert (await twilio(app, body, url=PUBLIC_URL + path, path=path)).status == 200
    row = await app.pool.fetchrow("SELECT state, provider_id FROM messages")
    assert tuple(row) == ("delivered", "SM9")
    assert await app.pool.fetchval("SELECT count(*) FROM receipts") == 3
