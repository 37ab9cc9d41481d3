"""Takes apart what comes in MIME: mails, and the forms that programs send. Whoever wrote it, it comes to an end soon.

Python's own parser asks every line whether it ends one of the parts that it stands in, and makes an object of every
part: a mail of a third of a megabyte, four hundred parts within parts, takes it seconds. It is read as far as lines
times levels stay bounded, so that what is merely large is read and what is built to be slow is not.
"""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32, Policy
from itertools import islice
from typing import Any, Final

_LONGEST_HEADER: Final = 8_000  # characters of one header: what reads headers may take the square of their length …
_LONGEST_OF_A_PART: Final = 1_000  # … and a mail has any number of parts, each with headers of its own
LINES: Final = 250_000  # that are read: somewhat more than 16 MiB have that are attached
PARTS: Final = 5_000  # a digest of a list has hundreds
_WORK: Final = 2_500_000  # lines times levels, which is about a second: eleven levels of the longest mail
_HEAD: Final = 64 * 1024  # bytes of a mail whose parts are not read

_TOO_MANY: Final = "it has too many {}"
_LINE: Final = re.compile(rb"\r\n|\r|\n")

# Charsets that Python alone has, and no mail is in. Two of them take the square of a text's length, one warns.
_OF_PYTHON: Final = frozenset({"idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined", "mbcs", "oem"})


class Unreadable(ValueError):  # noqa: N818 - nothing went wrong here: it is how what came is
    """It has too many parts, or too many within each other, or nobody can tell where they end."""


def charset(name: str) -> str:
    """A charset that a mail names, as Python calls it. Raises LookupError, and ValueError for what is no name."""
    known = codecs.lookup(name).name
    return "latin-1" if known.replace("-", "_") in _OF_PYTHON else known


class _Part(Message):
    """A part that is in no charset of Python's alone: the library decodes by whatever charset it says."""

    def get_param(self, param: str, failobj: Any = None, header: str = "content-type", unquote: bool = True) -> Any:  # noqa: FBT001, FBT002 - the library's
        found = super().get_param(param, failobj, header, unquote)
        if param.lower() != "charset" or not isinstance(found, str):
            return found
        with suppress(LookupError, ValueError):
            return charset(found)
        return found

    def get_content_charset(self, failobj: Any = None) -> Any:
        found = super().get_content_charset(failobj)
        with suppress(LookupError, ValueError, TypeError):
            return charset(found)
        return found


class _Bounded(Compat32):
    """Reads headers as the library does, and no more of one than anybody has a reason to write."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[: _LONGEST_OF_A_PART if name.lower().startswith("content-") else _LONGEST_HEADER]


class _Counting(_Bounded):
    """Gives up past `levels` parts that have parts, and past `PARTS` of all."""

    _left: dict[str, int]

    def __init__(self, levels: int) -> None:
        super().__init__()
        object.__setattr__(self, "_left", {"parts": PARTS, "levels": levels})  # a policy takes nothing but its options
        object.__setattr__(self, "message_factory", self._part)

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        if name.lower() == "content-type" and "multipart/" in value.lower():
            self._spend("levels")
        return name, value

    def _part(self, policy: Policy[Message]) -> Message:
        self._spend("parts")
        return _Part(policy)

    def _spend(self, what: str) -> None:
        self._left[what] -= 1
        if self._left[what] < 0:
            raise Unreadable(_TOO_MANY.format(what))


def read(raw: bytes, *, levels: int | None = None) -> Message:
    """All of it, taken apart. `levels` is how many parts may have parts: without it as many as its length allows.

    What comes after `LINES` is not read. Raises Unreadable.
    """
    text = _beginning(raw)
    affordable = _WORK // (_lines(text) + 1)
    try:
        return BytesParser(policy=_Counting(affordable if levels is None else levels)).parsebytes(text)
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable(_TOO_MANY.format("levels")) from None
    except (ValueError, LookupError):
        raise Unreadable("nobody can tell where its parts end") from None


def head(raw: bytes) -> Message:
    """Its headers, without those that say what it consists of: who it is from and to, and what about."""
    found = BytesParser(policy=_Bounded()).parsebytes(raw[:_HEAD], headersonly=True)
    for name in [name for name in found if name.lower().startswith("content-")]:
        del found[name]
    return found


def _beginning(raw: bytes) -> bytes:
    if _lines(raw) <= LINES:
        return raw
    ends = next(islice(_LINE.finditer(raw), LINES, None), None)
    return raw if ends is None else raw[: ends.end()]


def _lines(raw: bytes) -> int:
    return raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n")
