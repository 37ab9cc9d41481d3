"""What answers of HTTP providers have in common: a wait they ask for, JSON that may be anything, their words."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

LONGEST_WAIT = timedelta(days=1)  # beyond that a Retry-After is a mistake, not a request

_T = TypeVar("_T")

# The escapes of JSON, from left to right: a letter in two halves, a half that stands alone, any other.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)


def wait(retry_after: str | None, at: datetime) -> timedelta | None:
    """Retry-After as a length of time: seconds, or an HTTP date counted from `at`."""
    if retry_after is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", retry_after.strip()):
        return min(timedelta(seconds=int(retry_after)), LONGEST_WAIT)
    until = instant(retry_after)
    return None if until is None else min(max(until - at, timedelta()), LONGEST_WAIT)


def instant(rfc_2822: str) -> datetime | None:
    """A date as mail and HTTP write it; None where it is none, or says no zone."""
    try:
        found = parsedate_to_datetime(rfc_2822)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else None


def timestamp(iso: str | None) -> datetime | None:
    """An instant as JSON writes it; None where it is none, says no zone, or cannot be of a text."""
    try:
        found = datetime.fromisoformat(iso or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None and 2000 <= found.year < 2200 else None


def quoted(words: str) -> str:
    """A provider's words fit for a log and a page: one line, short, without phone numbers."""
    line = "".join(char if char.isprintable() else " " for char in words)
    return re.sub(r"[0-9]{5,}", "…", line)[:200].strip()


def decoded(body: bytes | None, shape: type[_T]) -> _T | None:
    """The body as that shape, or None: deep nesting, wrong types and no UTF-8 are an answer not understood."""
    try:
        return msgspec.json.decode(body or b"", type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def told(body: bytes, shape: type[_T]) -> _T | None:
    """A call's body as that shape, or None; one letter that is none does not make the rest unreadable.

    Half an emoji, where a phone or a gateway has cut a text, is no JSON that a strict reader takes; nor is Latin-1.
    """
    found = decoded(body, shape)
    if found is not None:
        return found
    text = body.decode("utf-8", "replace")
    return decoded(_ESCAPE.sub(lambda one: "\ufffd" if one["half"] else one[0], text).encode(), shape)
