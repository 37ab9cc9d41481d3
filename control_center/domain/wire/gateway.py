"""A gateway of the studio's own that speaks our small HTTP API: what a text looks like, and what an answer proves.

The API is documented in docs/how-to/http-gateway.md, for whoever writes the gateway: they promise what is relied on.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec

from control_center.domain.outcome import Accepted, Blocked, Cause, NotSent, Outcome, Refused, Stage, Text, Unknown
from control_center.domain.wire.answers import decoded, quoted, wait


class _Taken(msgspec.Struct):
    id: str | int
    segments: int | None = None


class _Problem(msgspec.Struct):
    cause: str = ""
    code: str | int = ""
    message: str = ""


_CAUSES = {cause.value: cause for cause in Cause}


def body(text: Text) -> bytes:
    """The JSON of the POST that submits this text."""
    fields = {
        "from": text.sender,
        "to": text.to,
        "text": text.body,
        "reference": text.key,
        "expires_at": text.expires_at.astimezone(UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def outcome(status: int, retry_after: str | None, body: bytes | None, at: datetime) -> Outcome:
    """What an HTTP answer to a submission proves; `body` is None when it came incomplete.

    A 4xx is a refusal, as documented, but for those that a proxy says of its own accord, or that speak of an earlier
    request: 408 and 409.
    """
    if 200 <= status < 300:
        taken = decoded(body, _Taken)
        if taken is None or taken.id == "":
            return Unknown(f"gateway: HTTP {status} without an id", Stage.ANSWERED, str(status))
        return Accepted(str(taken.id), taken.segments if taken.segments and taken.segments > 0 else None)
    problem = decoded(body, _Problem) or _Problem()
    code = str(problem.code) or str(status)
    reason = f"gateway {code}: {quoted(problem.message)}".rstrip(": ")
    if status == 429:
        return NotSent(reason, code, wait(retry_after, at))
    if status in {401, 403, 404, 405}:
        return Blocked(reason, code)
    if 400 <= status < 500 and status not in {408, 409}:
        return Refused(reason, _CAUSES.get(problem.cause, Cause.CONTENT), code)
    return Unknown(f"gateway: HTTP {status}", Stage.ANSWERED, str(status))
