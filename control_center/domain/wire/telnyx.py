"""Telnyx's messages API, version 2: what a text looks like as a request, and what an answer proves.

Telnyx knows a request by its `Idempotency-Key`: repeated within a day with the same bytes, it is answered with what
the first one was answered, and no second text goes out. That holds for successes only, so only a request whose
answer was lost may be repeated, and not one that was answered with an error.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, timedelta
from urllib.parse import quote

import msgspec

from control_center.domain.outcome import Accepted, Blocked, Cause, NotSent, Outcome, Refused, Stage, Text, Unknown
from control_center.domain.sms import segments
from control_center.domain.wire.answers import decoded, quoted, wait
from control_center.domain.wire.telnyx_codes import BLOCKED, RECIPIENT, ROUTE, THROTTLED, means_opt_out, said

BASE = "https://api.telnyx.com"
PATH = "/v2/messages"
REFERENCE = "{key}"  # where the callback's address carries our reference
REMEMBERS = timedelta(hours=23)  # a day, less whatever a clock and a queue may cost

_SUCCESSES = frozenset({200, 201, 202})


class _Message(msgspec.Struct):
    id: str
    parts: int | None = None


class _Created(msgspec.Struct):
    data: _Message


class _Source(msgspec.Struct):
    pointer: str | None = None
    parameter: str | None = None


class Error(msgspec.Struct):
    """One error, in an answer or in a callback."""

    code: str | int
    title: str | None = None
    detail: str | None = None
    source: _Source | None = None

    @property
    def name(self) -> str:
        return str(self.code)

    @property
    def words(self) -> str:
        return f"{self.title or ''} {self.detail or ''}".strip()

    @property
    def is_of_the_recipient(self) -> bool:
        """Whether an error about a number is about theirs."""
        source = self.source
        at = "" if source is None else f"{source.pointer or ''} {source.parameter or ''}"
        return "from" not in at.lower()


class _Problem(msgspec.Struct):
    errors: list[Error]


def idempotency_key(text: Text) -> str:
    """What Telnyx knows this attempt by: our reference, and a digest of what is sent to whom.

    The digest keeps apart what two installations, or one that was restored from a backup, call by the same reference.
    """
    words = json.dumps([text.key, text.sender, text.to, text.body])
    digest = hashlib.sha256(words.encode("ascii")).hexdigest()[:32]
    return f"{re.sub('[^A-Za-z0-9_:-]', ':', text.key)[:200]}:{digest}"


def body(text: Text, callback_url_template: str | None = None, profile: str = "") -> bytes:
    """The JSON of the POST that submits this text: the same bytes for the same text, or a repeat would be refused.

    So nothing of it comes from a clock. The alphabet is the one we counted with, so that Telnyx changes no character.
    `profile` is the messaging profile to send from, where the sender alone does not say it.
    """
    fields: dict[str, str | bool] = {
        "from": text.sender,
        "to": text.to,
        "text": text.body,
        "type": "SMS",
        "encoding": segments(text.body).encoding,
    }
    if profile:
        fields["messaging_profile_id"] = profile
    if callback_url_template is not None:
        fields["webhook_url"] = callback_url_template.replace(REFERENCE, quote(text.key, safe=""))
        fields["use_profile_webhooks"] = False
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def outcome(status: int, retry_after: str | None, body: bytes | None, at: datetime) -> Outcome:
    """What an HTTP answer to a submission proves; `body` is None when it came incomplete."""
    if status in _SUCCESSES:
        return _created(status, body)
    problem = decoded(body, _Problem)
    error = _telling(problem.errors) if problem and problem.errors else None
    if status == 429:
        code = error.name if error else "429"
        return NotSent("telnyx: too many requests", code, wait(retry_after, at))
    if status in {401, 403, 404, 405}:
        return _denied(status, error)
    if error is None or not 400 <= status < 500 or status in {408, 409} or _is_of_the_key(status, error):
        return Unknown(f"telnyx: HTTP {status}", Stage.ANSWERED, str(status))
    return _refusal(error, wait(retry_after, at))


def _created(status: int, body: bytes | None) -> Outcome:
    created = decoded(body, _Created)
    if created is None or not created.data.id:
        return Unknown(f"telnyx: HTTP {status} without an id", Stage.ANSWERED, str(status))
    parts = created.data.parts
    return Accepted(created.data.id, parts if parts and parts > 0 else None)


def _is_of_the_key(status: int, error: Error) -> bool:
    """Whether the key was refused and not the text: then something was taken under that key before."""
    return status == 422 and said(error.name) is None and "idempot" in f"{error.name} {error.words}".lower()


def _telling(errors: list[Error]) -> Error:
    """The first error that we know, else the first."""
    return next((error for error in errors if said(error.name) is not None), errors[0])


def _denied(status: int, error: Error | None) -> Outcome:
    """401 to 405. A code that blames this one text is believed over the status."""
    if error is None:
        return Blocked(f"telnyx: HTTP {status}", str(status))
    known = _refusal(error, None)
    if isinstance(known, Refused) and said(error.name) is None:
        return Blocked(f"telnyx {error.name}: {quoted(error.words)}", error.name)
    return known


def _refusal(error: Error, pause: timedelta | None) -> Outcome:
    code = error.name
    reason = f"telnyx {code}: {said(code) or quoted(error.words)}"
    if code in THROTTLED:
        return NotSent(reason, code, pause)
    if code in BLOCKED:
        return Blocked(reason, code)
    if code in RECIPIENT:
        return _of_a_number(error, reason)
    if code in ROUTE:
        return Refused(reason, Cause.ROUTE, code)
    if means_opt_out(code, error.words):
        return Refused(reason, Cause.OPTED_OUT, code)
    if code == "40300":
        return Blocked(f"telnyx {code}: {quoted(error.words)}", code)
    return Refused(reason, Cause.CONTENT, code)


def _of_a_number(error: Error, reason: str) -> Outcome:
    """A number that is refused is the recipient's, unless the error points at the sender's."""
    if not error.is_of_the_recipient:
        return Blocked(f"telnyx {error.name}: the sender is not valid", error.name)
    return Refused(reason, Cause.RECIPIENT, error.name)
