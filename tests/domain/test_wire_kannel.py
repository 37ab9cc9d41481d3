"""What a request to Kannel says, what each of its answers proves, and what its calls say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.inbound import Inbound
from control_center.domain.outcome import (
    Accepted,
    Blocked,
    Cause,
    Fate,
    NotSent,
    Receipt,
    Refused,
    Stage,
    Text,
    Unknown,
)
from control_center.domain.wire import kannel, kannel_hooks
from tests.support.kannel_stub import filled
from tests.support.outgoing import AT, a_text

TEXT = a_text("See you on Saturday, Café & Co")
CALLBACK = "https://studio.example/hooks/sms/kannel/default/status?ref={key}&token=t0"
GET_URL = (
    "https://studio.example/hooks/sms/kannel/default/inbound?token=t0&from=%p&to=%P&text=%b&charset=%C&id=%I&at=%T"
)


def asked(text: Text = TEXT, template: str | None = None) -> dict[str, str]:
    query = kannel.query(text, user="cc", password="p&w", callback_url_template=template)
    return dict(parse_qsl(query, strict_parsing=True, keep_blank_values=True))


# --- the request ---------------------------------------------------------------------------------------------


def test_a_text_leaves_word_for_word_with_its_use_by_and_every_report_asked_for() -> None:
    assert asked(template=CALLBACK) == {
        "username": "cc",
        "password": "p&w",
        "from": "+13125550100",
        "to": "+13125550188",
        "charset": "UTF-8",
        "coding": "0",
        "text": "See you on Saturday, Café & Co",
        "validity": "120",
        "dlr-mask": "31",
        "dlr-url": "https://studio.example/hooks/sms/kannel/default/status?ref=m-7.1&token=t0&status=%d&said=%A",
    }


def test_a_letter_outside_the_seven_bit_alphabet_turns_the_text_into_ucs2() -> None:
    assert asked(replace(TEXT, body="ça va?"))["coding"] == "2"
    assert asked(replace(TEXT, body="5 € [x]"))["coding"] == "0"


def test_without_a_public_address_no_report_is_asked_for() -> None:
    assert not {"dlr-mask", "dlr-url"} & set(asked())


@given(st.integers(-10_000, 20_000))
def test_the_validity_is_what_is_left_in_whole_minutes(minutes: int) -> None:
    sent = asked(replace(TEXT, expires_at=AT + timedelta(minutes=minutes, seconds=59)))

    assert int(sent["validity"]) == min(max(minutes, 1), 10_080)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_reference_comes_back_as_it_went_whatever_kannels_escapes(key: str) -> None:
    sent = asked(replace(TEXT, key=key), CALLBACK)

    called = filled(sent["dlr-url"], {"d": "8", "A": "ACK/"})

    assert parse_qs(urlsplit(called).query) == {"ref": [key], "token": ["t0"], "status": ["8"], "said": ["ACK/"]}


# --- the answer ----------------------------------------------------------------------------------------------


def answer(status: int, body: bytes | None, retry_after: str | None = None) -> object:
    return kannel.outcome(status, retry_after, body, AT)


@pytest.mark.parametrize(
    ("body", "segments"),
    [
        (b"0: Accepted for delivery", None),
        (b"3: Queued for later delivery", None),
        (b"Sent.", None),
        (b"Sent. Message splits: 3", 3),
    ],
)
@pytest.mark.parametrize("status", [200, 202])
def test_kannels_words_of_acceptance_are_an_acceptance_without_an_id(
    status: int, body: bytes, segments: int | None
) -> None:
    assert answer(status, body) == Accepted(None, segments)


@pytest.mark.parametrize("status", [200, 202, 204, 301, 408, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", None, b"<html>ok</html>", b"Sending failed.", b"\xff"])
def test_an_answer_that_does_not_prove_anything_leaves_the_text_in_doubt(status: int, body: bytes | None) -> None:
    assert answer(status, body) == Unknown(f"kannel: HTTP {status}", Stage.ANSWERED, str(status))


def test_a_temporal_failure_is_not_taken_for_now() -> None:
    assert answer(503, b"Temporal failure, try again later.") == NotSent(
        "kannel: Temporal failure, try again later.", "503"
    )
    assert answer(429, b"", "7") == NotSent("kannel: too many requests", "429", timedelta(seconds=7))


@pytest.mark.parametrize(
    ("status", "body", "kind", "cause"),
    [
        (403, b"Not routable. Do not try again.", Refused, Cause.ROUTE),
        (400, b"Number(s) has/have been denied by white- and/or black-lists.", Refused, Cause.ROUTE),
        (400, b"Charset or body misformed, rejected", Refused, Cause.CONTENT),
        (400, b"Sender missing and no global set, rejected", Blocked, None),
        (400, b"DLR-URL field misformed, rejected", Blocked, None),
        (403, b"Authorization failed for sendsms", Blocked, None),
        (401, b"", Blocked, None),
        (404, b"<html>not found</html>", Blocked, None),
        (400, b"<html>bad request</html>", Unknown, None),
        (400, None, Unknown, None),
    ],
)
def test_each_answer_of_kannel_has_its_consequence(
    status: int, body: bytes | None, kind: type, cause: Cause | None
) -> None:
    outcome = answer(status, body)

    assert isinstance(outcome, kind)
    assert getattr(outcome, "cause", None) is cause


# --- whether a call is Kannel's ------------------------------------------------------------------------------


def test_the_token_of_a_secret_lets_in_and_does_not_tell_the_secret() -> None:
    token = kannel_hooks.token("s3cret")

    assert kannel_hooks.verify(token, ["new", "s3cret"])
    assert not kannel_hooks.verify(token, ["new"])
    assert "s3cret" not in token
    assert len(token) == 64


@pytest.mark.parametrize("given", ["", "x", "s3cret", "é", "\ud800", kannel_hooks.token("")])
def test_another_token_does_not(given: str) -> None:
    assert not kannel_hooks.verify(given, ["s3cret", ""])


# --- receipts ------------------------------------------------------------------------------------------------


def reported(status: str, said: str = "") -> Receipt | None:
    address = kannel.query(TEXT, user="u", password="p", callback_url_template=CALLBACK)
    pattern = unquote(address.rpartition("dlr-url=")[2])
    return kannel_hooks.receipt(urlsplit(filled(pattern, {"d": status, "A": said})).query)


@pytest.mark.parametrize(
    ("status", "fate"),
    [("1", Fate.DELIVERED), ("4", Fate.SENT), ("8", Fate.SENT), ("12", Fate.SENT), ("66", Fate.SENT)],
)
def test_each_report_has_its_fate(status: str, fate: Fate) -> None:
    assert reported(status, "ACK/") == Receipt(fate, "m-7.1", None)


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        ("2", "id:1 sub:001 dlvrd:000 stat:UNDELIV err:011 text:", "kannel 2: undelivered (011)"),
        ("34", "", "kannel 34: undelivered"),
        ("16", "NACK/0x0000000b/Invalid Destination Address", "kannel 16: refused by the network (0x0000000b)"),
        ("16", "NACK/12/+13125550188", "kannel 16: refused by the network (12)"),
    ],
)
def test_a_failure_carries_the_networks_code_and_no_number(status: str, said: str, reason: str) -> None:
    found = reported(status, said)
    assert found is not None
    assert replace(found, dead=False) == Receipt(Fate.UNDELIVERED, "m-7.1", None, status, reason)


@pytest.mark.parametrize(
    ("said", "dead"),
    [
        ("NACK/0x0000000b/Invalid Destination Address", True),
        ("NACK/11/Invalid Destination Address", True),
        ("NACK/0x0000000a/Invalid Source Address", False),
        ("NACK/110/", False),
        ("id:1 stat:UNDELIV err:011 text:", False),  # every centre's own
    ],
)
def test_only_the_status_that_blames_the_number_says_that_it_takes_no_texts(said: str, *, dead: bool) -> None:
    found = reported("16", said)
    assert found is not None
    assert found.dead is dead


@pytest.mark.parametrize("status", ["", "0", "x", "-1", "%d", "9" * 5000])
def test_a_report_that_says_nothing_is_no_receipt(status: str) -> None:
    assert kannel_hooks.receipt(f"ref=m-7.1&status={status}") is None


def test_a_report_without_our_reference_is_nobodys() -> None:
    assert kannel_hooks.receipt("status=1") is None


def test_a_repeat_of_a_report_is_known_by_reference_and_status() -> None:
    assert kannel_hooks.known_by("ref=m-7.1&status=8&said=a") == kannel_hooks.known_by("said=b&ref=m-7.1&status=8")
    assert kannel_hooks.known_by("ref=m-7.1&status=8") != kannel_hooks.known_by("ref=m-7.1&status=1")


# --- texts from outside --------------------------------------------------------------------------------------


def came(text: bytes, charset: str = "UTF-8", **further: str) -> Inbound | None:
    values: dict[str, bytes | str] = {
        "p": "+13125550188",
        "P": "+13125550100",
        "b": text,
        "C": charset,
        "I": "6b1f",
        "T": "1795276800",
    }
    return kannel_hooks.inbound(urlsplit(filled(GET_URL, {**values, **further})).query)


def test_a_text_from_outside_is_read() -> None:
    assert came(b"See you then & there") == Inbound(
        known_by="6b1f",
        provider_id="6b1f",
        sender="+13125550188",
        to="+13125550100",
        text="See you then & there",
        at=datetime.fromtimestamp(1_795_276_800, UTC),
    )


@given(
    st.text(st.characters(codec="utf-8"), max_size=60),
    st.sampled_from([("UTF-8", "utf-8"), ("utf-8", "utf-8"), ("UTF-16BE", "utf-16-be")]),
)
def test_any_words_are_read_in_the_charset_that_kannel_names(words: str, charset: tuple[str, str]) -> None:
    text = came(words.encode(charset[1]), charset[0])

    assert text is not None
    assert text.text == words


def test_a_binary_message_is_no_text() -> None:
    assert came(b"\x01\x02", "8-BIT") is None


def test_without_an_id_a_repeat_is_known_by_all_it_says() -> None:
    first, again, other = came(b"Yes", I=""), came(b"Yes", I=""), came(b"No", I="")

    assert first == again
    assert first is not None
    assert other is not None
    assert (first.provider_id, len(first.known_by)) == (None, 64)
    assert first.known_by != other.known_by


@pytest.mark.parametrize("query", ["", "from=1&to=2", "from=&to=2&text=x", "to=2&text=x", "=&=&", "%%%"])
def test_what_lacks_a_number_or_words_is_no_text(query: str) -> None:
    assert kannel_hooks.inbound(query) is None


@given(st.text())
def test_nothing_a_stranger_sends_raises(query: str) -> None:
    kannel_hooks.receipt(query)
    kannel_hooks.inbound(query)
    kannel_hooks.inbound(f"from=1&to=2&text={query}&charset=utf-16be&at=9999999999")
    assert not kannel_hooks.verify(query, ["s3cret"])
