"""Saving triggers, each with its baseline: a trigger is live only once history has been set aside, all or nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from control_center.domain import template, zones
from control_center.domain.action import BEFORE_TRIGGER, PENDING, Add, Change
from control_center.domain.blackouts import Blackouts
from control_center.domain.errors import Malformed, NotFound
from control_center.domain.planner import reconcile
from control_center.domain.record import Picture
from control_center.domain.rules import Rules
from control_center.domain.studio import Studio
from control_center.domain.trigger import Trigger, parse
from control_center.store import actions, blackouts, db, records, studios, templates, triggers
from control_center.store.records import Key

log = structlog.get_logger(__name__)

PAGE = 1000
Table = Mapping[str, Any]


def read_files(paths: Iterable[Path]) -> list[tuple[str, dict[str, Any]]]:
    """The [[trigger]] tables of these files and folders, each with its file for messages. Raises Malformed."""
    tables: list[tuple[str, dict[str, Any]]] = []
    for path in paths:
        if not path.exists():
            raise Malformed(str(path), "there is no such file or folder")
        for file in sorted(path.glob("*.toml")) if path.is_dir() else [path]:
            tables.extend((file.name, table) for table in _read_file(file))
    return tables


def _read_file(file: Path) -> list[dict[str, Any]]:
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Malformed(file.name, f"not TOML: {error}") from None
    for key in content:
        if key != "trigger":
            raise Malformed(f"{file.name}, {key}", "is not a known key; a trigger file holds [[trigger]] tables")
    found = content.get("trigger", [])
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise Malformed(f"{file.name}, trigger", "a trigger is written under [[trigger]]")
    return found


@dataclass(frozen=True, slots=True)
class Difference:
    """What applying one table would do: `kind` is new, changed or same; `lines` say what changes."""

    name: str
    kind: str
    lines: tuple[str, ...]
    pending: int


async def diff(pool: db.Pool, studio: str, tables: Sequence[tuple[str, Table]]) -> list[Difference]:
    """What `apply` would change. Raises Malformed for the first table that is wrong; changes nothing."""
    async with db.session(pool) as connection:
        house = await _studio(connection, studio)
        found = []
        for where, table in _named_once(tables):
            trigger = await _checked(connection, house, table, where)
            saved = await triggers.by_name(connection, studio, trigger.name)
            if saved is None:
                found.append(Difference(trigger.name, "new", (), 0))
                continue
            lines = tuple(_lines(saved.definition, table))
            pending = await actions.count_of_trigger(connection, studio, saved.trigger_id, states=PENDING)
            found.append(Difference(trigger.name, "changed" if lines else "same", lines, pending))
        return found


async def apply(
    pool: db.Pool,
    clock: Callable[[], datetime],
    studio: str,
    tables: Sequence[tuple[str, Table]],
    *,
    by: str,
) -> list[Trigger]:
    """Save all tables in one transaction, or none of them. Raises Malformed naming file, trigger and field."""
    async with db.transaction(pool) as tx:
        if await studios.bump(tx, studio) is None:
            raise NotFound(f"there is no studio {studio!r}")
        house = await _studio(tx, studio)
        return [await _save(tx, house, dict(table), where, now=clock(), by=by) for where, table in _named_once(tables)]


async def put(pool: db.Pool, clock: Callable[[], datetime], studio: str, definition: Table, *, by: str) -> Trigger:
    """Save one trigger as its next version. Raises Malformed naming the field, NotFound for the studio."""
    (trigger,) = await apply(pool, clock, studio, [("trigger", definition)], by=by)
    return trigger


def _named_once(tables: Sequence[tuple[str, Table]]) -> Sequence[tuple[str, Table]]:
    names: dict[Any, str] = {}
    for where, table in tables:
        name = table.get("name")
        if isinstance(name, str) and name in names:
            raise Malformed(f'{where} "{name}", name', f"is used twice, also in {names[name]}; names are unique")
        names[name] = where
    return tables


async def _studio(tx: db.Connection, studio: str) -> Studio:
    found = (await studios.get(tx, [studio])).get(studio)
    if found is None:
        raise NotFound(f"there is no studio {studio!r}")
    return found


async def _checked(tx: db.Connection, house: Studio, table: Table, where: str) -> Trigger:
    """Understand a table and everything it names. Raises Malformed."""
    trigger = parse(table, where=where)
    place = f'{where} "{trigger.name}"'
    if trigger.words.text is not None:
        template.check(trigger.words.text, trigger.kind.name, field=f"{place}, text")
    if trigger.words.template is not None:
        known = await templates.of_studio(tx, house.studio)
        found = known.get(trigger.words.template)
        if found is None:
            names = ", ".join(known) or "none is saved yet"
            raise Malformed(f"{place}, template", f"{trigger.words.template!r} does not exist; known: {names}")
        if found.get("kind", "any") not in ("any", trigger.kind.name):
            raise Malformed(
                f"{place}, template",
                f"{trigger.words.template!r} is for {found['kind']} records, the trigger is on {trigger.kind.name}",
            )
    return trigger


async def _save(
    tx: db.Connection, house: Studio, table: dict[str, Any], where: str, *, now: datetime, by: str
) -> Trigger:
    trigger = await _checked(tx, house, table, where)
    saved = await triggers.by_name(tx, house.studio, trigger.name)
    if saved is not None and not _lines(saved.definition, table):
        return saved.trigger
    baseline = saved is None or not saved.enabled or _matches_others(saved.trigger, trigger)
    stored = await triggers.put(tx, house.studio, trigger, table, by=by)
    swept = await _sweep(tx, house, stored, now, baseline=BEFORE_TRIGGER if baseline else None)
    log.info("trigger.saved", studio=house.studio, trigger=stored.name, version=stored.version, by=by, changed=swept)
    return stored


def _matches_others(before: Trigger, after: Trigger) -> bool:
    """Whether an edit changes who matches or when: then what is past under the new rule is history, too."""
    return (before.kind.name, before.status, before.type, before.activate) != (
        after.kind.name,
        after.status,
        after.type,
        after.activate,
    )


async def _sweep(tx: db.Connection, house: Studio, trigger: Trigger, now: datetime, *, baseline: str | None) -> int:
    """Bring every record of the trigger's kind into line with it; returns how many actions that changed.

    The studio's row is locked, so no event comes in between: no record is missed and none is taken twice.
    """
    days = Blackouts(tuple(stored.blackout for stored in await blackouts.of_studio(tx, house.studio)))
    rules = Rules([trigger] if trigger.enabled else [], zones.zone(house.timezone), days)
    after, changed = "", 0
    while page := await records.of_kind(tx, house.studio, trigger.kind.name, after=after, limit=PAGE):
        changed += await _reconcile_page(tx, trigger, rules, page, now=now, baseline=baseline)
        after = page[-1].record_id
    return changed


async def _reconcile_page(
    tx: db.Connection,
    trigger: Trigger,
    rules: Rules,
    page: Sequence[Picture],
    *,
    now: datetime,
    baseline: str | None,
) -> int:
    have = await actions.of_records(tx, [picture.key for picture in page])
    added: list[tuple[Key, Add, str | None]] = []
    changes: list[tuple[str, Change]] = []
    for picture in page:
        mine = [one for one in have.get(picture.key, ()) if one.trigger_id == trigger.trigger_id]
        for step in reconcile(picture, rules, mine, now, baseline=baseline):
            match step:
                case Add():
                    added.append((picture.key, step, None))
                case Change():
                    changes.append((picture.studio, step))
    if added:
        await actions.add(tx, added)
    if changes:
        await actions.change(tx, changes)
    return len(added) + len(changes)


async def switch(pool: db.Pool, clock: Callable[[], datetime], studio: str, name: str, *, on: bool, by: str) -> Trigger:
    """Enable or disable a trigger: a new version of it, with its baseline where it goes live again."""
    async with db.session(pool) as connection:
        saved = await triggers.by_name(connection, studio, name)
    if saved is None:
        raise NotFound(f"there is no trigger {name!r}")
    return await put(pool, clock, studio, {**saved.definition, "enabled": on}, by=by)


async def export(pool: db.Pool, studio: str) -> list[dict[str, Any]]:
    """Every trigger of a studio as the table it was written as, by name."""
    async with db.session(pool) as connection:
        await _studio(connection, studio)
        return [saved.definition for saved in await triggers.every(connection, studio)]


def _lines(before: Table, after: Table) -> list[str]:
    """One line for each key that differs, nested tables included."""
    old, new = dict(_flat(before, "")), dict(_flat(after, ""))
    shown = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key):
            continue
        if key not in old:
            shown.append(f"+ {key} = {_json(new[key])}")
        elif key not in new:
            shown.append(f"- {key} = {_json(old[key])}")
        else:
            shown.append(f"~ {key} = {_json(old[key])} -> {_json(new[key])}")
    return shown


def _flat(table: Table, path: str) -> Iterable[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
