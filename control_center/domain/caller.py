"""Whose number a text comes from, as messages spell numbers."""

from __future__ import annotations

import re
from typing import Final

import phonenumbers

from control_center.domain.number import Phone, phone

_NUMBER: Final = re.compile(r"\+?[0-9]+")
_BETWEEN: Final = re.compile(r"[\s().\-/\u2010-\u2015]")  # what people put between digits
_ABROAD: Final = "00"  # what most of the world dials for a plus
_DIALLED: Final = re.compile(r"[0-9]{7,15}")  # shorter ones are short codes, which are nobody's telephone


def caller(typed: str, country: str | None = None) -> str:
    """A sender's number in E.164; what is no telephone's (a short code, a name) as it is.

    Most providers write the country code, some of them without the plus; message centres may write a number as it is
    dialled at home, in `country`, where the text came in. `3125550188` is of Chicago in the United States, and would
    else be one of the Netherlands, whose STOP nobody would find again.
    """
    bare = _bare(typed)
    abroad = phone(bare if bare.startswith("+") else f"+{bare}", "ZZ", recipient=False)
    home = phone(bare, country, recipient=False) if country and _DIALLED.fullmatch(bare) else None
    if isinstance(home, Phone) and isinstance(abroad, Phone):
        return (home if _is_home(home, abroad, country) else abroad).e164
    dialled = phone(f"+{bare.removeprefix(_ABROAD)}", "ZZ", recipient=False) if bare.startswith(_ABROAD) else None
    return next((one.e164 for one in (abroad, home, dialled) if isinstance(one, Phone)), bare)


def _bare(typed: str) -> str:
    """The digits of what is written as a telephone number, with their plus; anything else as it is."""
    digits = _BETWEEN.sub("", typed.strip().removeprefix("tel:"))
    return digits if _NUMBER.fullmatch(digits) else typed.strip()


def _is_home(home: Phone, abroad: Phone, country: str | None) -> bool:
    """Which of two readings is meant: the one that somebody can have, and of two such the one that is written so."""
    if abroad.valid and home.valid:
        return abroad.region != country and _as_dialled(home.e164) == home.typed
    return home.valid


def _as_dialled(e164: str) -> str:
    """A number as it is written at home, which in many countries begins with a zero."""
    national = phonenumbers.format_number(phonenumbers.parse(e164), phonenumbers.PhoneNumberFormat.NATIONAL)
    return re.sub(r"[^0-9]", "", national)
