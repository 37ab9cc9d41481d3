"""Templates by name."""

from __future__ import annotations

from typing import Any

import msgspec

from control_center.store.db import Connection

OF_STUDIO = "SELECT name, body FROM templates WHERE studio_id = $1 ORDER BY name"


async def of_studio(tx: Connection, studio: str) -> dict[str, dict[str, Any]]:
    """Every template of a studio: kind, purpose, sms, subject, text, html by name."""
    return {row[0]: msgspec.json.decode(row[1]) for row in await tx.fetch(OF_STUDIO, studio)}


VERSIONS = "SELECT name, version FROM templates WHERE studio_id = $1"


async def versions(tx: Connection, studio: str) -> dict[str, int]:
    """How often each template was saved."""
    return {row[0]: row[1] for row in await tx.fetch(VERSIONS, studio)}


WITH_FRAMES = "SELECT name, body, frame FROM templates WHERE studio_id = $1 ORDER BY name"


async def with_frames(tx: Connection, studio: str) -> dict[str, dict[str, Any]]:
    """The same for whoever writes messages: what has a layout has it as `frame`, in HTML with fields."""
    rows = await tx.fetch(WITH_FRAMES, studio)
    return {name: msgspec.json.decode(body) | ({"frame": frame} if frame else {}) for name, body, frame in rows}


PUT = """
INSERT INTO templates (studio_id, name, body, frame) VALUES ($1, $2, $3, $4)
    ON CONFLICT (studio_id, name) DO UPDATE
   SET body = excluded.body, frame = excluded.frame, version = templates.version + 1
RETURNING version"""


async def put(tx: Connection, studio: str, name: str, body: dict[str, Any], frame: str | None = None) -> int:
    """Returns its version."""
    version: int = await tx.fetchval(PUT, studio, name, msgspec.json.encode(body).decode(), frame)
    return version


DROP = "DELETE FROM templates WHERE studio_id = $1 AND name = $2"


async def drop(tx: Connection, studio: str, name: str) -> bool:
    return bool((await tx.execute(DROP, studio, name)) == "DELETE 1")
