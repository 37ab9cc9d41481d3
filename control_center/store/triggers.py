"""Triggers by name, and every version of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from control_center.domain.trigger import Trigger, parse
from control_center.store.db import Connection


@dataclass(frozen=True, slots=True)
class Saved:
    """A trigger as it is stored: its current version and the table it was written as."""

    trigger_id: int
    name: str
    version: int
    enabled: bool
    definition: dict[str, Any]
    saved_at: datetime
    saved_by: str

    @property
    def trigger(self) -> Trigger:
        parsed = parse(self.definition)
        return replace(parsed, trigger_id=self.trigger_id, version=self.version, enabled=self.enabled)


_SAVED = """
SELECT triggers.trigger_id, triggers.name, triggers.version, triggers.enabled, definition, saved_at, saved_by
  FROM triggers JOIN trigger_versions USING (studio_id, trigger_id, version)"""

ENABLED = f"{_SAVED} WHERE studio_id = $1 AND enabled ORDER BY trigger_id"


async def enabled(tx: Connection, studio: str) -> list[Trigger]:
    """A studio's live triggers, in the order they were made."""
    return [_saved(row).trigger for row in await tx.fetch(ENABLED, studio)]


EVERY = f"{_SAVED} WHERE studio_id = $1 ORDER BY name"


async def every(tx: Connection, studio: str) -> list[Saved]:
    return [_saved(row) for row in await tx.fetch(EVERY, studio)]


BY_NAME = f"{_SAVED} WHERE studio_id = $1 AND name = $2"


async def by_name(tx: Connection, studio: str, name: str) -> Saved | None:
    row = await tx.fetchrow(BY_NAME, studio, name)
    return row and _saved(row)


BY_ID = f"{_SAVED} WHERE studio_id = $1 AND trigger_id = $2"


async def by_id(tx: Connection, studio: str, trigger_id: int) -> Saved | None:
    row = await tx.fetchrow(BY_ID, studio, trigger_id)
    return row and _saved(row)


PUT = """
INSERT INTO triggers (studio_id, name, version, kind, enabled) VALUES ($1, $2, 1, $3, $4)
    ON CONFLICT (studio_id, name) DO UPDATE
   SET version = triggers.version + 1, kind = excluded.kind, enabled = excluded.enabled
RETURNING trigger_id, version"""

VERSION = """
INSERT INTO trigger_versions (studio_id, trigger_id, version, definition, saved_by) VALUES ($1, $2, $3, $4, $5)"""


async def put(tx: Connection, studio: str, trigger: Trigger, definition: dict[str, Any], *, by: str) -> Trigger:
    """Save a trigger as its next version; returns it with its id and version."""
    trigger_id, version = await tx.fetchrow(PUT, studio, trigger.name, trigger.kind.name, trigger.enabled)
    body = msgspec.json.encode(definition).decode()
    await tx.execute(VERSION, studio, trigger_id, version, body, by)
    return replace(trigger, trigger_id=trigger_id, version=version)


DROP = "DELETE FROM triggers WHERE studio_id = $1 AND trigger_id = $2"


async def drop(tx: Connection, studio: str, trigger_id: int) -> None:
    await tx.execute(DROP, studio, trigger_id)


def _saved(row: Any) -> Saved:
    trigger_id, name, version, is_enabled, definition, saved_at, saved_by = row
    return Saved(trigger_id, name, version, is_enabled, msgspec.json.decode(definition), saved_at, saved_by)
