"""Twilio's Messages API: what a text looks like as a request, and what an answer proves.

Twilio has no idempotency key, so an answer that was lost stays unknown until a callback carrying our reference,
a look into the message list, or a person settles it. Hence the strictness below: only what Twilio documents as
not taken counts as not taken.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, quote_plus

import msgspec

from control_center.domain.outcome import (
    Accepted,
    Blocked,
    CannotTell,
    Cause,
    Fate,
    Found,
    Lookup,
    NotFoundThere,
    NotSent,
    Outcome,
    Refused,
    Stage,
    Text,
    Unknown,
)
from control_center.domain.wire.answers import decoded, instant, quoted, wait
from control_center.domain.wire.twilio_codes import BLOCKED, FATES, OPTED_OUT, RECIPIENT, ROUTE, THROTTLED, said

BASE = "https://api.twilio.com"
REFERENCE = "{key}"  # where the callback's address carries our reference

_SERVICE = re.compile("MG[0-9a-f]+")
PAGE = 1000  # the longest list Twilio returns at once
SKEW = timedelta(minutes=2)  # two clocks, and the pre-send commit between `Text.at` and the request
LATEST = timedelta(minutes=5)  # a request that began at `Text.at` has ended by then, whatever happened


class _Created(msgspec.Struct):
    sid: str
    num_segments: str | int | None = None


class _Problem(msgspec.Struct):
    code: int
    message: str = ""


class _Listed(msgspec.Struct):
    sid: str
    status: str
    body: str | None
    date_created: str
    messaging_service_sid: str | None = None


class _Page(msgspec.Struct):
    messages: list[_Listed]
    next_page_uri: str | None = None


def messages_path(account: str) -> str:
    """Both the address to post to and the list to look in."""
    return f"/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json"


def form(text: Text, callback_url_template: str | None = None) -> bytes:
    """The body of the POST that submits this text.

    The callback's address carries `text.key` wherever the template says `{key}`: it settles a lost answer.
    The provider is asked not to touch the words, so that what was previewed, counted and stored is what leaves.
    """
    fields = [
        ("To", text.to),
        ("Body", text.body),
        ("ValidityPeriod", str(_validity(text))),
    ]
    if callback_url_template is not None:
        fields.append(("StatusCallback", callback_url_template.replace(REFERENCE, quote(text.key, safe=""))))
    same = f"SmartEncoded=false&{_sender(text.sender)}"
    return "&".join([same, *(f"{name}={quote_plus(value)}" for name, value in fields)]).encode("ascii")


@lru_cache
def _sender(sender: str) -> str:
    """The field that says who writes: the same for thousands of texts, so it is encoded once."""
    return f"{_sender_field(sender)}={quote_plus(sender)}"


def _sender_field(sender: str) -> str:
    return "MessagingServiceSid" if _is_service(sender) else "From"


def _is_service(sender: str) -> bool:
    """Whether a sender is a messaging service, by its id; a name may begin like one: "MGPhoto"."""
    return _SERVICE.fullmatch(sender) is not None


def _validity(text: Text) -> int:
    """Seconds Twilio may hold the text; it allows 1 to 36,000 and advises against less than 6."""
    left = (text.expires_at - text.at) // timedelta(seconds=1)
    return min(max(left, 6), 36_000)


def outcome(status: int, retry_after: str | None, body: bytes | None, at: datetime) -> Outcome:
    """What an HTTP answer to a submission proves; `body` is None when it came incomplete.

    A 404 or 405 comes from something that takes no texts at all, whatever its body says, so it blocks the
    account instead of leaving each text in doubt. A 4xx with a code that is not in our tables is a documented
    refusal of this one text: final, but nothing is held against the recipient.
    """
    if status == 201:
        return _created(body)
    if status == 429:
        return NotSent("twilio: too many requests", _code(body), wait(retry_after, at))
    if status in {401, 403, 404, 405}:
        return _blocked(status, body)
    problem = decoded(body, _Problem) if 400 <= status < 500 and status != 408 else None
    if problem is None:
        return Unknown(f"twilio: HTTP {status}", Stage.ANSWERED, str(status))
    return _refusal(problem, wait(retry_after, at))


def _created(body: bytes | None) -> Outcome:
    created = decoded(body, _Created)
    if created is None or not created.sid:
        return Unknown("twilio: HTTP 201 without an id", Stage.ANSWERED, "201")
    try:
        segments = int(created.num_segments or 0)
    except ValueError:
        segments = 0
    return Accepted(created.sid, segments if segments > 0 else None)  # 0 while a pool has not picked a sender


def _blocked(status: int, body: bytes | None) -> Outcome:
    """401 to 405. A code that blames this one text is believed over the status."""
    problem = decoded(body, _Problem)
    if problem is None:
        return Blocked(f"twilio: HTTP {status}", str(status))
    known = _refusal(problem, None)
    if isinstance(known, Refused) and said(problem.code) is None:
        return Blocked(f"twilio {problem.code}: {quoted(problem.message)}", str(problem.code))
    return known


def _refusal(problem: _Problem, pause: timedelta | None) -> Outcome:
    code = problem.code
    reason = f"twilio {code}: {said(code) or quoted(problem.message)}"
    if code in THROTTLED:
        return NotSent(reason, str(code), pause)
    if code in BLOCKED:
        return Blocked(reason, str(code))
    if code in RECIPIENT:
        return Refused(reason, Cause.RECIPIENT, str(code))
    if code in ROUTE:
        return Refused(reason, Cause.ROUTE, str(code))
    if code in OPTED_OUT:
        return Refused(reason, Cause.OPTED_OUT, str(code))
    return Refused(reason, Cause.CONTENT, str(code))


def _code(body: bytes | None) -> str:
    problem = decoded(body, _Problem)
    return "429" if problem is None else str(problem.code)


def search(text: Text) -> list[tuple[str, str]]:
    """The query for the texts that may be this one. A text still queued has no sent date, so that is left off."""
    query = [("To", text.to), ("PageSize", str(PAGE))]
    return query if _is_service(text.sender) else [*query, ("From", text.sender)]


def found(body: bytes | None, text: Text, known: Collection[str] = ()) -> Lookup:
    """Whether the list of texts to and from these numbers contains this one, by its words and its time.

    `known` are the ids that already belong to other attempts; two texts with the same words are told apart by
    them, and otherwise not at all.
    """
    page = decoded(body, _Page)
    if page is None:
        return CannotTell("twilio: the list came unreadable")
    times = [instant(listed.date_created) for listed in page.messages]
    if page.next_page_uri and all(time is None or time > text.at - SKEW for time in times):
        return CannotTell("twilio: more texts than one list holds")
    candidates = [
        listed
        for listed, time in zip(page.messages, times, strict=True)
        if listed.sid not in known and (time is None or text.at - SKEW <= time <= text.at + LATEST)
    ]
    if any(not listed.body for listed in candidates):
        return CannotTell("twilio: the words are no longer stored there")
    same = [listed for listed in candidates if _is(listed, text)]
    if len(same) > 1:
        return CannotTell(f"twilio: {len(same)} texts with these words")
    return Found(same[0].sid, FATES.get(same[0].status, Fate.SENT)) if same else NotFoundThere()


def _is(listed: _Listed, text: Text) -> bool:
    same_pool = not _is_service(text.sender) or listed.messaging_service_sid in {None, text.sender}
    return same_pool and (listed.body or "").strip() == text.body.strip()
