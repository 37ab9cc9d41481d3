"""Telnyx's messages API on loopback: it knows a request again by its key, and signs what it calls us with."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.http_stub import HttpStub, Request, Step, refusal

CONFLICT = {"errors": [{"code": "10015", "title": "Idempotency key was used with another request"}]}


def refuse(status: int, code: str, title: str = "refused", **headers: str) -> Step:
    return refusal(status, {"errors": [{"code": code, "title": title, "detail": title}]}, **headers)


@dataclass
class TelnyxStub(HttpStub):
    """`accepted` are the texts that go out: as a repeat with a known key makes none, one for each key."""

    accepted: dict[str, Any] = field(default_factory=dict)
    signing: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def submits(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", "/v2/messages")

    def take(self, request: Request) -> None:
        key = request.headers["idempotency-key"]
        assert re.fullmatch(r"[A-Za-z0-9_:-]{1,255}", key)
        self.accepted.setdefault(key, request)

    def shown(self, request: Request) -> tuple[int, bytes]:
        key = request.headers.get("idempotency-key", "")
        first = self.accepted.get(key)
        if first is None:
            return 404, b"{}"
        if first.body != request.body:
            return 422, json.dumps(CONFLICT).encode()
        return 200, json.dumps({"data": self.message(key)}).encode()

    def message(self, key: str, status: str = "queued") -> dict[str, Any]:
        sent = self.accepted[key].json
        return {
            "id": f"40385f64-{list(self.accepted).index(key):012}",
            "record_type": "message",
            "direction": "outbound",
            "from": {"phone_number": sent["from"]},
            "to": [{"phone_number": sent["to"], "status": status}],
            "text": sent["text"],
            "parts": 1,
            "errors": [],
            "webhook_url": sent.get("webhook_url"),
        }

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.signing.public_key().public_bytes_raw()).decode()

    def signed(self, body: bytes, at: datetime) -> dict[str, str]:
        """The headers of a call with this body."""
        stamp = str(int(at.timestamp()))
        signature = self.signing.sign(f"{stamp}|".encode() + body)
        return {
            "telnyx-timestamp": stamp,
            "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
        }


def event(
    kind: str, payload: dict[str, Any], event_id: str = "e-1", at: str = "2026-11-21T16:00:00.000+00:00"
) -> bytes:
    """The body of a call."""
    data = {"id": event_id, "event_type": kind, "occurred_at": at, "record_type": "event", "payload": payload}
    return json.dumps({"data": data, "meta": {"attempt": 1}}).encode()
