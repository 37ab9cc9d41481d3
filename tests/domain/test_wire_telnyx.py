"""What a request to Telnyx says, and what each of its answers proves. Its own SDK is held against it elsewhere."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.outcome import Accepted, Blocked, Cause, NotSent, Refused, Stage, Text, Unknown
from control_center.domain.wire import telnyx, telnyx_codes
from tests.support.outgoing import AT, a_text

TEXT = a_text("See you on Saturday, Café & Co")
CALLBACK = "https://studio.example/hooks/sms/telnyx/default/status?ref={key}"

words = st.text(st.characters(codec="utf-8"), max_size=40)


def error(code: str | int, title: str = "no", **further: object) -> bytes:
    return json.dumps({"errors": [{"code": code, "title": title, **further}]}).encode()


# --- the request ---------------------------------------------------------------------------------------------


def test_a_text_leaves_word_for_word_in_the_alphabet_it_was_counted_in() -> None:
    assert json.loads(telnyx.body(TEXT, CALLBACK, "profile-1")) == {
        "from": "+13125550100",
        "to": "+13125550188",
        "text": "See you on Saturday, Café & Co",
        "type": "SMS",
        "encoding": "gsm7",
        "messaging_profile_id": "profile-1",
        "webhook_url": "https://studio.example/hooks/sms/telnyx/default/status?ref=m-7.1",
        "use_profile_webhooks": False,
    }
    assert json.loads(telnyx.body(replace(TEXT, body="Ça va?")))["encoding"] == "gsm7"
    assert json.loads(telnyx.body(replace(TEXT, body="ça va?")))["encoding"] == "ucs2"


def test_without_a_public_address_or_profile_neither_is_named() -> None:
    assert set(json.loads(telnyx.body(TEXT))) == {"from", "to", "text", "type", "encoding"}


@given(words, words, st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_same_attempt_is_the_same_bytes_whenever_it_is_asked_again(
    body: str, key: str, later: int, longer: int
) -> None:
    first = replace(TEXT, body=body, key=key)
    again = replace(first, at=AT + timedelta(seconds=later), expires_at=AT + timedelta(seconds=longer), message="m-8")

    assert telnyx.body(first, CALLBACK, "p") == telnyx.body(again, CALLBACK, "p")
    assert telnyx.idempotency_key(first) == telnyx.idempotency_key(again)
    assert json.loads(telnyx.body(first, CALLBACK))["text"] == body


@given(st.text())
def test_a_key_is_written_in_telnyxs_alphabet(key: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_:-]{1,255}", telnyx.idempotency_key(replace(TEXT, key=key)))


def test_our_reference_can_be_read_in_the_key() -> None:
    assert telnyx.idempotency_key(TEXT).startswith("m-7:1:")


@pytest.mark.parametrize(
    "other",
    [
        replace(TEXT, key="m-7.2"),
        replace(TEXT, key="m-7:1"),
        replace(TEXT, body="See you on Sunday"),
        replace(TEXT, to="+13125550189"),
        replace(TEXT, sender="+13125550101"),
    ],
)
def test_another_attempt_or_another_text_has_another_key(other: Text) -> None:
    """As of a second installation in the same Telnyx account, or of one that was restored from a backup."""
    assert telnyx.idempotency_key(other) != telnyx.idempotency_key(TEXT)


# --- the answer ----------------------------------------------------------------------------------------------


def answer(status: int, body: bytes | None, retry_after: str | None = None) -> object:
    return telnyx.outcome(status, retry_after, body, AT)


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(("parts", "counted"), [("2", 2), ("0", None), ("null", None), ("-1", None)])
def test_an_id_is_an_acceptance(status: int, parts: str, counted: int | None) -> None:
    body = f'{{"data": {{"id": "403", "parts": {parts}, "to": [{{"status": "queued"}}]}}}}'.encode()

    assert answer(status, body) == Accepted("403", counted)


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"data": {}}',
        b'{"data": {"id": ""}}',
        b'{"data": {"id": "\xe9"}}',
        b"[" * 9999,
    ],
)
def test_a_success_without_a_readable_id_proves_nothing(body: bytes | None) -> None:
    assert answer(200, body) == Unknown("telnyx: HTTP 200 without an id", Stage.ANSWERED, "200")


@pytest.mark.parametrize("status", [204, 301, 302, 307, 308, 408, 409, 500, 502, 503, 504, 599])
@pytest.mark.parametrize("body", [b"", error("10007"), error("40300"), b'{"data": {"id": "403"}}', None])
def test_an_answer_that_does_not_prove_anything_leaves_the_text_in_doubt(status: int, body: bytes | None) -> None:
    assert answer(status, body) == Unknown(f"telnyx: HTTP {status}", Stage.ANSWERED, str(status))


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("body", [b"<html>bad request</html>", None, b"{}", b'{"errors": []}'])
def test_a_bad_request_that_is_not_in_telnyxs_form_proves_nothing(status: int, body: bytes | None) -> None:
    assert isinstance(answer(status, body), Unknown)


@pytest.mark.parametrize(
    "body",
    [
        error("90422", "Idempotency-Key was used with another body"),
        error("idempotency_key_reuse"),
        error("10015", "no").replace(b'"10015"', b'"new"').replace(b'"no"', b'"key", "detail": "idempotent replay"'),
    ],
)
def test_a_key_that_was_used_with_other_bytes_says_that_something_was_taken_under_it(body: bytes) -> None:
    assert answer(422, body) == Unknown("telnyx: HTTP 422", Stage.ANSWERED, "422")


def test_too_many_requests_is_not_taken_whoever_says_so() -> None:
    assert answer(429, error("10011"), "7") == NotSent("telnyx: too many requests", "10011", timedelta(seconds=7))
    assert answer(429, b"slow down") == NotSent("telnyx: too many requests", "429")
    assert answer(400, error("40318"), "30") == NotSent(
        "telnyx 40318: the queue is full", "40318", timedelta(seconds=30)
    )


@pytest.mark.parametrize("status", [401, 403, 404, 405])
@pytest.mark.parametrize("body", [error("10009"), error("10005"), error("99999"), b"<html>", b"", None])
def test_wrong_credentials_and_wrong_addresses_block_the_account(status: int, body: bytes | None) -> None:
    assert isinstance(answer(status, body), Blocked)


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        ("10002", Refused, Cause.RECIPIENT),
        ("10016", Refused, Cause.RECIPIENT),
        ("40001", Refused, Cause.RECIPIENT),
        ("40310", Refused, Cause.RECIPIENT),
        ("40009", Refused, Cause.CONTENT),
        ("40015", Refused, Cause.CONTENT),
        ("12345", Refused, Cause.CONTENT),  # a documented refusal we have no name for: final, nobody to blame
        (12345, Refused, Cause.CONTENT),
        ("10009", Blocked, None),
        ("20100", Blocked, None),
        ("40013", Blocked, None),
        ("40305", Blocked, None),
        ("10011", NotSent, None),
        ("40318", NotSent, None),
    ],
)
def test_each_documented_code_has_its_consequence(code: str | int, kind: type, cause: Cause | None) -> None:
    outcome = answer(400, error(code))

    assert isinstance(outcome, kind)
    assert getattr(outcome, "cause", None) is cause
    assert getattr(outcome, "code", None) == str(code)


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_number_that_said_stop_is_opted_out_whatever_the_status(status: int) -> None:
    stopped = Refused("telnyx 40300: opted out", Cause.OPTED_OUT, "40300")

    assert answer(status, error("40300", "Blocked due to STOP message")) == stopped
    assert answer(status, error("40300", "")) == stopped
    assert answer(status, error("40300", "Blocked", detail="due to an existing block rule.")) == stopped


def test_the_code_of_a_stop_with_other_words_blames_the_sender() -> None:
    outcome = answer(400, error("40300", "The from number is not assigned to a messaging profile"))

    assert outcome == Blocked("telnyx 40300: The from number is not assigned to a messaging profile", "40300")


def test_a_wrong_number_is_the_senders_where_the_error_points_at_it() -> None:
    assert isinstance(answer(422, error("10002", source={"pointer": "/from"})), Blocked)
    assert isinstance(answer(422, error("10002", source={"pointer": "/to"})), Refused)


def test_of_several_errors_the_one_that_is_known_counts() -> None:
    body = json.dumps({"errors": [{"code": "1", "title": "x"}, {"code": "40310", "title": "y"}]}).encode()

    assert answer(422, body) == Refused("telnyx 40310: not a phone number", Cause.RECIPIENT, "40310")


def test_no_code_stands_in_two_tables() -> None:
    tables = [
        telnyx_codes.THROTTLED,
        telnyx_codes.RECIPIENT,
        telnyx_codes.CONTENT,
        telnyx_codes.BLOCKED,
        telnyx_codes.OPTED_OUT,
    ]

    assert len({code for table in tables for code in table}) == sum(len(table) for table in tables)


def test_telnyxs_own_words_lose_numbers_and_line_breaks() -> None:
    outcome = answer(400, error("12345", "From +13125550188\r\nodd" + "x" * 500))

    assert isinstance(outcome, Refused)
    assert outcome.reason.startswith("telnyx 12345: From +…  oddxxx")
    assert len(outcome.reason) < 250
