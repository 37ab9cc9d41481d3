"""The letters of a text message: what fits the 7-bit alphabet, how long it is, and where a phone cuts it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

LONGEST = 1600  # characters that providers take in one request
MOST_PARTS = 10  # a text in more parts is a letter, and is paid for like one

# GSM 03.38, its default alphabet in the order of its table, without the escape code at 0x1B.
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
# Its extension table: each is sent as an escape code and a letter, two units that may not be parted.
_EXTENSION = "\f^{}\\[~]|€"

_GSM = re.compile(f"[{re.escape(_BASIC + _EXTENSION)}]*")
_ESCAPED = re.compile(f"[{re.escape(_EXTENSION)}]")
_SURROGATES = re.compile("[\U00010000-\U0010ffff]")  # what UTF-16 needs two units for

_GSM_ONE, _GSM_EACH = 160, 153  # septets in a single part, and in each of several
_UCS_ONE, _UCS_EACH = 70, 67  # UTF-16 units likewise: 140 octets, less a header of 6

_FORBIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Segments:
    """How a text travels. `units` are septets or UTF-16 units in all; `parts` joined are the text."""

    encoding: Literal["gsm7", "ucs2"]
    units: int
    parts: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many messages a carrier counts, and bills."""
        return len(self.parts)


def segments(text: str) -> Segments:
    """Cut a text as a phone will: never inside an escaped letter, never inside a surrogate pair.

    One character outside the 7-bit alphabet turns the whole text into UCS-2. An empty text has no parts.
    """
    gsm = _GSM.fullmatch(text) is not None
    wide = _ESCAPED if gsm else _SURROGATES
    units = len(text) + len(wide.findall(text))
    parts: tuple[str, ...] = (text,) if text else ()
    if units > (_GSM_ONE if gsm else _UCS_ONE):
        parts = tuple(_cut(text, wide, _GSM_EACH if gsm else _UCS_EACH))
    return Segments("gsm7" if gsm else "ucs2", units, parts)


def _cut(text: str, wide: re.Pattern[str], room: int) -> Iterator[str]:
    start = filled = 0
    for place, character in enumerate(text):
        width = 2 if wide.match(character) else 1
        if filled + width > room:
            yield text[start:place]
            start, filled = place, 0
        filled += width
    yield text[start:]


def width(letter: str) -> int:
    """How many units of the 7-bit alphabet a letter takes: one or two; 0 where it does not fit."""
    if _GSM.fullmatch(letter) is None:
        return 0
    return 2 if _ESCAPED.match(letter) else 1


def refusal(text: str) -> str | None:
    """Why this text may not go out, or None. Meant for text that `plain` has been through."""
    if found := _FORBIDDEN.search(text):
        return f"a control character (U+{ord(found[0]):04X}) at character {found.start() + 1}"
    if not text.strip():
        return "the text is empty"
    if len(text) > LONGEST:
        return f"{len(text)} characters; at most {LONGEST}"
    if (count := segments(text).count) > MOST_PARTS:
        return f"{count} parts; at most {MOST_PARTS}"
    return None


# Typography that word processors and phones put in unasked, and that would turn a text into UCS-2. Only marks
# whose plain form says the same: letters with accents are names, and are left alone.
PLAIN: Final[Mapping[str, str]] = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2035\u00b4`", "'"),
    **dict.fromkeys("\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u02ba\u02ee\u2033\u2036\u3003", '"'),
    **dict.fromkeys("\u2039", "<"),
    **dict.fromkeys("\u203a", ">"),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d", "-"),
    **dict.fromkeys("\u2022\u2023\u2219\u25aa\u25cf\u25e6\u2027\u30fb\u00b7", "-"),
    **dict.fromkeys("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a", " "),
    **dict.fromkeys("\u202f\u205f\u3000\t", " "),
    **dict.fromkeys("\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a\u202b\u202c\u202d\u202e", ""),
    **dict.fromkeys("\u2028\u2029\r", "\n"),
    **dict.fromkeys("\u2044\u2215\u29f8", "/"),
    **dict.fromkeys("\u2217\u204e\u22c6", "*"),
    "\u2024": ".",
    "\u2025": "..",
    "\u2026": "...",
    "\u203c": "!!",
    "\u2047": "??",
    "\u2048": "?!",
    "\u2049": "!?",
    "\u00a6": "|",
    "\u2236": ":",
    "\u00d7": "x",
    "\u00bc": "1/4",
    "\u00bd": "1/2",
    "\u00be": "3/4",
    "\u2116": "No.",
    "\u2122": "(TM)",
    "\u00ae": "(R)",
    "\u00a9": "(C)",
    "\u2120": "(SM)",
    "\ufb00": "ff",
    "\ufb01": "fi",
    "\ufb02": "fl",
    "\ufb03": "ffi",
    "\ufb04": "ffl",
}
_TABLE = str.maketrans(dict(PLAIN))
_UNTIDY = re.compile("[\r\t`]")  # what the table changes in plain ASCII


def plain(text: str) -> str:
    """Write a text as it will be sent and shown: plain marks, accents composed, lines ended by LF.

    Done by us and before counting, so that preview, cost and stored text are what leaves.
    """
    if text.isascii() and not _UNTIDY.search(text):
        return text
    composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    # Again, because a letter and its accent may have been kept apart by something invisible.
    return unicodedata.normalize("NFC", composed.translate(_TABLE))
