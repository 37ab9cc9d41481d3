"""What holds of every provider's wire format alike, whatever a text, an answer or a call may say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.outcome import Accepted, Blocked, NotSent, Refused, Stage, Text, Unknown
from control_center.domain.wire import gateway, gateway_hooks, kannel, kannel_hooks, telnyx, telnyx_hooks, twilio
from control_center.domain.wire import twilio_hooks as hooks_of_twilio

AT = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
TEXT = Text("m-7.1", "m-7", "+13125550100", "+13125550188", "See you on Saturday", AT, AT + timedelta(hours=2))


@dataclass(frozen=True)
class Wire:
    """`words` are those that its provider reads in our request, `hears` what it makes of a call by a stranger."""

    of: ModuleType
    words: Callable[[Text], str]
    hears: Callable[[bytes], list[Any]]


def _of_telnyx(body: bytes) -> list[Any]:
    event = telnyx_hooks.event(body)
    return [telnyx_hooks.receipt(event, None), telnyx_hooks.inbound(event)] if event is not None else []


def _of_kannel(body: bytes) -> list[Any]:
    query = body.decode("latin-1")
    return [kannel_hooks.receipt(query), kannel_hooks.inbound(query)]


def _of_twilio(body: bytes) -> list[Any]:
    fields = [(name, body.decode("latin-1")) for name in ("MessageStatus", "ErrorCode")]
    return [hooks_of_twilio.receipt(fields, None), hooks_of_twilio.inbound(fields)]


WIRES = {
    "twilio": Wire(
        twilio,
        lambda text: parse_qs(twilio.form(text).decode(), keep_blank_values=True)["Body"][0],
        _of_twilio,
    ),
    "telnyx": Wire(telnyx, lambda text: json.loads(telnyx.body(text))["text"], _of_telnyx),
    "kannel": Wire(
        kannel,
        lambda text: parse_qs(kannel.query(text, user="cc", password="p&w"), keep_blank_values=True)["text"][0],
        _of_kannel,
    ),
    "http": Wire(
        gateway,
        lambda text: json.loads(gateway.body(text))["text"],
        lambda body: [gateway_hooks.receipt(body), gateway_hooks.inbound(body)],
    ),
}


@pytest.fixture(params=list(WIRES), scope="module")
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


@given(body=st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_words_arrive_as_they_were_written(wire: Wire, body: str) -> None:
    assert wire.words(replace(TEXT, body=body)) == body


@pytest.mark.parametrize("status", [204, 301, 302, 303, 307, 308, 408, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", None, b"{}", b"<html>ok</html>", b"\xff", b"[" * 9999])
def test_an_answer_that_proves_nothing_leaves_the_text_in_doubt(wire: Wire, status: int, body: bytes | None) -> None:
    outcome = wire.of.outcome(status, None, body, AT)

    assert isinstance(outcome, Unknown)
    assert (outcome.stage, outcome.code) == (Stage.ANSWERED, str(status))


@given(st.integers(100, 599), st.binary() | st.none(), st.text() | st.none())
def test_no_answer_is_too_odd_to_be_classified(
    wire: Wire, status: int, body: bytes | None, retry_after: str | None
) -> None:
    outcome = wire.of.outcome(status, retry_after, body, AT)

    assert isinstance(outcome, (Accepted, NotSent, Blocked, Refused, Unknown))
    if status >= 500 or status == 408:
        assert isinstance(outcome, Unknown)


@given(body=st.binary())
def test_nothing_a_stranger_says_raises_or_is_taken_for_something(wire: Wire, body: bytes) -> None:
    assert not any(wire.hears(body))
