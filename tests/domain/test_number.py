"""Numbers and addresses: one spelling, or a reason."""

from __future__ import annotations

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from control_center.domain import number
from control_center.domain.number import Phone, Unusable

FULL_WIDTH = "\uff08\uff13\uff11\uff12\uff09\uff15\uff15\uff15\uff0d\uff10\uff11\uff18\uff18"


@pytest.mark.parametrize(
    ("typed", "country", "e164"),
    [
        ("(312) 555-0188", "US", "+13125550188"),
        ("312.555.0188", "US", "+13125550188"),
        ("1 312 555 0188", "US", "+13125550188"),
        ("+1 312-555-0188", "DE", "+13125550188"),
        (FULL_WIDTH, "US", "+13125550188"),
        ("tel:+1-312-555-0188", "GB", "+13125550188"),
        ("312-555-0188 ext. 12", "US", "+13125550188"),
        ("07700 900123", "GB", "+447700900123"),
        ("+61 491 570 156", "US", "+61491570156"),
        ("0491 570 156", "AU", "+61491570156"),
        ("030 901820", "DE", "+4930901820"),
        ("06 698 12345", "IT", "+390669812345"),
    ],
)
def test_a_number_is_spelt_in_e164_by_the_studios_country_or_its_own(typed: str, country: str, e164: str) -> None:
    found = number.phone(typed, country)
    assert isinstance(found, Phone)
    assert (found.e164, found.typed) == (e164, typed)


@pytest.mark.parametrize(
    ("typed", "country", "reason"),
    [
        ("", "US", "no phone number"),
        ("none", "US", "letters in the number"),
        ("555-0188", "US", "the area code is missing"),
        ("312 555 018", "US", "too few digits"),
        ("312-555-0188/312-555-0199", "US", "too many digits"),
        ("312-555-0188 312-555", "US", "too many digits"),
        ("312-555-0188;3125550199", "US", "more than one number"),
        ("(312) 555-0 Ada", "US", "letters in the number"),
        ("cell 312-555-0188", "US", "letters in the number"),
        ("312-555-0188\n+13125550199", "US", "a control character in the number"),
        ("312-555-0188", "", "no country code: write it with + and the country code"),
        ("+999 312 555 0188", "US", "no country code: write it with + and the country code"),
        ("3" * 500, "US", "longer than any phone number"),
    ],
)
def test_a_number_that_cannot_be_spelt_is_refused_with_the_reason(typed: str, country: str, reason: str) -> None:
    assert number.phone(typed, country) == Unusable(reason)


@pytest.mark.parametrize(
    ("typed", "valid"), [("(312) 555-0188", True), ("+447700900123", False), ("+15555550188", False)]
)
def test_a_number_that_is_only_possible_is_taken_and_marked(typed: str, *, valid: bool) -> None:
    found = number.phone(typed, "US")
    assert isinstance(found, Phone)
    assert found.valid is valid


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("800-555-0188", "a toll-free number"),
        ("+1 500 555 0006", "a personal number"),
        ("+1 900 234 5678", "a premium-rate number"),
        ("+44 800 111 1111", "a toll-free number"),
    ],
)
def test_no_text_goes_to_toll_free_personal_or_premium_numbers(typed: str, kind: str) -> None:
    refused = number.phone(typed, "US")
    assert isinstance(refused, Unusable)
    assert kind in refused.reason


def test_a_toll_free_number_of_our_own_may_be_spelt() -> None:
    found = number.phone("800-555-0188", "US", recipient=False)
    assert isinstance(found, Phone)
    assert (found.e164, found.barred) == ("+18005550188", "a toll-free number")


def by_the_library(typed: str, country: str) -> tuple[str, bool] | None:
    try:
        parsed = phonenumbers.parse(typed, country)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return e164, phonenumbers.is_valid_number(parsed)


REGIONS = st.sampled_from(["US", "CA", "BS", "PR", "GB", "DE", "IT", "AU", "MX", "BR", "JP", ""])
WRITTEN = st.builds(
    "{}{}{}{}{}{}{}{}".format,
    st.sampled_from(["", "+1", "1", "+1 ", "1-", "+", " "]),
    st.sampled_from(["", "(", " ", "-"]),
    st.from_regex(r"\A[0-9]{3}\Z"),
    st.sampled_from(["", ")", ") ", "-", "."]),
    st.from_regex(r"\A[0-9]{3}\Z"),
    st.sampled_from(["", "-", " ", ".", "  "]),
    st.from_regex(r"\A[0-9]{4}\Z"),
    st.sampled_from(["", " ", "0"]),
)
LOOSE = st.text("0123456789+-() ./", max_size=20)


