"""The names that a trigger uses, held against its studio's catalogue: one that nobody knows would never act."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from control_center.domain.studio_catalog import Catalog

SHOWN = 10  # names that a sentence lists where none is near


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be said about one name: `unknown` refuses a save, `unchecked` is nobody's mistake."""

    field: str
    says: str
    unknown: bool = False
    unchecked: bool = False


def findings(table: Mapping[str, Any], catalog: Catalog) -> list[Finding]:
    """Everything to be said about the names in a [[trigger]] table that `trigger.parse` has understood."""
    return [found for found in _findings(table, catalog) if found is not None]


def _findings(table: Mapping[str, Any], catalog: Catalog) -> Iterator[Finding | None]:
    kind, of_type = str(table.get("record")), _text(table, "type")
    for field in ("status", "then_status", "change_status.to"):
        yield _status(field, _text(table, field), kind, of_type, catalog)
    for field, typed in (("type", kind), ("task.type", "task")):
        types = [one.name for one in catalog.types or () if one.kind == typed]
        yield _named(field, _text(table, field), types, f"type of {_many(typed)}")
    for field in ("form", "web_form.form"):
        yield _named(field, _text(table, field), catalog.forms, "web form")
    yield _named("referral.program", _text(table, "referral.program"), catalog.referral_programs, "referral program")
    for field, relationship in _sent_to(table, "family:"):
        known = catalog.relationships or ()
        alike = next((one for one in known if one.casefold() == relationship.casefold()), relationship)
        yield _named(field, alike, known, "relationship")
    for field, user in _sent_to(table, "user:"):
        yield _user(field, user, catalog)
    for field in ("task.assign", "call.assign"):
        yield _assigned(field, _text(table, field), catalog)


def _status(field: str, name: str | None, kind: str, of_type: str | None, catalog: Catalog) -> Finding | None:
    ours = [one for one in catalog.statuses or () if one.kind == kind]
    types = {one.type for one in ours if one.name == name}
    if of_type is None or not types or types & {None, of_type}:
        return _named(field, name, [one.name for one in ours], f"status of {_many(kind)}")
    only = ", ".join(sorted(repr(one) for one in types))
    return Finding(field, f"{name!r} is known as a status of the type {only} and not of {of_type!r}")


def _assigned(field: str, name: str | None, catalog: Catalog) -> Finding | None:
    """A call or task is given to a user or to a department, whichever has that name."""
    if name is None or name in (catalog.departments or ()):
        return None
    if any(one.name == name for one in catalog.users or ()):
        return _user(field, name, catalog)
    known = [*_active(catalog), *(catalog.departments or ())]
    if not catalog.users or not catalog.departments:
        lacking = "users" if not catalog.users else "departments"
        return _unchecked(field, name, lacking)
    return _named(field, name, known, "user or department")


def _user(field: str, name: str, catalog: Catalog) -> Finding | None:
    known = _active(catalog)
    if name not in known and any(one.name == name for one in catalog.users or ()):
        return Finding(field, f"{name!r} is a user who is no longer active")
    return _named(field, name, known, "user")


def _active(catalog: Catalog) -> list[str]:
    return [one.name for one in catalog.users or () if one.active is not False]


def _named(field: str, name: str | None, known: Collection[str] | None, what: str) -> Finding | None:
    if name is None or name in (known or ()):
        return None
    if not known:
        return _unchecked(field, name, what)
    return Finding(field, f"{name!r} is not a {what} that this studio has; {_nearest(name, known)}", unknown=True)


def _unchecked(field: str, name: str, what: str) -> Finding:
    return Finding(field, f"{name!r} cannot be checked: the studio's catalogue has no {what} yet", unchecked=True)


def _nearest(name: str, known: Iterable[str]) -> str:
    """The names that come near; where none does, those there are."""
    folded: dict[str, str] = {}
    for one in known:
        folded.setdefault(one.casefold(), one)
    near = difflib.get_close_matches(name.casefold(), folded, 3)
    if near:
        return f"nearest: {', '.join(repr(folded[one]) for one in near)}"
    names = list(folded.values())
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"there are: {', '.join(map(repr, names[:SHOWN]))}{rest}"


def _sent_to(table: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    """What follows this prefix in send_to, which is a list or one for each channel, with the field."""
    given = table.get("send_to")
    lists = (
        {f"send_to.{leg}": some for leg, some in given.items()} if isinstance(given, Mapping) else {"send_to": given}
    )
    found = [
        (field, one.removeprefix(prefix))
        for field, some in lists.items()
        for one in (some if isinstance(some, (list, tuple)) else ())
        if isinstance(one, str) and one.startswith(prefix)
    ]
    return list(dict.fromkeys(found))


def _text(table: Mapping[str, Any], path: str) -> str | None:
    value: Any = table
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


def _many(kind: str) -> str:
    return f"{kind.replace('_', ' ')} records"
