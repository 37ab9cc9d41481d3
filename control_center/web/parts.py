"""What the web application is made of, handed in by whoever starts it: it reads no settings and opens no pool."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from control_center.domain.links import Links
from control_center.engine.conversations import Conversations
from control_center.engine.following import Following
from control_center.engine.intake import Intake
from control_center.engine.mailroom import Mailroom
from control_center.engine.receipt_tray import ReceiptTray
from control_center.store import db


@dataclass(frozen=True, slots=True)
class Account:
    """A provider account whose calls we take. `name` as messages carry it, such as `sms/default`.

    `account_id` is the provider's own name for it (Twilio: the account SID), by which a call without an account
    in its address is matched. Its calls are signed with one of `secrets`, or so that one of them, a public key, fits:
    several may be in force while one replaces another.
    """

    name: str
    provider: str
    account_id: str
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what one caller may ask of us. Sizes are bytes after decompression."""

    body: int = 8 * 1024 * 1024
    hook_body: int = 64 * 1024
    mail_body: int = 16 * 1024 * 1024  # of a mail that a relay brings, with what is attached to it
    body_seconds: float = 30.0  # for a body to arrive
    idle_seconds: float = 75.0  # for the head of a call: longer than a proxy keeps a connection that it may use again
    hook_seconds: float = 10.0  # for what a provider calls in to be stored: it gives up soon, and comes again
    in_flight: int = 64  # calls worked on at once; more are told to come again
    keyed: int = 4  # of these with an Idempotency-Key, each of which holds a connection from its beginning to its end
    mails: int = 8  # that a relay brings, at once: each may unpack to `mail_body` before anybody knows who brings it


Check = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the application needs.

    `public_url` is our address as providers and clients see it: signatures are made over it, so it is never taken
    from a request. `links` makes the links in messages, `following` answers them, and `mailroom` takes mail in.
    `sandboxes` are accounts whose texts a person may let come in, `texting` all that there are for texts (None: any).
    `studio` is meant where a call names none, if it is there; else the first is. `readiness` are further checks by
    name, each of which returns None or what is missing; the database and its schema are checked anyway.
    """

    pool: db.Pool
    clock: Callable[[], datetime]
    intake: Intake
    conversations: Conversations
    public_url: str
    links: Links | None = None
    following: Following | None = None
    mailroom: Mailroom | None = None
    studio: str | None = None
    accounts: tuple[Account, ...] = ()
    sandboxes: frozenset[str] = frozenset()
    texting: frozenset[str] | None = None
    readiness: Mapping[str, Check] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    receipts: ReceiptTray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "receipts", ReceiptTray(self.pool))


PARTS = web.AppKey("parts", Parts)
