"""The catalogues of studios: replaced section by section, and added to by the names that records show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from control_center.domain.people import Users
from control_center.domain.studio_catalog import PLAIN, Catalog, Name, Status, Type, User
from control_center.store.db import Connection

LOCK = "SELECT FROM studios WHERE studio_id = ANY ($1::text[]) ORDER BY studio_id FOR NO KEY UPDATE"


async def lock(tx: Connection, studios: Iterable[str]) -> None:
    """Keep every batch out that may add names to these studios. Comes before `studios.share` of the same ones."""
    await tx.execute(LOCK, sorted(set(studios)))


OF_STUDIO = """
SELECT section, kind, name, part, details FROM catalog_entries
 WHERE studio_id = $1 ORDER BY section, place NULLS LAST, kind, name, part"""


async def of_studio(tx: Connection, studio: str) -> Catalog:
    """The whole catalogue: every section, each in the order it was told, names seen in records last."""
    found: dict[str, list[Any]] = {section: [] for section in Catalog.__struct_fields__}
    for section, *entry in await tx.fetch(OF_STUDIO, studio):
        found[section].append(_entry(section, *entry))
    return Catalog(**{section: tuple(entries) for section, entries in found.items()})


TELL = """
INSERT INTO catalog_sections (studio_id, section, told_at)
SELECT $1, section, $3 FROM unnest($2::text[]) AS section
    ON CONFLICT (studio_id, section) DO UPDATE SET told_at = excluded.told_at
 WHERE catalog_sections.told_at <= excluded.told_at
RETURNING section"""


async def tell(tx: Connection, studio: str, sections: Iterable[str], at: datetime) -> set[str]:
    """Note that the CRM told these sections `at`; returns those of which nothing newer is known."""
    return {row[0] for row in await tx.fetch(TELL, studio, sorted(sections), at)}


CLEAR = "DELETE FROM catalog_entries WHERE studio_id = $1 AND section = ANY ($2::text[])"

FILL = """
INSERT INTO catalog_entries (studio_id, section, kind, name, part, place, details)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::text[])"""

BUMP_CATALOG = "UPDATE studios SET catalog_revision = catalog_revision + 1 WHERE studio_id = $1"


USERS = """
SELECT section, kind, name, part, details FROM catalog_entries
 WHERE studio_id = $1 AND section = 'users' ORDER BY place NULLS LAST, name, part"""


async def users(tx: Connection, studio: str) -> Users:
    """Who works for a studio, by name; a name whose users have all left has none."""
    found: dict[str, tuple[User, ...]] = {}
    for row in await tx.fetch(USERS, studio):
        user = _entry(*row)
        assert isinstance(user, User), "of the section users"
        # One name may be that of several: as long as one of them is active, it is a name to write to.
        found[user.name] = (*found.get(user.name, ()), *(() if user.active is False else (user,)))
    return found


async def replace(tx: Connection, studio: str, sections: Mapping[str, Sequence[Any]]) -> None:
    """Put these entries in the place of what the sections had. The caller holds the studio's lock."""
    rows = [
        (section, *_key(entry), place, _details(entry))
        for section, entries in sections.items()
        for place, entry in enumerate(entries)
    ]
    await tx.execute(CLEAR, studio, list(sections))
    await tx.execute(FILL, studio, *([row[n] for row in rows] for n in range(6)))
    await tx.execute(BUMP_CATALOG, studio)


# A name that is there for one type only is known, too: what the CRM said of it is more than a record shows.
ADD_SEEN = """
INSERT INTO catalog_entries (studio_id, section, kind, name)
SELECT seen.studio_id, seen.section, seen.kind, seen.name
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS seen (studio_id, section, kind, name)
 WHERE NOT EXISTS (
       SELECT FROM catalog_entries AS known
        WHERE known.studio_id = seen.studio_id AND known.section = seen.section AND known.kind = seen.kind
          AND known.name = seen.name)
    ON CONFLICT DO NOTHING"""


async def add_seen(tx: Connection, names: Iterable[tuple[str, Name]]) -> None:
    """Add names that records show, each with its studio; in one order, so that two batches cannot wait in a ring."""
    rows = sorted((studio, *name) for studio, name in names)
    await tx.execute(ADD_SEEN, *([row[n] for row in rows] for n in range(4)))


def _key(entry: Any) -> tuple[str, str, str]:
    """Kind, name and part of an entry."""
    match entry:
        case Status():
            return entry.kind, entry.name, entry.type or ""
        case Type():
            return entry.kind, entry.name, ""
        case User():
            return "", entry.name, entry.email or ""
        case _:
            return "", entry, ""


def _details(entry: Any) -> str:
    match entry:
        case Status():
            said: dict[str, Any] = {"initial": entry.initial, "final": entry.final, "submit": entry.submit}
        case User():
            said = {"phone": entry.phone, "roles": entry.roles, "active": entry.active}
        case _:
            said = {}
    return msgspec.json.encode(said).decode()


def _entry(section: str, kind: str, name: str, part: str, details: str) -> Status | Type | User | str:
    if section in PLAIN:
        return name
    if section == "types":
        return Type(kind=kind, name=name)
    said = msgspec.json.decode(details)
    if section == "statuses":
        return Status(kind=kind, name=name, type=part or None, **said)
    return User(name=name, email=part or None, **{**said, "roles": tuple(said.get("roles", ()))})
