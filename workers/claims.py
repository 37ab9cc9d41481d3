"""Where a worker goes on claiming: each priority has a place of its own in the queue."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from control_center.domain.message import PRIORITIES
from control_center.store import db, message_leases, messages
from control_center.store.messages import Claimed

LEASE: Final = timedelta(seconds=90)
SWEEP: Final = 30.0  # seconds between claims that start at the beginning of the queue
LAG: Final = timedelta(seconds=10)  # how far behind the newest claim the next one starts: clocks and slow commits
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Claims:
    """The claims of one worker on one account, and where in the queue the next one begins."""

    def __init__(self, account: str, owner: UUID) -> None:
        self._account = account
        self._owner = owner
        self._since = dict.fromkeys(PRIORITIES, BEGINNING)
        self._swept = float("-inf")  # on the monotonic clock
        self.wary = False  # something that was lost with its worker may come next
        self.aside: Claimed | None = None  # was lost with its worker, and waits until nothing else is under way

    async def claim(self, connection: db.Connection, priorities: Sequence[int], limit: int) -> list[Claimed]:
        """Claim up to `limit` messages that are due, of these priorities. Now and then from the beginning of all."""
        sweep = time.monotonic() - self._swept > SWEEP
        since = {one: BEGINNING if sweep else self._since[one] for one in priorities}
        claimed = await messages.claim_due(
            connection, self._account, self._owner, since=since, lease=LEASE, limit=1 if self.wary else limit
        )
        self.wary = any(one.claims > 1 for one in claimed)
        if sweep:
            self._swept = time.monotonic()
        # Each priority has its own place in the queue: reminders may be taken for minutes while bulk waits.
        for priority in {one.priority for one in claimed}:
            self._since[priority] = max(one.due_at for one in claimed if one.priority == priority) - LAG
        return claimed

    async def apart(
        self, connection: db.Connection, claimed: Sequence[Claimed], at_hand: Sequence[int]
    ) -> Sequence[Claimed]:
        """What of it may be prepared together: nothing that was lost with its worker before.

        One of those is put `aside`, to be prepared while nothing else is under way: if that is what kills, it leaves
        nobody in doubt. The others are anybody's again. `at_hand` are kept besides.
        """
        suspects = [one for one in claimed if one.claims > 1]
        if not suspects:
            return claimed
        self.aside = suspects[0]
        sound = [one for one in claimed if one.claims <= 1]
        if len(suspects) > 1:
            kept = [self.aside.message_id, *(one.message_id for one in sound), *at_hand]
            await message_leases.drop_claims(connection, self._owner, but=kept)
        return sound
