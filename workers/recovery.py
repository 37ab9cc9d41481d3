"""Reads the flight recorders of dead deliveries, and queues again what they provably never sent.

The proof has two halves. The lock on the file is free, so its process has ended, and nothing more will leave. And the
file, which has a note of everything that was about to leave, has none of this message.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from control_center.domain.message import POISON
from control_center.store import db, flights, messages
from workers.flight_recorder import SUFFIX, Flight, FlyingError, NotBelievedError, read
from workers.this_boot import Boot

log = structlog.get_logger(__name__)

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # of a pipe nobody waits for the writer
EVERY = 60.0  # seconds between looks: shorter than any lease of what is being submitted


class Recovery:
    """Looks after the recorders in one folder, for whatever worker has left them. Any number of these may run.

    `history` is that of the database, in the life that it is in or in one before.
    """

    def __init__(self, pool: db.Pool, folder: Path, *, boot: Boot, history: str) -> None:
        self._pool = pool
        self._database = _database(history)
        self._folder = folder
        self._boot = boot

    async def run_once(self) -> float:
        """Read what the dead have left; returns the seconds until the next look. Raises one of `db.AWAY`."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                descriptor = os.open(path, _READ)
            except OSError:  # somebody else has dealt with it
                continue
            try:
                await self._look(path, descriptor)
            finally:
                os.close(descriptor)
        return EVERY

    async def _look(self, path: Path, descriptor: int) -> None:
        """Deal with one file. Its lock, once it is ours, stays so until everything is written."""
        try:
            flight = read(descriptor, self._boot)
        except FlyingError:
            return
        except (NotBelievedError, OSError) as error:
            log.warning("flight.not_believed", file=path.name, reason=str(error))
            _forget(path)
            return
        if _database(flight.history) != self._database:
            return  # of another installation in this folder
        noted = [(note.message_id, note.token) for note in flight.notes]

        async def work(tx: db.Connection) -> tuple[list[flights.Back], bool]:
            await flights.run_out(tx, flight.owner)
            back = await flights.never_left(
                tx,
                flight.owner,
                noted,
                complete_for=flight.complete_for,
                history=flight.history,
                poison=POISON,
            )
            if back:
                await db.notify(tx, messages.WORK_CHANNEL)
            return back, await flights.anything_left(tx, flight.owner)

        back, left = await db.retried(self._pool, work)
        _tell(flight, back)
        if not left:
            _forget(path)


def _database(history: str) -> str:
    return history.rpartition("/")[0]


def _tell(flight: Flight, back: Sequence[flights.Back]) -> None:
    if back:
        log.warning("flight.recovered", owner=str(flight.owner), messages=len(back), noted=len(flight.notes))
    for one in back:
        log.info(
            "message.queued",
            studio=one.studio,
            message=f"m-{one.message_id}",
            action=f"a-{one.action_id}" if one.action_id else None,
            record=f"{one.kind}/{one.record_id}" if one.kind else None,
            attempt=f"m-{one.message_id}.{one.attempt}",
            reason="its worker was killed before it left",
        )


def _forget(path: Path) -> None:
    """Nothing depends on this: a file that is not there proves nothing, and one that stays is read once more."""
    with suppress(OSError):
        path.unlink()
