"""SMTP as a client of a relay: its address, and what each reply proves.

Until the last line of the text (the dot) nothing can have been taken; after it only a reply tells. A reply is
always definite: by its code the message was taken, was not taken now, or will never be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from control_center.domain.bounce import relays_not
from control_center.domain.errors import Malformed
from control_center.domain.outcome import Accepted, Blocked, Cause, NotSent, Outcome, Refused, Stage, Unknown


class Tls(Enum):
    """How the connection to the relay is protected; there is no falling back."""

    NONE = "none"
    STARTTLS = "starttls"  # required: a relay that does not offer it gets nothing
    IMPLICIT = "implicit"  # from the first byte


@dataclass(frozen=True, slots=True)
class Relay:
    host: str
    port: int
    tls: Tls
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def relay(url: str, setting: str = "smtp_url") -> Relay:
    """`smtp://user:pass@host:587` (STARTTLS, except to this machine), `smtps://…`, `?tls=none|starttls`.

    Raises Malformed naming the setting, with the secret masked.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Malformed(setting, f"{masked(url)} is not an address: write smtp://user:pass@host:587") from error
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise Malformed(setting, f"{masked(url)}: write smtp://user:pass@host:587 or smtps://user:pass@host")
    if parts.path not in {"", "/"} or parts.fragment:
        raise Malformed(setting, f"{masked(url)}: nothing may follow the port but ?tls=none or ?tls=starttls")
    return Relay(
        host=parts.hostname,
        port=port or (465 if parts.scheme == "smtps" else 587),
        tls=_protection(parts, url, setting),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def _protection(parts: SplitResult, url: str, setting: str) -> Tls:
    query = parse_qsl(parts.query, keep_blank_values=True)
    if parts.scheme == "smtps" and not query:
        return Tls.IMPLICIT
    if not query:
        return Tls.NONE if _is_loopback(parts.hostname or "") else Tls.STARTTLS
    if parts.scheme == "smtps" or query not in ([("tls", "none")], [("tls", "starttls")]):
        raise Malformed(setting, f"{masked(url)}: only smtp:// takes an option: ?tls=none or ?tls=starttls")
    return Tls(query[0][1])


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def masked(url: str) -> str:
    """The address without user and password, whatever its shape; a part that may be a secret is left out."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "***"
    _, at, host = rest.rpartition("@")
    return f"{scheme}://***@{host}" if at else f"{scheme}://***"


class Step(Enum):
    """How far a conversation with a relay has come."""

    HELLO = "hello"  # connect, greeting, EHLO, STARTTLS
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  # the relay is asked whether it will take the text; no byte of it has left
    DOT = "dot"  # the text has left, wholly or in part


# Subject and detail of the enhanced codes (RFC 3463, 5248, 7372) and whom they blame.
_RECIPIENT = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "2.1", "4.4"})
_FULL = frozenset({"2.2"})
_CONTENT = frozenset({"2.3", "3.4"})
_SENDER = frozenset({"1.7", "1.8", "7.60", "2.252"})  # the last two are Microsoft's: no right to send as this sender
_CREDENTIALS = frozenset({"7.3", "7.8", "7.9", "7.11", "7.13", "7.14", "7.57"})
_DOMAIN = frozenset(f"7.{detail}" for detail in (*range(20, 30), 509, 515))  # SPF, DKIM, DMARC, reverse DNS
_TENANT = frozenset({"7.64", "7.705", "7.708", "7.750"})  # Microsoft's, of whoever hands mail in
_ACCOUNT = _SENDER | _CREDENTIALS | _DOMAIN | _TENANT

# Reply codes that say so without an enhanced one.
_LOGIN = frozenset({530, 534, 535, 538})
_NO_SUCH_MAILBOX = frozenset({550, 551, 553, 556})


def reply(step: Step, code: int, text: str) -> Outcome:
    """What a reply proves at that step, for a message to one recipient."""
    detail = _detail(text)
    reason = f"smtp {step.value}: {code} {quoted(text)}".rstrip()
    shown = f"{code} {code // 100}.{detail}" if detail else str(code)
    if 200 <= code < 300 and step is Step.DOT:
        return Accepted(queue_id(text))
    if 400 <= code < 500:
        return NotSent(reason, shown)
    if 500 <= code < 600:
        return _final(step, code, detail, reason=reason, shown=shown)
    if step is Step.DOT:
        return Unknown(reason, Stage.ANSWERED, str(code))
    return NotSent(reason, str(code))  # not understood, but the text had not left


def _final(step: Step, code: int, detail: str, *, reason: str, shown: str) -> Outcome:
    if step in {Step.HELLO, Step.AUTH} or code in _LOGIN or detail in _ACCOUNT:
        return Blocked(reason, shown)
    if (not detail or detail.startswith("7.")) and relays_not(reason):
        return Blocked(reason, shown)  # by its words; some relays wait with them until they have the text
    if detail in _CONTENT:
        return Refused(reason, Cause.CONTENT, shown)
    if step is Step.MAIL:
        return Blocked(reason, shown)  # so far the relay knows the sender only
    if detail in _FULL or (step is Step.RCPT and code == 552 and not detail):
        return NotSent(reason, shown)  # RFC 5321 4.5.3.1.10: a bare 552 there is a passing one
    if detail in _RECIPIENT:
        return Refused(reason, Cause.RECIPIENT, shown)
    if step is Step.RCPT:
        return _recipient(code, detail, reason=reason, shown=shown)
    return Refused(reason, Cause.CONTENT, shown)


def _recipient(code: int, detail: str, *, reason: str, shown: str) -> Outcome:
    """A reply to RCPT whose code is not in the lists."""
    if detail.startswith("7."):
        return Blocked(reason, shown, alone=True)  # policy, before any text was seen: ours, or this one recipient's
    if detail.startswith(("1.", "4.")) or (not detail and code in _NO_SUCH_MAILBOX):
        return Refused(reason, Cause.RECIPIENT, shown)
    return Refused(reason, Cause.CONTENT, shown)


def lost(step: Step, reason: str) -> Outcome:
    """What it proves that no reply came: nothing, once the text had left."""
    if step is Step.DOT:
        return Unknown(f"smtp {step.value}: {reason}", Stage.SENT)
    return NotSent(f"smtp {step.value}: {reason}")


def _detail(text: str) -> str:
    """`1.1` of `5.1.1 no such user`: subject and detail; the class is the reply code's own."""
    match = re.search(r"(?:^|\(#)[245]\.([0-9]{1,3}\.[0-9]{1,3})\b", text)  # qmail and its kin say it last
    return match.group(1) if match else ""


def quoted(text: str) -> str:
    """A relay's words fit for a log and a page: one line, short, an address only by its domain."""
    line = "".join(char if char.isprintable() else " " for char in text[:2000])  # what follows takes its square
    return re.sub(r"[^\s<>@:;,\"']+@", "…@", line)[:200].strip()


_QUEUED = (
    re.compile(r"queued as ([\w.-]+)", re.IGNORECASE),  # Postfix and its kin
    re.compile(r"\bid=([\w.-]+)"),  # Exim
    re.compile(r"InternalId=(\d+)"),  # Exchange
    re.compile(r"\b(\w{8,}) message accepted", re.IGNORECASE),  # Sendmail
    re.compile(r"^(?:2\.\d\.\d )?ok:?\s+([\w-]{10,}(?: [\w.-]{10,})?)(?: - gsmtp)?$", re.IGNORECASE),  # SES, Gmail
)


def queue_id(text: str) -> str | None:
    """The relay's own name for the message, where its last reply has one that we know how to read."""
    matches = (pattern.search(text) for pattern in _QUEUED)
    return next((match.group(1)[:200] for match in matches if match), None)


_LINE_END = re.compile(rb"\r\n|\r|\n")


def transmission(content: bytes) -> bytes:
    """A message as it goes over the wire after DATA: CRLF only, dots doubled at line starts, the dot at the end.

    A bare CR or LF must not survive: two servers that disagree on where a line ends see two messages.
    """
    if not content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n"):
        content = _LINE_END.sub(b"\r\n", content)
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    doubled = content.replace(b"\r\n.", b"\r\n..")
    return (b"." if doubled.startswith(b".") else b"") + doubled + b".\r\n"
