"""The sandbox's network: reads what its providers accepted, and brings the receipts, as a real provider would."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from control_center.domain.outcome import Fate, Receipt
from control_center.domain.wire import sandbox
from control_center.domain.wire.sandbox import OutboxLine
from control_center.engine.replies import take_receipts
from control_center.store import db
from control_center.store.receipts import SANDBOX

log = structlog.get_logger(__name__)

POLL = 0.5  # seconds between looks at the file
CHUNK = 256 * 1024  # bytes read at once
TRAVEL = timedelta(seconds=1)  # how long a message takes to arrive


class Carrier:
    """Owns a place in the outbox file of a data folder. That place is kept beside it, so that a restart goes on there.

    A place that is lost costs nothing: a receipt that was brought before changes nothing.
    """

    def __init__(
        self, pool: db.Pool, folder: Path, clock: Callable[[], datetime], *, travel: timedelta = TRAVEL
    ) -> None:
        self._pool = pool
        self._outbox = folder / "outbox.ndjson"
        self._place = folder / "receipts.offset"
        self._clock = clock
        self._travel = travel
        self._offset = _remembered(self._place)

    async def run_once(self) -> float:
        """Bring the receipts of what has arrived; returns the seconds until the next look. Raises one of `db.AWAY`."""
        data = _read(self._outbox, self._offset)
        if data is None:  # it was cleared, or begun anew
            self._offset = 0
            data = _read(self._outbox, 0) or b""
        lines, end = self._arrived(data)
        if not end:
            return POLL
        await take_receipts(self._pool, SANDBOX, list(_receipts(lines)))
        self._offset += end
        _remember(self._place, self._offset)
        return 0.0 if len(data) >= CHUNK and end == sandbox.whole(data) else POLL

    def _arrived(self, data: bytes) -> tuple[list[OutboxLine], int]:
        """The messages at its beginning that have had their time to arrive, and how many bytes those are."""
        lines: list[OutboxLine] = []
        end, until = 0, self._clock() - self._travel
        for raw in data[: sandbox.whole(data)].splitlines(keepends=True):
            found = sandbox.read_outbox(raw)
            if any(line.at > until for line in found):
                break
            lines += found
            end += len(raw)
        return lines, end


def _receipts(lines: Iterable[OutboxLine]) -> Iterable[tuple[str, Receipt, str]]:
    for line in lines:
        fate = sandbox.fate(line.to)
        if fate is not None:
            reason = "sandbox: nobody there" if fate is Fate.UNDELIVERED else None
            code = sandbox.Behaviour.UNDELIVERED.value if fate is Fate.UNDELIVERED else None
            receipt = Receipt(fate, line.key, sandbox.provider_id(line.key), code, reason)
            yield f"{line.key} {fate.value}", receipt, msgspec.json.encode(line).decode()


def _read(outbox: Path, offset: int) -> bytes | None:
    """Some of what follows `offset`, and at least a whole line where there is one; None if it has become shorter."""
    try:
        with outbox.open("rb") as file:
            if file.seek(0, os.SEEK_END) < offset:
                return None
            file.seek(offset)
            data = file.read(CHUNK)
            return data if b"\n" in data else data + file.readline()
    except FileNotFoundError:
        return None if offset else b""


def _remembered(place: Path) -> int:
    try:
        return max(0, int(place.read_text("ascii")))
    except FileNotFoundError:
        return 0
    except ValueError:
        log.warning("carrier.place_unreadable", reason=f"{place} is not a number; reading from the beginning")
        return 0


def _remember(place: Path, offset: int) -> None:
    """Replaced in one step, so that it is never half written. Losing it with the machine costs nothing."""
    fresh = place.with_suffix(".new")
    fresh.write_text(str(offset), "ascii")
    fresh.replace(place)
