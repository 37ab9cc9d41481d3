"""The API for a gateway of one's own: requests, what each answer proves, signed calls."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from control_center.domain.inbound import Answered, Inbound
from control_center.domain.outcome import (
    Accepted,
    Blocked,
    Cause,
    Fate,
    NotSent,
    Receipt,
    Refused,
    Stage,
    Unknown,
)
from control_center.domain.wire import gateway, gateway_hooks
from control_center.domain.wire.gateway_hooks import ID, SIGNATURE, TIMESTAMP, verify
from tests.support.gateway_stub import signed
from tests.support.outgoing import AT, a_text

TEXT = a_text(
    "See you on Saturday, Café & Co", expires_at=datetime(2026, 11, 21, 12, 0, tzinfo=timezone(timedelta(hours=-6)))
)


def test_a_text_leaves_word_for_word_with_our_reference_and_its_use_by() -> None:
    assert json.loads(gateway.body(TEXT)) == {
        "from": "+13125550100",
        "to": "+13125550188",
        "text": "See you on Saturday, Café & Co",
        "reference": "m-7.1",
        "expires_at": "2026-11-21T18:00:00+00:00",
    }


# --- the answer ----------------------------------------------------------------------------------------------


def answer(status: int, body: bytes | None, retry_after: str | None = None) -> object:
    return gateway.outcome(status, retry_after, body, AT)


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(
    ("body", "accepted"),
    [
        (b'{"id": "g-1"}', Accepted("g-1")),
        (b'{"id": 17, "segments": 2, "more": true}', Accepted("17", 2)),
        (b'{"id": "g-1", "segments": 0}', Accepted("g-1")),
    ],
)
def test_an_id_is_an_acceptance(status: int, body: bytes, accepted: Accepted) -> None:
    assert answer(status, body) == accepted


@pytest.mark.parametrize("status", [200, 202, 204])
@pytest.mark.parametrize("body", [b"", None, b"{}", b'{"id": ""}', b'{"id": null}', b"ok", b"[" * 9999])
def test_a_success_without_a_readable_id_proves_nothing(status: int, body: bytes | None) -> None:
    assert answer(status, body) == Unknown(f"gateway: HTTP {status} without an id", Stage.ANSWERED, str(status))


@pytest.mark.parametrize("status", [301, 307, 408, 409, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", None, b'{"id": "g-1"}', b'{"cause": "recipient"}'])
def test_an_answer_that_does_not_prove_anything_leaves_the_text_in_doubt(status: int, body: bytes | None) -> None:
    assert answer(status, body) == Unknown(f"gateway: HTTP {status}", Stage.ANSWERED, str(status))


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (429, b"", NotSent("gateway 429", "429", timedelta(seconds=5))),
        (401, b"<html>", Blocked("gateway 401", "401")),
        (403, b'{"message": "no credit"}', Blocked("gateway 403: no credit", "403")),
        (404, None, Blocked("gateway 404", "404")),
        (422, b'{"cause": "recipient", "code": 7}', Refused("gateway 7", Cause.RECIPIENT, "7")),
        (422, b'{"cause": "opted_out"}', Refused("gateway 422", Cause.OPTED_OUT, "422")),
        (
            400,
            b'{"cause": "content", "code": "long", "message": "to +13125550188"}',
            Refused("gateway long: to +…", Cause.CONTENT, "long"),
        ),
        (400, b'{"cause": "new"}', Refused("gateway 400", Cause.CONTENT, "400")),
        (413, b"too long", Refused("gateway 413", Cause.CONTENT, "413")),
    ],
)
def test_each_documented_answer_has_its_consequence(status: int, body: bytes | None, outcome: object) -> None:
    assert answer(status, body, "5" if status == 429 else None) == outcome


# --- whether a call is the gateway's -------------------------------------------------------------------------

BODY = b'{"type": "message.status", "reference": "m-7.1", "status": "delivered"}'
KEYED = f"whsec_{base64.b64encode(b'k3y').decode()}"


def test_a_call_signed_just_now_with_one_of_our_secrets_is_believed() -> None:
    assert verify(signed(BODY, AT, b"s3cret"), BODY, ["new", "s3cret"], AT)
    assert verify(signed(BODY, AT, b"k3y"), BODY, [KEYED], AT)
    assert not verify(signed(BODY, AT, b"s3cret"), BODY, ["new"], AT)


def test_the_example_of_standard_webhooks_is_believed() -> None:
    """The one its libraries are tested with."""
    headers = {
        ID: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        TIMESTAMP: "1614265330",
        SIGNATURE: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    assert verify(headers, b'{"test": 2432232314}', [secret], datetime.fromtimestamp(1_614_265_330, UTC))


def test_of_several_signatures_one_has_to_fit() -> None:
    headers = signed(BODY, AT, b"s3cret")
    several = headers | {SIGNATURE: f"v1a,abc v1,xyz {headers[SIGNATURE]}"}

    assert verify(several, BODY, ["s3cret"], AT)
    assert not verify(headers | {SIGNATURE: headers[SIGNATURE].replace("v1,", "v2,")}, BODY, ["s3cret"], AT)


@pytest.mark.parametrize("away", [timedelta(minutes=5, seconds=1), timedelta(minutes=-6), timedelta(hours=1)])
def test_a_recording_is_refused(away: timedelta) -> None:
    assert not verify(signed(BODY, AT - away, b"s3cret"), BODY, ["s3cret"], AT)


@pytest.mark.parametrize("name", [ID, TIMESTAMP, SIGNATURE])
@pytest.mark.parametrize("value", ["", "x", "-1", "é", "\ud800", "9" * 5000])
def test_a_damaged_header_is_refused(name: str, value: str) -> None:
    assert not verify(signed(BODY, AT, b"s3cret") | {name: value}, BODY, ["s3cret"], AT)


def test_a_changed_body_is_refused() -> None:
    assert not verify(signed(BODY, AT, b"s3cret"), BODY.replace(b"delivered", b"undelivered"), ["s3cret"], AT)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_é", "whsec_x"])
def test_without_a_usable_secret_nothing_is_believed(secret: str) -> None:
    assert not verify(signed(BODY, AT, b""), BODY, [secret], AT)
    assert not verify(signed(BODY, AT, b""), BODY, [], AT)


# --- what it says --------------------------------------------------------------------------------------------


def reported(**fields: Any) -> Receipt | None:
    call = {"type": "message.status", "reference": "m-7.1", "id": "g-1", "status": "delivered", **fields}
    return gateway_hooks.receipt(json.dumps(call).encode())


@pytest.mark.parametrize("fate", [Fate.SENT, Fate.DELIVERED])
def test_each_status_has_its_fate(fate: Fate) -> None:
    assert reported(status=fate.value, code="ignored") == Receipt(fate, "m-7.1", "g-1")


def test_a_failure_carries_the_gateways_code_and_words() -> None:
    assert reported(status="undelivered", code="7", reason="off", opted_out=True, no_texts=True) == Receipt(
        Fate.UNDELIVERED, "m-7.1", "g-1", "7", "off", opted_out=True, dead=True
    )
    assert reported(status="undelivered") == Receipt(Fate.UNDELIVERED, "m-7.1", "g-1", None, "gateway undelivered")


def test_a_receipt_needs_an_id_or_our_reference() -> None:
    assert reported(reference=None) == Receipt(Fate.DELIVERED, None, "g-1")
    assert reported(id=None) == Receipt(Fate.DELIVERED, "m-7.1", None)
    assert reported(reference=None, id=None) is None


@pytest.mark.parametrize(
    "fields", [{"status": "queued"}, {"status": None}, {"type": "message.received"}, {"type": "x"}]
)
def test_a_call_that_says_nothing_we_know_is_no_receipt(fields: dict[str, Any]) -> None:
    assert reported(**fields) is None


def came(**fields: Any) -> Inbound | None:
    call = {
        "type": "message.received",
        "id": "in-1",
        "from": "+13125550188",
        "to": "+13125550100",
        "text": "See you then",
        **fields,
    }
    return gateway_hooks.inbound(json.dumps(call).encode())


def test_a_text_from_outside_is_read() -> None:
    assert came() == Inbound("in-1", "in-1", "+13125550188", "+13125550100", "See you then")
    assert came(at="2026-11-21T16:00:00Z", media=["https://m/1"], segments=2, answered="stop") == Inbound(
        "in-1", "in-1", "+13125550188", "+13125550100", "See you then", AT, ("https://m/1",), 2, Answered.STOP
    )


@pytest.mark.parametrize("fields", [{"id": ""}, {"from": ""}, {"to": None}, {"text": None}, {"type": "message.status"}])
def test_what_lacks_an_id_a_number_or_words_is_no_text(fields: dict[str, Any]) -> None:
    assert came(**fields) is None
