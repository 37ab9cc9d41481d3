"""Rounds of the release at an hour of the test's own, and what they came to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from control_center.engine.release import Release
from control_center.store import db

NOON: Final = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago


async def release(pool: db.Pool, at: datetime = NOON) -> None:
    """Release all that is due by then."""
    await Release(pool, lambda: at).catch_up()


async def states(pool: db.Pool) -> dict[str, int]:
    """How many actions are in which state."""
    return {row[0]: row[1] for row in await pool.fetch("SELECT state, count(*) FROM actions GROUP BY state")}


async def messages(pool: db.Pool) -> int:
    """How many messages there are."""
    number: int = await pool.fetchval("SELECT count(*) FROM messages")
    return number
