"""What a request to Twilio says, and what each of its answers proves."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    Text,
    Unknown,
)
from control_center.domain.wire import twilio, twilio_codes
from tests.support.outgoing import AT, a_text

TEXT = a_text("See you on Saturday, Café & Co")


def form(text: Text = TEXT, template: str | None = None) -> dict[str, str]:
    return dict(parse_qsl(twilio.form(text, template).decode("ascii"), strict_parsing=True))


def problem(code: int, message: str = "no") -> bytes:
    return json.dumps({"code": code, "message": message, "status": 400, "more_info": "https://t.example"}).encode()


# --- the request ---------------------------------------------------------------------------------------------


def test_a_text_leaves_word_for_word_with_its_use_by_and_our_reference() -> None:
    template = "https://studio.example/hooks/sms/twilio/default/status?ref={key}"

    assert form(template=template) == {
        "To": "+13125550188",
        "From": "+13125550100",
        "Body": "See you on Saturday, Café & Co",
        "ValidityPeriod": "7200",
        "SmartEncoded": "false",
        "StatusCallback": "https://studio.example/hooks/sms/twilio/default/status?ref=m-7.1",
    }


def test_a_reference_cannot_break_out_of_the_callbacks_query() -> None:
    sent = form(replace(TEXT, key="m&x=1#é.1"), "https://s.example/status?ref={key}")

    assert sent["StatusCallback"] == "https://s.example/status?ref=m%26x%3D1%23%C3%A9.1"


def test_without_a_public_address_no_callback_is_asked_for() -> None:
    assert "StatusCallback" not in form()


def test_a_messaging_service_is_named_as_such() -> None:
    sent = form(replace(TEXT, sender="MG0123"))

    assert sent["MessagingServiceSid"] == "MG0123"
    assert "From" not in sent


def test_a_name_that_begins_like_a_messaging_service_is_a_name() -> None:
    sent = form(replace(TEXT, sender="MGPhoto"))

    assert (sent["From"], sent.get("MessagingServiceSid")) == ("MGPhoto", None)
    assert ("From", "MGPhoto") in twilio.search(replace(TEXT, sender="MGPhoto"))


@given(st.integers(-10_000, 200_000_000))
def test_the_validity_period_is_what_is_left_within_what_twilio_allows(seconds: int) -> None:
    sent = form(replace(TEXT, expires_at=AT + timedelta(seconds=seconds)))

    assert int(sent["ValidityPeriod"]) == min(max(seconds, 6), 36_000)


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_any_words_arrive_as_they_were_written(body: str, key: str) -> None:
    sent = dict(
        parse_qsl(
            twilio.form(replace(TEXT, body=body, key=key), "https://s/?ref={key}").decode(), keep_blank_values=True
        )
    )

    assert sent["Body"] == body
    assert dict(parse_qsl(sent["StatusCallback"].partition("?")[2], keep_blank_values=True)) == {"ref": key}


# --- the answer ----------------------------------------------------------------------------------------------


def answer(status: int, body: bytes | None, retry_after: str | None = None) -> object:
    return twilio.outcome(status, retry_after, body, AT)


@pytest.mark.parametrize(
    ("segments", "counted"),
    [('"2"', 2), ("3", 3), ('"0"', None), ("null", None), ('"many"', None), ('"-1"', None)],
)
def test_created_with_an_id_is_accepted(segments: str, counted: int | None) -> None:
    body = f'{{"sid": "SM1", "status": "queued", "num_segments": {segments}}}'.encode()

    assert answer(201, body) == Accepted("SM1", counted)


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"sid": null}',
        b'{"sid": ""}',
        b'{"status": "queued"}',
        b"\xff",
        b"[" * 9999,
        b'{"sid": "caf\xe9"}',
    ],
)
def test_created_without_a_readable_id_proves_nothing(body: bytes | None) -> None:
    assert answer(201, body) == Unknown("twilio: HTTP 201 without an id", Stage.ANSWERED, "201")


@pytest.mark.parametrize("status", [200, 202, 204, 301, 302, 307, 308, 408, 500, 502, 503, 504, 599])
@pytest.mark.parametrize("body", [b"", problem(20500), problem(21211), b'{"sid": "SM1"}'])
def test_an_answer_that_does_not_prove_anything_leaves_the_text_in_doubt(status: int, body: bytes) -> None:
    assert answer(status, body) == Unknown(f"twilio: HTTP {status}", Stage.ANSWERED, str(status))


@pytest.mark.parametrize("body", [b"<html>bad request</html>", None, b"{}", b'{"code": "x"}'])
def test_a_bad_request_that_is_not_in_twilios_form_proves_nothing(body: bytes | None) -> None:
    assert isinstance(answer(400, body), Unknown)


@pytest.mark.parametrize("status", [401, 403, 404, 405])
@pytest.mark.parametrize("body", [problem(20003), problem(20404), problem(99999), b"<html>", b"", None])
def test_wrong_credentials_and_wrong_addresses_block_the_account(status: int, body: bytes | None) -> None:
    assert isinstance(answer(status, body), Blocked)


def test_too_many_requests_is_never_processed_whoever_says_so() -> None:
    assert answer(429, problem(20429), "7") == NotSent("twilio: too many requests", "20429", timedelta(seconds=7))
    assert answer(429, b"slow down") == NotSent("twilio: too many requests", "429")
    assert answer(400, problem(21611), "30") == NotSent(
        "twilio 21611: the sender's queue is full", "21611", timedelta(seconds=30)
    )


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("0", timedelta()),
        (" 120 ", timedelta(seconds=120)),
        ("999999999", timedelta(days=1)),
        ("9" * 5000, None),
        ("-5", None),
        ("soon", None),
        ("", None),
        (format_datetime(AT + timedelta(seconds=90), usegmt=True), timedelta(seconds=90)),
        (format_datetime(AT - timedelta(seconds=90), usegmt=True), timedelta()),
        ("Sat, 21 Nov 99999 16:00:00 GMT", None),
    ],
)
def test_retry_after_is_understood_in_both_of_its_forms(said: str, wait: timedelta | None) -> None:
    outcome = answer(429, b"", said)

    assert isinstance(outcome, NotSent)
    assert outcome.wait == wait


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        (21211, Refused, Cause.RECIPIENT),
        (21408, Refused, Cause.ROUTE),
        (21612, Refused, Cause.ROUTE),
        (21614, Refused, Cause.RECIPIENT),
        (21610, Refused, Cause.OPTED_OUT),
        (21617, Refused, Cause.CONTENT),
        (30007, Refused, Cause.CONTENT),
        (12345, Refused, Cause.CONTENT),  # a documented refusal we have no name for: final, nobody to blame
        (20003, Blocked, None),
        (21212, Blocked, None),
        (21606, Blocked, None),
        (21608, Blocked, None),
        (30032, Blocked, None),
        (30034, Blocked, None),
        (63038, Blocked, None),
        (20429, NotSent, None),
        (21611, NotSent, None),
    ],
)
def test_each_documented_code_has_its_consequence(code: int, kind: type, cause: Cause | None) -> None:
    outcome = answer(400, problem(code))

    assert isinstance(outcome, kind)
    assert getattr(outcome, "cause", None) is cause
    assert getattr(outcome, "code", None) == str(code)


def test_no_code_stands_in_two_tables() -> None:
    tables = [
        twilio_codes.THROTTLED,
        twilio_codes.RECIPIENT,
        twilio_codes.CONTENT,
        twilio_codes.BLOCKED,
        twilio_codes.OPTED_OUT,
        twilio_codes.PASSING,
    ]

    assert len({code for table in tables for code in table}) == sum(len(table) for table in tables)


def test_twilios_own_words_lose_numbers_and_line_breaks() -> None:
    outcome = answer(400, problem(12345, "The number +13125550188 is\r\nodd" + "x" * 500))

    assert isinstance(outcome, Refused)
    assert outcome.reason.startswith("twilio 12345: The number +… is  oddxxx")
    assert len(outcome.reason) < 250


# --- looking for a text --------------------------------------------------------------------------------------


def listed(
    sid: str = "SM1",
    body: str | None = TEXT.body,
    at: datetime = AT,
    status: str = "delivered",
    service: str | None = None,
) -> dict[str, object]:
    return {
        "sid": sid,
        "status": status,
        "body": body,
        "date_created": format_datetime(at),
        "messaging_service_sid": service,
        "to": TEXT.to,
    }


def page(*messages: dict[str, object], more: bool = False) -> bytes:
    return json.dumps({"messages": messages, "next_page_uri": "/more" if more else None}).encode()


def test_the_search_leaves_the_date_off_because_a_queued_text_has_none() -> None:
    assert twilio.search(TEXT) == [("To", TEXT.to), ("PageSize", "1000"), ("From", TEXT.sender)]
    assert twilio.search(replace(TEXT, sender="MG1")) == [("To", TEXT.to), ("PageSize", "1000")]


def test_a_text_is_found_by_its_words_and_its_time() -> None:
    other = listed("SM0", "Something else")

    assert twilio.found(page(other, listed()), TEXT) == Found("SM1", Fate.DELIVERED)
    assert twilio.found(page(other, listed(status="queued")), TEXT) == Found("SM1", Fate.SENT)


@pytest.mark.parametrize("late", [timedelta(hours=-1), timedelta(hours=1), timedelta(days=7)])
def test_the_same_words_at_another_time_are_another_text(late: timedelta) -> None:
    assert twilio.found(page(listed(at=AT + late)), TEXT) == NotFoundThere()


def test_a_text_that_belongs_to_another_attempt_is_not_found_again() -> None:
    assert twilio.found(page(listed("SM1"), listed("SM2")), TEXT, known={"SM1"}) == Found("SM2", Fate.DELIVERED)
    assert twilio.found(page(listed("SM1")), TEXT, known={"SM1"}) == NotFoundThere()


def test_two_texts_with_the_same_words_cannot_be_told_apart() -> None:
    assert isinstance(twilio.found(page(listed("SM1"), listed("SM2")), TEXT), CannotTell)


def test_a_list_that_does_not_reach_back_far_enough_tells_nothing() -> None:
    later = listed("SM9", "Something else", AT + timedelta(minutes=1))

    assert isinstance(twilio.found(page(later, more=True), TEXT), CannotTell)
    assert twilio.found(page(later, listed("SM8", "Old", AT - timedelta(days=1)), more=True), TEXT) == NotFoundThere()


def test_texts_whose_words_were_redacted_tell_nothing() -> None:
    assert isinstance(twilio.found(page(listed(body="")), TEXT), CannotTell)


def test_a_text_of_another_messaging_service_is_not_ours() -> None:
    text = replace(TEXT, sender="MG1")

    assert twilio.found(page(listed(service="MG2")), text) == NotFoundThere()
    assert twilio.found(page(listed(service="MG1")), text) == Found("SM1", Fate.DELIVERED)


@pytest.mark.parametrize("body", [None, b"", b"<html>", b"{}", b'{"messages": [{}]}'])
def test_an_unreadable_list_tells_nothing(body: bytes | None) -> None:
    assert isinstance(twilio.found(body, TEXT), CannotTell)
