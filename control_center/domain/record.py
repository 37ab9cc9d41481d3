"""A record of the CRM and what we know of it: the newest version, and what it already was when we first heard of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import msgspec

from control_center.domain import zones
from control_center.domain.errors import Malformed
from control_center.domain.record_parts import (
    Address,
    AllowMarketing,
    Assigned,
    Flags,
    Form,
    Instalment,
    Nps,
    Payer,
    Person,
    Phone,
    Reward,
    Staff,
)


class Record(msgspec.Struct, frozen=True, rename={"record_id": "id"}):
    """What deciding needs of a record's JSON. Everything else stays in the body, for the templates.

    `dates`, `status_changed_at` and the like are ISO 8601 as the CRM wrote them: a date, a local time, or an
    instant with its offset. `moment` reads them in the studio's zone. A list or flag that is null is an empty one.
    """

    record_id: str
    version: int
    kind: str = "client"
    client_id: str | None = None
    type: str | None = None
    status: str | None = None
    status_changed_at: str | None = None
    status_due_date: str | None = None
    dates: dict[str, str | None] = {}
    flags: Flags | None = Flags()
    staff: tuple[Staff, ...] | None = ()
    assigned: tuple[Assigned, ...] | None = ()
    participants: tuple[Person, ...] | None = ()
    bill_to: Payer | None = None
    links: dict[str, str | None] | None = None
    instalments: tuple[Instalment, ...] | None = ()
    nps: Nps | None = None
    form: Form | None = None
    reward: Reward | None = None
    text: str | None = None  # of an incoming text
    # of a client
    first_name: str | None = None
    last_name: str | None = None
    phones: tuple[Phone, ...] | None = ()
    emails: tuple[Address, ...] | None = ()
    family: tuple[Person, ...] | None = ()
    birthday: str | None = None
    anniversary: str | None = None
    allow_marketing: AllowMarketing | None = None
    referral_program: str | None = None


RECORD_DECODER = msgspec.json.Decoder(Record)


_CACHED = 16 * 1024  # characters of a body up to which its reading is worth keeping


def read(body: str) -> Record:
    """The typed view of a stored body. Bodies are checked when they come in, so this does not fail."""
    return _read(body) if len(body) <= _CACHED else RECORD_DECODER.decode(body)


@lru_cache(maxsize=2048)
def _read(body: str) -> Record:
    return RECORD_DECODER.decode(body)


def with_entry(body: str, at: str) -> str:
    """A body whose status was entered `at`, where the CRM did not say when."""
    return msgspec.json.encode({**msgspec.json.decode(body), "status_changed_at": at}).decode()


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, or an instant with the local date it falls on."""

    day: date
    instant: datetime | None


@lru_cache(maxsize=16384)
def moment(text: str, zone: str) -> Moment:
    """Read an ISO 8601 date, local time or instant in a studio's zone.

    Raises ValueError where the text is none of them; `check_moment` is for text not yet checked.
    """
    if len(text) == len("2026-11-22"):
        return Moment(date.fromisoformat(text), None)
    at = datetime.fromisoformat(text)
    local = zones.zone(zone)
    instant = zones.local_datetime(local, at) if at.tzinfo is None else at.astimezone(UTC)
    return Moment(zones.local_date(local, instant), instant)


# One day at either end keeps every zone's local date and every 14-day use-by inside what datetime can hold.
_EARLIEST, _LATEST = date(1900, 1, 1), date(9000, 1, 1)

# Of all that Python reads as ISO 8601, one spelling: a week ("2026-W47-6") is ten characters long as a date is.
_ISO_8601 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


@lru_cache(maxsize=16384)
def check_moment(field: str, text: str) -> None:
    """Refuse a text that is no date, local time or instant. Raises Malformed naming the field."""
    try:
        day = datetime.fromisoformat(text if _ISO_8601.fullmatch(text) else "").date()
    except ValueError:
        raise Malformed(
            field, f"{text[:40]!r} is not a date such as 2026-11-21 or a time such as 2026-11-21T16:04:05Z"
        ) from None
    if not _EARLIEST <= day <= _LATEST:
        raise Malformed(field, f"{text[:40]!r} lies outside the years 1900 to 9000")


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The bases of a record's activations in one version: enough to tell news from history."""

    status: str | None = None
    status_changed_at: str | None = None
    status_due_date: str | None = None
    dates: tuple[tuple[str, str | None], ...] = ()
    birthday: str | None = None
    anniversary: str | None = None
    instalments: tuple[Instalment, ...] | None = ()
    nps: Nps | None = None
    family: tuple[Person, ...] | None = ()  # with nothing but names and birthdays

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str) -> Facts:
        return msgspec.json.decode(text, type=Facts)


def facts_of(record: Record) -> Facts:
    return Facts(
        status=record.status,
        status_changed_at=record.status_changed_at,
        status_due_date=record.status_due_date,
        dates=tuple(sorted(record.dates.items())),
        birthday=record.birthday,
        anniversary=record.anniversary,
        instalments=record.instalments or (),
        nps=record.nps,
        family=tuple(_celebrated(person) for person in record.family or () if person.birthday is not None),
    )


def _celebrated(person: Person) -> Person:
    return Person(person.relationship, person.first_name, person.last_name, birthday=person.birthday)


@dataclass(frozen=True, slots=True)
class Picture:
    """Our picture of one record.

    `version`, `deleted` and `body` are those of the highest version seen; `first_version` and `first_facts` those
    of the lowest; `known_since` is the earliest time of any. `first_facts` is None where we saw the record being
    created: then nothing in it is older than we are. Both ends are independent of the order in which versions arrive.
    Of one that was `erased` with its client nothing but the version is left.
    """

    studio: str
    kind: str
    record_id: str
    version: int
    body: str
    client_id: str | None
    deleted: bool
    first_version: int
    first_facts: Facts | None
    known_since: datetime | None
    erased: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.studio, self.kind, self.record_id)

    @property
    def record(self) -> Record:
        return read(self.body)


def project(picture: Picture | None, seen: Picture) -> Picture:
    """Fold one more version into what we know; the result does not depend on the order of versions.

    `seen` is the picture that this version alone would give. An equal version says nothing new about the record,
    but may say how we came to know it: a client that is created is often shown first beside its session.
    """
    if picture is None:
        return seen
    newest = _carried(picture, seen) if seen.version > picture.version else picture
    oldest = min(picture, seen, key=_seniority)
    times = [one.known_since for one in (picture, seen) if one.known_since is not None]
    return replace(
        newest,
        first_version=oldest.first_version,
        first_facts=oldest.first_facts,
        known_since=None if oldest.first_facts is None else min(times),
    )


def _carried(picture: Picture, seen: Picture) -> Picture:
    """A newer version that is silent about when its status was entered keeps the time it had, if it kept the status."""
    before, after = picture.record, seen.record
    if after.status is None or after.status_changed_at is not None or before.status_changed_at is None:
        return seen
    if before.status != after.status:
        return seen
    return replace(seen, body=with_entry(seen.body, before.status_changed_at))


def _seniority(picture: Picture) -> tuple[int, bool, bool]:
    """Orders pictures by what may be the first we heard: the lowest version, and of it what claims least."""
    facts = picture.first_facts
    return picture.first_version, facts is not None, facts is not None and facts.status_changed_at is not None


def as_mapping(body: str) -> dict[str, Any]:
    """The whole body as plain dictionaries, for templates."""
    mapping: dict[str, Any] = msgspec.json.decode(body)
    return mapping
