"""SPINE 4. A text comes in: it is stored, attached to whom it is from, understood, and acted on, in one transaction.

A provider may bring the same text again, and several at once: what came before changes nothing, and the texts of one
number are read one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from control_center.domain import answered, number
from control_center.domain.command import Cause, command
from control_center.domain.inbound import Inbound
from control_center.domain.people import Recipient
from control_center.domain.reply import Asked as Kind
from control_center.domain.reply import Circumstances, Question, Reply, Standing, interpret
from control_center.domain.sms import segments
from control_center.domain.text_plan import month_of
from control_center.engine import consenting
from control_center.engine.consenting import Effect
from control_center.engine.understanding import Heard, act, meaning
from control_center.store import commands, consents, conversations, db, heard, records, studios, usage
from control_center.store.conversations import Arrival, Asked, Pair, Received
from control_center.store.rulebooks import Rulebook, Rulebooks

log = structlog.get_logger(__name__)

SHARED_FOR: Final = timedelta(days=90)  # how long a number that several studios use remembers who wrote to whom
OVER_FOR: Final = timedelta(
    days=7
)  # after its date: how long ago a question may have been asked that a yes is late for
ASKED_WITHIN: Final = max(answered.LASTS.values())


@dataclass(slots=True)
class Taken:
    """One incoming text, and what it led to; `message_id` is None for a copy and for what is no studio's."""

    inbound: Inbound
    studio: str | None = None
    message_id: int | None = None
    client_id: str | None = None
    meaning: str = ""
    attention: str | None = None
    effects: list[Effect] = field(default_factory=list)
    new: bool = True


