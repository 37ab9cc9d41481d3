"""What comes in over a provider's or the broker's wire, for fuzzing: webhooks, SMPP units, AMQP properties."""

from __future__ import annotations

import asyncio
import atexit
import base64
import hmac
import json
import struct
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import pamqp.frame
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pamqp.exceptions import PAMQPException

from control_center.crm import properties
from control_center.domain.wire import kannel_hooks, smpp
from control_center.web import Account
from control_center.web.hooks.providers import READERS, Brought, Call
from tests.support.hostile import HOSTILE, Surface, storable
from tests.support.values import NOW
from workers.sms import smpp_pdus
from workers.sms.smpp import _part
from workers.sms.smpp_session import Session

properties.be_lenient()

# SMPP -------------------------------------------------------------------------------------------------------


def c(text: str) -> bytes:
    return text.encode() + b"\0"


def deliver(words_: bytes, *, esm: int = 0, coding: int = 0, tags: bytes = b"", sender: str = "13125550188") -> bytes:
    body = (
        c("")
        + b"\x01\x01"
        + c(sender)
        + b"\x01\x01"
        + c("13125550100")
        + bytes([esm, 0, 0])
        + c("")
        + c("")
        + bytes([0, 0, coding, 0])
    )
    body += bytes([len(words_)]) + words_ + tags
    return (16 + len(body)).to_bytes(4) + b"\0\0\0\x05" + b"\0\0\0\0" + b"\0\0\0\x07" + body


def tag(number: int, value: bytes) -> bytes:
    return number.to_bytes(2) + len(value).to_bytes(2) + value


RECEIPT: Final = (
    b"id:abc123 sub:001 dlvrd:001 submit date:2611211604 done date:2611211605 stat:DELIVRD err:000 text:hello"
)
PDUS: Final = (
    deliver(b"Yes please"),
    deliver("größer ✓".encode("utf-16-be"), coding=8),
    deliver(RECEIPT, esm=4),
    deliver(
        RECEIPT.replace(b"DELIVRD", b"UNDELIV").replace(b"000", b"045"),
        esm=4,
        tags=tag(0x001E, b"abc123\0") + tag(0x0427, b"\x05"),
    ),
    deliver(b"\x05\x00\x03\x2a\x02\x01first half", esm=0x40),
    deliver(b"\x06\x08\x04\x01\x2a\x02\x02second", esm=0x40),
    deliver(b"", tags=tag(0x0424, b"a long payload " * 20)),
    deliver(b"part", tags=tag(0x020C, b"\0\x01") + tag(0x020E, b"\x02") + tag(0x020F, b"\x01")),
    b"\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\x09",
    b"\0\0\0\x10\0\0\0\x06\0\0\0\0\0\0\0\x09",
    b"\0\0\0\x10\x80\0\0\0\0\0\0\x03\0\0\0\x09",
    b"\0\0\0\x1a\x80\0\0\x04\0\0\0\0\0\0\0\x09msg-id-1\0\0",
    b"\0\0\0\x10\0\0\x01\x02\0\0\0\0\0\0\0\x09",
)


def a_pdu(raw: bytes) -> Any:
    """What a session does with what it reads, up to what is handed on to be kept and the answer that goes back."""
    smpp_pdus.length_of(raw[:4].ljust(4, b"\0"))
    unit = smpp_pdus.read(raw[4:].ljust(12, b"\0"))
    storable(unit.text)
    if unit.command & smpp_pdus.ANSWER:
        storable(smpp.outcome(unit.status, unit.text))
        return None
    if unit.command != smpp_pdus.DELIVER:
        if unit.command != smpp_pdus.ALERT:
            smpp_pdus.answer(unit)
        return None
    try:
        came = smpp_pdus.delivered(unit)
    except smpp_pdus.GarbledError:
        smpp_pdus.answer(unit, smpp.REFUSED)
        raise
    smpp_pdus.answer(unit)
    if came.is_receipt:
        receipt = smpp.receipt(came)
        return None if receipt is None else (None, None, (smpp.receipt_known_by(receipt), receipt))
    text = smpp.inbound(came, at=NOW, sequence=unit.sequence, session="s")
    part = _part(came)
    if part is not None:
        text = smpp.whole({part[1]: text}, part[2])
    return text, part, None


