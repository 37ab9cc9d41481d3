"""Kannel's sendsms on loopback, which takes a text by GET and answers in words, and what its escapes become."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes

from tests.support.http_stub import HttpStub, Request, Step, refusal

DENIED = b"Authorization failed for sendsms"


def refuse(status: int, words: str, **headers: str) -> Step:
    return refusal(status, words.encode(), **headers)


@dataclass
class KannelStub(HttpStub):
    password: str = "s3cret"
    accepted: list[dict[str, str]] = field(default_factory=list)

    def submits(self, request: Request) -> bool:
        return (request.method, request.path) == ("GET", "/cgi-bin/sendsms") and self._knows(request)

    def _knows(self, request: Request) -> bool:
        return request.query.get("password") == self.password

    def take(self, request: Request) -> None:
        self.accepted.append(request.query)

    def shown(self, request: Request) -> tuple[int, bytes]:
        return (202, b"0: Accepted for delivery") if self._knows(request) else (403, DENIED)


def filled(pattern: str, values: Mapping[str, bytes | str]) -> str:
    """An address with Kannel's escapes filled in, each value encoded for an address; `%%` is a per cent sign."""

    def value(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        found = values.get(match[1], match[0])
        return quote_from_bytes(found if isinstance(found, bytes) else found.encode(), safe="")

    return re.sub(r"%(.)", value, pattern)
