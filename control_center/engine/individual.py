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

from control_center.domain import arrival, dead_number, mail_html, sms, wording, words, zones
from control_center.domain.arrival import Addressee
from control_center.domain.catalogue_actions import Leg
from control_center.domain.confirmation import enclosed
from control_center.domain.consent import OPEN, Purpose, Said, Standing
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.links import Links, out_of_place
from control_center.domain.record import Picture
from control_center.domain.template import Unrenderable
from control_center.domain.template_context import context
from control_center.domain.text_advice import Advice
from control_center.domain.words import Words
from control_center.engine.addressee import Draft, Letter, addressed
from control_center.store import audit, consents, db, desk, messages, outgoing, studios, templates, users
from control_center.store.conversations import Pair
from control_center.store.outgoing import Outgoing

log = structlog.get_logger(__name__)

LASTS: Final = timedelta(days=1)  # what a person says now is of no use when it arrives another day


@dataclass(frozen=True, slots=True)
class Sent:
    """The message that was queued, and what the person should know of it; `advice` is about the words they typed."""

    message_id: int
    warnings: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()


async def send(
    pool: db.Pool,
    clock: Callable[[], datetime],
    studio: str,
    letter: Letter,
    *,
    by: str,
    links: Links | None = None,
) -> Sent:
    """Queue one message. Raises Malformed naming the field, NotFound, and Refused where the address said STOP.

    Without `links` a template that needs one is refused.
    """

    async def work(tx: db.Connection) -> Sent:
        known = (await studios.share(tx, [studio])).get(studio)
        if known is None:
            raise NotFound(f"there is no studio {studio!r}")
        return await _send(tx, await addressed(tx, known, letter), clock(), by, links)

    sent = await db.retried(pool, work)
    log.info("message.queued", studio=studio, message=f"m-{sent.message_id}", reason=f"written by {by}")
    return sent


async def _send(tx: db.Connection, draft: Draft, now: datetime, by: str, links: Links | None) -> Sent:
    studio, letter = draft.studio.studio, draft.letter
    key = (studio, draft.channel, draft.address)
    await consents.lock(tx, key)
    (draft.message_id,) = await messages.ids(tx, 1)
    draft.sender = await users.writes_as(tx, await _writer(tx, draft, by))
    written, draft.purpose = await _words(tx, draft, now, links)
    standing = (await consents.standings(tx, [key])).get(key, OPEN)
    if standing.bars(draft.purpose):
        await _refuse_stopped(tx, key, standing)
    _warn(draft, standing, now)
    message_id = await outgoing.send(tx, _outgoing(draft, written))
    if letter.again is not None:
        await desk.replace(tx, studio, message_id, letter.again)
    after = {"to": draft.address, "client": draft.client_id, "template": letter.template, "user": letter.user}
    await audit.write(tx, by, audit.Entry(studio, "send", f"message/m-{message_id}", None, after))
    await db.notify(tx, messages.WORK_CHANNEL)
    return Sent(message_id, tuple(draft.warnings), tuple(draft.advice))


async def _writer(tx: db.Connection, draft: Draft, by: str) -> str:
    """In whose name it is written: a colleague's, where one is named. Raises Malformed for who is none."""
    wanted = draft.letter.user
    if wanted is None:
        return str(by)
    found = await users.by_name(tx, wanted)
    if found is None or not found.active or not found.sees(draft.studio.studio):
        raise Malformed("user", f"there is no user {wanted[:60]!r} of this studio")
    return found.name


# What -------------------------------------------------------------------------------------------------------


async def _words(tx: db.Connection, draft: Draft, now: datetime, links: Links | None) -> tuple[Words, str]:
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
        return _filled_in(draft, parts, now, links), parts.get("purpose", "marketing")
    except Unrenderable as error:
        raise Malformed("template", error.reason) from None


