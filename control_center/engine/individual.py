"""One text or email that a person of the studio writes to one address, with a record of their own words or a template.

It passes the gates that triggered messages pass: who said STOP is not written to, and what is no number is refused. The
hours of the night only earn a warning, since whoever writes by hand may have been asked to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from control_center.domain import arrival, mail_html, sms, words, zones
from control_center.domain.arrival import Addressee
from control_center.domain.catalogue_actions import Leg
from control_center.domain.consent import OPEN, Purpose, Said, Standing
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.template import Unrenderable
from control_center.domain.template_context import context
from control_center.domain.windows import Calendar, Window, is_open
from control_center.domain.words import Words
from control_center.engine.addressee import Draft, Letter, addressed
from control_center.store import audit, consents, conversations, db, desk, messages, studios, templates
from control_center.store.conversations import Outgoing, Pair

log = structlog.get_logger(__name__)

LASTS: Final = timedelta(days=1)  # what a person says now is of no use when it arrives another day
WAKING: Final = Window.parse("08:00-21:00")


@dataclass(frozen=True, slots=True)
class Sent:
    """The message that was queued, and what the person should know of it."""

    message_id: int
    warnings: tuple[str, ...] = ()


async def send(pool: db.Pool, clock: Callable[[], datetime], studio: str, letter: Letter, *, by: str) -> Sent:
    """Queue one message. Raises Malformed naming the field, NotFound, and Refused where the address said STOP."""

    async def work(tx: db.Connection) -> Sent:
        return await _send(tx, studio, letter, clock(), by)

    sent = await db.retried(pool, work)
    log.info("message.queued", studio=studio, message=f"m-{sent.message_id}", reason=f"written by {by}")
    return sent


async def _send(tx: db.Connection, studio: str, letter: Letter, now: datetime, by: str) -> Sent:
    known = (await studios.share(tx, [studio])).get(studio)
    if known is None:
        raise NotFound(f"there is no studio {studio!r}")
    draft = await addressed(tx, known, letter)
    key = (studio, draft.channel, draft.address)
    await consents.lock(tx, key)
    written, draft.purpose = await _words(tx, draft, now)
    await _refuse_stopped(tx, key, draft.purpose)
    _warn(draft, now)
    message_id = await conversations.send(tx, _outgoing(draft, written, by))
    if letter.again is not None:
        await desk.replace(tx, studio, message_id, letter.again)
    after = {"to": draft.address, "client": draft.client_id, "template": letter.template}
    await audit.write(tx, by, audit.Entry(studio, "send", f"message/m-{message_id}", None, after))
    await db.notify(tx, messages.WORK_CHANNEL)
    return Sent(message_id, tuple(draft.warnings))


# What -------------------------------------------------------------------------------------------------------


async def _words(tx: db.Connection, draft: Draft, now: datetime) -> tuple[Words, str]:
    """The exact words, and their purpose. Raises Malformed where they cannot be written."""
    letter, parent = draft.letter, draft.parent
    if (letter.template is None) == (letter.text is None):
        if letter.again is None or letter.template is not None or parent is None or parent.body is None:
            raise Malformed("text", "give the text, or the name of a template")
        return _own(replace(letter, text=parent.body, subject=letter.subject or parent.subject), draft), parent.purpose
    if letter.template is None:
        return _own(letter, draft), "transactional"
    parts = (await templates.with_frames(tx, draft.studio.studio)).get(letter.template)
    if parts is None:
        raise Malformed("template", f"there is no template {letter.template!r}")
    try:
        seen = _seen(draft, parts, now)
        made = words.text_message(parts, seen) if draft.channel == Leg.SMS.value else words.mail(parts, seen)
    except Unrenderable as error:
        raise Malformed("template", error.reason) from None
    return made, parts.get("purpose", "marketing")


def _own(letter: Letter, draft: Draft) -> Words:
    """What somebody typed, as it is: of a text in letters that phones have, where that is possible."""
    text = letter.text or ""
    if not text.strip():
        raise Malformed("text", "is empty")
    if draft.channel == "email":
        subject = " ".join((letter.subject or "").split())
        if not subject:
            raise Malformed("subject", "an email needs one")
        return Words(text, subject, str(mail_html.page(letter.html)) if letter.html else None)
    if letter.html is not None:
        raise Malformed("html", "a text has none")
    plain = sms.plain(text)
    refused = sms.refusal(plain)
    if refused is not None:
        raise Malformed("text", refused)
    return Words(plain)


def _seen(draft: Draft, parts: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """What a template sees: the record, else the client, else nobody, so that what needs one of them says so."""
    kind = parts.get("kind", "any")
    about = draft.record or draft.client
    if kind != "any" and (about is None or about.kind != kind):
        about = draft.client if kind == "client" else None
        if about is None:
            raise Malformed("template", f"{draft.letter.template!r} is for a {kind}; name one as its record")
    recipient = msgspec.to_builtins(draft.recipient)
    if about is not None:
        return words.fields(draft.studio, about, draft.client, recipient, now)
    zone = zones.zone(draft.studio.timezone)
    today = zones.local_date(zone, now)
    return context({}, None, draft.studio.fields(), recipient, kind="client", today=today, zone=zone)


# Whether ----------------------------------------------------------------------------------------------------


async def _refuse_stopped(tx: db.Connection, key: consents.Address, purpose: str) -> None:
    """A STOP is final, for whoever writes and whatever they mean. Raises Refused saying when and how it was said."""
    standing: Standing = (await consents.standings(tx, [key])).get(key, OPEN)
    if not standing.bars(purpose):
        return
    which = Purpose.ALL if standing.stopped else Purpose.MARKETING
    said = [one for one in await consents.history(tx, *key) if one.purpose is which and one.says is Said.STOP]
    last = said[-1]
    what = "said STOP" if standing.stopped else "has unsubscribed from marketing"
    raise Refused(
        f"{key[2]} {what} on {last.at:%Y-%m-%d} ({last.source}: {last.evidence[:80]!r});"
        " only they can take that back, by START"
    )


def _warn(draft: Draft, now: datetime) -> None:
    """What does not stop a person, but what they should know."""
    if draft.channel != "sms":
        return
    to = Addressee(draft.address, draft.recipient.role, draft.client.body if draft.client is not None else None)
    closed = arrival.warning(draft.studio, to, draft.purpose, now)
    zone = zones.zone(draft.studio.timezone)
    if closed is None and not is_open(Calendar(zone, WAKING), now):
        closed = f"it is {zones.at_local(zone, now):%H:%M} here; outside {WAKING} people may sleep"
    if closed is not None:
        draft.warnings.append(f"{closed}; it goes all the same")


def _outgoing(draft: Draft, written: Words, by: str) -> Outgoing:
    studio, sms_wanted = draft.studio, draft.channel == "sms"
    account = f"sms/{studio.sms_account}" if sms_wanted else f"email/{studio.email_account}"
    return Outgoing(
        origin="person",
        purpose=draft.purpose,
        pair=Pair(studio.studio, draft.channel, draft.ours, draft.address),
        account=account,
        recipient=msgspec.json.encode(draft.recipient).decode(),
        body=written.text,
        lasts=LASTS,
        subject=written.subject,
        html=written.html,
        client_id=draft.client_id,
        record=(draft.record.kind, draft.record.record_id) if draft.record is not None else None,
        made_by=str(by),
    )
