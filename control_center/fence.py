"""Each process' own look at the fence: at its start, every few seconds, and whenever the database has been away.

What it has seen it keeps in a file of the data folder, because a database that was put back to an earlier state
looks as it did then: only somebody outside of it can know better.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from control_center.domain.fence import Sight, doubt
from control_center.store import db, fences

log = structlog.get_logger(__name__)

FILE: Final = "database.json"
EVERY: Final = 10.0  # seconds between looks
BEAT: Final = timedelta(seconds=5)  # between marks in the database that all is well, of all processes together


class Fence:
    """Closes the fence where this process finds that the database may have forgotten something."""

    def __init__(self, pool: db.Pool, folder: Path) -> None:
        self._pool = pool
        self._file = folder / FILE
        self._looking = asyncio.Lock()  # one look at a time: they share the draft of the file

    async def look(self) -> bool:
        """Whether anything may be sent; closes the fence where that must not be. Raises one of `db.AWAY`."""
        async with self._looking:
            return await self._look()

    async def _look(self) -> bool:
        # Read first: another process of this host may look after us and write before us, and has seen more then.
        seen = await asyncio.to_thread(_read, self._file)
        async with db.transaction(self._pool) as tx:
            fence = await fences.look(tx)
            if fence.closed_at is not None:
                return False
            reason = doubt(fence.home, fence.sight, seen)
            closed = await fences.close(tx, reason) if reason else None
            if reason is None:
                await fences.beat(tx, every=BEAT)
        if reason is None:
            await asyncio.to_thread(_write, self._file, fence.sight)
            return True
        if reason and closed:
            _tell(reason, closed)
        return False

    async def tend(self) -> float:
        """Look; returns the seconds until the next look."""
        await self.look()
        return EVERY


async def recognise(connection: db.Connection) -> None:
    """Greet a new connection: where it leads anywhere but home, the fence closes before anything is done there."""
    async with connection.transaction():
        fence = await fences.look(connection)
        reason = doubt(fence.home, fence.sight, None) if fence.closed_at is None else None
        closed = await fences.close(connection, reason) if reason else None
    if reason and closed:
        _tell(reason, closed)


def _tell(reason: str, closed: fences.Closed) -> None:
    log.error("fence.closed", reason=reason, messages=closed.messages, actions=closed.actions, bulks=closed.bulks)


def _read(file: Path) -> Sight | None:
    """What this host has seen; None where it has seen nothing, or nobody can read it any more."""
    try:
        return Sight(**json.loads(file.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning("fence.forgotten", reason=f"{file.name}: {type(error).__name__}")
        return None


def _write(file: Path, sight: Sight) -> None:
    """Whole or not at all: the processes of one host share it."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(asdict(sight)), "utf-8")
        draft.replace(file)
    except OSError as error:
        # Sending goes on: the timeline in the database itself is what catches a failover.
        log.warning("fence.forgotten", reason=f"{file.name}: {type(error).__name__}")
        with suppress(OSError):
            draft.unlink(missing_ok=True)
