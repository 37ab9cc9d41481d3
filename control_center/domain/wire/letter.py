"""What is read out of a mail's bytes, whoever sent them: addresses, words, and what its writer added to ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses
from itertools import islice
from typing import Any, Final

from control_center.domain import number
from control_center.domain.inbound import readable
from control_center.domain.visible_html import visible
from control_center.domain.wire import mime_reader

LONGEST: Final = 100_000  # characters of a mail's words that are kept
_ADDRESSES: Final = 200  # that are read of one mail: to spell one as messages spell it takes a while …
_NAMING: Final = 20  # … in so many headers: to take a long one apart takes as long
_TO: Final = ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To")
_QUOTE: Final = re.compile(
    r"(?:on|am|le|el|op|il)\b.{4,300}\b(?:wrote|schrieb.*|a écrit|escribió|schreef.*|ha scritto)\s*:?"
    r"|-{2,}\s*(?:original message|ursprüngliche nachricht|forwarded message|message d.origine|mensaje original)\s*-+"
    r"|_{10,}|(?:from|von|de)\s*:\s.*@.*",
    re.IGNORECASE,
)
_SENT_FROM: Final = re.compile(
    r"(?:sent from my|get outlook for|von meinem|envoyé de mon|enviado desde)\b.*", re.IGNORECASE
)
_ANSWERS: Final = re.compile(r"\s*(?:re|aw|sv|rv|fw|fwd|wg|tr)\s*:", re.IGNORECASE)


def parse(raw: bytes) -> Message:
    """A mail taken apart. Of one whose parts are beyond reading its headers, and words that say so."""
    try:
        return mime_reader.read(raw)
    except mime_reader.Unreadable as error:
        mail = mime_reader.head(raw)
        mail.set_payload(f"[Its words could not be read: {error}.]")
        return mail


def header(mail: Message, name: str) -> str:
    """A header on one line, decoded as far as that goes; empty where there is none."""
    value = mail.get(name)
    if value is None:
        return ""
    try:
        pieces = [_decoded(piece, charset) for piece, charset in decode_header(value)]
    except (HeaderParseError, ValueError, LookupError):
        pieces = [str(value)]
    return " ".join("".join(char if char.isprintable() else " " for char in "".join(pieces)).split())


def _decoded(piece: str | bytes, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    try:
        return readable(piece.decode(mime_reader.charset(charset or "ascii"), "replace"))
    except (LookupError, ValueError):  # a charset that there is not, or that decodes other things than mails
        return piece.decode("latin-1")


def sender(mail: Message) -> str | None:
    """The address that it says it is from, as messages spell addresses; None for none, or several."""
    found = list(_addresses(mail.get_all("From", [])))
    return found[0] if len(set(found)) == 1 else None


def receivers(mail: Message) -> tuple[str, ...]:
    """The addresses that it went to, as far as it says so."""
    return tuple(dict.fromkeys(_addresses([one for name in _TO for one in mail.get_all(name, [])])))


def _addresses(values: Iterable[Any]) -> Iterator[str]:
    named = (address for value in islice(values, _NAMING) for address in _named(str(value)) if address)
    for address in islice(named, _ADDRESSES):
        spelled = number.email(address)
        if isinstance(spelled, str):
            yield spelled.lower()


def _named(value: str) -> list[str]:
    try:
        return [address for _, address in getaddresses([value])]
    except (RecursionError, IndexError):  # comments in comments, which anybody may write: no address stands there
        return []


def parts(mail: Message, wanted: str) -> Iterator[Message]:
    """Its parts of one type, itself among them."""
    try:
        yield from (part for part in mail.walk() if part.get_content_type() == wanted)
    except RecursionError:
        return


def outer(mail: Message, wanted: str) -> Iterator[Message]:
    """Its parts of one type, and none of a mail that it encloses, which somebody else wrote."""
    left = [mail]
    while left:
        part = left.pop()
        if part.get_content_type() == wanted:
            yield part
        elif part.get_content_maintype() == "multipart" and part.is_multipart():
            left += [one for one in part.get_payload() if isinstance(one, Message)][::-1]


def words(mail: Message) -> str:
    """What a reader sees of it as text: its plain part, else its HTML without tags."""
    plain = next((_content(part) for part in outer(mail, "text/plain") if not _is_file(part)), None)
    if plain is None or not plain.strip():
        html = next((_content(part) for part in outer(mail, "text/html") if not _is_file(part)), None)
        plain = visible(html[: 4 * LONGEST]) if html is not None else plain or ""
    return plain.replace("\r\n", "\n").replace("\0", "\ufffd").strip()[:LONGEST]


def _is_file(part: Message) -> bool:
    return part.get_content_disposition() == "attachment"


def _content(part: Message) -> str:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    return _decoded(raw, part.get_content_charset("utf-8"))


def own(text: str) -> str:
    """What its writer wrote: without what is quoted, and without what a phone or a signature adds."""
    kept: list[str] = []
    for line in text.split("\n"):
        bare = line.strip()
        if line.rstrip() == "--" or _QUOTE.fullmatch(bare):
            break
        if not bare.startswith(">") and not _SENT_FROM.fullmatch(bare):
            kept.append(line)
    return "\n".join(kept).strip()


def answers(subject: str) -> bool:
    """Whether a subject is that of the mail which is answered, and not its writer's."""
    return _ANSWERS.match(subject) is not None
