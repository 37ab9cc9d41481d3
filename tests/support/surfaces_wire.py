"""What comes in over a provider's wire, for fuzzing: webhooks and SMPP units."""

from __future__ import annotations

import asyncio
import atexit
import base64
import hmac
import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_center.domain.wire import kannel_hooks, smpp
from control_center.web import Account
from control_center.web.hooks.providers import READERS, Brought, Call
from tests.support.hostile import Surface, storable
from tests.support.values import NOW
from workers.sms import smpp_pdus
from workers.sms.smpp import _part
from workers.sms.smpp_session import Session

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


UNITS: Final = Surface("pdus", PDUS, a_pdu, (smpp_pdus.GarbledError,))
STREAMS: Final = Surface("sessions", (*PDUS, b"".join(PDUS)), a_stream, make=several_pdus)