class _Wire:
    """Where a session writes to; what it wrote is not looked at."""

    def write(self, data: bytes) -> None:
        assert data

    def close(self) -> None:
        pass


_LOOP: Final = asyncio.new_event_loop()
atexit.register(_LOOP.close)


def a_stream(raw: bytes) -> None:
    """A session reads a whole stream of units, however cut, and ends with it; deliveries are answered."""

    async def read() -> None:
        reader = asyncio.StreamReader()
        session = Session(reader, _Wire(), "s", delivered)  # type: ignore[arg-type]  # it writes and closes, no more
        reader.feed_data(raw)
        reader.feed_eof()
        await session.ended.wait()
        await session.close()
        assert session.reason

    async def delivered(unit: smpp_pdus.Pdu, _: Session) -> int:
        try:
            smpp_pdus.delivered(unit)
        except smpp_pdus.GarbledError:
            return smpp.REFUSED
        return smpp.OK

    _LOOP.run_until_complete(read())


def several_pdus(chance: Random) -> bytes:
    return b"".join(chance.choice(PDUS) for _ in range(chance.randrange(1, 6)))


# Webhooks ---------------------------------------------------------------------------------------------------

SECRET: Final = "a-secret-of-the-provider"
KEY: Final = Ed25519PrivateKey.from_private_bytes(b"a key that signs Telnyx's calls.")
URL: Final = "https://control.studio.example/hooks/sms/x/default/inbound"
ACCOUNTS: Final[Mapping[str, Account]] = {
    "twilio": Account("sms/default", "twilio", "AC1", (SECRET,)),
    "telnyx": Account("sms/default", "telnyx", "", (base64.b64encode(KEY.public_key().public_bytes_raw()).decode(),)),
    "kannel": Account("sms/default", "kannel", "", (SECRET,)),
    "http": Account("sms/default", "http", "", (SECRET,)),
}
_AT: Final = str(int(NOW.timestamp()))


