"""Telnyx's signature, and what its calls say. Its own SDK is held against the signature elsewhere."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.inbound import Answered, Inbound
from control_center.domain.outcome import Fate, Receipt
from control_center.domain.wire import telnyx_hooks
from control_center.domain.wire.telnyx_hooks import SIGNATURE, TIMESTAMP, verify
from tests.support.telnyx_stub import TelnyxStub, event

AT = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
TELNYX = TelnyxStub(signing=Ed25519PrivateKey.from_private_bytes(b"t" * 32))
OTHER = TelnyxStub(signing=Ed25519PrivateKey.from_private_bytes(b"o" * 32))
BODY = event("message.finalized", {"id": "403"})


@given(st.binary(max_size=200))
def test_what_telnyx_signed_just_now_is_believed(body: bytes) -> None:
    assert verify(TELNYX.signed(body, AT), body, [TELNYX.public_key], AT)


def test_several_keys_are_active_while_one_replaces_another() -> None:
    assert verify(TELNYX.signed(BODY, AT), BODY, [OTHER.public_key, TELNYX.public_key], AT)
    assert not verify(TELNYX.signed(BODY, AT), BODY, [OTHER.public_key], AT)
    assert not verify(TELNYX.signed(BODY, AT), BODY, [], AT)


@pytest.mark.parametrize(
    ("away", "believed"),
    [
        (timedelta(minutes=5), True),
        (timedelta(minutes=-5), True),
        (timedelta(minutes=5, seconds=1), False),
        (timedelta(minutes=-5, seconds=-1), False),
        (timedelta(hours=1), False),
    ],
)
def test_a_recording_is_refused(away: timedelta, *, believed: bool) -> None:
    assert verify(TELNYX.signed(BODY, AT - away), BODY, [TELNYX.public_key], AT) is believed


@pytest.mark.parametrize("place", [0, 10, len(BODY) - 1])
def test_a_changed_byte_is_refused(place: int) -> None:
    changed = BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :]

    assert not verify(TELNYX.signed(BODY, AT), changed, [TELNYX.public_key], AT)


def test_the_time_is_signed_too() -> None:
    headers = TELNYX.signed(BODY, AT - timedelta(hours=1)) | {TIMESTAMP: str(int(AT.timestamp()))}

    assert not verify(headers, BODY, [TELNYX.public_key], AT)


@pytest.mark.parametrize("name", [SIGNATURE, TIMESTAMP])
@pytest.mark.parametrize(
    "value", ["", "x", "-1", "1e3", "é", "\ud800", "9" * 5000, base64.b64encode(b"0" * 64).decode()]
)
def test_a_damaged_header_is_refused(name: str, value: str) -> None:
    assert not verify(TELNYX.signed(BODY, AT) | {name: value}, BODY, [TELNYX.public_key], AT)


@pytest.mark.parametrize("key", ["", "x", "é", base64.b64encode(b"short").decode(), TELNYX.public_key[:-1]])
def test_a_key_that_is_none_believes_nothing(key: str) -> None:
    assert not verify(TELNYX.signed(BODY, AT), BODY, [key], AT)


def test_a_call_without_a_signature_is_refused() -> None:
    assert not verify({}, BODY, [TELNYX.public_key], AT)


# --- receipts ------------------------------------------------------------------------------------------------


def receipt(kind: str = "message.finalized", reference: str | None = "m-7.1", **payload: Any) -> Receipt | None:
    said = telnyx_hooks.event(event(kind, {"id": "403", "to": [{"status": "delivered"}], **payload}))
    assert said is not None
    return telnyx_hooks.receipt(said, reference)


@pytest.mark.parametrize(
    ("kind", "status", "fate"),
    [
        ("message.sent", "queued", Fate.SENT),
        ("message.sent", "sending", Fate.SENT),
        ("message.sent", "sent", Fate.SENT),
        ("message.finalized", "delivery_unconfirmed", Fate.SENT),
        ("message.finalized", "delivered", Fate.DELIVERED),
        ("message.read", "read", Fate.DELIVERED),
        ("message.finalized", "sending_failed", Fate.UNDELIVERED),
        ("message.finalized", "delivery_failed", Fate.UNDELIVERED),
        ("message.finalized", "expired", Fate.UNDELIVERED),
    ],
)
def test_each_status_has_its_fate(kind: str, status: str, fate: Fate) -> None:
    assert receipt(kind, to=[{"phone_number": "+13125550188", "status": status}]) == Receipt(fate, "m-7.1", "403")


def test_a_failure_carries_telnyxs_code_in_our_words() -> None:
    failed = receipt(to=[{"status": "delivery_failed"}], errors=[{"code": "40001", "title": "Not routable"}])

    words = "telnyx 40001: a landline, or not routable"
    assert failed == Receipt(Fate.UNDELIVERED, "m-7.1", "403", "40001", words, dead=True)


@pytest.mark.parametrize(
    ("error", "dead"),
    [
        ({"code": "40012"}, True),
        ({"code": "40309"}, False),
        ({"code": "40006"}, False),
        ({"code": "40310", "source": {"pointer": "/from"}}, False),
    ],
)
def test_only_a_code_that_blames_their_number_says_that_it_takes_no_texts(error: dict[str, Any], *, dead: bool) -> None:
    failed = receipt(to=[{"status": "delivery_failed"}], errors=[error])

    assert failed is not None
    assert failed.dead is dead


@pytest.mark.parametrize(
    ("title", "opted_out"), [("Blocked due to STOP message", True), ("", True), ("No messaging profile", False)]
)
def test_only_the_code_with_the_words_that_mean_it_is_an_opt_out(title: str, *, opted_out: bool) -> None:
    failed = receipt(to=[{"status": "sending_failed"}], errors=[{"code": "40300", "title": title}])

    assert failed is not None
    assert (failed.opted_out, failed.blocked) == (opted_out, False)


@pytest.mark.parametrize("code", ["40010", "40013", "40016", "20100"])
def test_a_code_of_the_account_says_that_nothing_else_gets_through(code: str) -> None:
    failed = receipt(to=[{"status": "delivery_failed"}], errors=[{"code": code, "title": "no"}])

    assert failed is not None
    assert failed.blocked


@pytest.mark.parametrize("to", [[], None, [{"status": "new"}], [{}], "+13125550188"])
def test_a_call_that_says_nothing_we_know_is_no_receipt(to: object) -> None:
    assert receipt(to=to) is None


def test_a_receipt_needs_an_id_or_our_reference() -> None:
    assert receipt(reference=None, id=None) is None
    assert receipt(id=None) == Receipt(Fate.DELIVERED, "m-7.1", None)
    assert receipt(reference=None) == Receipt(Fate.DELIVERED, None, "403")


def test_a_repeat_of_a_call_is_known_by_its_id() -> None:
    first, again = telnyx_hooks.event(BODY), telnyx_hooks.event(BODY.replace(b'"attempt": 1', b'"attempt": 2'))

    assert first is not None
    assert again is not None
    assert first.id == again.id == "e-1"


# --- texts from outside --------------------------------------------------------------------------------------


def received(**payload: Any) -> Inbound | None:
    full = {
        "id": "7ee",
        "direction": "inbound",
        "type": "SMS",
        "from": {"phone_number": "+13125550188", "carrier": "X", "line_type": "Wireless"},
        "to": [{"phone_number": "+13125550100", "status": "webhook_delivered"}],
        "text": "See you then",
        "parts": 2,
        "media": [],
        "received_at": "2026-11-21T16:00:00.574Z",
        **payload,
    }
    said = telnyx_hooks.event(event("message.received", full, "e-9", "2026-11-21T16:00:02Z"))
    assert said is not None
    return telnyx_hooks.inbound(said)


def test_a_text_from_outside_is_read() -> None:
    assert received() == Inbound(
        known_by="e-9",
        provider_id="7ee",
        sender="+13125550188",
        to="+13125550100",
        text="See you then",
        at=datetime(2026, 11, 21, 16, 0, 0, 574000, tzinfo=UTC),
        segments=2,
    )


@pytest.mark.parametrize(
    ("said", "answered"),
    [("STOP", Answered.STOP), ("start", Answered.START), ("HELP", Answered.HELP), ("JOIN", None), (None, None)],
)
def test_what_telnyx_has_answered_is_said(said: str | None, answered: Answered | None) -> None:
    came = received(text="stop", autoresponse_type=said)

    assert came is not None
    assert came.answered is answered


def test_pictures_come_as_addresses_and_maybe_without_words() -> None:
    came = received(text=None, media=[{"url": "https://media.example/1.jpg", "size": 5}, {"url": None}])

    assert came is not None
    assert (came.text, came.media) == ("", ("https://media.example/1.jpg",))


@pytest.mark.parametrize("time", ["2026-11-21T16:00:00", "0001-01-01T00:00:00+14:00", "now", ""])
def test_a_time_that_cannot_be_is_left_out_for_that_of_the_call(time: str) -> None:
    came = received(received_at=time)

    assert came is not None
    assert came.at == datetime(2026, 11, 21, 16, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "payload", [{"from": None}, {"to": []}, {"to": None}, {"to": [{"agent_id": "x"}]}, {"from": {}}]
)
def test_what_has_no_two_numbers_is_no_text(payload: dict[str, Any]) -> None:
    assert received(**payload) is None


def test_an_event_is_either_a_receipt_or_a_text() -> None:
    finalized, came = telnyx_hooks.event(BODY), telnyx_hooks.event(event("message.received", {"id": "7ee"}))

    assert finalized is not None
    assert came is not None
    assert telnyx_hooks.inbound(finalized) is None
    assert telnyx_hooks.receipt(came, "m-7.1") is None


@pytest.mark.parametrize(
    "body", [b"[" * 9999, b'{"data": null}', b'{"data": {"id": "", "event_type": "x", "payload": {}}}']
)
def test_what_is_no_event_is_none(body: bytes) -> None:
    assert telnyx_hooks.event(body) is None
