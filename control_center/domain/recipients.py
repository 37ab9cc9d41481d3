"""To whom an action goes: which people, at which numbers and addresses, by which leg.

The leg is chosen from data before any attempt, and the choice is recorded with its reason. A number that said
STOP counts as not able to receive texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from control_center.domain import number
from control_center.domain.catalogue_actions import Choice, Leg
from control_center.domain.record import Address, Phone, Record, Staff
from control_center.domain.trigger import Trigger


class Recipient(msgspec.Struct, frozen=True):
    """Whom a message is written to, as templates see it and the lists show it."""

    role: str
    first_name: str = ""
    last_name: str = ""


@dataclass(frozen=True, slots=True)
class _Person:
    recipient: Recipient
    phones: tuple[str, ...]
    emails: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Letterbox:
    """One number or address at which one person is reached."""

    leg: Leg
    address: str
    recipient: Recipient


@dataclass(slots=True)
class Routing:
    """Where an action goes: the messages to write, the legs that are commands, and why any leg was not taken."""

    letterboxes: list[Letterbox] = field(default_factory=list)
    commands: list[Leg] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not self.letterboxes and not self.commands

    @property
    def reason(self) -> str:
        return "; ".join(dict.fromkeys(self.reasons))


def route(
    trigger: Trigger, record: Record, client: Record | None, country: str, stopped: Callable[[str, str], bool]
) -> Routing:
    """Choose people, legs and addresses. `stopped(channel, address)` says whether an address has opted out.

    The same number or address reached twice is written to once. Under a fallback exactly one leg is taken for
    each person, and a command at most once for the action.
    """
    routing = Routing()
    taken: set[tuple[Leg, str]] = set()
    if not trigger.action.writes:
        unlinked = client is None and record.client_id is None
        if unlinked and Leg.CALL in trigger.action.legs:
            routing.reasons.append(f"no recipient: the {record.kind} has no client to call")
        else:
            routing.commands.extend(trigger.action.legs)
        return routing
    people = list(_people(trigger, record, client, country, routing))
    for person in people:
        for leg in trigger.action.legs:
            boxes = _letterboxes(leg, person, stopped, routing)
            for box in boxes:
                if (leg, box.address) not in taken:
                    taken.add((leg, box.address))
                    routing.letterboxes.append(box)
            if boxes and trigger.action.choice is Choice.FIRST:
                break
    return routing


def _people(
    trigger: Trigger, record: Record, client: Record | None, country: str, routing: Routing
) -> Iterator[_Person]:
    for wanted in trigger.send_to:
        found = False
        for recipient, phones, emails in _named(wanted, record, client):
            found = True
            yield _Person(
                recipient,
                tuple(_usable(phones, lambda typed: number.phone(typed, country), routing)),
                tuple(_usable(emails, number.email, routing)),
            )
        if not found:
            routing.reasons.append(f"no recipient: the {record.kind} has no {wanted}")


def _named(wanted: str, record: Record, client: Record | None) -> Iterator[tuple[Recipient, list[str], list[str]]]:
    match wanted.split(":", 1):
        case ["client"]:
            if client is not None:
                recipient = Recipient("client", client.first_name or "", client.last_name or "")
                yield recipient, _ticked(client.phones), _addresses(client.emails)
        case ["family", relationship]:
            for person in (client.family or ()) if client is not None else ():
                if person.relationship.casefold() == relationship.casefold():
                    recipient = Recipient(
                        f"family:{person.relationship}", person.first_name or "", person.last_name or ""
                    )
                    yield recipient, _ticked(person.phones), _addresses(person.emails)
        case ["photographer" | "all_photographers" as which]:
            for staff in _photographers(record, everyone=which == "all_photographers"):
                recipient = Recipient("photographer", staff.name)
                yield recipient, [staff.phone] if staff.phone else [], [staff.email] if staff.email else []
        case _:
            raise AssertionError(f"a saved trigger cannot send to {wanted!r}")


def _photographers(record: Record, *, everyone: bool) -> list[Staff]:
    """All photographers, or the primary one: the one so marked, else the only one there is."""
    found = [staff for staff in record.staff or () if staff.role.casefold() == "photographer"]
    if everyone or len(found) == 1:
        return found
    return [staff for staff in found if staff.primary][:1]


def _ticked(phones: tuple[Phone, ...] | None) -> list[str]:
    return [phone.number for phone in phones or () if phone.sms]


def _addresses(emails: tuple[Address, ...] | None) -> list[str]:
    return [email.address for email in emails or ()]


def _usable(
    typed: list[str], spell: Callable[[str], number.Phone | str | number.Unusable], routing: Routing
) -> Iterator[str]:
    for one in typed:
        match spell(one):
            case number.Phone(e164=e164):
                yield e164
            case str(address):
                yield address
            case number.Unusable(reason=reason):
                routing.reasons.append(f"unusable: {reason}")


def _letterboxes(leg: Leg, person: _Person, stopped: Callable[[str, str], bool], routing: Routing) -> list[Letterbox]:
    """The letterboxes of one person for one leg: every ticked number, the first email address that takes mail."""
    addresses = person.phones if leg is Leg.SMS else person.emails
    open_ones = [address for address in addresses if not stopped(leg.value, address)]
    if leg is Leg.EMAIL:
        open_ones = open_ones[:1]
    role = person.recipient.role
    if not addresses:
        what = "no number that takes texts" if leg is Leg.SMS else "no email address"
        routing.reasons.append(f"no route: {role} has {what}")
    elif not open_ones:
        routing.reasons.append(f"opted out: {role} takes no {leg.value}")
    return [Letterbox(leg, address, person.recipient) for address in open_ones]


def possible(trigger: Trigger, record: Record, client: Record | None, country: str) -> list[tuple[str, str]]:
    """Every (channel, address) that `route` may ask `stopped` about, so that one query can answer all of them."""
    everything: list[tuple[str, str]] = []

    def note(channel: str, address: str) -> bool:
        everything.append((channel, address))
        return True  # as if stopped, so that every leg is looked at

    route(trigger, record, client, country, note)
    return everything
