"""Our requests, and what we read of answers, held against Twilio's own SDK. Its signatures: tests/domain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from control_center.domain.outcome import Accepted, Blocked, Fate, Found, NotSent, Refused, Text
from control_center.domain.wire import twilio
from tests.support.provider_stub import Taken

AT = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
ACCOUNT = "AC" + "1" * 32
CALLBACK = "https://studio.example/hooks/sms/twilio/default/status?ref={key}"

numbers = st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z")
services = st.from_regex(r"\AMG[0-9a-f]{32}\Z")
texts = st.builds(
    lambda key, sender, to, body, left: Text(key, "m-7", sender, to, body, AT, AT + timedelta(seconds=left)),
    st.from_regex(r"\Am-[1-9][0-9]{0,12}\.[1-9][0-9]?\Z"),
    numbers | services,
    numbers,
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
    st.integers(-10, 50_000),
)


class Sdk:
    """Twilio's SDK, with what it would have sent, and answered with what we say."""

    def __init__(self) -> None:
        self.sent: list[requests.PreparedRequest] = []
        self.status, self.body = 201, b"{}"
        http = TwilioHttpClient()
        http.session.send = self._answer
        self.client = Client(ACCOUNT, "s3cret", http_client=http)

    def _answer(self, request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        self.sent.append(request)
        answer = requests.Response()
        answer.status_code, answer._content, answer.request = self.status, self.body, request
        return answer


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    made = Sdk()
    yield made
    made.client.http_client.session.close()


def fields(encoded: str) -> list[tuple[str, str]]:
    return sorted(parse_qsl(encoded, keep_blank_values=True, strict_parsing=True))


@settings(max_examples=60, deadline=None)  # the SDK imports half of itself at its first call
@given(text=texts, parts=st.integers(0, 10))
def test_our_request_is_the_one_that_twilios_sdk_makes(sdk: Sdk, text: Text, parts: int) -> None:
    ours = dict(fields(twilio.form(text, CALLBACK).decode()))
    sdk.status, sdk.body = 201, json.dumps({"sid": "SM1", "status": "queued", "num_segments": str(parts)}).encode()

    answer = sdk.client.messages.create(
        to=ours["To"],
        from_=ours.get("From"),
        messaging_service_sid=ours.get("MessagingServiceSid"),
        body=ours["Body"],
        validity_period=int(ours["ValidityPeriod"]),
        smart_encoded=False,
        status_callback=ours["StatusCallback"],
    )

    theirs = sdk.sent.pop()
    assert (theirs.method, theirs.url) == ("POST", twilio.BASE + twilio.messages_path(ACCOUNT))
    assert fields(str(theirs.body).replace("SmartEncoded=False", "SmartEncoded=false")) == sorted(ours.items())
    assert theirs.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert twilio.outcome(201, None, sdk.body, AT) == Accepted(answer.sid, int(answer.num_segments) or None)


@settings(deadline=None)
@given(text=texts)
def test_we_look_for_a_text_as_twilios_sdk_does_and_find_the_same(sdk: Sdk, text: Text) -> None:
    fits = text.sender.startswith("MG")
    form = {"To": text.to, "Body": text.body, ("MessagingServiceSid" if fits else "From"): text.sender}
    listed = Taken("SM" + "7" * 32, form, AT, "delivered").shown()
    sdk.status, sdk.body = 200, json.dumps({"messages": [listed], "page_size": 1000}).encode()

    (there,) = sdk.client.messages.list(to=text.to, page_size=1000, **({} if fits else {"from_": text.sender}))

    theirs = urlsplit(str(sdk.sent.pop().url))
    assert theirs.path == twilio.messages_path(ACCOUNT)
    assert fields(theirs.query) == fields(urlencode(twilio.search(text)))
    assert (there.body, there.date_created, there.status) == (text.body, AT, "delivered")
    assert twilio.found(sdk.body, text) == Found(there.sid, Fate.DELIVERED)


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(400, 21610, Refused), (401, 20003, Blocked), (429, 20429, NotSent)]
)
def test_what_twilios_sdk_raises_is_a_refusal_with_its_code(sdk: Sdk, status: int, code: int, kind: type) -> None:
    sdk.status, sdk.body = status, json.dumps({"code": code, "message": "no", "status": status}).encode()

    with pytest.raises(TwilioRestException) as raised:
        sdk.client.messages.create(to="+13125550188", from_="+13125550100", body="Hi")

    sdk.sent.clear()
    outcome = twilio.outcome(status, None, sdk.body, AT)
    assert isinstance(outcome, kind)
    assert getattr(outcome, "code", None) == str(raised.value.code)
