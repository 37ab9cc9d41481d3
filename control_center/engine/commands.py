"""What the CRM is asked to do when a leg of an action is not a message."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from control_center.domain import words, zones
from control_center.domain.catalogue_actions import Leg
from control_center.domain.command import Cause, Command, command, id_of
from control_center.domain.record import Picture
from control_center.domain.template import Unrenderable
from control_center.domain.trigger import Trigger
from control_center.store.rulebooks import Rulebook

VERBS = {Leg.CALL: "create_call", Leg.CHANGE_STATUS: "change_status"}


def of_leg(
    leg: Leg,
    trigger: Trigger,
    picture: Picture,
    client: Picture | None,
    *,
    book: Rulebook,
    cause: Cause,
    now: datetime,
) -> Command:
    """The command of one leg, with an id that follows from the action, so that it is the same at every try."""
    data: Mapping[str, Any]
    match leg:
        case Leg.CALL:
            data = _call(trigger, picture, client, book, now)
        case Leg.CHANGE_STATUS:
            data = {"status": trigger.to_status, "note": f"by trigger {trigger.name!r}"}
        case Leg.SMS | Leg.EMAIL:
            raise AssertionError("messages are written by the workers")
    return command(picture.studio, _subject(picture), VERBS[leg], data, cause=cause, of=f"{cause.action} {leg.value}")


def id_of_leg(leg: Leg, picture: Picture, action: str) -> str:
    """The id of the command that a leg of an action (`a-12`) becomes."""
    return id_of(picture.studio, _subject(picture), VERBS[leg], of=f"{action} {leg.value}")


def _subject(picture: Picture) -> str:
    return f"{picture.kind}/{picture.record_id}"


def _call(
    trigger: Trigger, picture: Picture, client: Picture | None, book: Rulebook, now: datetime
) -> Mapping[str, Any]:
    """A call record. A note that cannot be written is said in its place: the call itself must not get lost."""
    today = zones.local_date(zones.zone(book.studio.timezone), now)
    note, warning = None, None
    if trigger.words.text is not None or trigger.words.template is not None:
        try:
            parts = words.source(trigger, book.templates)
            note = words.note(parts, words.fields(book.studio, picture, client, {}, now))
        except Unrenderable as error:
            warning = error.reason
    return {
        "client_id": client.record_id if client else picture.client_id,
        "call_type": trigger.call.type,
        "due_date": today + timedelta(days=trigger.call.due_days),
        "assign": trigger.call.assign,
        "note": note,
        "warning": warning,
    }
