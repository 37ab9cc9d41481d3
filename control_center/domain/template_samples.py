"""A made-up record of each kind, and its client: what a template is shown with where no real one is named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from control_center.domain import zones
from control_center.domain.links import TOKEN_LENGTH
from control_center.domain.rating import NpsBar
from control_center.domain.studio import Studio
from control_center.domain.template_context import context

CONFIRM_LENGTH: Final = 28  # characters of the token of a link to confirm
TODAY: Final = date(2027, 6, 5)  # a Saturday, a week before the session

_PERSON: Final[dict[str, Any]] = {
    "first_name": "Jo",
    "last_name": "Park",
    "name": "Jo Park",
    "birthday": "1990-02-28",
    "phones": [{"number": "+13125550188", "label": "mobile", "sms": True}],
    "emails": [{"address": "jo@mail.example", "label": "home"}],
}
CLIENT: Final[Mapping[str, Any]] = {
    **_PERSON,
    "id": "c-12",
    "version": 5,
    "relationship": "client",
    "status": "Active",
    "status_changed_at": "2026-11-21T16:04:05Z",
    "status_due_date": "2027-06-30",
    "timezone": "America/Chicago",
    "referral_program": "Spring",
    "referred_by": "Sam Lee",
    "anniversary": "2015-09-12",
    "allow_marketing": {"sms": True, "email": True, "call": True, "mail": False},
    "family": [{"relationship": "Mother", "first_name": "Kim", "last_name": "Park"}],
    "fields": {"camera": "A7", "location": "Lakeside"},
}
RECIPIENT: Final[Mapping[str, Any]] = {"role": "client", "first_name": "Jo", "last_name": "Park"}
SENDER: Final[Mapping[str, str]] = {"name": "Ada Stone", "signature": "Ada"}
_RECORD: Final[dict[str, Any]] = {
    "id": "4711",
    "version": 17,
    "client_id": "c-12",
    "status": "Booked",
    "status_changed_at": "2026-11-21T16:04:05Z",
    "status_due_date": "2027-06-30",
    "flags": {"on_hold": False, "confirmed": True, "canceled": False},
    "staff": [{"role": "photographer", "primary": True, "name": "Ada Stone", "email": "ada@studio.example"}],
    "links": {"invoice": "9001"},
    "fields": {"location": "Lakeside"},
}
_ASSIGNED: Final = {"assigned": [{"user": "Ada Stone", "department": "Lab", "email": "ada@studio.example"}]}
_ORDER: Final = {"status": "Ready", "type": "Album", "dates": {"ordered": "2027-05-20"}, **_ASSIGNED}
_MESSAGE: Final = {
    "direction": "in",
    "state": "received",
    "from": "+13125550188",
    "to": "+13125550100",
    "text": "Book now, please",
    "reason": "reply",
    "created_at": "2027-06-04T10:00",
    "sent_at": "2027-06-04T10:00",
    "dates": {"received": "2027-06-04T10:00", "sent": "2027-06-04T10:00"},
    "type": "reply",
}
_OF_KIND: Final[Mapping[str, Mapping[str, Any]]] = {
    "client": CLIENT,
    "session": {
        "type": "Wedding",
        "dates": {"session": "2027-06-12T14:00", "booked": "2026-11-21"},
        "nps": {"id": "r-1", "score": 9, "comment": "Lovely pictures", "received_at": "2027-07-01T09:30"},
        "participants": [{"first_name": "Kim", "last_name": "Park"}],
    },
    "appointment": {"type": "Ordering", "dates": {"appointment": "2027-06-12T14:00", "booked": "2027-05-21"}},
    "invoice": {
        "type": "Session",
        "status": "Open",
        "dates": {"invoice": "2027-05-01T09:00", "paid": "2027-06-02"},
        "amounts": {"total": "1200.00", "paid": "400.00", "balance": "800.00", "currency": "USD"},
        "instalments": [{"id": "1", "due": "2027-06-15", "amount": "400.00", "paid": False}],
        "bill_to": CLIENT,
    },
    "production_order": {**_ORDER, "dates": {"ordered": "2027-05-20T11:00"}},
    "preproduction_order": {**_ORDER, "type": "Retouching", "dates": {"ordered": "2027-05-20T11:00"}},
    "task": {
        "type": "Call",
        "dates": {"due": "2027-06-10T12:00", "start": "2027-06-08", "completed": "2027-06-09"},
        **_ASSIGNED,
    },
    "web_form": {
        "type": "Contact",
        "dates": {"submitted": "2027-06-04T18:20", "created": "2027-06-01"},
        "form": {"name": "Contact us", "link": "https://studio.example/contact"},
    },
    "loyalty_reward": {
        "type": "Voucher",
        "dates": {"issued": "2027-06-01T09:00", "expires": "2028-06-01"},
        "reward": {"code": "LAKE-50", "amount": "50.00", "balance": "50.00"},
    },
    "email": {**_MESSAGE, "channel": "email", "subject": "Our session", "event": "opened", "category": "reminders"},
    "sms": {**_MESSAGE, "channel": "sms", "keyword": "book"},
}
_STUDIO: Final[Mapping[str, Any]] = {
    "phone": "+13125550100",
    "address": "12 Shore Drive, Chicago, IL 60601",
    "web": "https://studio.example",
}
_STUDIO_EMAIL: Final = {
    "from": "hello@studio.example",
    "reply_to": "studio@studio.example",
    "postal_address": "12 Shore Drive, Chicago, IL 60601",
}


def links(base: str = "https://studio.example") -> dict[str, str]:
    """The links of a message that is only looked at: as long as real ones, and they lead nowhere."""
    short, long = "x" * TOKEN_LENGTH, "x" * CONFIRM_LENGTH
    return {
        "confirm_link": f"{base}/c/{long}",
        "unsubscribe_link": f"{base}/u/{short}",
        "nps_bar": NpsBar(f"{base}/n/{short}"),
    }


def record(kind: str) -> dict[str, Any]:
    """The made-up record of a kind, as a CRM would send it."""
    return {**_RECORD, "kind": kind, **_OF_KIND[kind]}


def seen(kind: str, studio: Studio, *, complete: bool = False) -> dict[str, Any]:
    """What a template for a kind of record, or for any, sees of the made-up one: the studio's own name and settings.

    With `complete` also what this studio has not said of itself.
    """
    kind = "session" if kind == "any" else kind
    own = studio.fields()
    if complete:
        own = {**_STUDIO, **own, "email": {**_STUDIO_EMAIL, **own.get("email", {})}}
    zone = zones.zone(studio.timezone)
    return context(
        record(kind), CLIENT, own, RECIPIENT, kind=kind, today=TODAY, zone=zone, links=links(), sender=SENDER
    )
