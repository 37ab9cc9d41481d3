"""Telnyx's calls to us: whether one is Telnyx's, and what it says: the fate of a text, or a text from outside."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from control_center.domain.inbound import Answered, Inbound
from control_center.domain.outcome import Fate, Receipt
from control_center.domain.wire.answers import timestamp, told
from control_center.domain.wire.telnyx import Error
from control_center.domain.wire.telnyx_codes import BLOCKED, FATES, RECIPIENT, means_opt_out, said

SIGNATURE = "telnyx-signature-ed25519"
TIMESTAMP = "telnyx-timestamp"
TOLERANCE = timedelta(minutes=5)  # a call that was signed longer ago is somebody's recording

_ANSWERS = {answered.value.upper(): answered for answered in Answered}


def verify(headers: Mapping[str, str], body: bytes, keys: Sequence[str], at: datetime) -> bool:
    """Whether Telnyx signed this call, with one of our account's keys, not longer ago than five minutes.

    `headers` are looked up by the lower-case names above; `keys` are public keys as the portal shows them.
    """
    signed_at = headers.get(TIMESTAMP, "")
    if not re.fullmatch(r"[0-9]{1,12}", signed_at):
        return False
    if abs(int(at.timestamp()) - int(signed_at)) > TOLERANCE.total_seconds():
        return False
    given = _bytes(headers.get(SIGNATURE, ""))
    signed = signed_at.encode("ascii") + b"|" + body
    return any(_fits(key, given, signed) for key in keys)


def _fits(key: str, signature: bytes, signed: bytes) -> bool:
    public = public_key(key)
    if public is None:
        return False
    try:
        public.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=64)
def public_key(key: str) -> Ed25519PublicKey | None:
    """A public key as Telnyx's portal shows it: 32 bytes in base64. None where it is none."""
    raw = _bytes(key)
    return Ed25519PublicKey.from_public_bytes(raw) if len(raw) == 32 else None


def _bytes(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""


class _Party(msgspec.Struct):
    phone_number: str | None = None
    status: str | None = None


class _Media(msgspec.Struct):
    url: str | None = None


class _Payload(msgspec.Struct, rename={"sender": "from"}):
    id: str | None = None
    sender: _Party | None = None
    to: list[_Party] | str | None = None
    text: str | None = None
    media: list[_Media] | None = None
    parts: int | None = None
    errors: list[Error] | None = None
    received_at: str | None = None
    autoresponse_type: str | None = None


class Event(msgspec.Struct):
    """One call. `id` is what a repeat of it has in common with it."""

    id: str
    event_type: str
    payload: _Payload
    occurred_at: str | None = None


class _Call(msgspec.Struct):
    data: Event


def event(body: bytes) -> Event | None:
    """What a verified call carries; None where it is nothing about a text."""
    call = told(body, _Call)
    return call.data if call is not None and call.data.id else None


def receipt(event: Event, reference: str | None) -> Receipt | None:
    """What became of a text of ours; None where the event is about something else.

    `reference` is our key from the callback's own address.
    """
    payload = event.payload
    if event.event_type not in {"message.sent", "message.finalized", "message.read"}:
        return None
    fate = _fate(payload)
    if fate is None or not (payload.id or reference):
        return None
    known = (fate, reference or None, payload.id or None)
    if fate is not Fate.UNDELIVERED or not payload.errors:
        return Receipt(*known)
    error = payload.errors[0]
    opted_out = any(means_opt_out(one.name, one.words) for one in payload.errors)
    reason = f"telnyx {error.name}: {said(error.name) or 'undelivered'}"
    blocked = any(one.name in BLOCKED for one in payload.errors)
    dead = any(one.name in RECIPIENT and one.is_of_the_recipient for one in payload.errors)
    return Receipt(*known, error.name, reason, opted_out, blocked, dead)


def _fate(payload: _Payload) -> Fate | None:
    to = payload.to
    return FATES.get(to[0].status or "") if isinstance(to, list) and to else None


def inbound(event: Event) -> Inbound | None:
    """A text from outside; None where the event is about something else."""
    payload = event.payload
    to = payload.to if isinstance(payload.to, str) else payload.to[0].phone_number if payload.to else None
    sender = payload.sender.phone_number if payload.sender else None
    if event.event_type != "message.received" or not sender or not to:
        return None
    return Inbound(
        known_by=event.id,
        provider_id=payload.id or None,
        sender=sender,
        to=to,
        text=payload.text or "",
        at=timestamp(payload.received_at) or timestamp(event.occurred_at),
        media=tuple(one.url for one in payload.media or () if one.url),
        segments=payload.parts if payload.parts and payload.parts > 0 else None,
        answered=_ANSWERS.get((payload.autoresponse_type or "").upper()),
    )
