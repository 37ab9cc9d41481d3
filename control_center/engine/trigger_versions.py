"""The versions of a trigger, and the way back to one: itself a new version."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from control_center.domain.errors import NotFound
from control_center.domain.trigger import Trigger
from control_center.engine import triggers as engine
from control_center.engine.trigger_changes import Preview, preview
from control_center.store import db, triggers
from control_center.store.triggers import Saved

Clock = Callable[[], datetime]


async def versions(pool: db.Pool, studio: str, name: str) -> list[Saved]:
    """Every version, the newest first, each with who saved it and what was chosen for what waited. Raises NotFound."""
    async with db.session(pool) as connection:
        saved = await engine.named(connection, studio, name)
        return await triggers.versions(connection, studio, saved.trigger_id)


async def rollback(
    pool: db.Pool, clock: Clock, studio: str, name: str, version: int, *, by: str, pending: str | None = None
) -> Trigger:
    """Let a trigger say again what it said in that version. It keeps its name, and stays on or off.

    Raises NotFound, and as `triggers.put` where what it said then is not possible any more.
    """
    table = await as_it_was(pool, studio, name, version)
    return await engine.put(pool, clock, studio, table, by=by, pending=pending)


async def preview_rollback(
    pool: db.Pool, clock: Clock, studio: str, name: str, version: int, *, pending: str | None = None
) -> Preview:
    """What `rollback` with the same arguments would do."""
    return await preview(pool, clock, studio, await as_it_was(pool, studio, name, version), pending=pending)


async def as_it_was(pool: db.Pool, studio: str, name: str, version: int) -> dict[str, Any]:
    """The table of that version, under today's name and as much on or off as today. Raises NotFound."""
    found = await versions(pool, studio, name)
    table = next((one.definition for one in found if one.version == version), None)
    if table is None:
        raise NotFound(f"trigger {name!r} has no version {version}; the newest is {found[0].version}")
    today = {"name": name, "enabled": found[0].enabled} if found[0].enabled else {"name": name}
    return {**{key: value for key, value in table.items() if key != "enabled"}, **today}