@given(WRITTEN | LOOSE, REGIONS)
@example("+1(312)555-0188", "DE")
@example("1(242)555-0188", "CA")
def test_the_short_way_for_north_america_finds_what_the_library_finds(typed: str, country: str) -> None:
    found = number.phone(typed, country, recipient=False)
    expected = by_the_library(typed, country)
    assert (None if isinstance(found, Unusable) else (found.e164, found.valid)) == expected


@given(st.text(max_size=40), REGIONS)
def test_whatever_is_typed_gives_e164_or_a_reason(typed: str, country: str) -> None:
    found = number.phone(typed, country)
    if isinstance(found, Phone):
        again = number.phone(found.e164, "")
        assert isinstance(again, Phone)
        assert again.e164 == found.e164
    else:
        assert found.reason


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("jo@mail.example", "jo@mail.example"),
        (" jo@mail.example ", "jo@mail.example"),
        ("Jo.Park@MAIL.Example", "Jo.Park@mail.example"),
        ("jo+tag@studio.test", "jo+tag@studio.test"),
        ("jo@b\u00fccher.example", "jo@xn--bcher-kva.example"),
        ("o'neil@mail.example", "o'neil@mail.example"),
    ],
)
def test_an_address_is_spelt_as_it_goes_on_the_wire(typed: str, address: str) -> None:
    assert number.email(typed) == address


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "jo",
        "jo@",
        "@mail.example",
        "jo@mail",
        "j\u00f8@mail.example",
        "Jo <jo@mail.example>",
        "jo@mail.example, kim@mail.example",
        "jo@mail.example\nBcc: kim@mail.example",
        "jo@mail.example\u2028",
        '"jo park"@mail.example',
        "jo@[192.0.2.1]",
        "jo..park@mail.example",
        "jo@localhost",
        "jo@printer.local",
        "x" * 65 + "@mail.example",
        "x" * 400 + "@mail.example",
    ],
)
def test_an_address_that_cannot_be_written_to_is_refused_with_a_reason(typed: str) -> None:
    found = number.email(typed)
    assert isinstance(found, Unusable)
    assert found.reason


LABEL = st.text("abcxyz019-", min_size=1, max_size=12)
DOMAIN = st.lists(LABEL | st.sampled_from(["local", "test", "xn--bcher-kva", "com", "example"]), max_size=4)
ADDRESS = st.builds(lambda local, domain: f"{local}@{'.'.join(domain)}", st.text("abcXYZ019._+-'", max_size=12), DOMAIN)


@given(ADDRESS)
@example("www@a.local")
@example("a@b.localhost")
def test_the_short_way_for_plain_addresses_finds_what_the_library_finds(typed: str) -> None:
    try:
        expected: str | None = validate_email(
            typed, allow_smtputf8=False, check_deliverability=False, test_environment=True
        ).ascii_email
    except EmailNotValidError:
        expected = None
    found = number.email(typed)
    assert (None if isinstance(found, Unusable) else found) == expected


@given(st.text(max_size=60) | ADDRESS)
def test_no_address_carries_a_character_that_could_end_a_header(typed: str) -> None:
    found = number.email(typed)
    if isinstance(found, str):
        assert found.isascii()
        assert found.isprintable()
        assert " " not in found


@pytest.mark.parametrize(
    ("e164", "shown"),
    [
        ("+13125550188", "+1…88"),
        ("+447700900123", "+44…23"),
        ("+35312345678", "+353…78"),
        ("+1312", "…"),
        ("12345", "…"),
        ("jo", "…"),
        ("", "…"),
    ],
)
def test_a_log_shows_country_code_and_two_digits(e164: str, shown: str) -> None:
    assert number.mask_phone(e164) == shown


@pytest.mark.parametrize(
    ("address", "shown"), [("jo@mail.example", "…@mail.example"), ("jo", "…"), ("a@b@c.example", "…@c.example")]
)
def test_a_log_shows_the_domain_of_an_address_only(address: str, shown: str) -> None:
    assert number.mask_email(address) == shown


@pytest.mark.parametrize(
    ("e164", "others", "named"),
    [
        ("+13125550188", (), None),
        ("+14165550188", (), "CA"),
        ("+14165550188", ("GB", "CA"), None),
        ("+442079460018", (), "GB"),
        ("+18765550188", (), "JM"),  # dear, and reads like a number of the studio's own country
        ("+447700900123", (), "a country that the numbering plan does not know"),
        ("+15555550188", (), None),  # no such area: as good as its own
    ],
)
def test_only_the_studios_own_country_is_texted_and_those_that_are_switched_on(
    e164: str, others: tuple[str, ...], named: str | None
) -> None:
    reason = number.foreign(e164, "US", others)

    assert reason == (named and f"country: {e164} is of {named}, which is not switched on in sms.countries")
