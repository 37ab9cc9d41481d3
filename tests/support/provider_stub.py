"""Twilio's Messages API on loopback, doing per request what the test's script says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from tests.support.http_stub import DROP, Answer, HttpStub, Request, Step

__all__ = ["CREATED", "DROP", "Answer", "ProviderStub", "Step", "Taken", "problem", "refuse"]

CREATED = Answer()


def problem(status: int, code: int, message: str = "refused", **headers: str) -> Answer:
    body = json.dumps({"code": code, "message": message, "more_info": "", "status": status}).encode()
    return Answer(status, body, tuple((name.replace("_", "-"), value) for name, value in headers.items()))


def refuse(status: int, code: int, message: str = "refused", **headers: str) -> Step:
    return Step(accept=False, answer=problem(status, code, message, **headers))


@dataclass(frozen=True)
class Taken:
    """One text that this Twilio has accepted, whatever it answered."""

    sid: str
    form: dict[str, str]
    at: datetime
    status: str = "queued"

    def shown(self) -> dict[str, object]:
        return {
            "sid": self.sid,
            "status": self.status,
            "body": self.form.get("Body"),
            "to": self.form.get("To"),
            "from": self.form.get("From"),
            "messaging_service_sid": self.form.get("MessagingServiceSid"),
            "num_segments": "1",
            "date_created": format_datetime(self.at),
            "error_code": None,
        }


@dataclass
class ProviderStub(HttpStub):
    accepted: list[Taken] = field(default_factory=list)

    def submits(self, request: Request) -> bool:
        return request.method == "POST"

    def take(self, request: Request) -> None:
        self.accepted.append(Taken(f"SM{len(self.accepted) + 1:032x}", request.form, self.clock()))

    def shown(self, request: Request) -> tuple[int, bytes]:
        if request.method == "POST":
            return 201, json.dumps(self.accepted[-1].shown() if self.accepted else {}).encode()
        query = request.query
        listed = [
            taken.shown()
            for taken in reversed(self.accepted)
            if taken.form["To"] == query["To"] and taken.form.get("From") == query.get("From", taken.form.get("From"))
        ]
        return 200, json.dumps({"messages": listed, "next_page_uri": None}).encode()
