"""Kannel's calls to us, which are plain GETs: whether one is Kannel's, and what it says.

Kannel signs nothing. It is known by a token in the address that we hand it, so that address is to be kept from others
and called over HTTPS or inside a private network.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import unquote_plus, unquote_to_bytes

from control_center.domain.inbound import Inbound
from control_center.domain.outcome import Fate, Receipt

_DELIVERED, _FAILED, _REFUSED, _ON_ITS_WAY, _UNSURE = 1, 2, 16, 4 | 8, 64
_CHARSETS = {"UTF-8": "utf-8", "US-ASCII": "ascii", "ISO-8859-1": "latin-1", "WINDOWS-1252": "cp1252"}
# 0x0B of SMPP, with which the centre refused; an `err:` is its vendor's own.
_NO_SUCH_NUMBER = re.compile(r"\bNACK/(?:0x0*[bB]|11)(?![0-9a-zA-Z])")
_BINARY = "8-BIT"  # what a telephone sends to a telephone: no text
_CHARSETS |= dict.fromkeys(("UTF-16BE", "UTF-16", "UCS-2"), "utf-16-be")


def token(secret: str) -> str:
    """What the address of our hooks carries: made of the password of sendsms, and not telling it."""
    return hmac.digest(secret.encode(), b"kannel", "sha256").hex()


def verify(given: str, secrets: Sequence[str]) -> bool:
    """Whether the token is of one of our secrets. Takes the same time whichever; an empty secret never fits."""
    said = given.encode("utf-8", "surrogatepass")
    matches = [hmac.compare_digest(said, token(secret).encode("ascii")) for secret in secrets if secret]
    return any(matches)


def receipt(query: str) -> Receipt | None:
    """What a report says, by the query of its address (`ref`, `status`, `said`); None where it says nothing."""
    fields = _fields(query)
    reference, status = _text(fields, "ref"), _text(fields, "status")
    fate = _fate(int(status)) if re.fullmatch(r"[0-9]{1,4}", status) else None
    if fate is None or not reference:
        return None
    if fate is not Fate.UNDELIVERED:
        return Receipt(fate, reference, None)
    what = "refused by the network" if int(status) & _REFUSED else "undelivered"
    words = _text(fields, "said")
    dead = _NO_SUCH_NUMBER.search(words) is not None
    return Receipt(fate, reference, None, status, f"kannel {status}: {what}{_answer(words)}", dead=dead)


def known_by(query: str) -> str:
    """What a repeat of this report has in common with it."""
    fields = _fields(query)
    return f"{_text(fields, 'ref')} {_text(fields, 'status')}"


def _fate(status: int) -> Fate | None:
    """By bits: a failure that is an expiry is 34. One whose end the network does not know is 66, and proves nothing."""
    if status & _DELIVERED:
        return Fate.DELIVERED
    if status & _UNSURE:
        return Fate.SENT
    if status & (_FAILED | _REFUSED):
        return Fate.UNDELIVERED
    return Fate.SENT if status & _ON_ITS_WAY else None


def _answer(words: str) -> str:
    """The code that the network refused with, of words such as `NACK/0x0000000b/Invalid Destination Address`."""
    found = re.search(r"err:([0-9A-Za-z]{1,4})\b|NACK/(0x[0-9a-fA-F]{1,8}|[0-9]{1,4})", words)
    return f" ({found[1] or found[2]})" if found else ""


def inbound(query: str) -> Inbound | None:
    """A text from outside, by the query of its address; None where it is not one.

    The address in Kannel's `get-url` is
    `…?token=…&from=%p&to=%P&text=%b&charset=%C&id=%I&at=%T`.
    """
    fields = _fields(query)
    sender, to, at = _text(fields, "from"), _text(fields, "to"), _text(fields, "at")
    charset = _text(fields, "charset").upper() or "UTF-8"
    if not sender or not to or "text" not in fields or charset == _BINARY:
        return None
    return Inbound(
        known_by=_text(fields, "id") or hashlib.sha256(query.encode("utf-8", "surrogatepass")).hexdigest(),
        provider_id=_text(fields, "id") or None,
        sender=sender,
        to=to,
        text=_words(fields["text"], charset),
        at=datetime.fromtimestamp(int(at), UTC) if re.fullmatch(r"[0-9]{9,10}", at) else None,
    )


def _words(said: bytes, charset: str) -> str:
    """A text in the charset that is named, or as far as it can be read: what we do not know is no reason to lose it."""
    if charset in _CHARSETS:
        return said.decode(_CHARSETS[charset], "replace")
    try:
        return said.decode("utf-8")
    except UnicodeDecodeError:
        return said.decode("latin-1")


def _fields(query: str) -> dict[str, bytes]:
    """The fields as bytes: only the charset beside it says what those of a text stand for."""
    pairs = (pair.partition("=") for pair in query.split("&"))
    return {
        unquote_plus(name): unquote_to_bytes(value.replace("+", " ").encode("utf-8", "surrogatepass"))
        for name, _, value in pairs
    }


def _text(fields: dict[str, bytes], name: str) -> str:
    return fields.get(name, b"").decode("utf-8", "replace").strip()
