"""Calls of a gateway of the studio's own: signed as Standard Webhooks are, with the secret it was given.

The form is documented in docs/how-to/http-gateway.md, for whoever writes the gateway.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from control_center.domain.inbound import Answered, Inbound
from control_center.domain.outcome import Fate, Receipt
from control_center.domain.wire.answers import quoted, timestamp, told

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"
TOLERANCE = timedelta(minutes=5)  # a call that was signed longer ago is somebody's recording
_PREFIX = "whsec_"  # the rest of such a secret is a key in base64


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], at: datetime) -> bool:
    """Whether the gateway signed this call, with one of our secrets, not longer ago than five minutes.

    Of several signatures in the header one has to fit. Takes the same time whichever fits, and an empty secret never
    does. `headers` are looked up by the lower-case names above.
    """
    call, signed_at = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not call or not re.fullmatch(r"[0-9]{1,12}", signed_at):
        return False
    if abs(int(at.timestamp()) - int(signed_at)) > TOLERANCE.total_seconds():
        return False
    signed = f"{call}.{signed_at}.".encode("utf-8", "surrogatepass") + body
    given = [one.encode("utf-8", "surrogatepass") for one in headers.get(SIGNATURE, "").split(" ")[:8]]
    keys = [known for secret in secrets if (known := key(secret))]
    matches = [hmac.compare_digest(one, _signature(signed, known)) for known in keys for one in given]
    return any(matches)


def _signature(signed: bytes, by: bytes) -> bytes:
    return b"v1," + base64.b64encode(hmac.digest(by, signed, "sha256"))


def key(secret: str) -> bytes:
    """What a secret signs with; empty, which never fits, where it should be base64 and is not."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""


class _Status(msgspec.Struct, tag_field="type", tag="message.status"):
    status: Literal["sent", "delivered", "undelivered"]
    reference: str | None = None
    id: str | None = None
    code: str | None = None
    reason: str | None = None
    opted_out: bool = False
    no_texts: bool = False


class _Received(msgspec.Struct, tag_field="type", tag="message.received", rename={"sender": "from"}):
    id: str
    sender: str
    to: str
    text: str
    at: str | None = None
    media: list[str] = []
    segments: int | None = None
    answered: Answered | None = None


def receipt(body: bytes) -> Receipt | None:
    """What a verified call says became of a text of ours; None where it is about something else."""
    said = told(body, _Status)
    if said is None or not (said.reference or said.id):
        return None
    fate = Fate(said.status)
    known = (fate, said.reference or None, said.id or None)
    if fate is not Fate.UNDELIVERED:
        return Receipt(*known)
    reason = quoted(said.reason or "") or f"gateway {said.code or 'undelivered'}"
    return Receipt(*known, said.code or None, reason, opted_out=said.opted_out, dead=said.no_texts)


def inbound(body: bytes) -> Inbound | None:
    """A text from outside that a verified call brings; None where it is about something else."""
    said = told(body, _Received)
    if said is None or not said.id or not said.sender or not said.to:
        return None
    return Inbound(
        known_by=said.id,
        provider_id=said.id,
        sender=said.sender,
        to=said.to,
        text=said.text,
        at=timestamp(said.at),
        media=tuple(said.media),
        segments=said.segments if said.segments and said.segments > 0 else None,
        answered=said.answered,
    )
