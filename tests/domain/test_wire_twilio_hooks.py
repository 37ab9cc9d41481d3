"""Twilio's signature, held against Twilio's own validator, and what a callback says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from control_center.domain.inbound import Answered, Inbound
from control_center.domain.outcome import Fate, Receipt
from control_center.domain.wire.twilio_hooks import inbound, receipt, verify

URL = "https://studio.example/hooks/sms/twilio/default/status?ref=m-7.1"
PARAMS = [("MessageSid", "SM1"), ("MessageStatus", "delivered"), ("To", "+13125550188")]
SECRET = "12345"

words = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
params = st.lists(st.tuples(st.sampled_from(["To", "From", "Body", "to"]) | names, words), max_size=8)
segments = st.text("abcXYZ019-._~%", max_size=8)
urls = st.builds(
    "{}://{}{}/{}?ref={}".format,
    st.sampled_from(["https", "http"]),
    st.from_regex(r"[a-z]{1,8}(\.[a-z]{2,5}){0,2}", fullmatch=True),
    st.sampled_from(["", ":8484", ":443", ":80"]),
    segments,
    segments,
)


def sign(url: str = URL, fields: list[tuple[str, str]] = PARAMS, secret: str = SECRET) -> str:
    signed: str = RequestValidator(secret).compute_signature(url, MultiDict(fields))
    return signed


@given(urls, params, st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_what_twilio_signs_is_believed(url: str, fields: list[tuple[str, str]], secret: str) -> None:
    assert verify(sign(url, fields, secret), url, fields, [secret])


@given(urls, urls, params, params)
def test_we_believe_exactly_what_twilios_own_validator_believes(
    signed_url: str, url: str, signed: list[tuple[str, str]], fields: list[tuple[str, str]]
) -> None:
    signature = sign(signed_url, signed)

    assert verify(signature, url, fields, [SECRET]) == RequestValidator(SECRET).validate(
        url, MultiDict(fields), signature
    )


@given(params, st.randoms())
def test_the_order_in_which_fields_arrive_does_not_matter(fields: list[tuple[str, str]], random: object) -> None:
    shuffled = list(fields)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert verify(sign(fields=fields), URL, shuffled, [SECRET])


def test_repeated_names_count_with_their_distinct_values() -> None:
    fields = [("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "b")]

    assert verify(sign(fields=[("MediaUrl", "a"), ("MediaUrl", "b")]), URL, fields, [SECRET])
    assert not verify(sign(fields=[("MediaUrl", "a")]), URL, fields, [SECRET])


@pytest.mark.parametrize("signed", ["https://studio.example:443/x?a=1", "https://studio.example/x?a=1"])
@pytest.mark.parametrize("called", ["https://studio.example:443/x?a=1", "https://studio.example/x?a=1"])
def test_the_port_may_be_there_or_not(signed: str, called: str) -> None:
    assert verify(sign(signed), called, PARAMS, [SECRET])


def test_several_secrets_are_active_while_one_replaces_another() -> None:
    assert verify(sign(secret="old"), URL, PARAMS, ["new", "old"])
    assert not verify(sign(secret="older"), URL, PARAMS, ["new", "old"])


@pytest.mark.parametrize(
    "signature", ["", "x", sign()[:-1], sign() + "=", sign().lower(), "é" * 28, "\ud800", sign(secret="other")]
)
def test_a_forged_or_damaged_signature_is_refused(signature: str) -> None:
    assert not verify(signature, URL, PARAMS, [SECRET])


def test_without_a_secret_nothing_is_believed() -> None:
    assert not verify(sign(), URL, PARAMS, [])
    assert not verify(sign(secret=""), URL, PARAMS, [""])


@pytest.mark.parametrize(
    "changed",
    [PARAMS[:-1], [*PARAMS, ("New", "1")], [("MessageSid", "SM2"), *PARAMS[1:]]],
)
def test_every_field_counts_known_or_not(changed: list[tuple[str, str]]) -> None:
    assert not verify(sign(), URL, changed, [SECRET])


@given(st.text(), st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=3))
def test_nothing_a_stranger_sends_raises(signature: str, url: str, fields: list[tuple[str, str]]) -> None:
    assert not verify(signature, url, fields, [SECRET])


# --- receipts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        ("accepted", Fate.SENT),
        ("queued", Fate.SENT),
        ("sending", Fate.SENT),
        ("sent", Fate.SENT),
        ("delivered", Fate.DELIVERED),
        ("read", Fate.DELIVERED),
        ("undelivered", Fate.UNDELIVERED),
        ("failed", Fate.UNDELIVERED),
    ],
)
def test_each_status_has_its_fate(status: str, fate: Fate) -> None:
    assert receipt([("MessageSid", "SM1"), ("MessageStatus", status)], "m-7.1") == Receipt(fate, "m-7.1", "SM1")


def test_a_failure_carries_twilios_code() -> None:
    said = receipt([("MessageSid", "SM1"), ("MessageStatus", "undelivered"), ("ErrorCode", "30006")], "m-7.1")

    assert said == Receipt(
        Fate.UNDELIVERED,
        "m-7.1",
        "SM1",
        "30006",
        "twilio 30006: a landline, or its carrier cannot be reached",
        dead=True,
    )


@pytest.mark.parametrize(
    ("code", "dead"), [("30005", True), ("21614", True), ("30003", False), ("21408", False), ("30008", False)]
)
def test_only_a_code_that_blames_the_number_says_that_it_takes_no_texts(code: str, *, dead: bool) -> None:
    said = receipt([("MessageSid", "SM1"), ("MessageStatus", "undelivered"), ("ErrorCode", code)], "m-7.1")

    assert said is not None
    assert said.dead is dead


@pytest.mark.parametrize(
    ("code", "opted_out"), [("21610", True), ("30004", False), ("30007", False), ("9" * 5000, False)]
)
def test_only_the_code_that_means_it_is_an_opt_out(code: str, *, opted_out: bool) -> None:
    said = receipt([("MessageSid", "SM1"), ("MessageStatus", "failed"), ("ErrorCode", code)], "m-7.1")

    assert said is not None
    assert (said.opted_out, said.blocked) == (opted_out, False)


@pytest.mark.parametrize("code", ["30032", "30034", "63038"])
def test_a_code_of_the_account_says_that_nothing_else_gets_through(code: str) -> None:
    said = receipt([("MessageSid", "SM1"), ("MessageStatus", "undelivered"), ("ErrorCode", code)], "m-7.1")

    assert said is not None
    assert said.blocked


@pytest.mark.parametrize(
    "fields", [[], [("MessageSid", "SM1")], [("MessageSid", "SM1"), ("MessageStatus", "received")]]
)
def test_a_callback_that_says_nothing_of_ours_is_no_receipt(fields: list[tuple[str, str]]) -> None:
    assert receipt(fields, "m-7.1") is None


def test_a_receipt_needs_an_id_or_our_reference() -> None:
    assert receipt([("MessageStatus", "sent")], None) is None
    assert receipt([("MessageStatus", "sent")], "m-7.1") == Receipt(Fate.SENT, "m-7.1", None)
    assert receipt([("SmsStatus", "sent"), ("SmsSid", "SM1")], None) == Receipt(Fate.SENT, None, "SM1")


# --- texts from outside --------------------------------------------------------------------------------------

CAME = {
    "MessageSid": "SM9",
    "SmsSid": "SM9",
    "SmsMessageSid": "SM9",
    "SmsStatus": "received",
    "AccountSid": "AC1",
    "From": "+13125550188",
    "To": "+13125550100",
    "Body": "See you then",
    "NumMedia": "0",
    "NumSegments": "1",
    "FromCity": "CHICAGO",
}


def came(**fields: str) -> Inbound | None:
    return inbound([*{**CAME, **fields}.items()])


def test_a_text_from_outside_is_read() -> None:
    assert came() == Inbound("SM9", "SM9", "+13125550188", "+13125550100", "See you then", segments=1)


def test_pictures_come_as_addresses_and_no_more_than_are_told() -> None:
    text = came(Body="", NumMedia="2", MediaUrl0="https://m/0", MediaUrl1="https://m/1", MediaUrl2="https://m/2")

    assert text is not None
    assert (text.text, text.media) == ("", ("https://m/0", "https://m/1"))


@pytest.mark.parametrize(
    ("fields", "answered"),
    [
        ({"Body": "no more of this", "OptOutType": "STOP"}, Answered.STOP),
        ({"Body": "Join", "OptOutType": "START"}, Answered.START),
        ({"Body": "?", "OptOutType": "HELP"}, Answered.HELP),
        ({"Body": " Stop "}, Answered.STOP),
        ({"Body": "unsubscribe"}, Answered.STOP),
        ({"Body": "UNSTOP"}, Answered.START),
        ({"Body": "info"}, Answered.HELP),
        ({"Body": "Stop please"}, None),  # Twilio takes only the single word
        ({"Body": "YES"}, None),
        ({"Body": "stop", "OptOutType": "SOMETHING"}, None),
    ],
)
def test_what_twilio_answers_by_itself_is_said(fields: dict[str, str], answered: Answered | None) -> None:
    text = came(**fields)

    assert text is not None
    assert text.answered is answered


@pytest.mark.parametrize("missing", ["From", "To", "Body"])
def test_what_lacks_a_number_or_words_is_no_text(missing: str) -> None:
    assert inbound([(name, value) for name, value in CAME.items() if name != missing]) is None


def test_a_call_is_either_a_receipt_or_a_text() -> None:
    status = [("MessageSid", "SM1"), ("MessageStatus", "sent"), ("From", "+1"), ("To", "+2"), ("Body", "x")]

    assert inbound(status) is None
    assert receipt([*CAME.items()], None) is None


@pytest.mark.parametrize("count", ["", "-1", "many", "9" * 5000, "\u0663"])
def test_a_count_that_is_none_counts_nothing(count: str) -> None:
    text = came(NumMedia=count, NumSegments=count)

    assert text is not None
    assert (text.media, text.segments) == ((), None)
