"""What a phone makes of a text: alphabet, length, cuts."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from control_center.domain import sms

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
GSM = st.text(st.sampled_from(BASIC + EXTENSION), max_size=400)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def lengths(text: str) -> tuple[int, ...]:
    return tuple(len(part) for part in sms.segments(text).parts)


def units_of(part: str, encoding: str) -> int:
    if encoding == "gsm7":
        return sum(2 if character in EXTENSION else 1 for character in part)
    return len(part.encode("utf-16-le")) // 2


def test_the_alphabet_is_the_137_characters_of_gsm_03_38() -> None:
    in_alphabet = {chr(code) for code in range(0x10000) if sms.segments(chr(code)).encoding == "gsm7"}
    assert in_alphabet == set(BASIC) | set(EXTENSION)
    assert len(in_alphabet) == 137


@pytest.mark.parametrize("character", "ç`\x1b\u2019\u00a0😀")
def test_one_character_outside_the_alphabet_turns_the_whole_text_into_ucs2(character: str) -> None:
    assert sms.segments("plain " + character).encoding == "ucs2"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("a" * 160, (160,)),
        ("a" * 161, (153, 8)),
        ("a" * 306, (153, 153)),
        ("a" * 307, (153, 153, 1)),
        ("я" * 70, (70,)),
        ("я" * 71, (67, 4)),
        ("€" * 80, (80,)),
        ("€" * 81, (76, 5)),
        ("a" * 152 + "€" + "b" * 10, (152, 11)),
        ("😀" * 35, (35,)),
        ("😀" * 36, (33, 3)),
    ],
)
def test_a_text_is_cut_where_a_phone_cuts_it(text: str, parts: tuple[int, ...]) -> None:
    assert lengths(text) == parts


@pytest.mark.parametrize(
    ("text", "units"), [("€", 2), ("[x]", 5), ("a\r\nb", 4), ("😀", 2), ("я", 1), ("👨‍👩‍👧", 8), ("🇺🇸", 4)]
)
def test_units_are_what_each_character_costs(text: str, units: int) -> None:
    assert sms.segments(text).units == units


@given(GSM | ANY)
@example("€" * 81)
@example("😀" * 36)
def test_the_parts_joined_are_the_text_and_none_is_longer_than_allowed(text: str) -> None:
    found = sms.segments(text)
    one, each = (160, 153) if found.encoding == "gsm7" else (70, 67)
    sizes = [units_of(part, found.encoding) for part in found.parts]

    assert "".join(found.parts) == text
    assert sum(sizes) == found.units
    assert found.count == len(sizes)
    assert all(0 < size <= (one if len(sizes) == 1 else each) for size in sizes)
    # No part is cut short: what starts the next one would not have fitted.
    for size, following in zip(sizes, found.parts[1:], strict=False):
        assert size + units_of(following[0], found.encoding) > each


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("\u201cHi\u201d \u2013 it\u2019s 5\u2026 \u2022 yes", '"Hi" - it\'s 5... - yes'),
        ("9\u00a0am\u2009sharp\u200b", "9 am sharp"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("`code`\tx", "'code' x"),
        ("Cafe\u0301", "Café"),
        ("½ price™", "1/2 price(TM)"),
    ],
)
def test_typography_is_written_in_plain_marks(typed: str, sent: str) -> None:
    assert sms.plain(typed) == sent
    assert sms.segments(sent).encoding == "gsm7"


@pytest.mark.parametrize("text", ["François", "Жанна", "Zoë 👩‍👧", "Łódź"])
def test_letters_of_a_name_are_left_alone(text: str) -> None:
    assert sms.plain(text) == text


@given(ANY)
@example("e\u200b\u0301")
@example("\u1fef")
def test_plain_text_is_plain(text: str) -> None:
    assert sms.plain(sms.plain(text)) == sms.plain(text)


@given(st.text(st.sampled_from(BASIC.replace("\r", "") + EXTENSION), max_size=200))
def test_what_fits_the_alphabet_is_not_changed(text: str) -> None:
    assert sms.plain(text) == text


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x07", "\r", "\f", "\x7f", "\x85", "\ud800"])
def test_control_characters_are_refused_by_code_and_place(character: str) -> None:
    refused = sms.refusal("ab" + character)
    assert refused == f"a control character (U+{ord(character):04X}) at character 3"


def test_a_newline_may_go_out() -> None:
    assert sms.refusal("one\ntwo") is None


def test_an_empty_text_is_refused() -> None:
    assert sms.refusal(" \n") == "the text is empty"


def test_a_text_longer_than_a_provider_takes_is_refused() -> None:
    assert sms.refusal("a" * 1530) is None
    assert sms.refusal("a" * 1531) == "11 parts; at most 10"
    assert sms.refusal("a" * 1601) == "1601 characters; at most 1600"
    assert sms.refusal("я" * 671) == "11 parts; at most 10"
