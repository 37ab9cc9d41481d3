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


@dataclass(frozen=True, slots=True)
class Base:
    """One choice of `activate.on`.

    `past` marks a base that only ever lies behind us (a change, a creation, a booking): "N days before" makes
    no sense for it and is refused. `key` is the key of `dates` where the source is DATE.
    """

    name: str
    source: Source
    past: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: its filters, its bases and the exclusions a trigger on it may use."""

    name: str
    filters: frozenset[str]
    bases: Mapping[str, Base]
    exclusions: frozenset[str]
    primary: str = ""  # the date that `record.date` means


def _bases(*bases: Base) -> Mapping[str, Base]:
    return {base.name: base for base in bases}


_STATUS_CHANGED = Base("status_changed", Source.STATUS_CHANGED, past=True)
_STATUS_DUE = Base("status_due", Source.STATUS_DUE)


def _date(name: str, *, past: bool = False) -> Base:
    return Base(name, Source.DATE, past=past, key=name)


_CALENDAR_EXCLUSIONS = frozenset({"past_date", "on_hold", "confirmed", "canceled"})

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "client",
            frozenset({"status"}),
            _bases(_STATUS_CHANGED, _STATUS_DUE),
            frozenset({"past_date"}),
        ),
        Kind(
            "session",
            frozenset({"status", "type"}),
            _bases(_date("session"), _date("booked", past=True), _STATUS_CHANGED, _STATUS_DUE),
            _CALENDAR_EXCLUSIONS,
            primary="session",
        ),
        Kind(
            "appointment",
            frozenset({"status", "type"}),
            _bases(_date("appointment"), _date("booked", past=True), _STATUS_CHANGED, _STATUS_DUE),
            _CALENDAR_EXCLUSIONS,
            primary="appointment",
        ),
        Kind(
            "invoice",
            frozenset({"status"}),
            _bases(_date("invoice", past=True), _date("paid", past=True), _STATUS_CHANGED, _STATUS_DUE),
            frozenset({"past_date"}),
            primary="invoice",
        ),
    )
}

# Kinds whose records and events are taken in, although no trigger can hang on them yet.
RECORD_KINDS = frozenset(KINDS) | {
    "production_order",
    "preproduction_order",
    "task",
    "web_form",
    "loyalty_reward",
}
