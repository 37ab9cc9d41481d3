"""One turn of somebody on the list of a bulk: whether they are written to, from where, and in which words.

Asked by the pump when the turn comes, and by the forecast for the time when it will.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

import msgspec

from control_center.domain import words
from control_center.domain.arrival import addressee, later
from control_center.domain.bulk import Turn, Way, still
from control_center.domain.catalogue_actions import Leg
from control_center.domain.confirmation import enclosed
from control_center.domain.consent import Standing
from control_center.domain.message import Origin
from control_center.domain.people import Recipient
from control_center.domain.quiet_hours import keeps
from control_center.domain.record import Picture
from control_center.domain.studio import Studio
from control_center.domain.words import Words
from control_center.engine.bulk_list import against
from control_center.engine.senders import chosen
from control_center.store import db, senders
from control_center.store.bulk_release import Passed, Taken
from control_center.store.bulks import Bulk
from control_center.store.rulebooks import Rulebook

About: TypeAlias = tuple[Picture, Picture | None]  # a record and its client


def as_of_now(one: Bulk, studio: Studio) -> Bulk:
    """A bulk with what its studio sends from today: that may be another number or provider than when it was made."""
    if one.channel == "email":
        return replace(one, account=f"email/{studio.email_account}", sender=studio.email_sender)
    sender = one.sender if one.sender in studio.numbers else studio.sms_sender
    return replace(one, account=f"sms/{studio.sms_account}", sender=sender)


async def senders_of(tx: db.Connection, one: Bulk, studio: Studio, addresses: Sequence[str]) -> dict[str, str]:
    """From which number or address of ours each is written to: of several numbers, the one that they know."""
    if one.channel != "sms" or len(studio.numbers) < 2:
        return dict.fromkeys(addresses, one.sender)
    known = await senders.last(tx, [(one.studio, address) for address in addresses])
    return {
        address: known.get((one.studio, address), ([], None))[1] or chosen(studio.numbers, address)
        for address in addresses
    }


def turned_away(
    one: Bulk, book: Rulebook, taken: Taken, about: About, *, said: Standing | None, now: datetime
) -> Passed | None:
    """Why somebody on the list is not written to after all, or not yet."""
    way = Way(Leg(one.channel), one.purpose, book.studio.country)
    reason = against(said, way) or still(taken.entry, *about, way)
    if reason is not None:
        return Passed(taken.recipient_id, Turn.BARRED, reason)
    if not keeps(Origin.BULK, one.channel):
        return None
    to = addressee(taken.entry.address or "", "client", about[1])
    late = later(book.studio, to, one.purpose, now, book.rules.house, bulk=True)
    if late is None:
        return None
    return Passed(taken.recipient_id, Turn.LISTED, late.reason, late.until or one.use_by)


def recipient_of(about: About) -> Recipient:
    """Whom a message of a bulk names as its recipient."""
    picture, client = about
    known = client.record if client is not None else picture.record
    return Recipient("client", known.first_name or "", known.last_name or "")


def written(
    one: Bulk,
    studio: Studio,
    about: About,
    now: datetime,
    *,
    links: Mapping[str, str],
    sender: Mapping[str, str],
    first: bool,
) -> tuple[Words, bool]:
    """The words for one of the list as everything is now, and whether their record goes along for the calendar.

    `first`: no text has gone to that number by itself before. Raises Unrenderable.
    """
    picture, client = about
    recipient = msgspec.to_builtins(recipient_of(about))
    theirs = None if picture.kind == "client" else client
    seen = words.fields(studio, picture, theirs, recipient, now, links=links, sender=sender)
    if one.channel == "sms":
        return words.text_message(one.words, seen, studio, first=first), False
    wanted = frozenset(one.words.get("attachments", ()))
    return enclosed(wanted, words.mail(one.words, seen), picture, studio, now)
