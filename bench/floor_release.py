"""The floor of release: claim 100 jobs that are due, insert one outgoing row for each, mark them, one transaction."""

from __future__ import annotations

from typing import Any

import asyncpg

from bench import child
from bench.floor_schema import CLAIM, DONE

INSERT = "INSERT INTO outgoing (job, body) SELECT * FROM unnest($1::bigint[], $2::text[])"


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Until nothing is due any more."""
    database = await asyncpg.connect(options["dsn"])
    await child.ready()
    stretch = child.Stretch()
    stretch.begin()
    while True:
        async with database.transaction():
            claimed = await database.fetch(CLAIM)
            if not claimed:
                break
            ids = [row[0] for row in claimed]
            await database.execute(INSERT, ids, [row[1] for row in claimed])
            await database.execute(DONE, ids)
    result = stretch.end()
    await database.close()
    return result
