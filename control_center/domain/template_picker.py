"""The fields of a kind of record for whoever writes a template: each with a sentence and an example.

An example is made by filling the field in, in the studio's own way of writing, so that it shows what a client reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from control_center.domain import template_samples
from control_center.domain.studio import Studio
from control_center.domain.template import Unrenderable, render
from control_center.domain.template_fields import KINDS, Group, Leaf, Many, roots


@dataclass(frozen=True, slots=True)
class Field:
    """One field: what to write into a template for it, what it is, and how it reads. `many` is a list of several."""

    name: str
    insert: str
    sentence: str
    example: str
    many: bool = False


# What stands behind a name, by its last steps; the longest that fits counts.
_SENTENCES: Final[Mapping[str, str]] = {
    "address": "where the studio is",
    "allow_marketing.call": "whether the client allows calls with offers",
    "allow_marketing.email": "whether the client allows emails with offers",
    "allow_marketing.mail": "whether the client allows letters with offers",
    "allow_marketing.sms": "whether the client allows texts with offers",
    "amount": "what the reward is worth",
    "amounts.balance": "what is still open",
    "amounts.currency": "the currency of the amounts, as three letters",
    "amounts.paid": "what is paid",
    "amounts.total": "the whole amount",
    "anniversary": "the client's anniversary",
    "assigned": "who it is assigned to; {{ NAME[0].user }} is the first",
    "balance": "what is still open or left",
    "birthday": "their birthday",
    "category": "the category of the email",
    "channel": "sms or email",
    "client_id": "the id of the client that the record belongs to",
    "code": "the code to redeem the reward with",
    "confirm_link": "a link to confirm the session or appointment with one click",
    "country": "the studio's country, as two letters",
    "created_at": "when the message was made",
    "currency": "the currency of the amounts, as three letters",
    "date": "its date, without the time: of a session when it takes place, of an invoice when it was written",
    "dates.appointment": "date and time of the appointment",
    "dates.booked": "when it was booked",
    "dates.completed": "when the task was completed",
    "dates.created": "when the form was created",
    "dates.due": "when the task is due",
    "dates.expires": "when the reward expires",
    "dates.invoice": "the date of the invoice",
    "dates.issued": "when the reward was issued",
    "dates.ordered": "when it was ordered",
    "dates.paid": "when the invoice was paid",
    "dates.received": "when the message was received",
    "dates.sent": "when the message was sent",
    "dates.session": "date and time of the session",
    "dates.start": "when the task is to begin",
    "dates.submitted": "when the form was submitted",
    "department": "the department, where it goes to one",
    "direction": "in or out",
    "email": "their email address",
    "emails": "all email addresses; {{ NAME[0].address }} is the first",
    "event": "what happened to the email: delivered, opened, bounced, …",
    "family": "members of the family; {{ NAME[0].first_name }} is the first",
    "fields.*": "whatever else the CRM sends, by its name there; put a default behind it",
    "first_name": "the first name",
    "flags.canceled": "whether it is canceled",
    "flags.confirmed": "whether the client has confirmed it",
    "flags.on_hold": "whether it is on hold",
    "form.link": "the address of the form",
    "form.name": "the name of the form",
    "from": "who the message is from",
    "full_name": "first and last name",
    "id": "the id that the CRM knows it by",
    "instalments": "the instalments of the invoice; {{ NAME[0].due }} is the first",
    "keyword": "the keyword that the text was",
    "kind": "the kind of the record",
    "last_name": "the last name",
    "link": "the address of the form",
    "links.*": "the ids of other records that it is linked with",
    "name": "the name as a whole, where it is not in parts",
    "next_payment_amount": "the amount of the next open instalment",
    "next_payment_date": "when the next open instalment is due",
    "nps.comment": "what the client wrote to the score",
    "nps.id": "the id of the answer to how likely they are to recommend you",
    "nps.received_at": "when the score was received",
    "nps.score": "how likely the client is to recommend you, 0 to 10",
    "nps_bar": "the row of 0 to 10 to click on; in a text, a link to it",
    "paid": "what is paid",
    "participants": "who takes part; {{ NAME[0].first_name }} is the first",
    "phone": "their phone number, the one for texts where there is one",
    "phones": "all phone numbers; {{ NAME[0].number }} is the first",
    "reason": "why the message is in its state",
    "referral_program": "the referral program that the client is in",
    "referred_by": "who sent the client",
    "relationship": "how they are related to the client",
    "reward.amount": "what the reward is worth",
    "reward.balance": "what is left of the reward",
    "reward.code": "the code to redeem the reward with",
    "role": "as what they get this: client, photographer, …",
    "sender.name": "the person who writes, or let a bulk go; nobody does what a trigger sends",
    "sender.signature": "their signature, else their name",
    "sent_at": "when the message was sent",
    "staff": "who works on it; {{ NAME[0].name }} is the first",
    "state": "the state of the message",
    "status": "its status",
    "status_changed_at": "since when it has that status",
    "status_due_date": "when that status is due to end",
    "studio.email": "the address that emails are from",
    "studio.id": "the id of the studio here",
    "studio.name": "the name of the studio",
    "studio.phone": "the studio's phone number, else the number that texts are from",
    "photographer": "the primary photographer, else whoever it is with",
    "postal_address": "the studio's postal address, as marketing mail names it",
    "reply_to": "the address that answers to emails go to",
    "subject": "the subject of the email",
    "text": "the words of the message",
    "time": "the time of day of its date",
    "timezone": "the time zone",
    "to": "who the message went to",
    "today": "the day on which the message is written",
    "total": "the whole amount",
    "type": "its type",
    "unsubscribe_link": "a link to hear no more marketing; in emails",
    "user": "the name as a user of the CRM",
    "version": "how often the CRM has changed it",
    "web": "the address of the studio's web site",
    "web_form.name": "the name of the form",
}
# One of the things that a list, or a group whose names are not known to us, holds.
_INSIDE: Final = {
    "assigned": "[0].user",
    "client.fields": ".camera",
    "bill_to.fields": ".camera",
    "emails": "[0].address",
    "family": "[0].first_name",
    "fields": ".location",
    "instalments": "[0].due",
    "links": ".invoice",
    "participants": "[0].first_name",
    "phones": "[0].number",
    "staff": "[0].name",
}


def fields(kind: str, studio: Studio) -> list[Field]:
    """Every field of a kind of record, or of any, that can have a value: first the record's own."""
    if kind != "any":
        return _of_kind(kind, studio)
    own = [one for known in KINDS for one in _of_kind(known, studio) if not one.name.startswith(f"{known}.")]
    client = [one for one in _of_kind("session", studio) if one.name.startswith("client.")]
    return list({one.name: one for one in [*own, *client]}.values())