class Conversations:
    """Takes in what people text, for every studio of one database. Any number of these may run at once."""

    def __init__(self, pool: db.Pool, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._clock = clock
        self._rulebooks = Rulebooks()

    async def take(self, account: str, came: Sequence[tuple[Inbound, str]]) -> list[Taken]:
        """Take in texts of one provider account (`sms/default`), each with the call as it came, in their order.

        Raises one of `db.AWAY`; then the rest is not stored, and what was stored before is known when it is brought
        again.
        """
        taken = []
        for inbound, body in came:

            async def work(tx: db.Connection, inbound: Inbound = inbound, body: str = body) -> Taken:
                return await self._take(tx, account, inbound, body)

            one = await db.retried(self._pool, work)
            _tell(one)
            taken.append(one)
        return taken

    async def take_heard(self, account: str, known_by: Sequence[str], inbound: Inbound, body: str) -> Taken | None:
        """Take in a text that a worker kept in these rows; None where another process has. Raises one of `db.AWAY`."""

        async def work(tx: db.Connection) -> Taken | None:
            return await self._take(tx, account, inbound, body) if await heard.take(tx, account, known_by) else None

        taken = await db.retried(self._pool, work)
        if taken is not None:
            _tell(taken)
        return taken

    async def _take(self, tx: db.Connection, account: str, inbound: Inbound, body: str) -> Taken:
        theirs, ours = _spelled(inbound.sender), _spelled(inbound.to)
        now = self._clock()
        studio = await self._studio(tx, ours, theirs, now)
        came = Arrival(studio or "", account, inbound.known_by, inbound.sender, inbound.to, body)
        if studio is None:
            return Taken(inbound, new=await conversations.arrive(tx, came))
        pair = Pair(studio, "sms", ours, theirs)
        await consents.lock(tx, (studio, "sms", theirs))
        if not await conversations.arrive(tx, came):
            return Taken(inbound, studio, new=False)
        client_id = await conversations.converse(tx, pair, await client_of(tx, pair))
        book = (await self._rulebooks.of(tx, await studios.get(tx, [studio])))[studio]
        met, asked = await circumstances(tx, pair, inbound, book, now)
        reply = interpret(inbound.text, met)
        taken = Taken(inbound, studio, client_id=client_id, meaning=meaning(reply))
        heard = Heard(
            pair=pair,
            account=account,
            client_id=client_id,
            text=inbound.text,
            message_id=await conversations.receive(tx, _received(came, pair, client_id, inbound, _about(reply, asked))),
            at=now,
            opted_out=met.opted_out,
            silent=inbound.answered is not None,
        )
        await conversations.attach(tx, came, heard.message_id)
        done = await act(tx, self._rulebooks, book, heard, reply)
        taken.message_id, taken.attention, taken.effects = heard.message_id, done.attention, done.effects
        await conversations.mark(tx, studio, heard.message_id, taken.meaning, done.attention)
        await report(tx, heard, taken)
        parts = inbound.segments or segments(inbound.text).count
        await usage.received(tx, studio, month_of(now, book.studio.timezone), parts)
        return taken

    async def _studio(self, tx: db.Connection, ours: str, theirs: str, now: datetime) -> str | None:
        """Whose number it was sent to; of several studios on it, the one that wrote to its sender last."""
        found = await conversations.studios_at(tx, ours)
        if len(found) == 1:
            return found[0]
        return await conversations.last_studio(tx, found, ours, theirs, now - SHARED_FOR) if found else None


def _spelled(typed: str) -> str:
    """A number as messages spell it. Providers write the country code, some of them without the plus."""
    bare = typed.strip()
    international = bare if bare.startswith("+") else f"+{bare}"
    found = number.phone(international, "ZZ", recipient=False)
    return found.e164 if isinstance(found, number.Phone) else bare


async def client_of(tx: db.Connection, pair: Pair) -> str | None:
    """Whose number it is: the one client who has it, or of several the one we wrote to there last. Never a guess."""
    clients = await conversations.clients_at(tx, pair.studio, pair.theirs)
    if len(clients) > 1:
        clients = await conversations.last_written(tx, pair, clients)
    return clients[0] if len(clients) == 1 else None


async def circumstances(
    tx: db.Connection, pair: Pair, inbound: Inbound, book: Rulebook, now: datetime
) -> tuple[Circumstances, dict[int, Asked]]:
    """What a text has to be read with, and the questions by their message."""
    found = await conversations.asked(tx, pair, now - ASKED_WITHIN)
    pictures = await records.get(tx, {(pair.studio, one.kind, one.record_id) for one in found}) if found else {}
    questions = []
    scored = None
    for one in found:
        kind, key = Kind(one.question), (pair.studio, one.kind, one.record_id)
        closed = bool({"confirmed", "scored", "void"}.intersection(one.answered))
        where = answered.standing(kind, pictures.get(key), one.date, book.studio.timezone, now, answered=closed)
        question = Question(kind, one.message_id, key, one.asked_at, one.asked_at + answered.LASTS[kind], where)
        if kind is Kind.NPS and "scored" in one.answered and scored is None:
            late = one.answered_at is None or now > one.answered_at + answered.COMMENT_LASTS
            scored = None if late or "commented" in one.answered else question
        if (
            where is not Standing.ANSWERED
            and now < question.expires_at
            and not (where is Standing.OVER and now > one.asked_at + OVER_FOR)
        ):
            questions.append(question)
    said = await consents.standings(tx, [(pair.studio, pair.channel, pair.theirs)])
    opted_out = any(one.stopped for one in said.values())
    met = Circumstances(now, tuple(questions), book.rules.keywords, opted_out, scored, inbound.answered)
    return met, {one.message_id: one for one in found}


def _about(reply: Reply, asked: dict[int, Asked]) -> tuple[str, str] | None:
    """The record that a reply is about, where it answers a question."""
    question = getattr(reply, "question", None)
    found = asked.get(question.message_id) if isinstance(question, Question) else None
    return (found.kind, found.record_id) if found is not None else None


def _received(
    came: Arrival, pair: Pair, client_id: str | None, inbound: Inbound, about: tuple[str, str] | None
) -> Received:
    return Received(
        pair=pair,
        account=came.account,
        client_id=client_id,
        record=about,
        recipient=msgspec.json.encode(Recipient("client" if client_id is not None else "unknown")).decode(),
        subject=None,
        body=inbound.text.replace("\0", "\ufffd"),
        provider_id=inbound.provider_id,
        segments=inbound.segments or segments(inbound.text).count,
    )


async def report(tx: db.Connection, heard: Heard, taken: Taken) -> None:
    message = f"m-{heard.message_id}"
    data = {
        "message": message,
        "channel": heard.pair.channel,
        "from": heard.pair.theirs,
        "to": heard.pair.ours,
        "client_id": heard.client_id,
        "text": heard.text,
        "meaning": taken.meaning,
        "attention": taken.attention,
        "at": heard.at,
    }
    subject = f"client/{heard.client_id}" if heard.client_id is not None else f"message/{message}"
    cause = Cause(None, None, None, None)
    made = command(heard.pair.studio, subject, "message.received", data, cause=cause, of=message)
    await commands.enqueue(tx, [made])


def _tell(taken: Taken) -> None:
    """Log what came in, once it is committed."""
    theirs = number.mask_phone(_spelled(taken.inbound.sender))
    if not taken.new:
        log.info("message.repeated", studio=taken.studio, sender=theirs)
        return
    if taken.message_id is None:
        log.warning("message.unrouted", sender=theirs, receiver=taken.inbound.to, reason="that number is no studio's")
        return
    log.info(
        "message.received",
        studio=taken.studio,
        message=f"m-{taken.message_id}",
        client=taken.client_id,
        meaning=taken.meaning,
        reason=taken.attention,
    )
    for effect in taken.effects:
        consenting.tell(effect)
