"""Our requests and signature checks, held against Telnyx's own SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telnyx import Telnyx
from telnyx.lib.webhook_verification import WebhookVerificationError, verify_webhook_signature

from control_center.domain.outcome import Accepted, Text
from control_center.domain.wire import telnyx, telnyx_hooks
from tests.support.telnyx_stub import TelnyxStub, event

AT = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
CALLBACK = "https://studio.example/hooks/sms/telnyx/default/status?ref={key}"
ANSWER = {"data": {"id": "403", "parts": 2, "to": [{"status": "queued"}]}}

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
numbers = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
texts = st.builds(
    lambda key, sender, to, body: Text(key, "m-7", sender, to, body, AT, AT + timedelta(hours=2)),
    st.from_regex(r"m-[1-9][0-9]{0,12}\.[1-9][0-9]?", fullmatch=True),
    numbers,
    numbers,
    words,
)


class Sdk:
    """Telnyx's SDK, with what it would have sent."""

    def __init__(self) -> None:
        self.sent: list[httpx.Request] = []
        http = httpx.Client(transport=httpx.MockTransport(self._answer))
        self.client = Telnyx(api_key="KEY-1", http_client=http, max_retries=0)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        return httpx.Response(200, json=ANSWER)


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    made = Sdk()
    yield made
    made.client.close()


@settings(max_examples=60)
@given(text=texts, profile=st.sampled_from(["", "40017d5c-5a1f-4b1e-a5f5-1b2f9d1d6f00"]))
def test_our_request_is_the_one_that_telnyxs_sdk_makes(sdk: Sdk, text: Text, profile: str) -> None:
    ours = json.loads(telnyx.body(text, CALLBACK, profile))
    arguments: dict[str, Any] = {("from_" if name == "from" else name): value for name, value in ours.items()}

    answer = sdk.client.messages.send(**arguments, idempotency_key=telnyx.idempotency_key(text))

    theirs = sdk.sent.pop()
    assert (theirs.method, str(theirs.url)) == ("POST", telnyx.BASE + telnyx.PATH)
    assert json.loads(theirs.content) == ours
    assert theirs.headers["Idempotency-Key"] == telnyx.idempotency_key(text)
    assert theirs.headers["Authorization"] == "Bearer KEY-1"
    assert theirs.headers["Content-Type"] == "application/json"
    assert answer.data is not None
    assert telnyx.outcome(200, None, json.dumps(ANSWER).encode(), AT) == Accepted(answer.data.id, answer.data.parts)


def believed_by_the_sdk(headers: dict[str, str], body: bytes, key: str) -> bool:
    try:
        verify_webhook_signature(body, headers, key)
    except WebhookVerificationError:
        return False
    return True


@settings(max_examples=60)
@given(said=words, minutes=st.sampled_from([-60, -6, -4, 0, 4, 6, 60]), flip=st.sampled_from([None, 0, 20, 100]))
def test_we_believe_exactly_the_calls_that_telnyxs_sdk_believes(said: str, minutes: int, flip: int | None) -> None:
    """Signed just now or long ago, whole or with a letter changed, with our key or another."""
    telnyx_itself, other, now = TelnyxStub(), TelnyxStub(), datetime.now(UTC)
    body = event("message.received", {"id": "7ee", "text": said})
    headers = telnyx_itself.signed(body, now - timedelta(minutes=minutes))
    if flip is not None:
        body = body[:flip] + (b"x" if body[flip : flip + 1] != b"x" else b"y") + body[flip + 1 :]

    for key in (telnyx_itself.public_key, other.public_key):
        ours = telnyx_hooks.verify(headers, body, [key], now)
        assert ours == believed_by_the_sdk(headers, body, key)
        assert ours == (key == telnyx_itself.public_key and abs(minutes) < 5 and flip is None)


def test_what_the_sdk_reads_of_a_call_we_read_too(sdk: Sdk) -> None:
    telnyx_itself, now = TelnyxStub(), datetime.now(UTC)
    body = event(
        "message.received",
        {
            "id": "7ee",
            "direction": "inbound",
            "from": {"phone_number": "+13125550188"},
            "to": [{"phone_number": "+13125550100"}],
            "text": "Stop",
            "parts": 1,
            "media": [{"url": "https://media.example/1.jpg"}],
            "autoresponse_type": "STOP",
            "received_at": "2026-11-21T16:00:00.574Z",
        },
    )
    theirs: Any = sdk.client.webhooks.unwrap(
        body.decode(), headers=telnyx_itself.signed(body, now), key=telnyx_itself.public_key
    )
    ours = telnyx_hooks.event(body)
    assert ours is not None
    came = telnyx_hooks.inbound(ours)
    assert came is not None

    payload = theirs.data.payload
    assert came.known_by == theirs.data.id
    assert (came.sender, came.to) == (payload.from_.phone_number, payload.to[0].phone_number)
    assert (came.provider_id, came.text, came.segments, came.at) == (
        payload.id,
        payload.text,
        payload.parts,
        payload.received_at,
    )
    assert came.answered is not None
    assert came.answered.value.upper() == payload.autoresponse_type
