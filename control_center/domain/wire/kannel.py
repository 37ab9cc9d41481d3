"""Kannel's sendsms: what a text looks like as a request, and what an answer proves.

Kannel answers in words and gives no id. What becomes of a text is told by calls to an address of ours that goes along
with it and carries our reference; nothing else settles an answer that was lost.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from control_center.domain.outcome import Accepted, Blocked, Cause, NotSent, Outcome, Refused, Stage, Text, Unknown
from control_center.domain.sms import segments
from control_center.domain.wire.answers import quoted, wait

PATH = "/cgi-bin/sendsms"
REFERENCE = "{key}"  # where the callback's address carries our reference

EVERY_REPORT = 31  # delivered, failed, buffered, taken by the network, refused by the network
_REPORTED = "status=%d&said=%A"  # Kannel writes the report's number, and the network's words, in place of these
_CODING = {"gsm7": "0", "ucs2": "2"}
_LONGEST = 7 * 24 * 60  # minutes; what networks keep a text for, at most


def query(text: Text, *, user: str, password: str, callback_url_template: str | None = None) -> str:
    """The query of the GET that submits this text, encoded as it is to leave.

    The alphabet is the one we counted with. `callback_url_template` is our status address with `{key}` where the
    reference goes, and has a query already.
    """
    fields = [
        ("username", user),
        ("password", password),
        ("from", text.sender),
        ("to", text.to),
        ("charset", "UTF-8"),
        ("coding", _CODING[segments(text.body).encoding]),
        ("text", text.body),
        ("validity", str(_validity(text))),
    ]
    if callback_url_template is not None:
        fields += [("dlr-mask", str(EVERY_REPORT)), ("dlr-url", _callback(callback_url_template, text.key))]
    return urlencode(fields, quote_via=quote, safe="")


def _callback(template: str, key: str) -> str:
    """The address with our reference; Kannel takes a per cent sign for the start of its own escapes."""
    address = template.replace(REFERENCE, quote(key, safe="")).replace("%", "%%")
    return f"{address}&{_REPORTED}"


def _validity(text: Text) -> int:
    """Minutes that the network may try for, none of them after the use-by but the first."""
    left = (text.expires_at - text.at) // timedelta(minutes=1)
    return min(max(left, 1), _LONGEST)


def outcome(status: int, retry_after: str | None, body: bytes | None, at: datetime) -> Outcome:
    """What an HTTP answer to a submission proves; `body` is None when it came incomplete.

    A 503 is documented as not taken, in words that no proxy before Kannel uses.
    """
    words = (body or b"").decode("utf-8", "replace").strip()
    if status in {200, 202} and words.startswith(("0:", "3:", "Sent.")):
        return Accepted(None, _splits(words))
    if status == 429 or (status == 503 and words.startswith("Temporal failure")):
        return NotSent(f"kannel: {quoted(words) or 'too many requests'}", str(status), wait(retry_after, at))
    if status == 403 and words.startswith("Not routable"):
        return Refused("kannel: no route to this number", Cause.ROUTE, "403")
    if status in {401, 403, 404, 405}:
        return Blocked(f"kannel: HTTP {status} {_plain(words)}".strip(), str(status))
    if status == 400 and _plain(words):
        return _rejected(words)
    return Unknown(f"kannel: HTTP {status}", Stage.ANSWERED, str(status))


def _rejected(words: str) -> Outcome:
    """A 400: Kannel says in its own words what is wrong with the request."""
    if words.startswith("Number(s) has/have been denied"):
        return Refused("kannel: the number is not allowed", Cause.ROUTE, "400")
    if words.startswith(("Sender missing", "DLR-URL")):
        return Blocked(f"kannel: {quoted(words)}", "400")
    return Refused(f"kannel: {quoted(words)}", Cause.CONTENT, "400")


def _plain(words: str) -> str:
    """Kannel's words. A page is somebody else's: of a proxy, which says nothing of the text."""
    return "" if words.startswith("<") else quoted(words)


def _splits(words: str) -> int | None:
    found = re.search(r"Message splits: ([0-9]{1,3})", words)
    return int(found[1]) if found else None
