"""What a mail that comes in is: a bounce, a complaint, an automatic answer, or a letter to be read.

A bounce or a complaint counts for the message that it proves to know: by the address it came back to, which only we can
make, or by a Message-ID of ours, which only those who had the mail have seen. Anybody may send the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from hashlib import sha256
from typing import Final, TypeAlias

from flufl.bounce import all_failures

from control_center.domain import bounce
from control_center.domain.inbound import Inbound
from control_center.domain.links import For, Links, named_in
from control_center.domain.wire import letter
from control_center.domain.wire.smtp import quoted

_DAEMON: Final = re.compile(r"(?:mailer-daemon|postmaster|mail-daemon|mdaemon|mailer_daemon)(?:@.*)?", re.IGNORECASE)
_UNSUBSCRIBE: Final = re.compile(r"/u/([A-Za-z0-9_-]{24})(?![A-Za-z0-9_-])")
_FAILED: Final = "failed"
_LONGEST_BOUNCE: Final = 300_000  # characters: two dozen detectors read each line of it, which takes seconds
_LONGEST_PROOF: Final = 1_000_000  # characters in which we look for what only we can make: each is a signature to check
_NAMED: Final = 100  # messages of ours that a mail may name: each is looked up
_SMTP: Final = re.compile(r"\s*smtp\s*;", re.IGNORECASE)  # what a Diagnostic-Code begins with
# Feedback that no recipient gave, or that takes a complaint back.
_NO_COMPLAINT: Final = frozenset({"not-spam", "auth-failure", "dmarc", "virus"})


@dataclass(frozen=True, slots=True)
class Origin:
    """What a mail proves to know of one of ours: an attempt (`m-12.1`), or messages by number and nonce."""

    attempt: str | None = None
    named: tuple[tuple[int, str], ...] = ()
    link: int | None = None  # the message whose link to unsubscribe it carries


@dataclass(frozen=True, slots=True)
class Bounce:
    """A mail came back. `code` is None where nobody can read why; `reason` is what the other server said."""

    known_by: str
    origin: Origin
    code: str | None
    reason: str
    sender: str
    to: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """Somebody pressed the spam button (ARF, RFC 5965)."""

    known_by: str
    origin: Origin
    kind: str


@dataclass(frozen=True, slots=True)
class Automatic:
    """No person wrote it, or it says nothing final: `why` in words."""

    known_by: str
    why: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail that somebody wrote. `answered` are the messages of ours that it answers."""

    inbound: Inbound
    to: tuple[str, ...]
    subject: str
    answered: tuple[tuple[int, str], ...]


Incoming: TypeAlias = Bounce | Complaint | Automatic | Letter


def read(raw: bytes, links: Links, *, to: str = "") -> Incoming:
    """What a mail is. `to` is the address it was delivered to, where who brings it knows. Never raises."""
    known_by = f"mail {sha256(raw).hexdigest()[:40]}"
    mail = letter.parse(raw)
    kind = str(mail.get_param("report-type") or "").lower() if mail.get_content_type() == "multipart/report" else ""
    # A report that stands in an enclosed mail was made for whoever encloses it, and not for us.
    if any(letter.outer(mail, "message/feedback-report")):
        about = _feedback(mail)
        if about in _NO_COMPLAINT:
            return Automatic(known_by, f"a feedback report: {about}")
        return Complaint(known_by, _origin(mail, links, to), about)
    status = list(letter.outer(mail, "message/delivery-status"))
    if status or kind == "delivery-status":
        return _reported(mail, status, known_by, _origin(mail, links, to))
    if kind == "disposition-notification":
        return Automatic(known_by, "a note that a mail was read")
    return _unreported(mail, known_by, links, to)


def _reported(mail: Message, status: list[Message], known_by: str, origin: Origin) -> Bounce | Automatic:
    """A delivery report of RFC 3464: the fields of the recipient that failed."""
    recipients = [block for part in status for block in _blocks(part) if block.get("Action")]
    actions = [(letter.header(block, "Action").partition(" ")[0].lower(), block) for block in recipients]
    failed = next((block for action, block in actions if action == _FAILED), None)
    if failed is None and actions:
        return Automatic(known_by, f"a delivery report: {actions[0][0][:20]}")
    if failed is None:
        code = bounce.UNCLEAR if _failures(mail)[1] else None
        return _bounce(mail, known_by, origin, code, "a delivery report without a recipient")
    diagnostic = letter.header(failed, "Diagnostic-Code")
    code = bounce.code_of(letter.header(failed, "Status"), diagnostic)
    return _bounce(mail, known_by, origin, code, diagnostic or letter.header(failed, "Status"))


def _unreported(mail: Message, known_by: str, links: Links, to: str) -> Incoming:
    """A mail without a report: a bounce in a server's own words, an automatic answer, or a letter."""
    origin = _origin(mail, links, to)
    daemon = _from_daemon(mail)
    if daemon or (origin.attempt is not None and _returns_nowhere(mail) and not _answers_by_itself(mail)):
        passing, final = _failures(mail)
        if final:
            return _bounce(mail, known_by, origin, bounce.UNCLEAR, letter.own(letter.words(mail))[:200])
        if passing:
            return Automatic(known_by, "a delivery report: delayed")
    why = _automatic(mail)
    if why is not None and not daemon:
        return Automatic(known_by, why)
    sender = letter.sender(mail)
    if daemon or sender is None:
        return _bounce(mail, known_by, origin, None, letter.header(mail, "Subject"))
    return _letter(mail, known_by, sender, to)


