"""Whose number a text comes from, whatever its provider leaves out."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain.caller import caller


@pytest.mark.parametrize(
    ("typed", "country", "number"),
    [
        ("+13125550188", "GB", "+13125550188"),
        (" 13125550188 ", "US", "+13125550188"),
        ("3125550188", "US", "+13125550188"),
        ("6465551234", "US", "+16465551234"),  # New York; also a number that New Zealand may give
        ("6045551234", "CA", "+16045551234"),
        ("447700900123", "US", "+447700900123"),
        ("447700900123", "GB", "+447700900123"),
        ("07700900123", "GB", "+447700900123"),
        ("4915112345678", "DE", "+4915112345678"),
        ("015112345678", "DE", "+4915112345678"),
        ("33612345678", "DE", "+33612345678"),  # of Germany it would be written with a zero
        ("612345678", "ES", "+34612345678"),
        ("3125550188", None, "+3125550188"),
        ("312-555-0188", "US", "+13125550188"),  # as people, and the gateways that people write, spell it
        ("(312) 555-0188", "US", "+13125550188"),
        ("312.555.0188", "US", "+13125550188"),
        ("1 (312) 555-0188", "US", "+13125550188"),
        ("tel:+13125550188", "US", "+13125550188"),
        ("07700 900123", "GB", "+447700900123"),
        ("0013125550188", "US", "+13125550188"),  # what most of the world dials for a plus, and message centres write
        ("00447700900123", "US", "+447700900123"),
        ("01113125550188", "US", "+13125550188"),
        ("0013125550188", None, "+13125550188"),
        ("+5215512345678", "US", "+525512345678"),  # Mexico dropped the 1 of its mobile numbers; carriers write it
        ("5215512345678", "US", "+525512345678"),
        ("+525512345678", "US", "+525512345678"),
        ("22395", "US", "22395"),
        ("22395", "DE", "22395"),
        ("LAKESIDE", "US", "LAKESIDE"),
        ("", "US", ""),
    ],
)
def test_a_sender_is_spelled_as_messages_are(typed: str, country: str | None, number: str) -> None:
    assert caller(typed, country) == number


@pytest.mark.parametrize("country", ["US", "CA", "GB", "DE", "FR", "ES", "PL", "DK", "AU", "BR", "IT"])
def test_a_mobile_number_of_the_studios_country_is_found_with_and_without_its_plus(country: str) -> None:
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
    dialled = "".join(letter for letter in national if letter.isdigit())

    assert {caller(typed, country) for typed in (number, number[1:], dialled)} == {number}


@settings(deadline=None)
@given(st.text(max_size=20), st.sampled_from([None, "US", "DE", "ZZ"]))
def test_whatever_a_provider_writes_is_a_sender(typed: str, country: str | None) -> None:
    assert caller(caller(typed, country)) == caller(typed, country)
