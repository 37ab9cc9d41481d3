"""Status callbacks of SMS providers: verified, stored, then answered.

Twilio signs our public address with its query, and all fields of the form. The signature has neither time nor
nonce, so a repeat is known by what it says: the text's id and its status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl

import structlog
from aiohttp import web

from control_center.domain.outcome import Receipt
from control_center.domain.wire import twilio_hooks
from control_center.engine import replies
from control_center.web import bodies
from control_center.web.parts import PARTS, Account, Parts
from control_center.web.problems import Problem

log = structlog.get_logger(__name__)

_FIELDS = 200  # of one form; Twilio sends about twenty
_REFUSED = "the signature does not fit"


@dataclass(frozen=True, slots=True)
class _Form:
    """A form as it came, with the address it was sent to, as the provider wrote it."""

    url: str
    raw: str
    pairs: Sequence[tuple[str, str]]
    signature: str

    @property
    def fields(self) -> Mapping[str, str]:
        return dict(self.pairs)


def add_routes(app: web.Application) -> None:
    """The status callbacks, with the account in the address or found by its id in the body."""
    app.router.add_post("/hooks/sms/{provider}/status", _status, name="hook_sms_status")
    app.router.add_post("/hooks/sms/{provider}/{account}/status", _status, name="hook_sms_account_status")


async def _status(request: web.Request) -> web.Response:
    """200 once it is stored, or was before; 403 and nothing else where the signature does not fit."""
    parts = request.app[PARTS]
    if request.match_info["provider"] != "twilio":
        raise Problem(HTTPStatus.NOT_FOUND, "no such provider calls here")
    form = await _form(parts, request)
    account = _account(parts, request.match_info.get("account"), form)
    if account is None or not twilio_hooks.verify(form.signature, form.url, form.pairs, account.secrets):
        log.warning("hook.refused", provider="twilio", reason=_REFUSED)
        raise Problem(HTTPStatus.FORBIDDEN, _REFUSED)
    receipt = twilio_hooks.receipt(form.pairs, request.query.get("ref"))
    if receipt is not None:
        await replies.take_receipts(parts.pool, account.name, [(_known_by(form, receipt), receipt, form.raw)])
    return web.Response(status=HTTPStatus.OK)


async def _form(parts: Parts, request: web.Request) -> _Form:
    """The form, read strictly: what cannot be read was not signed by anybody we know. Raises Problem."""
    limits = parts.limits
    body = await bodies.read(request, limit=limits.hook_body, seconds=limits.body_seconds)
    if not request.raw_path.startswith("/"):
        raise Problem(HTTPStatus.FORBIDDEN, _REFUSED)
    try:
        raw = body.decode("utf-8")
        pairs = parse_qsl(raw, keep_blank_values=True, errors="surrogateescape", max_num_fields=_FIELDS)
    except (UnicodeDecodeError, ValueError):
        raise Problem(HTTPStatus.FORBIDDEN, _REFUSED) from None
    url = parts.public_url.rstrip("/") + request.raw_path
    return _Form(url, raw, pairs, request.headers.get("X-Twilio-Signature", ""))


def _account(parts: Parts, named: str | None, form: _Form) -> Account | None:
    """The account of a call. That it is named proves nothing: its signature still has to fit."""
    wanted = f"sms/{named}" if named is not None else None
    account_id = form.fields.get("AccountSid", "")
    for account in parts.accounts:
        if account.provider != "twilio":
            continue
        if account.name == wanted if wanted is not None else account.account_id == account_id != "":
            return account
    return None


def _known_by(form: _Form, receipt: Receipt) -> str:
    """What a repeat of this callback has in common with it."""
    fields = form.fields
    said = fields.get("MessageStatus") or fields.get("SmsStatus") or receipt.fate.value
    return f"{receipt.provider_id or receipt.reference} {said} {receipt.code or ''}".strip()
