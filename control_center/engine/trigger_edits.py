"""Editing one trigger at a time, by its id: made, replaced, copied, switched, dropped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from itertools import count
from typing import Any

import structlog

from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.engine import trigger_pausing
from control_center.engine import triggers as engine
from control_center.engine.editions import check_version
from control_center.engine.trigger_pausing import Choices
from control_center.store import audit, db, triggers
from control_center.store.triggers import Saved

log = structlog.get_logger(__name__)

WHERE = "trigger"  # stands before field names in what is wrong
Clock = Callable[[], datetime]


async def get(pool: db.Pool, studio: str, trigger_id: int) -> Saved:
    """Raises NotFound."""
    async with db.session(pool) as connection:
        return _found(await triggers.by_id(connection, studio, trigger_id), trigger_id)


async def every(pool: db.Pool, studio: str) -> list[Saved]:
    """A studio's triggers by name."""
    async with db.session(pool) as connection:
        return await triggers.every(connection, studio)


async def create(pool: db.Pool, clock: Clock, studio: str, table: Mapping[str, Any], *, by: str) -> Saved:
    """Save a new trigger. Raises Malformed naming the field, Refused where the name is taken, NotFound."""
    async with db.transaction(pool) as tx:
        house = await engine.locked(tx, studio)
        await _free(tx, studio, table.get("name"))
        made = await engine.save(tx, house, table, WHERE, now=clock(), by=by)
        return _found(await triggers.by_id(tx, studio, made.trigger_id), made.trigger_id)


async def replace(
    pool: db.Pool,
    clock: Clock,
    studio: str,
    trigger_id: int,
    table: Mapping[str, Any],
    *,
    versions: Collection[str] | None,
    pending: str | None = None,
    by: str,
) -> Saved:
    """Save a trigger's next version, its name included, where the current one is one of `versions`.

    `pending` says what becomes of what waits under the version before, as in `engine.triggers.put`. Raises Malformed,
    NotFound, Outdated, and Refused where another trigger has that name.
    """
    async with db.transaction(pool) as tx:
        house = await engine.locked(tx, studio)
        before = _found(await triggers.by_id(tx, studio, trigger_id), trigger_id)
        check_version(before.version, versions, f"trigger {before.name!r}")
        name = table.get("name")
        if isinstance(name, str) and name != before.name:
            await _free(tx, studio, name)
            _check_name(name)
            await triggers.rename(tx, studio, trigger_id, name)
        await engine.save(tx, house, table, WHERE, now=clock(), by=by, choices=Choices.of(pending))
        return _found(await triggers.by_id(tx, studio, trigger_id), trigger_id)


async def copy(pool: db.Pool, clock: Clock, studio: str, trigger_id: int, name: str | None, *, by: str) -> Saved:
    """Save a trigger once more under another name, switched off. Raises NotFound, Refused, Malformed."""
    async with db.transaction(pool) as tx:
        house = await engine.locked(tx, studio)
        original = _found(await triggers.by_id(tx, studio, trigger_id), trigger_id)
        if name is None:
            taken = {one.name for one in await triggers.every(tx, studio)}
            name = next(one for n in count(1) if (one := _copied(original.name, n)) not in taken)
        await _free(tx, studio, name)
        table = {**original.definition, "name": name, "enabled": False}
        made = await engine.save(tx, house, table, WHERE, now=clock(), by=by)
        return _found(await triggers.by_id(tx, studio, made.trigger_id), made.trigger_id)


async def switch(
    pool: db.Pool,
    clock: Clock,
    studio: str,
    trigger_id: int,
    *,
    on: bool,
    versions: Collection[str] | None = None,
    pending: str | None = None,
    by: str,
) -> Saved:
    """Enable or disable a trigger; enabling sets aside what is past by then. Raises NotFound, Refused, Outdated."""
    found = await get(pool, studio, trigger_id)
    check_version(found.version, versions, f"trigger {found.name!r}")
    expect = None if versions is None else found.version
    await engine.switch(pool, clock, studio, found.name, on=on, by=by, pending=pending, expect=expect)
    return await get(pool, studio, trigger_id)


async def drop(
    pool: db.Pool, studio: str, trigger_id: int, *, versions: Collection[str] | None = None, by: str
) -> None:
    """Delete a trigger with what waits under it; what was sent remains. Raises NotFound, Outdated."""

    async def work(tx: db.Connection) -> tuple[Saved, int]:
        await engine.locked(tx, studio)
        before = _found(await triggers.by_id(tx, studio, trigger_id), trigger_id)
        check_version(before.version, versions, f"trigger {before.name!r}")
        dropped = await trigger_pausing.drop(tx, studio, trigger_id, by=by)
        await triggers.drop(tx, studio, trigger_id)
        await audit.write(tx, by, audit.Entry(studio, "delete", f"trigger/{trigger_id}", before.definition))
        return before, dropped

    before, dropped = await db.retried(pool, work)
    log.info("trigger.deleted", studio=studio, trigger=before.name, by=by, changed=dropped)


async def _free(tx: db.Connection, studio: str, name: Any) -> None:
    if isinstance(name, str) and "\x00" not in name and await triggers.by_name(tx, studio, name) is not None:
        raise Refused(f"there is a trigger {name!r} already")


def _check_name(name: str) -> None:
    """A name must be in order before the trigger gets it; the rest is checked when it is saved."""
    if not 1 <= len(name) <= 200 or "\x00" in name:
        raise Malformed(f"{WHERE}, name", f"{name[:60]!r}; a text of 1 to 200 characters is needed")


def _copied(name: str, number: int) -> str:
    end = " (copy)" if number == 1 else f" (copy {number})"
    return name[: 200 - len(end)] + end


def _found(saved: Saved | None, trigger_id: int) -> Saved:
    if saved is None:
        raise NotFound(f"there is no trigger {trigger_id}")
    return saved
