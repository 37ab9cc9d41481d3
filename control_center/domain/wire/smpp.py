"""SMPP 3.4: how a text is cut into submissions, what a status proves, and what a delivery from the centre says.

Each part of a long text is a submission of its own, and none can be found again once its answer is lost. So a text is
accepted when all its parts are; where one is not after another was, nobody may send it again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal

from control_center.domain.inbound import Inbound
from control_center.domain.outcome import (
    Accepted,
    Blocked,
    Cause,
    Fate,
    NotSent,
    Outcome,
    Receipt,
    Refused,
    Stage,
    Text,
    Unknown,
)
from control_center.domain.sms import segments
from control_center.domain.wire.smpp_ids import numbers

MOST_PARTS: Final = 255  # of one text: what says more is no part of any, and nobody counts up to it
UDH: Final = 0x40  # in esm_class: the words begin with a header
RECEIPT, INTERMEDIATE = 0x04, 0x20  # in esm_class: what kind of delivery it is
_KIND: Final = 0x3C
LONGEST: Final = timedelta(days=7)  # what networks keep a text for, at most

# Tags of optional parameters.
SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER = 0x020C, 0x020E, 0x020F
RECEIPTED_ID, MESSAGE_STATE, PAYLOAD = 0x001E, 0x0427, 0x0424

OK: Final = 0x00
TRY_LATER: Final = 0x64  # what we answer a delivery with that we could not store …
REFUSED: Final = 0x65  # … or could not read

# What each status proves of a submission: it is an answer, and so, whatever else, the text was not taken. Those left
# out are refusals of the text; codes of a vendor's own, from 0x400 on, are such, too.
_LATER: Final[Mapping[int, str]] = {
    0x04: "not bound as it must be",
    0x08: "the centre has a fault",
    0x14: "its queue is full",
    0x45: "submission failed",
    0x58: "more than it takes",
    0x64: "a passing fault",
}
_ACCOUNT: Final[Mapping[int, str]] = {
    0x05: "bound already",
    0x0D: "it does not let us in",
    0x0E: "the password is wrong",
    0x0F: "the system id is wrong",
    0x53: "the system type is wrong",
}
_RECIPIENT: Final[Mapping[int, str]] = {0x0B: "no such number"}
_ROUTE: Final[Mapping[int, str]] = {  # what this centre wants to be told of a number, and not the number
    0x33: "it takes no number of ours",
    0x50: "the number's type is wrong",
    0x51: "the number's plan is wrong",
}
_REFUSED: Final[Mapping[int, str]] = {
    0x01: "too long",
    0x0A: "the sender is not allowed",
    0x48: "the sender's type is wrong",
    0x49: "the sender's plan is wrong",
    0x65: "refused for good",
    0x66: "refused",
}
_UNSURE: Final = 0xFF  # the centre itself does not know


@dataclass(frozen=True, slots=True)
class Part:
    """One submission: its words, their alphabet, and the header that says which part of the whole it is."""

    text: str
    encoding: Literal["gsm7", "ucs2"]
    header: bytes


def parts(text: str, reference: int) -> tuple[Part, ...]:
    """Cut a text as it is counted. `reference` from 0 to 255 is common to its parts."""
    found = segments(text)
    headers = [bytes((5, 0, 3, reference, found.count, number)) for number in range(1, found.count + 1)]
    if found.count == 1:
        headers = [b""]
    return tuple(Part(part, found.encoding, header) for part, header in zip(found.parts, headers, strict=True))


def validity(text: Text) -> timedelta:
    """How long the centre may try for, none of it after the use-by but the first minute."""
    return min(max(text.expires_at - text.at, timedelta(minutes=1)), LONGEST)


def outcome(status: int, message_id: str) -> Outcome:
    """What the answer to one submission proves."""
    code = f"0x{status:02X}"
    if status == OK:
        return Accepted(message_id or None, 1)
    if status in _LATER:
        return NotSent(f"smpp: {_LATER[status]}", code)
    if status in _ACCOUNT:
        return Blocked(f"smpp: {_ACCOUNT[status]}", code)
    if status in _RECIPIENT:
        return Refused(f"smpp: {_RECIPIENT[status]}", Cause.RECIPIENT, code)
    if status in _ROUTE:
        return Refused(f"smpp: {_ROUTE[status]}", Cause.ROUTE, code)
    if status == _UNSURE:
        return Unknown("smpp: the centre says that it does not know", Stage.ANSWERED, code)
    return Refused(f"smpp: {_REFUSED.get(status, 'refused')}", Cause.CONTENT, code)


def unwritable(reason: str) -> Outcome:
    """A text that no submission can carry: an address too long, a letter that its alphabet has not."""
    return Refused(f"smpp: {reason}", Cause.CONTENT)


def together(outcomes: Sequence[Outcome], count: int) -> Outcome:
    """What a text has come to whose parts were submitted in order, up to the first that was not accepted.

    The id is the last part's: of all, it is the one whose arrival makes the text whole.
    """
    last = outcomes[-1]
    if isinstance(last, Accepted):
        return Accepted(last.provider_id, count)
    if len(outcomes) == 1 or isinstance(last, Unknown):
        return last
    reason = f"{last.reason} (part {len(outcomes)} of {count}, after {len(outcomes) - 1} were taken)"
    return Unknown(reason, Stage.ANSWERED, last.code)


# Deliveries ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Delivered:
    """A deliver_sm, read: `words` are decoded and without their header, `tags` are its optional parameters."""

    sender: str
    to: str
    esm_class: int
    words: str
    tags: Mapping[int, bytes]
    header: bytes = b""

    @property
    def is_receipt(self) -> bool:
        return self.esm_class & _KIND in (RECEIPT, INTERMEDIATE)

    @property
    def part(self) -> tuple[int, int, int] | None:
        """Of one part of a longer text: the reference, how many there are, and which it is, from 1."""
        found = _sar(self.tags) or _concatenated(self.header)
        return found if found is not None and 1 < found[1] <= MOST_PARTS and 1 <= found[2] <= found[1] else None


def _sar(tags: Mapping[int, bytes]) -> tuple[int, int, int] | None:
    if not all(0 < len(tags.get(tag, b"")) <= 2 for tag in (SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER)):
        return None
    return int.from_bytes(tags[SAR_REFERENCE]), int.from_bytes(tags[SAR_TOTAL]), int.from_bytes(tags[SAR_NUMBER])


def _concatenated(header: bytes) -> tuple[int, int, int] | None:
    """Of a header's elements the one that says so, with a reference of one octet or of two."""
    place = 1
    while place + 2 <= len(header):
        name, length = header[place], header[place + 1]
        element = header[place + 2 : place + 2 + length]
        if len(element) == length and (name, length) in ((0, 3), (8, 4)):
            return int.from_bytes(element[:-2]), element[-2], element[-1]
        place += 2 + length
    return None


