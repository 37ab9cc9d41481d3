"""Kinds of records, each with its filters, the dates a trigger may hang on and its exclusions: adding one is a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Source(Enum):
    """Where the base of an activation is read in a record."""

    STATUS_CHANGED = "status_changed"
    STATUS_DUE = "status_due"
    DATE = "date"  # a key of the record's `dates`
    YEARLY = "yearly"  # a field of the client whose day comes round each year
    INSTALMENT = "instalment"  # each unpaid one has an activation of its own
    NPS = "nps"  # when the score was received


@dataclass(frozen=True, slots=True)
class Base:
    """One choice of `activate.on`.

    `past` marks a base that only ever lies behind us (a change, a creation, a booking): "N days before" makes
    no sense for it and is refused. `once` marks one that a record has once in its life: another date for it is a
    correction and no new occurrence. `key` is the key of `dates`, or the field, that is read.
    """

    name: str
    source: Source
    past: bool = False
    once: bool = False
    key: str = ""


class Slot(Enum):
    """Which field of a record a filter compares: every kind has at most two."""

    STATUS = "status"
    TYPE = "type"
    FORM = "form"
    KEYWORD = "keyword"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: its filters, its bases and the exclusions a trigger on it may use.

    A key of `filters` is what a trigger file says, its value what is compared. `ours` marks records that we keep
    ourselves, from messages and receipts: no event is about them.
    """

    name: str
    filters: Mapping[str, Slot]
    bases: Mapping[str, Base]
    exclusions: frozenset[str]
    primary: str = ""  # the date that `record.date` means
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Type:
    """One of the fourteen types of triggers that studios know: a kind and what it filters on."""

    number: int
    name: str
    kind: str
    filters: tuple[str, ...]


def _bases(*bases: Base) -> Mapping[str, Base]:
    return {base.name: base for base in bases}


def _date(name: str) -> Base:
    return Base(name, Source.DATE, key=name)


def _past(name: str) -> Base:
    """A past event that may happen again: a task that is completed, reopened and completed."""
    return Base(name, Source.DATE, past=True, key=name)


def _once(name: str) -> Base:
    """A past event that a record has once."""
    return Base(name, Source.DATE, past=True, once=True, key=name)


def _yearly(name: str) -> Base:
    return Base(name, Source.YEARLY, key=name)


_STATUS_CHANGED = Base("status_changed", Source.STATUS_CHANGED, past=True)
_STATUS_DUE = Base("status_due", Source.STATUS_DUE)
_NPS_RECEIVED = Base("nps_received", Source.NPS, past=True)
_PAYMENT_DUE = Base("payment_due", Source.INSTALMENT)

_STATUS: Mapping[str, Slot] = {"status": Slot.STATUS}
_STATUS_AND_TYPE: Mapping[str, Slot] = {"status": Slot.STATUS, "type": Slot.TYPE}

_ALWAYS = frozenset({"past_date", "without_allow_marketing"})
_OF_EVENTS = _ALWAYS | {"on_hold", "confirmed", "canceled"}

_ORDER = (_STATUS_AND_TYPE, _bases(_once("ordered"), _STATUS_CHANGED, _STATUS_DUE), _ALWAYS, "ordered")

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "client",
            _STATUS,
            _bases(_yearly("birthday"), _yearly("anniversary"), _STATUS_CHANGED, _STATUS_DUE),
            _ALWAYS,
        ),
        Kind(
            "session",
            _STATUS_AND_TYPE,
            _bases(_date("session"), _once("booked"), _STATUS_CHANGED, _STATUS_DUE, _NPS_RECEIVED),
            _OF_EVENTS | {"nps"},
            primary="session",
        ),
        Kind(
            "appointment",
            _STATUS_AND_TYPE,
            _bases(_date("appointment"), _once("booked"), _STATUS_CHANGED, _STATUS_DUE),
            _OF_EVENTS,
            primary="appointment",
        ),
        Kind(
            "invoice",
            _STATUS,
            _bases(_once("invoice"), _past("paid"), _PAYMENT_DUE, _STATUS_CHANGED, _STATUS_DUE),
            _ALWAYS | {"nps"},
            primary="invoice",
        ),
        Kind("production_order", *_ORDER),
        Kind("preproduction_order", *_ORDER),
        Kind(
            "task",
            _STATUS_AND_TYPE,
            _bases(_date("start"), _date("due"), _past("completed"), _STATUS_CHANGED, _STATUS_DUE),
            _ALWAYS,
            primary="due",
        ),
        Kind(
            "web_form",
            {"status": Slot.STATUS, "form": Slot.FORM},
            _bases(_once("created"), _once("submitted"), _STATUS_CHANGED),
            _ALWAYS,
            primary="submitted",
        ),
        Kind(
            "loyalty_reward",
            {"type": Slot.TYPE},
            _bases(_once("issued"), _date("expires")),
            _ALWAYS | {"redeemed"},
            primary="issued",
        ),
        Kind(
            "email",
            {"event": Slot.STATUS, "category": Slot.TYPE},
            _bases(_once("received"), _once("sent")),
            _ALWAYS,
            primary="received",
            ours=True,
        ),
        Kind("sms", {"keyword": Slot.KEYWORD}, _bases(_once("received")), _ALWAYS, primary="received", ours=True),
    )
}

RECORD_KINDS = frozenset(kind.name for kind in KINDS.values() if not kind.ours)  # those that events are about

EMAIL_EVENTS = ("delivered", "opened", "bounced", "clicked", "complained", "unsubscribed")

TYPES = (
    Type(1, "Appointment Type", "appointment", ("type",)),
    Type(2, "Appointment Type and Status", "appointment", ("type", "status")),
    Type(3, "Client Status", "client", ("status",)),
    Type(4, "Email Records", "email", ("event", "category")),
    Type(5, "Invoice Status", "invoice", ("status",)),
    Type(6, "Production Status", "production_order", ("type", "status")),
    Type(7, "Preproduction Status", "preproduction_order", ("type", "status")),
    Type(8, "Session Status", "session", ("status", "type")),
    Type(9, "Session Type", "session", ("type",)),
    Type(10, "Task Status", "task", ("status", "type")),
    Type(11, "Task Type", "task", ("type",)),
    Type(12, "Web Form Status", "web_form", ("status", "form")),
    Type(13, "SMS Records (Incoming Keyword)", "sms", ("keyword", "match")),
    Type(14, "Loyalty Reward", "loyalty_reward", ("type",)),
)
