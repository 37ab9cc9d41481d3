"""Events that a source counted and that never came: told once each, since nobody else would miss them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

import structlog

from control_center.domain.event import Event
from control_center.store import db, event_numbers

log = structlog.get_logger(__name__)

PATIENCE = timedelta(minutes=1)  # several engines at one queue, and what is delivered again, come out of order


async def note(tx: db.Connection, came: Iterable[Event]) -> None:
    """Take note of the numbers of events that were stored, or had been."""
    numbers: dict[event_numbers.Source, list[int]] = defaultdict(list)
    for event in came:
        if event.number is not None:
            numbers[event.studio, event.source].append(event.number)
    if numbers:
        await event_numbers.note(tx, numbers)


async def watch(pool: db.Pool, *, patience: timedelta = PATIENCE) -> None:
    """Tell of what is missing by now, and of sources that are whole again."""

    async def work(tx: db.Connection) -> tuple[list[event_numbers.Gap], list[tuple[str, str, int]]]:
        return await event_numbers.tell(tx, patience=patience), await event_numbers.filled(tx)

    missing, whole = await db.retried(pool, work)
    for gap in missing:
        log.error("events.missing", studio=gap.studio, source=gap.source, first=gap.first, last=gap.last)
    for studio, source, newest in whole:
        log.info("events.complete", studio=studio, source=source, last=newest)
