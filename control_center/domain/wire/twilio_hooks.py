"""Twilio's calls to us: whether one is Twilio's, and what it says: the fate of a text, or a text from outside."""

from __future__ import annotations

import base64
import hmac
import re
from collections import defaultdict
from collections.abc import Sequence

from control_center.domain.inbound import Answered, Inbound
from control_center.domain.outcome import Fate, Receipt
from control_center.domain.wire.twilio_codes import BLOCKED, DEAD, FATES, OPTED_OUT, said

_OPT_OUTS = frozenset(str(code) for code in OPTED_OUT)
_BLOCKED = frozenset(str(code) for code in BLOCKED)
_DEAD = frozenset(str(code) for code in DEAD)
_MOST_MEDIA = 10

# What Twilio answers by itself unless it is told otherwise, where it is the only word. YES is not among them: it takes
# that one up only from a number that has said STOP, and says nothing of it to us.
_ANSWERS = {
    **dict.fromkeys(("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"), Answered.STOP),
    **dict.fromkeys(("START", "UNSTOP"), Answered.START),
    **dict.fromkeys(("HELP", "INFO"), Answered.HELP),
}


def verify(signature: str, url: str, params: Sequence[tuple[str, str]], secrets: Sequence[str]) -> bool:
    """Whether Twilio signed this call of `url` (public, with its query) with one of our secrets.

    All fields count, known to us or not. Takes the same time whichever secret or form of the address fits, and
    an empty secret never does.
    """
    fields: defaultdict[str, set[str]] = defaultdict(set)
    for name, value in params:
        fields[name].add(value)
    signed = "".join(name + value for name in sorted(fields) for value in sorted(fields[name]))
    given = signature.encode("utf-8", "surrogatepass")
    matches = [
        hmac.compare_digest(given, _signature(address + signed, secret))
        for secret in secrets
        if secret
        for address in _addresses(url)
    ]
    return any(matches)


def _signature(signed: str, secret: str) -> bytes:
    # Bytes that are no UTF-8 were read so that they come out again as they were.
    digest = hmac.digest(secret.encode(), signed.encode("utf-8", "surrogateescape"), "sha1")
    return base64.b64encode(digest)


def _addresses(url: str) -> tuple[str, str, str]:
    """The address as it is, without and with its port: Twilio signs either."""
    scheme, _, rest = url.partition("://")
    host, path = _split(rest)
    bare = re.sub(r":[0-9]*$", "", host)
    ported = host if bare != host else f"{host}:{443 if scheme == 'https' else 80}"
    return url, f"{scheme}://{bare}{path}", f"{scheme}://{ported}{path}"


def _split(rest: str) -> tuple[str, str]:
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    return rest[:end], rest[end:]


def receipt(params: Sequence[tuple[str, str]], reference: str | None) -> Receipt | None:
    """What a verified status callback says; None for one that says nothing about a text of ours.

    `reference` is our key from the callback's own address.
    """
    fields = dict(params)
    fate = FATES.get(fields.get("MessageStatus") or fields.get("SmsStatus") or "")
    provider_id = fields.get("MessageSid") or fields.get("SmsSid") or None
    if fate is None or (provider_id is None and not reference):
        return None
    code = fields.get("ErrorCode", "")
    if code in {"", "0"} or fate is not Fate.UNDELIVERED:
        return Receipt(fate, reference or None, provider_id)
    words = said(int(code)) if re.fullmatch(r"[0-9]{5}", code) else None
    return Receipt(
        fate,
        reference or None,
        provider_id,
        code,
        f"twilio {code}: {words or 'undelivered'}",
        opted_out=code in _OPT_OUTS,
        blocked=code in _BLOCKED,
        dead=code in _DEAD,
    )


def inbound(params: Sequence[tuple[str, str]]) -> Inbound | None:
    """A text from outside that a verified call brings; None where it is about something else.

    A messaging service with Advanced Opt-Out says what it took the text for (`OptOutType`). Without it Twilio answers
    its own keywords all the same and does not say so.
    """
    fields = dict(params)
    provider_id = fields.get("MessageSid") or fields.get("SmsSid")
    sender, to = fields.get("From"), fields.get("To")
    if not (provider_id and sender and to and "Body" in fields) or "MessageStatus" in fields:
        return None
    count, parts = _number(fields.get("NumMedia")), _number(fields.get("NumSegments"))
    media = (fields.get(f"MediaUrl{place}") for place in range(min(count, _MOST_MEDIA)))
    return Inbound(
        known_by=provider_id,
        provider_id=provider_id,
        sender=sender,
        to=to,
        text=fields["Body"],
        media=tuple(url for url in media if url),
        segments=parts or None,
        answered=_ANSWERS.get((fields.get("OptOutType") or fields["Body"]).strip().upper()),
    )


def _number(digits: str | None) -> int:
    return int(digits) if digits and re.fullmatch(r"[0-9]{1,4}", digits) else 0
