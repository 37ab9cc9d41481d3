"""What a provider answered, as values.

Every call of a provider ends in exactly one of these. They are ordered by what they *prove*: `NotSent`,
`Blocked` and `Refused` prove that the message was not taken; `Accepted` proves that it was; `Unknown` proves
nothing, and is therefore never sent again by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias

from control_center.domain.inbound import named, readable


class Cause(Enum):
    """Why a provider refused for good; decides what else is written down."""

    RECIPIENT = "recipient"  # the number or address cannot receive
    ROUTE = "route"  # our account may not write there, or knows no way; the number itself may be well
    OPTED_OUT = "opted_out"  # the provider knows of a STOP, even if we never saw it
    CONTENT = "content"  # filtered, too long, malformed


class Stage(Enum):
    """How far a call had come when its answer was lost."""

    SENT = "sent"  # the request had left, wholly or in part
    ANSWERED = "answered"  # an answer came and could not be understood


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took it. `segments` where the provider counts them."""

    provider_id: str | None
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Proven not taken, and worth another try: connection refused, 429, a documented refusal to take it now."""

    reason: str
    code: str | None = None
    wait: timedelta | None = None  # as the provider asked (Retry-After)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Proven not taken, because of the account or sender: nothing else will get through either.

    The message waits and no attempt is counted; the account's breaker opens. One that is `alone` was said of one
    recipient and may be about that one only: it is tried a few times more, and believed of the account once several
    recipients in a row are told so.
    """

    reason: str
    code: str | None = None
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Proven not taken, for good: another try would end the same way."""

    reason: str
    cause: Cause
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been taken. Nobody can know until a receipt, a lookup or a person settles it."""

    reason: str
    stage: Stage
    code: str | None = None


Outcome: TypeAlias = Accepted | NotSent | Blocked | Refused | Unknown


class Fate(Enum):
    """What a receipt says became of a message. The value's rank decides which of two receipts counts."""

    SENT = "sent"  # on its way: proves acceptance, nothing more
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider later says about one message.

    `reference` is ours (the attempt's key) where the provider echoes it; else `provider_id` must name it.
    `code` is the provider's own, `opted_out` says that the code means an opt-out at the provider, `blocked` that it
    blames the account or the sender: nothing else will get through either, and `dead` that the number takes no texts.
    `numbers` are those that it is between, by their digits, of a provider that may spell its id in another way.
    """

    fate: Fate
    reference: str | None
    provider_id: str | None
    code: str | None = None
    reason: str | None = None
    opted_out: bool = False
    blocked: bool = False
    dead: bool = False
    numbers: tuple[str, ...] = ()

    @property
    def readable(self) -> Receipt:
        """As it can be stored, whatever letters the provider wrote."""
        code, reason = (None if one is None else readable(one) for one in (self.code, self.reason))
        reference, provider_id = named(self.reference), named(self.provider_id)
        return replace(self, reference=reference, provider_id=provider_id, code=code, reason=reason)


@dataclass(frozen=True, slots=True)
class Found:
    """A lookup found the message at the provider."""

    provider_id: str
    fate: Fate


@dataclass(frozen=True, slots=True)
class NotFoundThere:
    """A lookup that is known to be complete did not find it. Evidence for a person, not a licence to resend."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The provider offers no lookup, or it did not answer."""

    reason: str


Lookup: TypeAlias = Found | NotFoundThere | CannotTell


@dataclass(frozen=True, slots=True)
class Text:
    """One SMS as it leaves: the exact words, one sender, one recipient.

    `key` is our reference of this attempt: stable for the attempt, never used again. `to` is E.164.
    `at` is when the worker began; `expires_at` is the use-by, after which the text must not go out.
    """

    key: str
    message: str
    sender: str
    to: str
    body: str
    at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file on a mail: its name, its type as a header says it (`text/calendar; method=PUBLISH`), its bytes."""

    name: str
    type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """One email as it leaves, to one address.

    `message_id` is stable over all attempts of one message, without angle brackets. `headers` are ours,
    never a user's. `html` is None for plain text.
    """

    key: str
    message: str
    message_id: str
    sender: str
    sender_name: str
    to: str
    to_name: str
    subject: str
    text: str
    at: datetime
    expires_at: datetime
    html: str | None = None
    reply_to: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
