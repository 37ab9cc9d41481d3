"""SMPP's bytes: what we write is written by aiosmpplib, what we read is read here.

Centres differ in what they write. That library refuses a delivery whose status, type or receipt it does not know, and
what is refused is lost; here nothing is asked of a delivery but that its fields can be told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import unpack_from
from typing import Final

from aiosmpplib import (  # type: ignore[import-untyped]  # it has annotations and no marker
    NPI,
    TON,
    BindTransceiver,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    GSM7BitCodec,
    PhoneNumber,
    SmppCommandStatus,
    SubmitSm,
    Unbind,
    UnbindResp,
)

from control_center.domain.inbound import LONGEST_NAME
from control_center.domain.outcome import Text
from control_center.domain.wire.smpp import PAYLOAD, UDH, Delivered, Part, validity

HEADER: Final = 16
LARGEST: Final = 64 * 1024
ANSWER: Final = 0x80000000  # this bit of a command says that it answers one

SUBMIT, DELIVER, UNBIND, ALERT = 0x00000004, 0x00000005, 0x00000006, 0x00000102

_GSM = GSM7BitCodec()
_CODINGS: Final = {1: "ascii", 3: "latin-1", 6: "iso8859-5", 7: "iso8859-8", 8: "utf-16-be"}


class GarbledError(Exception):
    """What came is no SMPP: the connection cannot be read any further."""


@dataclass(frozen=True, slots=True)
class Pdu:
    """One unit, its fields still in bytes."""

    command: int
    status: int
    sequence: int
    body: bytes

    @property
    def text(self) -> str:
        """The first field, of those that begin with a text: an id, a name."""
        return self.body.partition(b"\0")[0].decode("latin-1")


def length_of(header: bytes) -> int:
    """How many bytes follow the first four. Raises GarbledError."""
    (length,) = unpack_from("!I", header)
    if not HEADER <= length <= LARGEST:
        raise GarbledError(f"a unit of {length} bytes")
    return int(length) - 4


def read(rest: bytes) -> Pdu:
    """A unit from what follows its length."""
    command, status, sequence = unpack_from("!III", rest)
    return Pdu(command, status, sequence, rest[12:])


# Written ---------------------------------------------------------------------------------------------------------


def bind(sequence: int, *, system_id: str, password: str, system_type: str) -> bytes:
    return bytes(
        BindTransceiver(sequence_num=sequence, system_id=system_id, password=password, system_type=system_type).pdu()
    )


def submit(sequence: int, text: Text, part: Part) -> bytes:
    """One part of a text. Its alphabet is the one we counted with; a receipt is asked for whatever becomes of it."""
    unit = SubmitSm(
        sequence_num=sequence,
        short_message=part.text,
        source=_number(text.sender),
        destination=_number(text.to),
        esm_class=UDH if part.header else 0,
        validity_period=validity(text),
        registered_delivery=1,
        encoding="ucs2" if part.encoding == "ucs2" else None,
    )
    words = part.text.encode("utf-16-be") if part.encoding == "ucs2" else _GSM.encode(part.text)[0]
    unit.set_encoded_message(part.header + words)
    return bytes(unit.pdu())


def _number(written: str) -> PhoneNumber:
    """E.164 without its plus, as international; a short code as it is; a name as such."""
    if written.startswith("+"):
        return PhoneNumber(written[1:], TON.INTERNATIONAL, NPI.ISDN)
    if written.isdigit():
        return PhoneNumber(written, TON.UNKNOWN, NPI.ISDN)
    return PhoneNumber(written, TON.ALPHANUMERIC, NPI.UNKNOWN)


def enquire(sequence: int) -> bytes:
    return bytes(EnquireLink(sequence).pdu())


def unbind(sequence: int) -> bytes:
    return bytes(Unbind(sequence).pdu())


def answer(pdu: Pdu, status: int = 0) -> bytes:
    """What a request of the centre is answered with."""
    said = SmppCommandStatus(status)
    match pdu.command:
        case 0x00000005:
            return bytes(DeliverSmResp(sequence_num=pdu.sequence, command_status=said).pdu())
        case 0x00000015:
            return bytes(EnquireLinkResp(pdu.sequence).pdu())
        case 0x00000006:
            return bytes(UnbindResp(pdu.sequence).pdu())
        case _:
            return bytes(GenericNack(sequence_num=pdu.sequence, command_status=SmppCommandStatus(0x03)).pdu())


# Read ------------------------------------------------------------------------------------------------------------


class _Fields:
    """The fields of a body, one after the other."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def text(self) -> str:
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise GarbledError("a text without its end")
        found, self._at = self._body[self._at : end], end + 1
        return found.decode("latin-1")

    def take(self, length: int) -> bytes:
        found = self._body[self._at : self._at + length]
        if len(found) < length:
            raise GarbledError("it ends within a field")
        self._at += length
        return found

    def byte(self) -> int:
        return self.take(1)[0]

    def tags(self) -> dict[int, bytes]:
        found = {}
        while self._at + 4 <= len(self._body):
            tag, length = unpack_from("!HH", self.take(4))
            found[tag] = self.take(length)
        return found


def delivered(pdu: Pdu) -> Delivered:
    """What a deliver_sm says. Raises GarbledError."""
    fields = _Fields(pdu.body)
    fields.text()  # service type
    fields.take(2)
    sender = fields.text()[:LONGEST_NAME]
    fields.take(2)
    to = fields.text()[:LONGEST_NAME]
    esm_class = fields.byte()
    fields.take(2)  # protocol, priority
    fields.text()  # scheduled
    fields.text()  # validity
    fields.take(2)  # registered, replaces
    coding = fields.byte()
    fields.byte()  # canned message
    raw = fields.take(fields.byte())
    tags = fields.tags()
    raw = raw or tags.get(PAYLOAD, b"")
    cut = raw[0] + 1 if esm_class & UDH and raw else 0
    return Delivered(sender, to, esm_class, _decoded(raw[cut:], coding), tags, raw[:cut])


def _decoded(words: bytes, coding: int) -> str:
    """The alphabet of the centre is GSM's; whatever is in none that we know is shown as far as it can be."""
    if coding in _CODINGS:
        return words.decode(_CODINGS[coding], "replace")
    if coding == 0 and all(octet < 0x80 for octet in words):
        return str(_GSM.decode(words, "replace")[0])
    return words.decode("latin-1")