def _letter(mail: Message, known_by: str, sender: str, to: str) -> Letter:
    receivers = tuple(dict.fromkeys([*([to.lower()] if to else []), *letter.receivers(mail)]))
    named = letter.header(mail, "Message-ID")[:400] or None
    inbound = Inbound(named or known_by, named, sender, next(iter(receivers), ""), letter.words(mail))
    answered = tuple(dict.fromkeys(named_in(_references(mail))))[:_NAMED]
    return Letter(inbound, receivers, letter.header(mail, "Subject")[:400], answered)


def _automatic(mail: Message) -> str | None:
    """Why nobody wrote this (RFC 3834, and what came before it); None where somebody may have."""
    submitted = letter.header(mail, "Auto-Submitted").partition(";")[0].strip().lower()
    if submitted not in ("", "no"):
        return f"Auto-Submitted: {submitted[:40]}"
    if mail.get("X-Autoreply") or mail.get("X-Autorespond"):
        return "an automatic answer"
    precedence = letter.header(mail, "Precedence").lower()
    if precedence in ("bulk", "junk", "auto_reply"):
        return f"Precedence: {precedence}"
    if (mail.get("List-Id") or precedence == "list") and not named_in(_references(mail)):
        return "a list"  # a studio's own address may be one: what answers a mail of ours is a client's all the same
    return "an empty return path" if _returns_nowhere(mail) else None


def _answers_by_itself(mail: Message) -> bool:
    """Whether somebody's mail program answered: it got the mail, whatever it says of who reads it."""
    submitted = letter.header(mail, "Auto-Submitted").lower()
    return submitted.startswith("auto-replied") or bool(mail.get("X-Autoreply") or mail.get("X-Autorespond"))


def _references(mail: Message) -> str:
    return f"{mail.get('In-Reply-To', '')} {mail.get('References', '')}"


def _from_daemon(mail: Message) -> bool:
    """Whether a mail server seems to speak. A holiday notice comes from a person's address, with no return path."""
    return bool(_DAEMON.fullmatch((letter.sender(mail) or letter.header(mail, "From")).strip("<> ")))


def _returns_nowhere(mail: Message) -> bool:
    return mail.get("Return-Path") is not None and letter.header(mail, "Return-Path") in ("<>", "")


def _failures(mail: Message) -> tuple[bool, bool]:
    """Whether it says that mail was delayed, and that it failed; in the words of servers that follow no standard."""
    try:
        if sum(len(str(part.get_payload())) for part in mail.walk() if not part.is_multipart()) > _LONGEST_BOUNCE:
            return False, False
        passing, final = all_failures(mail)
    except Exception:  # noqa: BLE001 - detectors of many hands read whatever anybody sends; nothing found is an answer
        return False, False
    return bool(passing), bool(final)


def _bounce(mail: Message, known_by: str, origin: Origin, code: str | None, reason: str) -> Bounce:
    said = quoted(_SMTP.sub("", reason).strip()) or "no reason given"
    said = bounce.placed(code or "", letter.words(mail)) + said
    sender = letter.sender(mail) or letter.header(mail, "From")[:200]
    return Bounce(known_by, origin, code, said, sender, letter.receivers(mail), letter.words(mail))


def _origin(mail: Message, links: Links, to: str) -> Origin:
    """What it proves to know: in its own headers, in a report's fields, and in what it returns of our mail."""
    seen = [to, *_head(mail)]
    for part in letter.parts(mail, "message/feedback-report"):
        seen += _fields(part)
    for part in letter.parts(mail, "message/delivery-status"):
        seen += _fields(part)
    for wanted in ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "text/plain"):
        seen += [_flat(part) for part in letter.parts(mail, wanted)]
    text = "\n".join(seen)[:_LONGEST_PROOF]
    found = _UNSUBSCRIBE.findall(text)
    link = next((known for one in found if (known := links.message(For.UNSUBSCRIBE, one)) is not None), None)
    return Origin(links.returned(text), tuple(dict.fromkeys(named_in(text)))[:_NAMED], link)


def _head(mail: Message) -> list[str]:
    return [f"{name}: {value}" for name, value in mail.items()]


def _blocks(part: Message) -> list[Message]:
    inner = (
        part.get_payload() if part.is_multipart() else ()
    )  # the library would decode it, by whatever charset it says
    return [one for one in inner if isinstance(one, Message)]


def _fields(part: Message) -> list[str]:
    """The fields of a report, whether the parser has taken it for a message or for text."""
    return [*(line for block in _blocks(part) for line in _head(block)), _flat(part)]


def _flat(part: Message) -> str:
    if part.is_multipart():
        return "\n".join(line for block in _blocks(part) for line in _head(block))
    raw = part.get_payload(decode=True)
    return raw[: letter.LONGEST].decode("latin-1") if isinstance(raw, bytes) else ""


def _feedback(mail: Message) -> str:
    text = "\n".join(line for part in letter.parts(mail, "message/feedback-report") for line in _fields(part))
    found = re.search(r"(?im)^feedback-type:\s*([a-z-]{1,30})", text)
    return found[1].lower() if found else "abuse"
