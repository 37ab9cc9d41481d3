"""A gateway that speaks the API of docs/how-to/http-gateway.md, on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.support.http_stub import HttpStub, Request, Step, refusal


def refuse(status: int, cause: str = "", code: str = "", message: str = "", **headers: str) -> Step:
    return refusal(status, {"cause": cause, "code": code, "message": message}, **headers)


@dataclass
class GatewayStub(HttpStub):
    secret: str = "s3cret"
    accepted: list[Any] = field(default_factory=list)

    def submits(self, request: Request) -> bool:
        return request.method == "POST" and request.headers.get("authorization") == f"Bearer {self.secret}"

    def take(self, request: Request) -> None:
        self.accepted.append(request.json)

    def shown(self, request: Request) -> tuple[int, bytes]:
        if not self.submits(request):
            return 401, b"{}"
        return 202, json.dumps({"id": f"g-{len(self.accepted)}", "segments": 1}).encode()


def signed(body: bytes, at: datetime, key: bytes, call: str = "msg_1") -> dict[str, str]:
    """The headers of a call with this body, as the page says they are made."""
    stamp = str(int(at.timestamp()))
    digest = hmac.new(key, f"{call}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": call,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
