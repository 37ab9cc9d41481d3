"""Reads what workers heard: parts are put together and taken in like any other text; a refused mail is a bounce."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from control_center.domain.inbound import Inbound
from control_center.domain.wire.smpp import whole
from control_center.engine import replies, returned_mail, undeliverable
from control_center.engine.conversations import Conversations
from control_center.store import clock, db, heard
from control_center.store.heard import Heard, Refusal, Words

PATIENCE: Final = timedelta(minutes=2)  # how long the parts of a text wait for the one that is missing
ROUND: Final = 200


@dataclass(slots=True)
class _Text:
    """What is there of one text; `total` parts make it whole."""

    account: str
    total: int
    since: datetime
    rows: list[tuple[str, Words]] = field(default_factory=list)  # each with what it is known by

    def readable(self, now: datetime) -> bool:
        return len({words.number for _, words in self.rows}) == self.total or now - self.since > PATIENCE

    @property
    def inbound(self) -> Inbound:
        if self.total == 1:
            return self.rows[0][1].text
        return whole({words.number: words.text for _, words in self.rows}, self.total)


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
        for one in found:
            if isinstance(one.said, Refusal):
                await _refused(one)(self._pool, one.account, one.known_by, one.said, one.at)
        for text in _texts(found):
            if now is not None and text.readable(now):
                raw = "\n".join(words.raw for _, words in text.rows)
                known_by = [known_by for known_by, _ in text.rows]
                await self._conversations.take_heard(text.account, known_by, text.inbound, raw, parts=text.total > 1)
        return len(found) == ROUND


def _refused(one: Heard) -> Callable[[db.Pool, str, str, Refusal, datetime], Awaitable[None]]:
    """What sees to what was refused because of its address."""
    if not one.account.startswith("sms/"):
        return returned_mail.refused
    return undeliverable.refused if isinstance(one.said, Refusal) and one.said.dead else replies.refused


def _texts(found: Iterable[Heard]) -> list[_Text]:
    """The texts that these make, in the order in which their first words came."""
    texts: dict[tuple[str, str], _Text] = {}
    for one in found:
        if isinstance(one.said, Words):
            key = (one.account, one.said.whole or one.known_by)
            texts.setdefault(key, _Text(one.account, one.said.total, one.at)).rows.append((one.known_by, one.said))
    return list(texts.values())
