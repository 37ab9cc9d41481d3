"""The product's engine process without its pages: inbox, intake, release and relay, wired by its own daemon."""

from __future__ import annotations

import asyncio
from typing import Any

from bench import child
from control_center.daemon.duties import Duties
from control_center.service import Service, now
from control_center.store import db


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Serve until SIGTERM."""
    life = Service()
    pool = await db.open_pool(options["dsn"], application="control-center engine")
    life.on_close(pool.close)
    hot = await db.open_hot_pool(options["dsn"], application="control-center spine")
    life.on_close(hot.close)
    duties = Duties(life, pool, hot, options["dsn"], options["broker_url"], now)
    duties.engine()
    duties.release()
    serving = asyncio.create_task(life.run())
    while duties.inbox is None or not duties.inbox.attached:  # noqa: ASYNC110 - nothing says so
        await asyncio.sleep(0.02)
    await child.ready()
    await serving
    return {}
