"""The fields a template may use, as data.

The names are those of an event's JSON. A table says for each name what stands there: a text, a date, a group of
further names, a list of them, anything at all, or the place or rule from which an alias takes its value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeAlias

from control_center.domain.template_dates import Face

Body: TypeAlias = Mapping[str, Any]


class Leaf(Enum):
    """A field that is not a group of known names."""

    TEXT = "text"
    DATE = "date"  # also a time: shown in the studio's format
    AMOUNT = "amount"  # written as the CRM wrote it, compared as a number
    OPEN = "open"  # whatever the CRM sent; its names are not known to us
    FIELDS = "fields"  # likewise, with what the CRM sent beside the known names


@dataclass(frozen=True, slots=True)
class Many:
    """A list whose items all have this shape."""

    item: Shape


@dataclass(frozen=True, slots=True)
class At:
    """An alias of what stands elsewhere in the same body. `face` narrows a date to its day or its time."""

    path: tuple[str, ...]
    leaf: Leaf = Leaf.TEXT
    face: Face = Face.BOTH


@dataclass(frozen=True, slots=True)
class Made:
    """A value put together from the body. `leaf` says what comes out."""

    make: Callable[[Body], Any]
    leaf: Leaf = Leaf.TEXT


Group: TypeAlias = "Mapping[str, Shape]"
Shape: TypeAlias = "Leaf | Many | At | Made | Group"

_TEXT, _DATE, _OPEN = Leaf.TEXT, Leaf.DATE, Leaf.OPEN


def _texts(*names: str) -> dict[str, Shape]:
    return dict.fromkeys(names, _TEXT)


def _amounts(*names: str) -> dict[str, Shape]:
    return dict.fromkeys(names, Leaf.AMOUNT)


def _dates(*names: str) -> dict[str, Shape]:
    return dict.fromkeys(names, _DATE)


def _full_name(body: Body) -> str | None:
    names = (body.get("first_name"), body.get("last_name"))
    return " ".join(name for name in names if name) or body.get("name") or body.get("user")


def _phone(body: Body) -> str | None:
    """The number that texts go to, else the first."""
    phones = body.get("phones") or ()
    ticked = [phone for phone in phones if phone.get("sms")] or phones
    return ticked[0].get("number") if ticked else body.get("phone")


def _email(body: Body) -> str | None:
    emails = body.get("emails") or ()
    return emails[0].get("address") if emails else body.get("email")


def _next_payment(name: str) -> Callable[[Body], Any]:
    def find(body: Body) -> Any:
        open_ones = [one for one in body.get("instalments") or () if one.get("due") and not one.get("paid")]
        return min(open_ones, key=lambda one: str(one["due"]))[name] if open_ones else None

    return find


def _photographer(body: Body) -> str | None:
    """The primary one, else the first; of an appointment without one, whoever it is with."""
    staff = body.get("staff") or ()
    known = [one for one in staff if one.get("role") == "photographer"] or staff
    found = next((one for one in known if one.get("primary")), known[0] if known else None)
    return found.get("name") if found else None


def _sender(body: Body) -> str | None:
    numbers = (body.get("sms") or {}).get("numbers") or ()
    return body.get("phone") or (numbers[0] if numbers else None)


_PERSON: Group = {
    **_texts("first_name", "last_name", "name", "relationship"),
    "birthday": _DATE,
    "full_name": Made(_full_name),
    "phone": Made(_phone),
    "email": Made(_email),
    "phones": Many(_texts("number", "label", "sms")),
    "emails": Many(_texts("address", "label")),
}
CLIENT: Group = {
    **_PERSON,
    **_texts("id", "version", "status", "timezone", "referral_program", "referred_by"),
    **_dates("status_changed_at", "status_due_date", "anniversary"),
    "allow_marketing": _texts("sms", "email", "call", "mail"),
    "family": Many(_PERSON),
    "fields": Leaf.FIELDS,
}
RECIPIENT: Group = {**_PERSON, **_texts("role", "user", "department")}
SENDER: Group = _texts("name", "signature")  # who wrote it, or their bulk; nobody of what a trigger sends
STUDIO: Group = {
    **_texts("id", "name", "timezone", "country", "address", "web"),
    "phone": Made(_sender),
    "email": At(("email", "from")),
    "reply_to": At(("email", "reply_to")),
    "postal_address": At(("email", "postal_address")),
}
_RECORD: Group = {
    **_texts("kind", "id", "version", "client_id", "type", "status"),
    **_dates("status_changed_at", "status_due_date"),
    "flags": _texts("on_hold", "confirmed", "canceled"),
    "staff": Many(_texts("role", "primary", "name", "phone", "email")),
    "links": _OPEN,
    "fields": Leaf.FIELDS,
}
_ASSIGNED: Group = {"assigned": Many(_texts("user", "department", "phone", "email"))}
_MESSAGE: Group = {
    **_texts("id", "direction", "channel", "state", "from", "to", "text", "reason"),
    **_dates("created_at", "sent_at"),
}


def _kind(primary: str, *others: str, **own: Shape) -> Group:
    """A kind of record: its dates, of which the first is what `record.date` and `record.time` mean."""
    return {
        **_RECORD,
        "dates": _dates(primary, *others),
        "date": At(("dates", primary), _DATE, Face.DATE),
        "time": At(("dates", primary), _DATE, Face.TIME),
        **own,
    }


_NPS: Group = {**_texts("id", "score", "comment"), "received_at": _DATE}
_INSTALMENT: Group = {**_texts("id", "paid"), **_amounts("amount"), "due": _DATE}

KINDS: Mapping[str, Group] = MappingProxyType(
    {
        "client": {**CLIENT, "kind": _TEXT},
        "appointment": _kind("appointment", "booked", photographer=Made(_photographer)),
        "session": _kind(
            "session",
            "booked",
            photographer=Made(_photographer),
            nps=_NPS,
            nps_bar=_TEXT,
            participants=Many(_PERSON),
        ),
        "invoice": _kind(
            "invoice",
            "paid",
            amounts={**_amounts("total", "paid", "balance"), "currency": _TEXT},
            **{name: At(("amounts", name), Leaf.AMOUNT) for name in ("total", "paid", "balance")},
            currency=At(("amounts", "currency")),
            instalments=Many(_INSTALMENT),
            next_payment_date=Made(_next_payment("due"), _DATE),
            next_payment_amount=Made(_next_payment("amount"), Leaf.AMOUNT),
            bill_to=CLIENT,
        ),
        "production_order": _kind("ordered", **_ASSIGNED),
        "preproduction_order": _kind("ordered", **_ASSIGNED),
        "task": _kind("due", "start", "completed", **_ASSIGNED),
        "web_form": _kind(
            "submitted",
            "created",
            form=_texts("name", "link"),
            **{name: At(("form", name)) for name in ("name", "link")},
        ),
        "loyalty_reward": _kind(
            "issued",
            "expires",
            reward={"code": _TEXT, **_amounts("amount", "balance")},
            code=At(("reward", "code")),
            **{name: At(("reward", name), Leaf.AMOUNT) for name in ("amount", "balance")},
        ),
        "email": _kind("received", "sent", **_MESSAGE, **_texts("subject", "event", "category")),
        "sms": _kind("received", "sent", **_MESSAGE, keyword=_TEXT),
    }
)
LINKS = ("confirm_link", "unsubscribe_link")
CONFIRMED = ("session", "appointment")  # the kinds of records that a client can confirm


def offered(kind: str, channel: str) -> frozenset[str]:
    """The links that a message about a record of this kind may have; `nps_bar` is the record's."""
    own = {"confirm_link"} if kind in CONFIRMED else set()
    own |= {"nps_bar"} if kind == "session" else set()
    return frozenset(own | ({"unsubscribe_link"} if channel == "email" else set()))


