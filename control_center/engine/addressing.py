"""Where actions that may go are sent: asked with what each address has said, and written as rows for the workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import msgspec

from control_center.domain.activations import celebrating
from control_center.domain.answered import date_asked
from control_center.domain.catalogue_actions import Leg
from control_center.domain.command import Cause
from control_center.domain.consent import OPEN, Standing
from control_center.domain.people import STAFF, Users
from control_center.domain.recipients import Letterbox, Routing, possible, route
from control_center.domain.record import Picture, Record
from control_center.domain.rules import Rule
from control_center.domain.trigger import Trigger
from control_center.engine.commands import enrols_of
from control_center.store import consents, db, messages
from control_center.store.actions import Due
from control_center.store.rulebooks import Rulebook


class House(TypedDict):
    """What `route` and `possible` want to know besides."""

    users: Users
    gone: bool
    countries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sending:
    """An action that may go now, with everything that addressing it needs."""

    due: Due
    book: Rulebook
    rule: Rule
    picture: Picture
    client: Picture | None

    @property
    def cause(self) -> Cause:
        trigger = self.rule.trigger
        depth = len(self.due.chain) + 1
        return Cause(trigger.name, trigger.version, f"a-{self.due.action.action_id}", self.due.event_id, depth)

    @property
    def addressed(self) -> tuple[Trigger, Record, Record | None, str]:
        """What decides to whom it goes."""
        known = None if self.gone or self.client is None else self.client.record
        client = celebrating(self.rule, known, self.due.action.occurrence) if known else None
        return self.rule.trigger, self.picture.record, client, self.book.studio.country

    @property
    def house(self) -> House:
        """What its studio says about whom it writes to."""
        return {"users": self.book.users, "gone": self.gone, "countries": self.book.studio.countries}

    @property
    def gone(self) -> bool:
        """Whether its client was deleted."""
        return self.client is not None and self.client.deleted


async def routes(tx: db.Connection, sending: Sequence[Sending]) -> list[tuple[Sending, Routing]]:
    """Where each goes. Few addresses ever say STOP, or take no texts: first as if none, then anew where one does."""
    found = [(one, _route(one, {})) for one in sending]
    reached = {address for one, routing in found for address in _chosen(one, routing)}
    said = await consents.standings(tx, reached)
    if not said:
        return found
    anew = [one for one, routing in found if not said.keys().isdisjoint(_chosen(one, routing))]
    others = {
        (one.due.studio, channel, address) for one in anew for channel, address in possible(*one.addressed, **one.house)
    }
    said |= await consents.standings(tx, others - reached)
    changed = {one.due.action.action_id: _route(one, said) for one in anew}
    return [(one, changed.get(one.due.action.action_id, routing)) for one, routing in found]


def _chosen(one: Sending, routing: Routing) -> list[tuple[str, str, str]]:
    """Every address whose STOP would change where this goes, as the store asks for it."""
    boxes = (*routing.letterboxes, *routing.unwanted)
    return [(one.due.studio, box.leg.value, box.address) for box in boxes]


def _route(one: Sending, said: Mapping[consents.Address, Standing]) -> Routing:
    purpose = one.rule.trigger.purpose

    def stopped(channel: str, address: str) -> str:
        return said.get((one.due.studio, channel, address), OPEN).against(purpose)

    return route(*one.addressed, stopped, **one.house)


def message(one: Sending, box: Letterbox) -> messages.New:
    studio, trigger, action = one.book.studio, one.rule.trigger, one.due.action
    enrols = None if box.recipient.role in STAFF else enrols_of(trigger, one.picture)
    return messages.New(
        studio=studio.studio,
        purpose=trigger.purpose,
        action_id=action.action_id,
        channel=box.leg.value,
        address=box.address,
        account=f"sms/{studio.sms_account}" if box.leg is Leg.SMS else f"email/{studio.email_account}",
        sender=studio.sms_sender if box.leg is Leg.SMS else studio.email_sender,
        recipient=msgspec.json.encode(box.recipient).decode(),
        kind=one.due.kind,
        record_id=one.due.record_id,
        client_id=one.client.record_id if one.client else None,
        trigger_id=trigger.trigger_id,
        trigger_version=trigger.version,
        use_by=action.use_by,
        question=trigger.action.question.value if trigger.action.question else None,
        asked_date=date_asked(one.picture) if trigger.action.question else None,
        enrols=msgspec.json.encode(enrols).decode() if enrols else None,
    )
