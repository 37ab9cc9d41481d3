"""The catalogue of a studio: told by the CRM or a person, added to by records, asked when a trigger is saved.

It says, while somebody still looks, that a trigger would never act. Of it, decisions hang only on users.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import structlog

from control_center.domain import trigger_names
from control_center.domain.errors import Malformed, NotFound
from control_center.domain.event import Event
from control_center.domain.record import Picture
from control_center.domain.studio import Studio
from control_center.domain.studio_catalog import Catalog, Name, names_in
from control_center.domain.trigger_names import Finding
from control_center.engine.trigger_files import Mistakes
from control_center.store import audit, catalogs, db, studios, triggers

log = structlog.get_logger(__name__)

Table: TypeAlias = Mapping[str, Any]
Noted: TypeAlias = dict[str, tuple[int, set[Name]]]  # by studio: the revision of its catalogue, and names in it

MOST_SEEN = 10_000  # names of one studio that records may add: a CRM that makes one up for each record ends here


# Replacing --------------------------------------------------------------------------------------------------


async def read(pool: db.Pool, studio: str) -> Catalog:
    """The whole catalogue of a studio. Raises NotFound."""
    async with db.session(pool) as connection:
        if not await studios.get(connection, [studio]):
            raise NotFound(f"there is no studio {studio!r}")
        return await catalogs.of_studio(connection, studio)


async def replace(pool: db.Pool, studio: str, catalog: Catalog, *, by: str) -> Catalog:
    """Put the sections that `catalog` names in the place of those stored; returns the whole. Raises NotFound."""
    async with db.transaction(pool) as tx:
        await catalogs.lock(tx, [studio])
        if not await studios.get(tx, [studio]):
            raise NotFound(f"there is no studio {studio!r}")
        had = (await catalogs.of_studio(tx, studio)).named
        await _put(tx, studio, catalog.named, by=by)
        before = {name: had[name] for name in catalog.named}
        await audit.write(tx, by, audit.Entry(studio, "change", f"studio/{studio}/catalog", before, catalog.named))
        return await catalogs.of_studio(tx, studio)


async def told(tx: db.Connection, events: Iterable[Event], now: datetime) -> list[Event]:
    """Take over what the CRM tells, oldest first; returns events that said nothing new. The studios are locked.

    An event from the future counts as one of now, or a wrong clock would silence every later one.
    """
    superseded = []
    for event in sorted(events, key=lambda event: event.time):
        sections = event.catalog.named if event.catalog is not None else {}
        newest = await catalogs.tell(tx, event.studio, sections, min(event.time, now)) if sections else set()
        if newest:
            taken = {name: entries for name, entries in sections.items() if name in newest}
            await _put(tx, event.studio, taken, by=event.source)
        else:
            superseded.append(event)
    return superseded


async def _put(tx: db.Connection, studio: str, sections: Mapping[str, Sequence[Any]], *, by: str) -> None:
    """Replace sections; where that changes who is reached, and how, what was decided before is decided anew."""
    users = await catalogs.users(tx, studio)
    await catalogs.replace(tx, studio, sections)
    if await catalogs.users(tx, studio) != users:
        await studios.bump(tx, studio)
    sizes = {name: len(entries) for name, entries in sections.items()}
    log.info("catalog.replaced", studio=studio, by=by, sections=sizes)


# Names that records show ------------------------------------------------------------------------------------


class SeenNames:
    """What one process knows to be stored, so that a batch with nothing new asks the database nothing."""

    def __init__(self) -> None:
        self._known: Noted = {}

    async def note(self, tx: db.Connection, known: Mapping[str, Studio], pictures: Iterable[Picture]) -> Noted:
        """Store names that may be new; returns them for `learn`, once the transaction has committed."""
        noted: Noted = {}
        for picture in pictures:
            revision = known[picture.studio].catalog_revision
            names = self._of(picture.studio, revision)
            new = {name for name in names_in(picture.kind, picture.record) if name not in names}
            if new and len(names) < MOST_SEEN:
                noted.setdefault(picture.studio, (revision, set()))[1].update(new)
        if noted:
            await catalogs.add_seen(tx, ((studio, name) for studio, (_, new) in noted.items() for name in new))
        return noted

    def learn(self, noted: Noted) -> None:
        """Remember what is stored now."""
        for studio, (revision, new) in noted.items():
            names = self._of(studio, revision) | new
            self._known[studio] = (revision, names)
            if len(names) >= MOST_SEEN:
                log.warning("catalog.full", studio=studio, reason=f"records show {len(names)} names; no more are added")

    def forget(self, studios: Iterable[str]) -> None:
        """Know nothing any more of studios whose catalogue this very transaction replaces."""
        for studio in studios:
            self._known.pop(studio, None)

    def _of(self, studio: str, revision: int) -> set[Name]:
        """The names known of this revision of a catalogue; of another none is."""
        found = self._known.get(studio)
        return found[1] if found is not None and found[0] == revision else set()


# Asking -----------------------------------------------------------------------------------------------------


async def check(tx: db.Connection, studio: str, table: Table, place: str, *, saved: Table | None = None) -> list[str]:
    """What to warn of before a trigger is saved: names that nobody can check, or of a user who has left.

    `saved` is the table it has now: one that stays as it is, or is only switched off, is warned about and never
    refused. Raises Mistakes for every name that is unknown, with those nearest to it.
    """
    found = trigger_names.findings(table, await catalogs.of_studio(tx, studio))
    kept = saved is not None and table in (saved, {**saved, "enabled": False})
    unknown = [Malformed(f"{place}, {one.field}", one.says) for one in found if one.unknown]
    if unknown and not kept:
        raise Mistakes(unknown)
    return [f"{one.field}: {one.says}" for one in found]


async def complaints(tx: db.Connection, studio: str) -> list[tuple[str, Finding]]:
    """What is wrong with the names in saved triggers by now, each with the trigger's name."""
    catalog = await catalogs.of_studio(tx, studio)
    saved = await triggers.every(tx, studio)
    found = [(one.name, finding) for one in saved for finding in trigger_names.findings(one.definition, catalog)]
    return [(name, finding) for name, finding in found if not finding.unchecked]
