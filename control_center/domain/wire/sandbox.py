"""The provider that sends nothing: what it does with a text or mail, decided by the recipient alone.

Each message it accepts is one line of a file. Its receipts are made from that file by whoever reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Literal

import msgspec

from control_center.domain.outcome import Accepted, Cause, Fate, Mail, NotSent, Outcome, Refused, Stage, Text, Unknown


class Behaviour(Enum):
    """What a recipient stands for: the last four digits of a number, or the local part of an address."""

    REFUSED = "0001"
    BUSY = "0002"  # throttled twice, then accepted
    LOST = "0003"  # accepted, but neither the answer nor a receipt ever comes
    DOWN = "0004"  # no connection
    UNDELIVERED = "0005"
    OPTED_OUT = "0006"  # a STOP that only the provider knows of
    SLOW = "0007"
    NORMAL = ""


_LOCAL_PARTS = {
    "refused": Behaviour.REFUSED,
    "busy": Behaviour.BUSY,
    "lost": Behaviour.LOST,
    "down": Behaviour.DOWN,
}
_DIGITS = {behaviour.value: behaviour for behaviour in Behaviour}

PAUSE = timedelta(seconds=1)  # what a busy sandbox asks for
BUSY_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """`accepts`: a line is written. `slow`: after a while. `outcome`: what the caller gets to know of it."""

    accepts: bool
    outcome: Outcome
    slow: bool = False


class OutboxLine(msgspec.Struct, frozen=True, omit_defaults=True, rename={"sender": "from"}):
    """One accepted message, as it stands in the outbox file."""

    at: datetime
    channel: Literal["sms", "email"]
    message: str
    key: str
    sender: str
    to: str
    subject: str | None
    text: str
    attachments: tuple[str, ...] = ()  # names of the files on a mail


def behaviour(to: str) -> Behaviour:
    local, at, _ = to.partition("@")
    if at:
        return _LOCAL_PARTS.get(local.partition("+")[0].lower(), Behaviour.NORMAL)
    return _DIGITS.get(re.sub(r"\D", "", to)[-4:], Behaviour.NORMAL)


def verdict(to: str, key: str) -> Verdict:
    """What becomes of the attempt `key` at this recipient; the number after the key's last dot counts from 1."""
    match behaviour(to):
        case Behaviour.REFUSED:
            return Verdict(accepts=False, outcome=Refused("sandbox: no such recipient", Cause.RECIPIENT, "0001"))
        case Behaviour.BUSY if attempt(key) <= BUSY_ATTEMPTS:
            return Verdict(accepts=False, outcome=NotSent("sandbox: too many requests", "0002", PAUSE))
        case Behaviour.LOST:
            return Verdict(accepts=True, outcome=Unknown("sandbox: the answer was lost", Stage.SENT, "0003"))
        case Behaviour.DOWN:
            return Verdict(accepts=False, outcome=NotSent("sandbox: connection refused", "0004"))
        case Behaviour.OPTED_OUT:
            return Verdict(accepts=False, outcome=Refused("sandbox: opted out", Cause.OPTED_OUT, "0006"))
        case Behaviour.SLOW:
            return Verdict(accepts=True, outcome=Accepted(provider_id(key)), slow=True)
        case Behaviour.BUSY | Behaviour.UNDELIVERED | Behaviour.NORMAL:
            return Verdict(accepts=True, outcome=Accepted(provider_id(key)))


def attempt(key: str) -> int:
    """`m-123.2` is the second attempt; a key of another shape counts as the first."""
    number = key.rpartition(".")[2]
    return int(number) if re.fullmatch(r"[0-9]{1,6}", number) else 1


def provider_id(key: str) -> str:
    return f"sandbox-{key}"


def fate(to: str) -> Fate | None:
    """What the receipt of an accepted message says; None where there is to be none."""
    match behaviour(to):
        case Behaviour.LOST:
            return None
        case Behaviour.UNDELIVERED:
            return Fate.UNDELIVERED
        case _:
            return Fate.DELIVERED


def outbox_line(message: Text | Mail, at: datetime) -> bytes:
    """The line that says the sandbox accepted this message at that instant, with its line end."""
    line = OutboxLine(
        at=at.astimezone(UTC),
        channel="sms" if isinstance(message, Text) else "email",
        message=message.message,
        key=message.key,
        sender=message.sender,
        to=message.to,
        subject=None if isinstance(message, Text) else message.subject,
        text=message.body if isinstance(message, Text) else message.text,
        attachments=() if isinstance(message, Text) else tuple(one.name for one in message.attachments),
    )
    return msgspec.json.encode(line) + b"\n"


def read_outbox(data: bytes) -> list[OutboxLine]:
    """The whole lines in it. What follows the last line end is still being written, and comes with the next read.

    A line that was cut, by a full disk or by hand, is left out: nobody can say what it was.
    """
    lines = []
    for raw in data[: whole(data)].splitlines():
        try:
            lines.append(msgspec.json.decode(raw, type=OutboxLine))
        except msgspec.DecodeError:
            continue
    return lines


def whole(data: bytes) -> int:
    """How many bytes of it are whole lines: where to read on."""
    return data.rfind(b"\n") + 1
