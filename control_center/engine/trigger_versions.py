"""The versions of a trigger, and the way back to one: itself a new version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from control_center.domain.errors import NotFound, Outdated
from control_center.domain.trigger import Trigger
from control_center.engine import triggers as engine
from control_center.engine.trigger_changes import Preview, preview
from control_center.engine.trigger_pausing import Choices
from control_center.store import db, triggers
from control_center.store.triggers import Saved

Clock = Callable[[], datetime]


async def versions(pool: db.Pool, studio: str, name: str) -> list[Saved]:
    """Every version, the newest first, each with who saved it and what was chosen for what waited. Raises NotFound."""
    async with db.session(pool) as connection:
        return await _versions(connection, studio, name)


async def rollback(
    pool: db.Pool,
    clock: Clock,
    studio: str,
    name: str,
    version: int,
    *,
    by: str,
    pending: str | None = None,
    expect: int | None = None,
) -> Trigger:
    """Let a trigger say again what it said in that version. It keeps its name, and stays on or off.

    `expect` is the newest version that somebody was shown. Raises NotFound, Outdated where there is a newer one, and
    as `triggers.put` where what it said then is not possible any more.
    """
    async with db.transaction(pool) as tx:
        house = await engine.locked(tx, studio)
        found = await _versions(tx, studio, name)
        if expect not in (None, found[0].version):
            raise Outdated(f"trigger {name!r} was changed by somebody else meanwhile; look at what it says now")
        table = _as_it_was(found, version)
        return await engine.save(tx, house, table, "trigger", now=clock(), by=by, choices=Choices.of(pending))


async def preview_rollback(
    pool: db.Pool, clock: Clock, studio: str, name: str, version: int, *, pending: str | None = None
) -> Preview:
    """What `rollback` with the same arguments would do."""
    table = _as_it_was(await versions(pool, studio, name), version)
    return await preview(pool, clock, studio, table, pending=pending)


async def _versions(tx: db.Connection, studio: str, name: str) -> list[Saved]:
    return await triggers.versions(tx, studio, (await engine.named(tx, studio, name)).trigger_id)


def _as_it_was(found: Sequence[Saved], version: int) -> dict[str, Any]:
    """The table of that version, under today's name and as much on or off as today. Raises NotFound."""
    now = found[0]
    table = next((one.definition for one in found if one.version == version), None)
    if table is None:
        raise NotFound(f"trigger {now.name!r} has no version {version}; the newest is {now.version}")
    as_today = {} if table.get("enabled", False) == now.enabled else {"enabled": now.enabled}
    return {**table, "name": now.name, **as_today}
