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
    pending: str = "follow"
    paused: str | None = None

    @property
    def trigger(self) -> Trigger:
        parsed = parse(self.definition)
        return replace(
            parsed, trigger_id=self.trigger_id, version=self.version, enabled=self.enabled, paused=self.paused
        )


_SAVED = """
SELECT triggers.trigger_id, triggers.name, triggers.version, triggers.enabled, definition, saved_at, saved_by,
       pending, triggers.paused
  FROM triggers JOIN trigger_versions USING (studio_id, trigger_id, version)"""

LIVE = f"{_SAVED} WHERE studio_id = $1 AND (enabled OR paused IS NOT NULL) ORDER BY trigger_id"


async def live(tx: Connection, studio: str) -> list[Trigger]:
    """A studio's triggers that anything may still come of, in the order they were made: enabled, or only paused."""
    return [_saved(row).trigger for row in await tx.fetch(LIVE, studio)]


_VERSIONS = """
SELECT trigger_id, name, trigger_versions.version, enabled, definition, saved_at, saved_by, pending, paused
  FROM trigger_versions JOIN triggers USING (studio_id, trigger_id)"""

KEPT = f"{_VERSIONS} WHERE studio_id = $1 AND kept AND (enabled OR paused IS NOT NULL) ORDER BY trigger_id, 3"


async def kept(tx: Connection, studio: str) -> list[Trigger]:
    """Earlier versions of live triggers by which what is pending under them still goes."""
    return [_saved(row).trigger for row in await tx.fetch(KEPT, studio)]


VERSIONS = f"{_VERSIONS} WHERE studio_id = $1 AND trigger_id = $2 ORDER BY 3 DESC"


async def versions(tx: Connection, studio: str, trigger_id: int) -> list[Saved]:
    """Every version of a trigger, the newest first; `enabled` and `paused` are those of today."""
    return [_saved(row) for row in await tx.fetch(VERSIONS, studio, trigger_id)]


KEEP = "UPDATE trigger_versions SET kept = true WHERE studio_id = $1 AND trigger_id = $2 AND version = $3"


async def keep(tx: Connection, studio: str, trigger_id: int, version: int) -> None:
    """Let what is pending under this version go by it, whatever later ones say."""
    await tx.execute(KEEP, studio, trigger_id, version)


FORGET = "UPDATE trigger_versions SET kept = false WHERE studio_id = $1 AND trigger_id = $2 AND kept"


async def forget(tx: Connection, studio: str, trigger_id: int) -> None:
    """Let everything that is pending go by the newest version."""
    await tx.execute(FORGET, studio, trigger_id)


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
INSERT INTO triggers (studio_id, name, version, kind, enabled, paused) VALUES ($1, $2, 1, $3, $4, $5)
    ON CONFLICT (studio_id, name) DO UPDATE
   SET version = triggers.version + 1, kind = excluded.kind, enabled = excluded.enabled, paused = excluded.paused
RETURNING trigger_id, version"""

VERSION = """
INSERT INTO trigger_versions (studio_id, trigger_id, version, definition, saved_by, pending)
VALUES ($1, $2, $3, $4, $5, $6)"""


async def put(
    tx: Connection, studio: str, trigger: Trigger, definition: dict[str, Any], *, by: str, pending: str = "follow"
) -> Trigger:
    """Save a trigger as its next version; returns it with its id and version. `pending` says what became of that."""
    kind, is_enabled = trigger.kind.name, trigger.enabled
    trigger_id, version = await tx.fetchrow(PUT, studio, trigger.name, kind, is_enabled, trigger.paused)
    body = msgspec.json.encode(definition).decode()
    await tx.execute(VERSION, studio, trigger_id, version, body, by, pending)
    return replace(trigger, trigger_id=trigger_id, version=version)


RENAME = "UPDATE triggers SET name = $3 WHERE studio_id = $1 AND trigger_id = $2"


async def rename(tx: Connection, studio: str, trigger_id: int, name: str) -> None:
    """Give a trigger another name, which no other of the studio has."""
    await tx.execute(RENAME, studio, trigger_id, name)


DROP = "DELETE FROM triggers WHERE studio_id = $1 AND trigger_id = $2"


async def drop(tx: Connection, studio: str, trigger_id: int) -> None:
    await tx.execute(DROP, studio, trigger_id)


def _saved(row: Any) -> Saved:
    trigger_id, name, version, is_enabled, definition, saved_at, saved_by, pending, paused = row
    body = msgspec.json.decode(definition)
    return Saved(trigger_id, name, version, is_enabled, body, saved_at, saved_by, pending, paused)
