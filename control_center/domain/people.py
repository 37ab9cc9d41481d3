"""The people of a record: whom each word of `send_to` means, with their numbers, addresses and ticked boxes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from control_center.domain import number
from control_center.domain.catalogue_actions import BOXES, Leg
from control_center.domain.record import Record
from control_center.domain.record_parts import Address, AllowMarketing, Assigned, Person, Phone, Staff
from control_center.domain.studio_catalog import User

# Roles that are asked for no leave to write.
STAFF = frozenset({"photographer", "assistant", "assigned", "user", "address"})
_NOTHING_TICKED = AllowMarketing()

GONE = "deleted: the client no longer exists"
OF_CLIENT = frozenset({"client", "family"})  # roles that nobody has any more whose client is gone

Note = Callable[[str], None]

# Those who work for the studio, as its catalogue has them, by their names; of a name that has nobody left, none.
Users = Mapping[str, tuple[User, ...]]
NOBODY: Users = {}


class Recipient(msgspec.Struct, frozen=True):
    """Whom a message is written to, as templates see it and the lists show it."""

    role: str
    first_name: str = ""
    last_name: str = ""


@dataclass(frozen=True, slots=True)
class Somebody:
    """One person and the ways to reach them. `client_id` is None for everybody who is no client of the studio."""

    recipient: Recipient
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    client_id: str | None = None

    def is_same(self, other: Somebody) -> bool:
        """Whether both are one person: a client by the id, anybody else by the name and a shared address."""
        if self.client_id is not None and self.client_id == other.client_id:
            return True
        mine, theirs = self.recipient, other.recipient
        if not mine.first_name or (mine.first_name, mine.last_name) != (theirs.first_name, theirs.last_name):
            return False
        return not self.ways.isdisjoint(other.ways)

    @property
    def ways(self) -> frozenset[str]:
        """Every way to reach them, mail addresses as if nobody had capitalised them."""
        return frozenset(self.phones).union(address.casefold() for address in self.emails)

    def joined(self, other: Somebody) -> Somebody:
        """The same person, once more under another word: with the ways to reach them that both say."""
        if self.client_id is not None and self.client_id == other.client_id:
            return self
        phones, emails = dict.fromkeys(self.phones + other.phones), dict.fromkeys(self.emails + other.emails)
        return replace(self, phones=tuple(phones), emails=tuple(emails))


@dataclass(frozen=True, slots=True)
class Circle:
    """A record, its client as far as we know them, and the country that numbers are typed in.

    `users` has no user any more of a name whose users have left: records may still name them. `gone`: the client was
    deleted, which a record may have outlived.
    """

    record: Record
    client: Record | None
    country: str
    users: Users = field(default_factory=dict)
    gone: bool = False
    countries: Collection[str] = ()  # besides that one, those that texts go to

    @property
    def client_id(self) -> str | None:
        """The client's id, which we may know before we have heard anything of the client; None of one who is gone."""
        if self.gone:
            return None
        return self.record.record_id if self.record.kind == "client" else self.record.client_id


def named(wanted: str, circle: Circle, note: Note) -> Iterator[Somebody]:
    """Everybody whom one word of `send_to` means; `note` is told who has left, and what of the rest cannot be used."""
    role, _, detail = wanted.partition(":")
    return _FINDERS[role](detail, circle, note)


def ticked(leg: Leg, role: str, record: Record, client: Record | None) -> bool:
    """Whether whoever has this role allows marketing by this leg. Staff is not asked; a task or a form has no box."""
    box = BOXES.get(leg)
    if box is None or role in STAFF:
        return True
    if role == "bill_to":
        boxes = record.bill_to.allow_marketing if record.bill_to is not None else None
    else:
        boxes = client.allow_marketing if client is not None else None
    return bool(getattr(boxes or _NOTHING_TICKED, box))


def _client(_: str, circle: Circle, note: Note) -> Iterator[Somebody]:
    client, client_id = circle.client, circle.client_id
    if circle.gone:
        note(GONE)
    elif client is not None:
        recipient = Recipient("client", client.first_name or "", client.last_name or "")
        phones, emails = _phones(client.phones, circle, note), _emails(client.emails, note)
        yield Somebody(recipient, phones, emails, client_id or client.record_id)
    elif client_id is not None:
        note(f"unknown client: nothing was heard of {client_id} yet")
        yield Somebody(Recipient("client"), client_id=client_id)


def _payer(_: str, circle: Circle, note: Note) -> Iterator[Somebody]:
    """Who pays: the client, unless the invoice names somebody else. Of the client we know more than an invoice says."""
    payer = circle.record.bill_to
    known = circle.client is not None or circle.gone
    if payer is None or (known and payer.payer_id is not None and payer.payer_id == circle.record.client_id):
        yield from _client("", circle, note)
    else:
        yield _person("bill_to", payer, circle, note, client_id=payer.payer_id)


