"""What must not stand in a log is masked before a line is written; what is not known to be harmless, too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from hashlib import sha256
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from structlog.typing import EventDict

from control_center.logs.traces import Trace

# Our own words, the same in every installation, in the order in which a line begins.
HEAD: Final = ("timestamp", "level", "event")
# Ids and our own vocabulary: they lead to the data, and are none. A space in one is a sign that it is something else.
IDS: Final = frozenset(
    {
        "studio", "record", "action", "message", "event_id", "attempt", "client",
        "account", "kind", "state", "channel", "type", "loop", "duty", "queue", "exchange", "library", "version",
    }
)  # fmt: skip
LONGEST_ID: Final = 400
# Words to or from a person: only how many characters there were.
WORDS: Final = frozenset({"text", "body", "subject", "words", "html", "content", "sms"})
# Whom it is about: masked whole, whatever it looks like.
WHO: Final = frozenset({"to", "from", "sender", "address", "phone", "number", "email", "recipient", "name"})

# What has many digits and is no number to call, put first so that it is passed over.
_HARMLESS = (
    r"(?<![\d+])(?:19|20|21)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?(?:Z|[+-][0-2]\d:?[0-5]\d)?)?(?![\d-])"
    r"|\b[am]-\d{1,19}(?:\.\d{1,6})?(?![\d-])"
    r"|(?<![\d.])(?!(?:\d\d\.){3}\d\d(?!\d))\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"
)
# Everything has a bound: what strangers send may be quoted here, and without one a long word is looked through again
# from each of its letters on.
_AT = r"(?:@|%40|\uff20)"
_ADDRESS = rf"(?:\"[^\"]{{0,200}}\"|[^\s<>,;:'\"()\[\]]{{0,200}}){_AT}[^\s<>,;'\"()\[\]]*"
_NUMBER = r"\+?\(?\d(?:[\s\-./()_*|~\u00b7\u200b-\u200d\u2010-\u2015\u2060\u2212\ufeff\uff0d]{0,3}\d){6,}"
_SCRUB = re.compile(f"(?P<harmless>{_HARMLESS})|(?P<address>{_ADDRESS})|(?P<number>{_NUMBER})")
_SUSPECT = re.compile(rf"{_AT}|\d(?:\D*\d){{6}}")
# In an id, which may have seven digits and more of its own: what has an @, and what has a + before its digits.
_REACHES = re.compile(rf"[^\s/]+{_AT}[^\s/]*|(?:\+|%2B)\d{{7,15}}(?!\d)", re.IGNORECASE)

_SIGN = re.compile(_AT)
# The words of an exception may quote whatever it choked on: PostgreSQL shows the whole row after DETAIL, others show
# the value in quotes. An apostrophe that is never closed hides the rest.
_OF_AN_EXCEPTION = re.compile(r"\A[A-Z]\w*: ")
_QUOTED = re.compile(r"\s{0,9}DETAIL:.*|(?P<quote>['\"`])(?:(?!(?P=quote)).)*(?:(?P=quote)|\Z)", re.DOTALL)
# Would move the cursor, end the line for some reader, or turn the direction of writing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Masking:
    """A processor that owns the secrets of this process, so that no line ever shows one."""

    def __init__(self, *, secrets: Iterable[str] = (), personal: bool = False) -> None:
        self._personal = personal
        self._held = sorted({one for one in secrets if one}, key=len, reverse=True)
        # A short one is looked for as a word: it would otherwise be found inside of other words.
        patterns = [re.escape(one) if len(one) >= 8 else rf"(?<!\w){re.escape(one)}(?!\w)" for one in self._held]
        self._secrets = re.compile("|".join(patterns))

    def __call__(self, _logger: Any, _method: str, line: EventDict) -> EventDict:
        head = {key: line.pop(key, None) for key in HEAD}
        try:
            return head | {key: self._value(key, value) for key, value in line.items() if value is not None}
        except Exception as error:  # noqa: BLE001 - a value that cannot even be looked at; the line says so instead
            return head | {"masking_failed": type(error).__name__}

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, str):
            return self._string(key, value)
        if value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, int):
            # So many digits, under a name that means nothing to us, may be dialled.
            return value if key in IDS or abs(value) < 10**6 else self._string(key, str(value))
        if isinstance(value, Mapping):
            return {self._string("", str(name)): self._value(str(name), one) for name, one in value.items()}
        if isinstance(value, Trace):
            return "\n".join(f"{frames}{self._string('said', words)}" for frames, words in value.errors)
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._value(key, one) for one in value]
        return self._other(key, value)

    def _other(self, key: str, value: Any) -> Any:
        match value:
            case datetime() | date():
                return value.isoformat()
            case timedelta():
                return value.total_seconds()
            case UUID():
                return str(value)
            case Enum():
                return self._value(key, value.value)
            case PurePath():
                return self._string(key, str(value))
            case BaseException():
                return self._string("said", f"{type(value).__name__}: {value}")
            case bytes() | bytearray() | memoryview():
                return f"<{len(value)} bytes>"
            case _:
                return f"<{type(value).__name__}>"  # its repr may show anything

    def _string(self, key: str, value: str) -> str:
        for secret in self._held:
            if secret in value:
                value = self._secrets.sub("***", value)
        if not self._personal:
            value = _impersonal(key, value)
        return visible(value)


def _impersonal(key: str, value: str) -> str:
    if key in IDS:
        return _id(value)
    if key in WORDS:
        return f"<{len(value)} characters>"
    if key in WHO:
        return _who(value)
    if key == "said" or _OF_AN_EXCEPTION.match(value):
        value = _QUOTED.sub("'***'", value)
    return scrub(value)


def _id(value: str) -> str:
    """An id as it is. Where the CRM's ids are numbers or addresses, a part of their digest tells two of them apart."""
    if " " in value or len(value) > LONGEST_ID:
        return f"<{len(value)} characters>"
    return _REACHES.sub(_fingerprinted, value) if _SUSPECT.search(value) else value


def _fingerprinted(found: re.Match[str]) -> str:
    return f"{_who(found[0])}~{sha256(found[0].encode('utf-8', 'replace')).hexdigest()[:4]}"


def visible(value: str) -> str:
    """The same text with what no terminal may be shown written out by its number."""
    return value if value.isprintable() else _CONTROL.sub(_visible, value)


def scrub(value: str) -> str:
    """The same text with everything that looks like a phone number or an email address masked."""
    return _SCRUB.sub(_masked, value) if _SUSPECT.search(value) else value


def _masked(found: re.Match[str]) -> str:
    return found[0] if found.lastgroup == "harmless" else _who(found[0])


def _who(value: str) -> str:
    """The domain of an address, the last two digits of a number: enough to tell two apart, too little to reach one."""
    pieces = _SIGN.split(value)
    if len(pieces) > 1 and pieces[0]:
        return f"***@{pieces[-1]}" if not _SUSPECT.search(pieces[-1]) else "***"
    digits = [character for character in value if character.isdigit()]
    return f"***{''.join(digits[-2:])}" if len(digits) >= 7 else "***"


def _visible(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