def by_twilio(body: bytes) -> Call:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="surrogateescape")
    except UnicodeDecodeError:
        pairs = []
    fields: dict[str, set[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, set()).add(value)
    signed = URL + "".join(name + value for name in sorted(fields) for value in sorted(fields[name]))
    digest = hmac.digest(SECRET.encode(), signed.encode("utf-8", "surrogateescape"), "sha1")
    return Call(URL, "", {"x-twilio-signature": base64.b64encode(digest).decode()}, body, NOW, "default")


def by_telnyx(body: bytes) -> Call:
    signature = base64.b64encode(KEY.sign(_AT.encode() + b"|" + body)).decode()
    return Call(URL, "", {"telnyx-timestamp": _AT, "telnyx-signature-ed25519": signature}, body, NOW)


def by_gateway(body: bytes) -> Call:
    digest = hmac.digest(SECRET.encode(), f"g-1.{_AT}.".encode() + body, "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return Call(URL, "", {"webhook-id": "g-1", "webhook-timestamp": _AT, "webhook-signature": signature}, body, NOW)


def by_kannel(query: bytes) -> Call:
    """An address as aiohttp hands it on: whatever is no ASCII as half letters."""
    text = query.decode("utf-8", "surrogateescape").replace(" ", "%20")
    return Call(URL, f"{text}&token={kannel_hooks.token(SECRET)}", {}, b"", NOW)


class UnsignedError(Exception):
    """A call that no provider could have signed."""


def hook(provider: str, signed: Callable[[bytes], Call]) -> Callable[[bytes], Brought]:
    def take(body: bytes) -> Brought:
        call = signed(body)
        brought = READERS[provider](call, [ACCOUNTS[provider]])
        storable(call.raw)
        if brought is None:
            raise UnsignedError
        for _, receipt in brought.receipts:
            storable(receipt.readable)
        for text in brought.texts:
            storable(text.readable)
        if not brought.receipts and not brought.texts:
            raise UnsignedError  # it is about nothing that concerns us
        return brought

    return take


_TEXT_IN: Final = {
    "AccountSid": "AC1",
    "MessageSid": "SM1",
    "From": "+13125550188",
    "To": "+13125550100",
    "Body": "Yes, thanks",
}
_MMS: Final = {
    **_TEXT_IN,
    "NumMedia": "2",
    "MediaUrl0": "https://x.example/a",
    "MediaUrl1": "https://x.example/b",
    "NumSegments": "2",
}
_STATUS: Final = {
    "AccountSid": "AC1",
    "MessageSid": "SM1",
    "MessageStatus": "undelivered",
    "ErrorCode": "30005",
    "To": "+13125550188",
}
TWILIO: Final = tuple(
    urlencode(one).encode() for one in (_TEXT_IN, _MMS, {**_TEXT_IN, "Body": "STOP", "OptOutType": "STOP"}, _STATUS)
)


def telnyx_event(kind: str, **payload: Any) -> bytes:
    return json.dumps(
        {
            "data": {
                "id": "e-1",
                "event_type": kind,
                "occurred_at": "2026-11-25T16:00:00Z",
                "payload": {"id": "403", **payload},
            }
        }
    ).encode()


TELNYX: Final = (
    telnyx_event(
        "message.received",
        text="10 - loved it",
        parts=1,
        to=[{"phone_number": "+13125550100"}],
        received_at="2026-11-25T16:00:00Z",
        media=[{"url": "https://x.example/a"}],
        **{"from": {"phone_number": "+13125550188"}},
        autoresponse_type="STOP",
    ),
    telnyx_event(
        "message.finalized",
        to=[{"phone_number": "+13125550188", "status": "delivery_failed"}],
        errors=[{"code": "40300", "title": "Blocked"}],
    ),
    telnyx_event("message.sent", to=[{"phone_number": "+13125550188", "status": "sent"}]),
)
KANNEL: Final = (
    b"from=%2B13125550188&to=%2B13125550100&text=Gr%FC%DFe&charset=ISO-8859-1&id=k-1&at=1795622400",
    b"from=13125550188&to=13125550100&text=%00Y%00e%00s&charset=UTF-16BE&id=k-2",
    b"ref=m-12.1&status=2&said=NACK/0x0000000b/Invalid+Destination+Address",
    b"ref=m-12.1&status=1",
)
GATEWAY: Final = (
    b'{"type":"message.received","id":"g-9","from":"+13125550188","to":"+13125550100","text":"HELP","at":"2026-11-25T16:00:00Z","media":["https://x.example"],"segments":2}',
    b'{"type":"message.status","status":"undelivered","reference":"m-12.1","id":"g-2","code":"x","opted_out":true}',
    b'{"type":"message.status","status":"delivered","id":"g-3"}',
)
HOOKS: Final[Mapping[str, Surface]] = {
    "twilio": Surface(
        "twilio",
        TWILIO,
        hook("twilio", by_twilio),
        (UnsignedError,),
        words=(
            b"%00",
            b"%FF",
            b"%ED%A0%80",
            b"&MessageStatus=delivered",
            b"&NumMedia=9999",
            b"+",
            b"%",
            b"&Body=",
            b"&ErrorCode=21610",
        ),
    ),
    "telnyx": Surface(
        "telnyx", TELNYX, hook("telnyx", by_telnyx), (UnsignedError,), words=(b"\\ud83d", b"\\u0000", b'"to":')
    ),
    "kannel": Surface(
        "kannel",
        KANNEL,
        hook("kannel", by_kannel),
        (UnsignedError,),
        words=(b"%00", b"%FF", b"%D8%00", b"charset=UTF-16BE", b"charset=hex", b"status=", b"&at=9999999999", b"&id="),
    ),
    "gateway": Surface(
        "gateway",
        GATEWAY,
        hook("http", by_gateway),
        (UnsignedError,),
        words=(b"\\ud83d", b"\\u0000", b'"type":"message.status"'),
    ),
}

# AMQP properties --------------------------------------------------------------------------------------------

# In the order of their flags, how each property's bytes are cut off from the next.
_KINDS: Final = (
    "short",
    "short",
    "table",
    "octet",
    "octet",
    "short",
    "short",
    "short",
    "short",
    "time",
    "short",
    "short",
    "short",
    "short",
)


def short(text: bytes) -> bytes:
    return bytes([min(len(text), 255)]) + text[:255]


def some_text(chance: Random) -> bytes:
    found = chance.choice(HOSTILE)
    return (
        chance.randbytes(chance.randrange(20))
        if chance.random() < 0.3
        else str(found).encode("utf-8", "surrogatepass")[:120]
    )


def a_value(chance: Random, depth: int = 0) -> bytes:
    """A value of a header, with its type in front; one in a while of none that is known."""
    match chance.randrange(12 if depth < 4 else 10):
        case 0:
            return b"S" + struct.pack(">I", len(text := some_text(chance))) + text
        case 1:
            return b"T" + chance.choice((chance.randbytes(8), struct.pack(">Q", 1_795_276_800_000), b"\xff" * 8))
        case 2:
            return b"D" + chance.randbytes(5)
        case 3:
            return chance.choice((b"I", b"i", b"f")) + chance.randbytes(4)
        case 4:
            return chance.choice((b"l", b"L", b"d")) + chance.randbytes(8)
        case 5:
            return chance.choice((b"t", b"b", b"B")) + chance.randbytes(1)
        case 6:
            return chance.choice((b"s", b"u")) + chance.randbytes(2)
        case 7:
            return b"V"
        case 8:
            return b"x" + struct.pack(">I", len(text := some_text(chance))) + text
        case 9:
            return chance.randbytes(chance.randrange(1, 9))
        case 10:
            inside = b"".join(a_value(chance, depth + 1) for _ in range(chance.randrange(4)))
            return b"A" + struct.pack(">I", len(inside)) + inside
        case _:
            return b"F" + a_table(chance, depth + 1)


def a_table(chance: Random, depth: int = 0) -> bytes:
    inside = b"".join(short(some_text(chance)) + a_value(chance, depth) for _ in range(chance.randrange(5)))
    return struct.pack(">I", len(inside)) + inside


def some_properties(chance: Random) -> bytes:
    """Flags, and behind them the properties that they announce."""
    flags, values = 0, b""
    for place, kind in enumerate(_KINDS):
        if chance.random() < 0.3:
            flags |= 1 << 15 - place
            match kind:
                case "short":
                    values += short(some_text(chance))
                case "table":
                    values += a_table(chance)
                case "octet":
                    values += chance.randbytes(1)
                case _:
                    values += chance.choice((chance.randbytes(8), struct.pack(">Q", 1_795_276_800_000), b"\0" * 8))
    return struct.pack(">H", flags) + values


def is_whole(raw: bytes) -> bool:
    """Whether the broker could hand these on: each property that is announced is there, and nothing behind them."""
    if len(raw) < 2:
        return False
    (flags,) = struct.unpack_from(">H", raw)
    place = 2
    for number, kind in enumerate(_KINDS):
        if flags & 1 << 15 - number:
            if place >= len(raw):
                return False
            before = raw[place : place + 4]
            size = {"short": 1 + raw[place], "table": 4 + int.from_bytes(before), "octet": 1, "time": 8}[kind]
            if kind == "table" and len(before) < 4:
                return False
            place += size
    return not flags & 3 and place == len(raw)


class NotPassedOnError(Exception):
    """Properties that no broker hands on."""


def some_headers(raw: bytes) -> None:
    """What the library makes of a frame with these properties: whatever the broker hands on must be read."""
    content = struct.pack(">HHQ", 60, 0, 3) + raw
    frame = struct.pack(">BHI", 2, 1, len(content)) + content + b"\xce"
    try:
        pamqp.frame.unmarshal(frame)
    except PAMQPException as error:
        if is_whole(raw):
            raise
        raise NotPassedOnError from error


UNITS: Final = Surface("pdus", PDUS, a_pdu, (smpp_pdus.GarbledError,))
STREAMS: Final = Surface("sessions", (*PDUS, b"".join(PDUS)), a_stream, make=several_pdus)
HEADERS: Final = Surface(
    "amqp",
    (b"\x20\x00" + struct.pack(">I", 4) + b"\x01at\x01", b"\0\0"),
    some_headers,
    (NotPassedOnError,),
    make=some_properties,
)