def _family(relationship: str, circle: Circle, note: Note) -> Iterator[Somebody]:
    if circle.gone:
        note(GONE)
    for person in (circle.client.family or ()) if circle.client is not None else ():
        if person.relationship.casefold() == relationship.casefold():
            yield _person(f"family:{person.relationship}", person, circle, note)


def _participants(_: str, circle: Circle, note: Note) -> Iterator[Somebody]:
    for person in circle.record.participants or ():
        yield _person("participant", person, circle, note)


def _photographer(_: str, circle: Circle, note: Note) -> Iterator[Somebody]:
    """The primary one: the one so marked, else the only one there is; of several none is picked by chance."""
    found = _photographers(circle.record)
    for staff in found if len(found) == 1 else [staff for staff in found if staff.primary][:1]:
        yield from _staff(Recipient("photographer", staff.name), staff.name, staff, circle, note)


def _all_photographers(_: str, circle: Circle, note: Note) -> Iterator[Somebody]:
    for staff in _photographers(circle.record):
        yield from _staff(Recipient("photographer", staff.name), staff.name, staff, circle, note)


def _photographers(record: Record) -> list[Staff]:
    return [staff for staff in record.staff or () if staff.role.casefold() == "photographer"]


def _assistants(_: str, circle: Circle, note: Note) -> Iterator[Somebody]:
    for staff in circle.record.staff or ():
        if staff.role.casefold() == "assistant":
            yield from _staff(Recipient("assistant", staff.name), staff.name, staff, circle, note)


def _assigned(_: str, circle: Circle, note: Note) -> Iterator[Somebody]:
    for one in circle.record.assigned or ():
        yield from _staff(Recipient("assigned", one.user or one.department or ""), one.user, one, circle, note)


def _staff(
    recipient: Recipient, user: str | None, ways: Staff | Assigned, circle: Circle, note: Note
) -> Iterator[Somebody]:
    """Somebody who works for the studio, unless they did: then nobody is written to in their place."""
    if user is not None and circle.users.get(user) == ():
        note(f"inactive: {user} does not work here any more")
    else:
        yield _fixed(recipient, ways.phone, ways.email, circle, note)


def _user(name: str, circle: Circle, note: Note) -> Iterator[Somebody]:
    """Whoever has that name in the studio's catalogue."""
    known = circle.users.get(name)
    if known is None:
        note(f"no recipient: the studio's catalogue has no user {name}")
    elif not known:
        note(f"inactive: {name} does not work here any more")
    for user in known or ():
        yield _fixed(Recipient("user", name), user.phone, user.email, circle, note)


def _address(typed: str, circle: Circle, note: Note) -> Iterator[Somebody]:
    mail = "@" in typed
    yield _fixed(Recipient("address"), None if mail else typed, typed if mail else None, circle, note)


_FINDERS: Mapping[str, Callable[[str, Circle, Note], Iterator[Somebody]]] = {
    "client": _client,
    "family": _family,
    "participants": _participants,
    "bill_to": _payer,
    "photographer": _photographer,
    "all_photographers": _all_photographers,
    "assistants": _assistants,
    "user": _user,
    "assigned": _assigned,
    "address": _address,
}


def _person(role: str, person: Person, circle: Circle, note: Note, *, client_id: str | None = None) -> Somebody:
    recipient = Recipient(role, person.first_name or "", person.last_name or "")
    return Somebody(recipient, _phones(person.phones, circle, note), _emails(person.emails, note), client_id)


def _fixed(recipient: Recipient, phone: str | None, email: str | None, circle: Circle, note: Note) -> Somebody:
    """Somebody of the studio, who has one number and one address and no box to tick."""
    phones = _phones((Phone(phone, sms=True),) if phone else (), circle, note)
    return Somebody(recipient, phones, _emails((Address(email),) if email else (), note))


def _phones(phones: Iterable[Phone] | None, circle: Circle, note: Note) -> tuple[str, ...]:
    """The numbers that take texts, each in its one spelling."""
    found = []
    for typed in phones or ():
        if typed.sms:
            match number.phone(typed.number, circle.country):
                case number.Phone(e164=e164):
                    foreign = number.foreign(e164, circle.country, circle.countries)
                    if foreign is None:
                        found.append(e164)
                    else:
                        note(foreign)
                case number.Unusable(reason=reason):
                    note(f"unusable: {reason}")
    return tuple(found)


def _emails(emails: Iterable[Address] | None, note: Note) -> tuple[str, ...]:
    found = []
    for typed in emails or ():
        match number.email(typed.address):
            case str(address):
                found.append(address)
            case number.Unusable(reason=reason):
                note(f"unusable: {reason}")
    return tuple(found)
