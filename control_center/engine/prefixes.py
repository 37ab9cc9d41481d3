"""What a person says of texts that are held because they go to many neighbouring numbers: that they are meant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from control_center.domain import prefixes as rules
from control_center.domain.errors import NotFound
from control_center.store import audit, db, messages, prefixes

log = structlog.get_logger(__name__)


async def let_go(pool: db.Pool, clock: Callable[[], datetime], studio: str, prefix: str, *, by: str) -> int:
    """Queue what is held of a prefix, as `by` decided; for a day nothing more of it is held. How many texts go.

    Raises NotFound where nothing waits for a person there.
    """

    async def work(tx: db.Connection) -> int:
        key = (studio, prefix)
        if prefix not in {one.prefix for one in await prefixes.shut(tx, studio)}:
            raise NotFound(f"no texts to {prefix} are held for being many")
        before = (await prefixes.lock(tx, [key]))[key]
        after = rules.let_go(clock())
        await prefixes.save(tx, {key: after})
        freed = await prefixes.free(tx, studio, prefix)
        was = {"held_since": before.held_since, "reason": before.reason}
        became = {"messages": freed, "free_until": after.free_until}
        await audit.write(tx, by, audit.Entry(studio, "release", f"prefix/{prefix}", was, became))
        await db.notify(tx, messages.WORK_CHANNEL)
        return freed

    freed = await db.retried(pool, work)
    log.info("prefix.opened", studio=studio, by=by, messages=freed)
    return freed


async def open_empty(pool: db.Pool) -> None:
    """Open what holds nothing any more, so that what comes next is looked at afresh."""
    async with db.session(pool) as connection:
        opened = await prefixes.open_empty(connection)
    for studio, _ in opened:
        log.info("prefix.opened", studio=studio, reason="it holds nothing any more")
