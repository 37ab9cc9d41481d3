"""A studio's catalogue: which statuses, types, people and forms its CRM has, so that a trigger can name no other."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from control_center.domain.catalogue import RECORD_KINDS
from control_center.domain.errors import Malformed
from control_center.domain.record import Record

MOST = 5000  # entries of one section
LONGEST = 200  # characters of a name


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A status of records of one kind; of all their types where `type` is None."""

    kind: str
    type: str | None = None
    name: str
    initial: bool | None = False
    final: bool | None = False
    submit: bool | None = False


class Type(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    name: str


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of the studio to whom calls and tasks can be given while `active`."""

    name: str
    email: str | None = None
    phone: str | None = None
    roles: tuple[str, ...] | None = ()
    active: bool | None = True


class Catalog(msgspec.Struct, frozen=True):
    """Sections by name. None is a section that was not named, which leaves what is stored of it as it is."""

    statuses: tuple[Status, ...] | None = None
    types: tuple[Type, ...] | None = None
    relationships: tuple[str, ...] | None = None
    departments: tuple[str, ...] | None = None
    users: tuple[User, ...] | None = None
    referral_programs: tuple[str, ...] | None = None
    forms: tuple[str, ...] | None = None

    @property
    def named(self) -> dict[str, tuple[Any, ...]]:
        """The sections that are named, with their entries."""
        found = {name: getattr(self, name) for name in SECTIONS}
        return {name: entries for name, entries in found.items() if entries is not None}


SECTIONS: Final = Catalog.__struct_fields__
PLAIN: Final = frozenset({"relationships", "departments", "referral_programs", "forms"})  # names and nothing else


class _Named(msgspec.Struct, frozen=True):
    name: str


class _Given(msgspec.Struct, frozen=True):
    """A catalogue as somebody writes it: a plain name may also be an object with a name."""

    statuses: tuple[Status, ...] | None = None
    types: tuple[Type, ...] | None = None
    relationships: tuple[str | _Named, ...] | None = None
    departments: tuple[str | _Named, ...] | None = None
    users: tuple[User, ...] | None = None
    referral_programs: tuple[str | _Named, ...] | None = None
    forms: tuple[str | _Named, ...] | None = None


# Reading ---------------------------------------------------------------------------------------------------


def parse(values: Mapping[str, Any], *, field: str = "") -> Catalog:
    """Understand a catalogue that a person wrote: as from the CRM, and a key that is not known is refused, too.

    `field` is put before the place of a mistake, such as `studio.toml, `. Raises Malformed.
    """
    _refuse_unknown(values, SECTIONS, field)
    shapes = {"statuses": Status, "types": Type, "users": User}
    for section, entries in values.items():
        for place, entry in enumerate(entries if isinstance(entries, (list, tuple)) else ()):
            if isinstance(entry, Mapping):
                keys = shapes.get(section, _Named).__struct_fields__
                _refuse_unknown(entry, keys, f"{field}{section}[{place}].")
    return understand(values, field=field)


def _refuse_unknown(values: Mapping[str, Any], known: Iterable[str], field: str) -> None:
    known = tuple(known)
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(known)}"
            raise Malformed(f"{field}{key}", f"is not a known key; {hint}")


def understand(values: Mapping[str, Any], *, field: str = "data.") -> Catalog:
    """The sections that the data of a `crm.catalog` event name; what else it says is passed over. Raises Malformed."""
    try:
        given = msgspec.convert(values, _Given)
    except msgspec.ValidationError as error:
        found, _, path = str(error).partition(" - at `$")
        raise Malformed(f"{field}{path.rstrip('`').lstrip('.')}".rstrip(". ,"), found) from None
    catalog = Catalog(
        statuses=_once("statuses", _statuses(given.statuses), _status_key, field),
        types=_once("types", given.types, lambda one: one, field),
        users=_once("users", _users(given.users), lambda one: (one.name, one.email), field),
        **{section: _plain(section, getattr(given, section), field) for section in PLAIN},
    )
    for section, entries in catalog.named.items():
        for place, entry in enumerate(entries):
            _check(entry, f"{field}{section}[{place}]")
    return catalog


def _statuses(given: tuple[Status, ...] | None) -> tuple[Status, ...] | None:
    """A flag that is null is one that is not set; a type that is empty is none."""
    return given and tuple(
        msgspec.structs.replace(
            one, type=one.type or None, initial=bool(one.initial), final=bool(one.final), submit=bool(one.submit)
        )
        for one in given
    )


def _users(given: tuple[User, ...] | None) -> tuple[User, ...] | None:
    return given and tuple(
        msgspec.structs.replace(
            one,
            email=one.email or None,
            phone=one.phone or None,
            roles=one.roles or (),
            active=one.active is not False,
        )
        for one in given
    )


def _plain(section: str, given: tuple[str | _Named, ...] | None, field: str) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = tuple(one if isinstance(one, str) else one.name for one in given)
    return _once(section, names, lambda name: name, field)


def _status_key(status: Status) -> Hashable:
    return status.kind, status.type, status.name


T = TypeVar("T", Status, Type, User, str)


def _once(section: str, entries: tuple[T, ...] | None, key: Any, field: str) -> tuple[T, ...] | None:
    """Each entry once. Raises Malformed where two of one name say different things, or there are too many."""
    if entries is None:
        return None
    if len(entries) > MOST:
        raise Malformed(f"{field}{section}", f"{len(entries)} entries; allowed are {MOST}")
    found: dict[Hashable, T] = {}
    for place, entry in enumerate(entries):
        if found.setdefault(key(entry), entry) != entry:
            raise Malformed(f"{field}{section}[{place}]", "says otherwise than an earlier entry of the same name")
    return tuple(found.values())


def _check(entry: Status | Type | User | str, field: str) -> None:
    if isinstance(entry, str):
        _check_text(field, entry)
        return
    if not isinstance(entry, User) and entry.kind not in RECORD_KINDS:
        raise Malformed(f"{field}.kind", f"{entry.kind[:40]!r}; allowed: {', '.join(sorted(RECORD_KINDS))}")
    for key in ("name", "type", "email", "phone"):
        text = getattr(entry, key, None)
        if text is not None:
            _check_text(f"{field}.{key}", text)
    for place, role in enumerate(getattr(entry, "roles", ())):
        _check_text(f"{field}.roles[{place}]", role)


def _check_text(field: str, text: str) -> None:
    if not 1 <= len(text) <= LONGEST:
        raise Malformed(field, f"{len(text)} characters; allowed are 1 to {LONGEST}")
    if "\x00" in text:
        raise Malformed(field, "holds a NUL character, which cannot be stored")


# Names in records ------------------------------------------------------------------------------------------


class Name(NamedTuple):
    """A name that a record shows to exist. `kind` is empty for what is not of one kind of record."""

    section: str
    kind: str
    name: str


def names_in(kind: str, record: Record) -> Iterator[Name]:
    """The names that a record of this kind uses. One too long for the catalogue is left out."""
    if record.status:
        yield Name("statuses", kind, record.status)
    if record.type and kind != "client":
        yield Name("types", kind, record.type)
    if record.form is not None and record.form.name and len(record.form.name) <= LONGEST:
        yield Name("forms", "", record.form.name)
    for person in record.family or ():
        if person.relationship and len(person.relationship) <= LONGEST:
            yield Name("relationships", "", person.relationship)