def _filled_in(draft: Draft, parts: Mapping[str, Any], now: datetime, links: Links | None) -> Words:
    """The words of a template, with what goes along with a mail. Raises Unrenderable, Malformed."""
    about, leg = _about(draft, parts), Leg(draft.channel)
    kind = about.kind if about is not None else "client"
    lacking = out_of_place(parts, leg, kind) or out_of_place(parts, leg, kind, made=links is not None)
    if lacking is not None:
        raise Malformed("template", f"{draft.letter.template!r}: {lacking}")
    made = links.of_message(draft.message_id, about, draft.channel) if links is not None else {}
    seen = _seen(draft, about, now, made)
    if leg is Leg.SMS:
        return words.text_message(parts, seen)
    written, wanted = words.mail(parts, seen), frozenset(parts.get("attachments", ()))
    if about is None and wanted:
        raise Malformed("template", f"{draft.letter.template!r} has attachments; name the record that they are of")
    if about is not None:
        written, draft.calendar = enclosed(wanted, written, about, draft.studio, now)
    return written


def _own(letter: Letter, draft: Draft) -> Words:
    """What somebody typed, as it is: of a text in letters that phones have, where that is possible.

    It is refused for what a template is refused for, and advised of what a template is advised of. Raises Malformed.
    """
    text, mails = letter.text or "", draft.channel == "email"
    if not text.strip():
        raise Malformed("text", "is empty")
    subject = " ".join((letter.subject or "").split())
    if mails and not subject:
        raise Malformed("subject", "an email needs one")
    if not mails and letter.html is not None:
        raise Malformed("html", "a text has none")
    parts = {"subject": letter.subject, "text": text, "html": letter.html} if mails else {"text": text}
    wording.refuse_typed(parts)
    draft.advice += wording.advise_typed(draft.channel, parts, draft.studio, greets=letter.reply_to is None)
    if mails:
        return Words(text, subject, str(mail_html.page(letter.html)) if letter.html else None)
    plain = sms.plain(text)
    refused = sms.refusal(plain)
    if refused is not None:
        raise Malformed("text", refused)
    return Words(plain)


def _about(draft: Draft, parts: Mapping[str, Any]) -> Picture | None:
    """What a template is filled in with: the record, else the client, else nothing. Raises Malformed."""
    kind, about = parts.get("kind", "any"), draft.record or draft.client
    if kind == "any" or (about is not None and about.kind == kind):
        return about
    if kind == "client" and draft.client is not None:
        return draft.client
    raise Malformed("template", f"{draft.letter.template!r} is for a {kind}; name one as its record")


def _seen(draft: Draft, about: Picture | None, now: datetime, links: Mapping[str, str]) -> Mapping[str, Any]:
    """What a template sees; without a record and a client what needs one of them says so."""
    recipient = msgspec.to_builtins(draft.recipient)
    if about is not None:
        return words.fields(draft.studio, about, draft.client, recipient, now, links=links, sender=draft.sender)
    zone = zones.zone(draft.studio.timezone)
    today = zones.local_date(zone, now)
    house = draft.studio.fields()
    return context({}, None, house, recipient, kind="client", today=today, zone=zone, links=links, sender=draft.sender)


# Whether ----------------------------------------------------------------------------------------------------


async def _refuse_stopped(tx: db.Connection, key: consents.Address, standing: Standing) -> None:
    """A STOP is final, for whoever writes and whatever they mean. Raises Refused saying when and how it was said."""
    which = Purpose.ALL if standing.stopped else Purpose.MARKETING
    said = [one for one in await consents.history(tx, *key) if one.purpose is which and one.says is Said.STOP]
    last = said[-1]
    what = "said STOP" if standing.stopped else "has unsubscribed from marketing"
    raise Refused(
        f"{key[2]} {what} on {last.at:%Y-%m-%d} ({last.source}: {last.evidence[:80]!r});"
        " only they can take that back, by START"
    )


def _warn(draft: Draft, standing: Standing, now: datetime) -> None:
    """What does not stop a person, but what they should know."""
    if draft.channel != "sms":
        return
    if standing.dead:
        draft.warnings.append(f"{dead_number.told(standing.dead)}; it goes all the same")
    to = Addressee(draft.address, draft.recipient.role, draft.client.body if draft.client is not None else None)
    closed = arrival.warning(draft.studio, to, draft.purpose, now)
    if closed is not None:
        draft.warnings.append(f"{closed}; it goes all the same")


def _outgoing(draft: Draft, written: Words) -> Outgoing:
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
        made_by=draft.sender["name"],
        message_id=draft.message_id,
        calendar=draft.calendar,
    )
