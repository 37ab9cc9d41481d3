"""What a bounce says of its recipient and of us, by its status code alone: never by its words where it has a code."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Final


class Verdict(Enum):
    """Whom a bounce blames, and so what follows for the address."""

    GONE = "no such mailbox or domain"  # nothing more is sent there
    DISABLED = "disabled, or refused without saying why"  # nothing more once it has come twice
    FULL = "full"  # nothing more once it has come several times over days
    CONTENT = "too large, or otherwise refused for what is in it"
    PASSING = "given up after a passing fault"
    SLOW = "too much mail, or too little reputation"
    POLICY = "refused by policy, or for who we say we are"
    OURS = "refused for its form"


_STATUS: Final = re.compile(r"(?<![0-9.])([245])\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9.])")
_REPLY: Final = re.compile(r"(?<![0-9.])([45][0-9]{2})(?![0-9.])")

_EXACT: Final[Mapping[str, Verdict]] = {
    **dict.fromkeys(("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.4.4", "556"), Verdict.GONE),
    **dict.fromkeys(("4.2.2", "5.2.2", "552"), Verdict.FULL),
    **dict.fromkeys(("5.2.3", "5.3.4"), Verdict.CONTENT),
    **dict.fromkeys(("5.1.7", "5.1.8", "554"), Verdict.POLICY),
    **dict.fromkeys(("501", "503"), Verdict.OURS),
    "5.4.1": Verdict.DISABLED,  # by its letter a host that is away; a large provider says so of mailboxes
}
_KINDS: Final = (
    ("4.7.", Verdict.SLOW),
    ("5.3.", Verdict.PASSING),
    ("5.4.", Verdict.PASSING),
    ("5.7.", Verdict.POLICY),
    ("5.5.", Verdict.OURS),
    ("5.6.", Verdict.CONTENT),
    ("4", Verdict.PASSING),
)  # whatever else is permanent (5.2.1, 5.0.0, 550) says at most that of the mailbox, and is DISABLED
# What our domain lacks rather than this mail: until it is mended nothing gets through (RFC 7372, and Microsoft's own).
_UNPROVEN: Final = frozenset({*(f"5.7.{detail}" for detail in range(20, 30)), "5.7.509", "5.7.515"})

UNCLEAR: Final = "5.0.0"  # RFC 3463: permanent, and nothing else is known of it

# Of the verdicts that one mail is too few for: how many, over how long, and for how long each is remembered.
SEVERAL: Final[Mapping[Verdict, tuple[int, timedelta, timedelta]]] = {
    Verdict.DISABLED: (2, timedelta(), timedelta(days=180)),
    Verdict.FULL: (3, timedelta(days=3), timedelta(days=60)),
}
ALARMING: Final = frozenset({Verdict.SLOW, Verdict.POLICY, Verdict.OURS})

# A reply code alone means something else in reply to the address than in reply to the words. Which of the two it was,
# mail servers note of their conversations, Postfix, Exim and sendmail each in their own way.
_BARE: Final = frozenset({"550", "551", "553"})
_TO_ADDRESS: Final = re.compile(
    r"in reply to RCPT TO|after (?:pipelined )?RCPT TO|^>>> RCPT TO", re.IGNORECASE | re.MULTILINE
)
_TO_WORDS: Final = re.compile(
    r"in reply to (?:end of )?DATA|after (?:pipelined )?(?:end of data|sending data block)|^>>> DATA",
    re.IGNORECASE | re.MULTILINE,
)
_AT: Final = re.compile(r"\bsmtp (rcpt|dot): ")
# A server that does not pass mail on for us says so in reply to the address, many with the code for a mailbox that is
# not there. Of such words alone it can be told.
_NO_RELAY: Final = re.compile(
    r"\brelay(?:ing)?\b.{0,40}\b(?:denied|prohibited|rejected|refused|disabled|disallowed|not (?:permitted|allowed))"
    r"|\b(?:not|unable|cannot|don't) (?:to )?(?:relay|(?:permitted|allowed) to relay)\b|\brcpthosts\b"
    r"|\brequires? authentication|\bauthentication (?:is )?required|\bwithout authentication|\bturn on smtp auth"
    # Postfix keeps what it has against us until it is told of the recipient, and names what that is.
    r"|\b(?:client host|sender address|helo command) rejected\b|\bemail address is not verified\b",
    re.IGNORECASE,
)


def verdict(code: str, reason: str = "") -> Verdict:
    """By an enhanced status code (`5.1.1`), or the reply code of SMTP where a server gave no other (`550`).

    A bare 550 is no such mailbox in reply to the address, and policy in reply to the words; where `reason` does not
    say which (`smtp rcpt: …`), it has to come twice. A server that does not relay says nothing of the mailbox.
    """
    if "." not in code and code not in _EXACT and relays_not(reason):
        return Verdict.POLICY
    if code in _BARE and (at := _AT.search(reason)) is not None:
        return Verdict.GONE if at[1] == "rcpt" else Verdict.POLICY
    found = _EXACT.get(code)
    if found is None:
        found = next((kind for begins, kind in _KINDS if code.startswith(begins)), Verdict.DISABLED)
    return found


def relays_not(words: str) -> bool:
    """Whether a server says that it passes no mail on for us: a login that is missing, an address that it trusted,
    a sender that it does not let us use.
    """
    return _NO_RELAY.search(words) is not None


def placed(code: str, told: str) -> str:
    """What a reason begins with that says what a bare code was the reply to, by what a mail server `told` of it."""
    address, words = (pattern.search(told) is not None for pattern in (_TO_ADDRESS, _TO_WORDS))
    if code not in _BARE or address is words:
        return ""
    return "smtp rcpt: " if address else "smtp dot: "


def enough(of: Verdict, before: Collection[tuple[Verdict, datetime]], now: datetime) -> bool:
    """Whether nothing more goes to an address of which this was said; `before`: what was, with when, this included."""
    if of is Verdict.GONE:
        return True
    if of not in SEVERAL:
        return False
    times, over, within = SEVERAL[of]
    counted = [at for one, at in before if one is of and at > now - within]
    return len(counted) >= times and max(counted) - min(counted) >= over


def blames_our_domain(code: str) -> bool:
    """Whether every other mail of this sender would be refused alike."""
    return code in _UNPROVEN


def code_of(status: str, diagnostic: str) -> str | None:
    """The code of a delivery report: its status, or where that says nothing what the other server said."""
    given = _STATUS.search(status)
    if given is not None and (given[2], given[3]) != ("0", "0"):
        return given[0]
    told = _STATUS.search(diagnostic) or _REPLY.search(diagnostic)
    return told[0] if told is not None else given[0] if given is not None else None
