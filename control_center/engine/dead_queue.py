"""What the broker has set aside is told of: it lies in a queue that nobody reads, and is missed by nobody else.

It is told of, and not fetched: what has killed a process as often as the delivery limit allows must not be handed to
the next one by itself. A person does that, with `events collect`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

import structlog

from control_center.domain.dead_queue import Account, counted
from control_center.store import db, dead_queue

log = structlog.get_logger(__name__)

EVERY: Final = timedelta(seconds=30)
QUIET: Final = timedelta(minutes=2)  # a copy has arrived by then, or never will
COLLECTING: Final = timedelta(minutes=2)  # for a page of what is collected
COLLECT: Final = "control-center events collect"
REPLAY: Final = "control-center events replay"


@dataclass(frozen=True, slots=True)
class Count:
    """What the broker says of the queue: how many messages are ready in it, and how many others read it."""

    ready: int
    readers: int


Ask: TypeAlias = Callable[[], Awaitable[Count | None]]  # None where the broker cannot be asked now


async def copying(pool: db.Pool, number: int) -> None:
    """To be called before so many copies of dead bodies are put there. Raises one of `db.AWAY`."""
    async with db.session(pool) as connection:
        await dead_queue.copying(connection, number)


async def watch(pool: db.Pool, ask: Ask, *, every: timedelta = EVERY, quiet: timedelta = QUIET) -> None:
    """Look, if nobody has for so long, and tell of what has come or gone. Any number of engines may.

    Raises one of `db.AWAY`.
    """
    async with db.session(pool) as connection:
        before = await dead_queue.look(connection, quiet=quiet)
    if not before.due or (count := await ask()) is None:
        return

    async def work(tx: db.Connection) -> tuple[Account, Account] | None:
        now = await dead_queue.lock(tx, quiet=quiet)
        if now.look_at != before.look_at:
            return None  # another one looked, or somebody collects: our number is an old one
        # Those announced since then may be among those that were counted, or may not.
        still = before.quiet and now.account.copies == before.account.copies
        after = counted(now.account, count.ready, quiet=still, read=count.readers > 0)
        await dead_queue.note(tx, after, look_in=every)
        return now.account, after

    if (change := await db.retried(pool, work)) is not None:
        _tell(*change)


async def collecting(tx: db.Connection) -> dead_queue.Known:
    """A page of what lies there is out of it for a while: nobody is to count until it is settled."""
    known = await dead_queue.lock(tx, quiet=QUIET)
    await dead_queue.leave(tx, look_in=COLLECTING)
    return known


async def collected(pool: db.Pool, begun: dead_queue.Known, copies: int) -> None:
    """What lay there since it was begun has been taken out, but for so many copies of ours.

    What has come meanwhile is left to the next look.
    """

    async def work(tx: db.Connection) -> tuple[Account, Account, int]:
        was = (await dead_queue.lock(tx, quiet=QUIET)).account
        # Some that were on their way may have come too late to be met.
        met = copies if begun.quiet else max(copies, begun.account.copies)
        now = Account(met + was.copies - begun.account.copies, 0)
        await dead_queue.note(tx, now, look_in=timedelta(0))
        return was, now, (await dead_queue.brought(tx))[0]

    _tell(*await db.retried(pool, work))


def _tell(was: Account, now: Account, brought: int = 0) -> None:
    """`brought` are those that were brought over, which nobody has dealt with."""
    if now.others > was.others:
        log.error("events.set_aside", events=now.others, hint=COLLECT)
    elif was.others and not now.others and brought:
        log.warning("events.collected", events=brought, hint=REPLAY)
    elif was.others and not now.others:
        log.info("events.collected")
