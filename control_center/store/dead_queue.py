"""What is known of the broker's dead queue: how many copies of ours lie in it, and how many of something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from control_center.domain.dead_queue import Account
from control_center.store.db import Connection

COPYING = "UPDATE dead_queue SET copies = copies + $1, copied_at = clock_timestamp()"


async def copying(tx: Connection, number: int) -> None:
    """So many copies are about to be put there. To be committed before they are."""
    await tx.execute(COPYING, number)


@dataclass(frozen=True, slots=True)
class Known:
    """As of one instant. `quiet`: no copy has been put there for a while. `due`: a look is, since `look_at`."""

    account: Account
    quiet: bool
    due: bool
    look_at: datetime


LOOK = """
SELECT copies, others, copied_at < clock_timestamp() - $1::interval, look_at <= clock_timestamp(), look_at
  FROM dead_queue"""


async def look(tx: Connection, *, quiet: timedelta) -> Known:
    """What is known of it."""
    return _known(await tx.fetchrow(LOOK, quiet))


LOCK = f"{LOOK} FOR UPDATE"


async def lock(tx: Connection, *, quiet: timedelta) -> Known:
    """The same, to be changed: nobody else does before the end of this transaction."""
    return _known(await tx.fetchrow(LOCK, quiet))


NOTE = """
UPDATE dead_queue SET copies = $1, others = $2::bigint, look_at = clock_timestamp() + $3::interval,
       others_since = CASE WHEN $2::bigint > 0 THEN coalesce(others_since, clock_timestamp()) END"""


async def note(tx: Connection, account: Account, *, look_in: timedelta) -> None:
    """This is so now, and nobody is to look again before this time is over."""
    await tx.execute(NOTE, account.copies, account.others, look_in)


LEAVE = "UPDATE dead_queue SET look_at = clock_timestamp() + $1::interval"


async def leave(tx: Connection, *, look_in: timedelta) -> None:
    """Messages are being taken out and put back: for so long nobody is to make anything of their number."""
    await tx.execute(LEAVE, look_in)


OTHERS = "SELECT others, others_since FROM dead_queue"


async def others(tx: Connection) -> tuple[int, datetime | None]:
    """How many lie there that are none of ours, and since when there are any."""
    row = await tx.fetchrow(OTHERS)
    return row[0], row[1]


BROUGHT = """
SELECT count(*), min(received_at) FROM dead_events
 WHERE by_broker AND replayed_at IS NULL AND discarded_at IS NULL"""


async def brought(tx: Connection) -> tuple[int, datetime | None]:
    """How many were brought over that nobody has replayed or discarded yet, and since when there are any."""
    row = await tx.fetchrow(BROUGHT)
    return row[0], row[1]


def _known(row: Sequence[Any]) -> Known:
    copies, others, quiet, due, look_at = row
    return Known(Account(copies, others), quiet, due, look_at)
