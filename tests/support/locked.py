"""A database in which what comes in cannot be committed, for as long as a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from tests.support.installation import Installation

# How many transactions of intake, release or delivery do.
WAITING: Final = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'control-center spine' AND wait_event_type = 'Lock'"""


@asynccontextmanager
async def no_commit(here: Installation) -> AsyncIterator[None]:
    """Nothing can be written to `events` meanwhile: who tries, waits."""
    connection = await asyncpg.connect(here.database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE events IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()
