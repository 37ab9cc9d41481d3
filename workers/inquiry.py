"""Asks the provider about messages that may have been taken, where nobody told us."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog

from control_center.domain.outcome import CannotTell, Found, Lookup, NotFoundThere, Text
from control_center.store import db, doubts
from control_center.store.doubts import Doubt

log = structlog.get_logger(__name__)

EVERY = 30.0  # seconds between rounds
YOUNGEST = timedelta(minutes=2)  # a receipt is given that long to settle it without us
OLDEST = timedelta(hours=24)
ROUND = 20  # questions in a round
PATIENCE = 5  # questions about one message; then it is for a person


class Inquiry:
    """Settles what it can of one account's unknown messages. Only texts: no relay can be asked about a mail."""

    def __init__(self, pool: db.Pool, channel: Any, *, account: str, youngest: timedelta = YOUNGEST) -> None:
        self._pool = pool
        self._channel = channel
        self._account = account
        self._youngest = youngest
        self._asked: dict[int, int] = {}

    async def run_once(self) -> float:
        """Ask about some; returns the seconds until the next round. Raises one of `db.AWAY`."""
        tired = [message for message, times in self._asked.items() if times >= PATIENCE]
        async with db.session(self._pool) as connection:
            found = await doubts.undecided(
                connection, self._account, without=tired, youngest=self._youngest, oldest=OLDEST, limit=ROUND
            )
        self._asked = {message: times for message, times in self._asked.items() if times >= PATIENCE or found}
        for doubt in found:
            self._asked[doubt.message_id] = self._asked.get(doubt.message_id, 0) + 1
            await self._ask(doubt)
        return EVERY

    async def _ask(self, doubt: Doubt) -> None:
        sent = Text(
            key=doubt.key,
            message=f"m-{doubt.message_id}",
            sender=doubt.sender,
            to=doubt.address,
            body=doubt.body,
            at=doubt.started_at,
            expires_at=doubt.use_by,
        )
        answer: Lookup = await self._channel.lookup(sent, doubt.known)
        async with db.session(self._pool) as connection:
            match answer:
                case Found(provider_id=provider_id, fate=fate):
                    await doubts.found(connection, self._account, doubt, provider_id=provider_id, fate=fate.value)
                case NotFoundThere():
                    await doubts.missing(connection, doubt)
                case CannotTell():
                    self._asked[doubt.message_id] = PATIENCE
        log.info(
            "message.asked_about",
            studio=doubt.studio,
            message=f"m-{doubt.message_id}",
            attempt=doubt.key,
            reason=type(answer).__name__,
        )
