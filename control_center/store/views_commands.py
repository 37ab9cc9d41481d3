"""Commands and reports as people see them: what the CRM has not taken yet."""

from __future__ import annotations

from datetime import datetime

import msgspec

from control_center.store.db import Connection


class Waiting(msgspec.Struct, frozen=True):
    """A command in the outbox. `state` is new, or unroutable where the broker has no queue for it."""

    sequence: int
    verb: str
    subject: str
    state: str
    tries: int
    created_at: datetime
    id: str
    data: str


COMMANDS_WAITING = """
SELECT sequence, verb, subject, state, tries, created_at, command_id, data FROM commands
 WHERE studio_id = $1 AND sequence > $2 AND state <> 'published'
 ORDER BY sequence LIMIT $3"""


async def waiting(tx: Connection, studio: str, *, after: int = 0, limit: int = 50) -> list[Waiting]:
    """What is still to be published, in order; reading it changes nothing."""
    return [Waiting(*row) for row in await tx.fetch(COMMANDS_WAITING, studio, after, limit)]
