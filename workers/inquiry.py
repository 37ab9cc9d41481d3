"""Settles messages that may have been taken, where nobody told us: by asking the provider, or by asking it again.

Asking again is for a provider that knows a submission by our key, and answers a repeat with what it answered first. It
is no second message where the first one arrived. Where it did not, the repeat is what arrives: so it is decided anew
like any message, passes the point of no return like any message, and goes out with the very same words or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog

from control_center.domain.inbound import named
from control_center.domain.links import Links
from control_center.domain.outcome import (
    Accepted,
    Blocked,
    CannotTell,
    Fate,
    Found,
    Lookup,
    NotFoundThere,
    NotSent,
    Outcome,
    Refused,
    Stage,
    Text,
    Unknown,
)
from control_center.store import cases, db, doubts, scores
from control_center.store.doubts import Doubt
from control_center.store.rulebooks import Rulebooks
from control_center.store.submissions import Ready
from workers.sends import HELD_UP
from workers.writing import prepare

log = structlog.get_logger(__name__)

EVERY = 30.0  # seconds between rounds
YOUNGEST = timedelta(minutes=2)  # a receipt is given that long to settle it without us
OLDEST = timedelta(hours=24)
ROUND = 20  # questions in a round
PATIENCE = 5  # questions about one message; then it is for a person
LEASE = timedelta(minutes=2)  # of a repeat: no call takes so long


class Inquiry:
    """Settles what it can of one account's unknown messages. Only texts: no relay can be asked about a mail."""

    def __init__(
        self,
        pool: db.Pool,
        channel: Any,
        *,
        account: str,
        clock: Callable[[], datetime],
        youngest: timedelta = YOUNGEST,
        links: Links | None = None,
    ) -> None:
        self._pool = pool
        self._channel = channel
        self._account = account
        self._clock = clock
        self._youngest = youngest
        self._links = links
        self._owner = uuid4()  # never a delivery's: that one queues again what it marked and did not send
        self._rulebooks = Rulebooks()
        self._asked: dict[int, int] = {}  # how often about each message …
        self._began: dict[int, datetime] = {}  # … whose attempt began then: nobody asks about one that is too old
        # How long the provider knows our key; most know none.
        self._remembers: timedelta = getattr(channel, "remembers", timedelta())

    async def run_once(self) -> float:
        """Ask about some; returns the seconds until the next round. Raises one of `db.AWAY`."""
        self._forget()
        tired = [message for message, times in self._asked.items() if times >= PATIENCE]
        async with db.session(self._pool) as connection:
            found = await doubts.undecided(
                connection, self._account, without=tired, youngest=self._youngest, oldest=OLDEST, limit=ROUND
            )
        self._asked = {message: times for message, times in self._asked.items() if times >= PATIENCE or found}
        for doubt in found:
            self._asked[doubt.message_id] = self._asked.get(doubt.message_id, 0) + 1
            self._began[doubt.message_id] = doubt.started_at
            answer = await (self._repeat(doubt) if self._remembers and doubt.lost else self._look(doubt))
            log.info(
                "message.asked_about",
                studio=doubt.studio,
                message=f"m-{doubt.message_id}",
                attempt=doubt.key,
                reason=type(answer).__name__,
            )
        return EVERY

    def _forget(self) -> None:
        """What is too old to be asked about need not be remembered as asked."""
        oldest = self._clock() - OLDEST
        self._began = {one: at for one, at in self._began.items() if at >= oldest and one in self._asked}
        self._asked = {one: times for one, times in self._asked.items() if one in self._began}

    async def _look(self, doubt: Doubt) -> Lookup:
        """Ask for the message in the provider's list."""
        answer: Lookup = await self._channel.lookup(_sent(doubt), doubt.known)
        async with db.session(self._pool) as connection:
            match answer:
                case Found(provider_id=provider_id, fate=fate):
                    known = named(provider_id)
                    await doubts.found(connection, self._account, doubt, provider_id=known, fate=fate.value)
                case NotFoundThere():
                    await doubts.missing(connection, doubt)
                case CannotTell():
                    self._tire(doubt)
        return answer

    # Asking again -----------------------------------------------------------------------------------------

    async def _repeat(self, doubt: Doubt) -> Outcome | Lookup:
        """Submit the message once more under its key, if it may go as it went."""
        async with db.session(self._pool) as connection:
            marked = await self._mark(connection, doubt)
        if marked is None:
            self._tire(doubt)
            return CannotTell("it may not go any more")
        token, until = marked
        # A machine that slept since: the provider may have forgotten the key, or it is night.
        outcome: Outcome = NotSent(HELD_UP)
        if self._clock() < until:
            outcome = await self._channel.submit(_sent(doubt))
        async with db.transaction(self._pool) as tx:
            await doubts.repeated(tx, doubt, token=token, owner=self._owner, reason=_learned(outcome))
            if isinstance(outcome, Accepted):
                known = named(outcome.provider_id)
                await doubts.found(tx, self._account, doubt, provider_id=known, fate=Fate.SENT.value)
        match outcome:
            case NotSent():
                del self._asked[doubt.message_id]  # nothing has left: that was no question
            case Blocked():
                self._tire(doubt)
            case Accepted() | Refused() | Unknown():
                pass
        return outcome

    async def _mark(self, connection: db.Connection, doubt: Doubt) -> tuple[int, datetime] | None:
        """Pass the point of no return: the token, and until when it may go. None where it would not go as it did."""
        ready = await self._decided(connection, doubt)
        if ready is None or ready.body != doubt.body:
            return None
        owner, within = self._owner, self._remembers
        token = await doubts.repeat(connection, doubt, ready, owner=owner, lease=LEASE, within=within)
        return None if token is None else (token, min(ready.until, doubt.started_at + within))

    async def _decided(self, connection: db.Connection, doubt: Doubt) -> Ready | None:
        """The message decided and written as everything is now; None where it would not go."""
        case = await cases.of_unknown(connection, doubt.studio, doubt.message_id)
        if case is None:
            return None
        books = await self._rulebooks.of(connection, {doubt.studio: case.studio})
        sessions = await scores.sessions(
            connection, [(case.trigger_id, case.about.trigger_version, case.record)], books
        )
        session = sessions.get(case.record.key) if case.record else None
        decided = prepare(case, books[doubt.studio], self._clock(), session=session, links=self._links)
        return decided if isinstance(decided, Ready) else None

    def _tire(self, doubt: Doubt) -> None:
        """It is for a person now."""
        self._asked[doubt.message_id] = PATIENCE


def _learned(outcome: Outcome) -> str | None:
    """What is written beside a message that was asked about again and got an answer; there is no other repeat then.

    After an error least of all: only successes are answered with what was answered first.
    """
    match outcome:
        case Accepted():
            return f"{Stage.ANSWERED.value}: asked again: it was taken"  # until the engine has folded that in
        case Refused(reason=reason) | Unknown(reason=reason, stage=Stage.ANSWERED):
            return f"{Stage.ANSWERED.value}: asked again: {reason}"
        case _:
            return None


def _sent(doubt: Doubt) -> Text:
    """The text as it left."""
    return Text(
        key=doubt.key,
        message=f"m-{doubt.message_id}",
        sender=doubt.sender,
        to=doubt.address,
        body=doubt.body,
        at=doubt.started_at,
        expires_at=doubt.use_by,
    )
