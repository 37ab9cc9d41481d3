"""What time it is: by the database's clock, which leases and due times run on, too."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from control_center.store import db
from control_center.store.db import Connection

log = structlog.get_logger(__name__)

EVERY: Final = 10.0  # seconds between looks
SKEW: Final = timedelta(seconds=5)  # that a machine's clock and the database's may differ
# Goes on while the machine sleeps, where there is such a clock.
_ELAPSED: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

CLOCK: Final = "SELECT clock_timestamp()"


async def read(tx: Connection) -> datetime:
    """The database's clock, now."""
    found: datetime = await tx.fetchval(CLOCK)
    return found


class Clock:
    """The database's clock for a whole process: looked at now and then, and counted on in between.

    A machine whose own clock is wrong, or is set while it works, so decides as every other one does; its own clock
    counts until the first look alone.
    """

    def __init__(self, pool: db.Pool, own: Callable[[], datetime]) -> None:
        self._pool = pool
        self._own = own
        self._seen: tuple[float, datetime] | None = None  # when we looked, and what it showed
        self._apart = False

    def now(self) -> datetime:
        if self._seen is None:
            return self._own()
        at, shown = self._seen
        return shown + timedelta(seconds=time.clock_gettime(_ELAPSED) - at)

    async def tend(self) -> float:
        """Look; returns the seconds until the next look. Raises one of `db.AWAY`."""
        async with db.session(self._pool) as connection:
            before = time.clock_gettime(_ELAPSED)
            shown = await read(connection)
            after = time.clock_gettime(_ELAPSED)
        self._seen = ((before + after) / 2, shown)
        apart = self._own() - shown
        if (abs(apart) > SKEW) != self._apart:
            self._apart = not self._apart
            words = f"{apart.total_seconds():+.0f} s from the database's"
            if self._apart:
                log.warning("clock.apart", reason=words)
            else:
                log.info("clock.together", reason=words)
        return EVERY
