"""Reads what workers heard on their sessions: parts are put together, and taken in like any other text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from control_center.domain.inbound import Inbound
from control_center.domain.wire.smpp import whole
from control_center.engine.conversations import Conversations
from control_center.store import clock, db, heard
from control_center.store.heard import Heard

PATIENCE: Final = timedelta(minutes=2)  # how long the parts of a text wait for the one that is missing
ROUND: Final = 200


@dataclass(slots=True)
class _Text:
    """What is there of one text; `total` parts make it whole."""

    account: str
    total: int
    since: datetime
    rows: list[Heard] = field(default_factory=list)

    def readable(self, now: datetime) -> bool:
        return len({one.words.number for one in self.rows}) == self.total or now - self.since > PATIENCE

    @property
    def inbound(self) -> Inbound:
        if self.total == 1:
            return self.rows[0].words.text
        return whole({one.words.number: one.words.text for one in self.rows}, self.total)


class Hearing:
    """Reads what was heard, for every studio of one database. Any number of these may run at once."""

    def __init__(self, pool: db.Pool, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._conversations = Conversations(pool, now)

    async def run_once(self) -> bool:
        """Take in what can be read; whether there may be more at once. Raises one of `db.AWAY`."""
        async with db.session(self._pool) as connection:
            found = await heard.waiting(connection, limit=ROUND)
            now = await clock.read(connection) if found else None
        for one in _texts(found):
            if now is not None and one.readable(now):
                raw = "\n".join(row.words.raw for row in one.rows)
                known_by = [row.known_by for row in one.rows]
                await self._conversations.take_heard(one.account, known_by, one.inbound, raw)
        return len(found) == ROUND


def _texts(found: Iterable[Heard]) -> list[_Text]:
    """The texts that these make, in the order in which their first words came."""
    texts: dict[tuple[str, str], _Text] = {}
    for one in found:
        key = (one.account, one.words.whole or one.known_by)
        texts.setdefault(key, _Text(one.account, one.words.total, one.at)).rows.append(one)
    return list(texts.values())
