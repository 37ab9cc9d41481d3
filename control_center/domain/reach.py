"""Every way to reach a client and their family, as messages spell it: whose number a text came from."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from control_center.domain import number
from control_center.domain.people import Circle, named
from control_center.domain.record import Record
from control_center.domain.record_parts import Address, Phone


def reach(client: Record, country: str) -> tuple[str, ...]:
    """Their numbers and addresses and those of their family, each once, whether ticked or not; what cannot be spelled
    is left out.
    """
    found = [*_numbers(client.phones, country), *_addresses(client.emails)]
    for person in client.family or ():
        found += [*_numbers(person.phones, country), *_addresses(person.emails)]
    return tuple(dict.fromkeys(found))


def changed(before: Record, after: Record, country: str) -> tuple[str, ...]:
    """Their numbers, and those of their family, of which something else is said than before, and that texts may go to.

    A number that is new to them is not among these: nothing was said of it before.
    """
    if (before.phones, before.family) == (after.phones, after.family):
        return ()
    known, said = _entries(before, country), _entries(after, country)
    numbers = {one for one, _, _ in known}
    return tuple(sorted({one for one, _, ticked in said - known if ticked and one in numbers}))


def given_up(before: Record, after: Record, country: str, countries: Collection[str] = ()) -> set[tuple[str, str]]:
    """The (channel, address) that neither they nor their family are written to at any more, unlike before."""
    if (before.phones, before.emails, before.family) == (after.phones, after.emails, after.family):
        return set()
    return written_to(before, country, countries) - written_to(after, country, countries)


def written_to(client: Record, country: str, countries: Collection[str] = ()) -> set[tuple[str, str]]:
    """The (channel, address) that they and their family are written to at; addresses in small letters."""
    circle = Circle(client, client, country, countries=countries)
    words = ["client", *dict.fromkeys(f"family:{person.relationship}" for person in client.family or ())]
    everybody = [one for word in words for one in named(word, circle, lambda _: None)]
    numbers = {("sms", one) for somebody in everybody for one in somebody.phones}
    return numbers | {("email", one.lower()) for somebody in everybody for one in somebody.emails}


def _entries(client: Record, country: str) -> set[tuple[str, str, bool]]:
    """Each number of a client or their family, with its label and its tick."""
    everybody = [client.phones, *(person.phones for person in client.family or ())]
    return {
        (spelled, phone.label, phone.sms)
        for phones in everybody
        for phone in phones or ()
        for spelled in _numbers([phone], country)
    }


def _numbers(phones: Iterable[Phone] | None, country: str) -> Iterable[str]:
    for one in phones or ():
        spelled = number.phone(one.number, country, recipient=False)
        if isinstance(spelled, number.Phone):
            yield spelled.e164


def _addresses(emails: Iterable[Address] | None) -> Iterable[str]:
    for one in emails or ():
        spelled = number.email(one.address)
        if isinstance(spelled, str):
            yield spelled