_FATES: Final[Mapping[str, Fate]] = {
    "DELIVRD": Fate.DELIVERED,
    "EXPIRED": Fate.UNDELIVERED,
    "DELETED": Fate.UNDELIVERED,
    "UNDELIV": Fate.UNDELIVERED,
    "REJECTD": Fate.UNDELIVERED,
    "ACCEPTD": Fate.SENT,
    "ENROUTE": Fate.SENT,
    "UNKNOWN": Fate.SENT,  # the network lost sight of it: it was taken, and nothing more is proven
}
_STATES: Final = ("", "ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD")


def receipt(came: Delivered) -> Receipt | None:
    """What a receipt says, by its optional parameters where it has them, else by its words; None where it says nothing.

    Its words are `id:… sub:… dlvrd:… submit date:… done date:… stat:… err:… text:…`, more or less.
    """
    said = came.words.partition("ext:")[0]  # `text:` or `Text:` is the client's own, and may say anything
    state = _tag(came.tags, MESSAGE_STATE)
    number = state[0] if state else 0
    word = _STATES[number] if 0 < number < len(_STATES) else _word(said, "stat").upper()[:7]
    known = _tag(came.tags, RECEIPTED_ID).rstrip(b"\0").decode("latin-1") or _word(said, "id")
    fate = _FATES.get(word)
    if fate is None or not known:
        return None
    if fate is Fate.UNDELIVERED and came.esm_class & _KIND == INTERMEDIATE:
        fate = Fate.SENT  # of one try: the centre goes on trying
    between = numbers(came.sender, came.to)  # one of them is the recipient; centres differ in which
    if fate is not Fate.UNDELIVERED:
        return Receipt(fate, None, known, numbers=between)
    code = _word(said, "err") or word
    return Receipt(fate, None, known, code, f"smpp: {word}", numbers=between)


def _tag(tags: Mapping[int, bytes], tag: int) -> bytes:
    return tags.get(tag, b"")


def _word(said: str, name: str) -> str:
    found = re.search(rf"\b{name}:\s?([!-~]{{1,65}})", said, re.IGNORECASE)
    return found[1] if found else ""


def receipt_known_by(said: Receipt) -> str:
    """What a repeat of a receipt has in common with it."""
    return f"{said.reference or said.provider_id} {said.fate.value} {said.code or ''}".strip()


def inbound(came: Delivered, *, at: datetime, sequence: int, session: str) -> Inbound:
    """A text from outside, or a part of one, that came as delivery `sequence` of our `session`.

    SMPP gives it no name. Words alone would not do: the same ones may be said twice, with others between.
    """
    known = sha256(f"{session} {sequence} {came.sender} {came.to} {came.words}".encode("utf-8", "replace")).hexdigest()
    return Inbound(f"smpp {known[:40]}", None, came.sender, came.to, came.words, at)


def whole(found: Mapping[int, Inbound], total: int) -> Inbound:
    """The text that these parts make, by their numbers; one that never came is told of."""
    first = found[min(found)]
    words = "".join(found[number].text if number in found else " […] " for number in range(1, total + 1))
    return Inbound(first.known_by, None, first.sender, first.to, words, first.at, segments=total)
