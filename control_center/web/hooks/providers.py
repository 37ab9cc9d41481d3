"""What each SMS provider's calls say: read only once its signature holds, and as the same values for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias
from urllib.parse import parse_qs, parse_qsl

from control_center.domain.inbound import Inbound, readable
from control_center.domain.outcome import Receipt
from control_center.domain.wire import gateway_hooks, kannel_hooks, telnyx_hooks, twilio_hooks
from control_center.web.parts import Account

_FIELDS = 200  # of one form; Twilio sends about twenty


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it came. `url` is our public address of it with its query; the names of `headers` are in small letters.

    `named` is the account that stands in the address; that it does proves nothing.
    """

    url: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    named: str | None = None

    @property
    def raw(self) -> str:
        """What is kept of it, for whoever has to decide."""
        return readable(self.body.decode("utf-8", "replace") if self.body else self.query)

    @property
    def reference(self) -> str | None:
        """Our own reference, where the address carries it."""
        return next(iter(parse_qs(self.query).get("ref", ())), None)


@dataclass(frozen=True, slots=True)
class Brought:
    """What a signed call says: receipts, each with what a repeat of it is known by, and texts that came in."""

    account: Account
    receipts: Sequence[tuple[str, Receipt]] = field(default=())
    texts: Sequence[Inbound] = field(default=())


Reader: TypeAlias = Callable[[Call, Sequence[Account]], Brought | None]


def _twilio(call: Call, accounts: Sequence[Account]) -> Brought | None:
    """Twilio signs our public address with its query and all fields of the form, with neither time nor nonce: a repeat
    is known by what it says.
    """
    try:
        text = call.body.decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=_FIELDS)
    except (UnicodeDecodeError, ValueError):
        return None
    fields, signature = dict(pairs), call.headers.get("x-twilio-signature", "")
    sid = fields.get("AccountSid", "")
    ours = accounts if call.named is not None else [one for one in accounts if one.account_id == sid != ""]
    account = _signer(ours, lambda one: twilio_hooks.verify(signature, call.url, pairs, one.secrets))
    if account is None:
        return None
    receipt = twilio_hooks.receipt(pairs, call.reference)
    if receipt is not None:
        said = fields.get("MessageStatus") or fields.get("SmsStatus") or receipt.fate.value
        known_by = f"{receipt.provider_id or receipt.reference} {said} {receipt.code or ''}".strip()
        return Brought(account, receipts=[(known_by, receipt)])
    text_in = twilio_hooks.inbound(pairs)
    return Brought(account, texts=[text_in] if text_in is not None else ())


def _telnyx(call: Call, accounts: Sequence[Account]) -> Brought | None:
    account = _signer(accounts, lambda one: telnyx_hooks.verify(call.headers, call.body, one.secrets, call.at))
    event = telnyx_hooks.event(call.body) if account is not None else None
    if account is None or event is None:
        return None if account is None else Brought(account)
    receipt, text = telnyx_hooks.receipt(event, call.reference), telnyx_hooks.inbound(event)
    return Brought(account, [(event.id, receipt)] if receipt is not None else (), [text] if text is not None else ())


def _kannel(call: Call, accounts: Sequence[Account]) -> Brought | None:
    """Kannel signs nothing: its calls carry a token that only we and its configuration know."""
    token = next(iter(parse_qs(call.query).get("token", ())), "")
    account = _signer(accounts, lambda one: kannel_hooks.verify(token, one.secrets))
    if account is None:
        return None
    receipt, text = kannel_hooks.receipt(call.query), kannel_hooks.inbound(call.query)
    known = [(kannel_hooks.known_by(call.query), receipt)] if receipt is not None else ()
    return Brought(account, known, [text] if text is not None else ())


def _gateway(call: Call, accounts: Sequence[Account]) -> Brought | None:
    account = _signer(accounts, lambda one: gateway_hooks.verify(call.headers, call.body, one.secrets, call.at))
    if account is None:
        return None
    receipt, text = gateway_hooks.receipt(call.body), gateway_hooks.inbound(call.body)
    known = [(call.headers[gateway_hooks.ID], receipt)] if receipt is not None else ()
    return Brought(account, known, [text] if text is not None else ())


def _signer(accounts: Sequence[Account], signed: Callable[[Account], bool]) -> Account | None:
    """The first account whose signature holds."""
    return next(filter(signed, accounts), None)


READERS: Final[Mapping[str, Reader]] = {"twilio": _twilio, "telnyx": _telnyx, "kannel": _kannel, "http": _gateway}