def _union(groups: Iterator[Group] | list[Group]) -> Group:
    union: dict[str, Shape] = {}
    for group in groups:
        for name, shape in group.items():
            known = union.get(name)
            both = isinstance(known, Mapping) and isinstance(shape, Mapping)
            union[name] = _union([known, shape]) if both else shape  # type: ignore[list-item] # both are groups
    return union


ANY: Group = _union(list(KINDS.values()))


def roots(kind: str) -> Group:
    """Every name a template for this kind may begin with. Of kind `any`, a field of any kind of record is known."""
    return {
        **({} if kind == "any" else {kind: KINDS[kind]}),
        "record": ANY if kind == "any" else KINDS[kind],
        "client": CLIENT,
        "studio": STUDIO,
        "recipient": RECIPIENT,
        "sender": SENDER,
        "today": _DATE,
        **_texts(*(name for name in LINKS if name != "confirm_link" or kind in ("any", *CONFIRMED))),
    }


def names(kind: str) -> tuple[str, ...]:
    """All field names of a kind in full, for pickers and documents."""
    return tuple(full_names(roots(kind)))


def full_names(group: Group, prefix: str = "") -> Iterator[str]:
    """Every name in a group in full, such as client.first_name; `.*` where names are not known to us."""
    for name, shape in group.items():
        if isinstance(shape, Mapping):
            yield from full_names(shape, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}" + (".*" if shape in (Leaf.OPEN, Leaf.FIELDS) else "")
