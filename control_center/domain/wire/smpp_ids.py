"""One text, called otherwise in the answer to it than in its receipt: many centres count in hex and tell in decimal.

Which way round a centre has it is written nowhere, and a number may be read in both bases. So another spelling alone
names no text: the receipt must also be of a text to that very number (`store.receipts.TAKE_OUT`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from control_center.domain.caller import caller

_NUMBER: Final = re.compile(r"[0-9A-Fa-f]{1,40}")
_WORD: Final = re.compile(r"[!-~]{1,65}")
_LARGEST: Final = 2**64  # what centres count with; more digits are a name, and no count
_WIDTHS: Final = (8, 10, 12, 16, 20)  # to which counts are filled up with zeros
_SHORTEST: Final = 7  # digits of a telephone number


def spellings(known: str) -> tuple[str, ...]:
    """How else the same id may have been spelled, without the spelling that it has."""
    if not _WORD.fullmatch(known):
        return ()
    found = [known.lower(), known.upper()]
    if _NUMBER.fullmatch(known):
        bases = (10, 16) if known.isdigit() else (16,)
        for number in dict.fromkeys(int(known, base) for base in bases):
            if number < _LARGEST:
                found += _written(number)
    return tuple(one for one in dict.fromkeys(found) if one != known)


def _written(number: int) -> Iterator[str]:
    """A count in either base, as long as it is, of whole octets, or filled up."""
    for plain in (f"{number}", f"{number:x}", f"{number:X}"):
        widths = dict.fromkeys((len(plain), len(plain) + len(plain) % 2, *_WIDTHS))
        yield from (plain.rjust(width, "0") for width in widths if width >= len(plain))


def numbers(*said: str) -> tuple[str, ...]:
    """The telephone numbers that a receipt names, by their digits: whose text it is about is one of them."""
    digits = [re.sub(r"[^0-9]", "", one).lstrip("0") for name in said for one in (name, caller(name))]
    return tuple(one for one in dict.fromkeys(digits) if len(one) >= _SHORTEST)