@lru_cache(maxsize=64)
def _of_kind(kind: str, studio: Studio) -> list[Field]:
    seen = template_samples.seen(kind, studio, complete=True)
    every = (_field(name, many, seen) for name, many in _named(roots(kind)))
    return [one for one in every if one.example]  # of a recipient, only role and name are ever filled in


def _named(group: Group, prefix: str = "") -> Iterator[tuple[str, bool]]:
    for name, shape in group.items():
        if isinstance(shape, Mapping):
            yield from _named(shape, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}" + (".*" if shape in (Leaf.OPEN, Leaf.FIELDS) else ""), isinstance(shape, Many)


def _field(name: str, many: bool, seen: Mapping[str, object]) -> Field:  # noqa: FBT001 - read with its caller
    plain = name.removesuffix(".*")
    written = plain + _ending(plain, _INSIDE) if many or name != plain else plain
    insert = f"{{{{ {written} }}}}"
    return Field(name, insert, sentence(name), _example(insert, seen), many)


def sentence(name: str) -> str:
    """What a field is."""
    return _ending(name, _SENTENCES).replace("NAME", name)


def _ending(name: str, table: Mapping[str, str]) -> str:
    steps = name.split(".")
    return next(table[end] for n in range(len(steps)) if (end := ".".join(steps[n:])) in table)


def _example(insert: str, seen: Mapping[str, object]) -> str:
    try:
        return render(insert, seen)
    except Unrenderable:
        return ""
