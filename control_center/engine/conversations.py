"""SPINE 4. A text comes in: it is stored, attached to whom it is from, understood, and acted on, in one transaction.

A provider may bring the same text again, and several at once: what came before changes nothing, and the texts of one
number are read one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from control_center.domain import automatic, number
from control_center.domain.caller import caller
from control_center.domain.command import Cause, command
from control_center.domain.consent import OPEN, Said
from control_center.domain.inbound import Inbound
from control_center.domain.people import Recipient
from control_center.domain.reply import MayBeOptOut, OptOut, interpret
from control_center.domain.sms import segments
from control_center.domain.text_plan import month_of
from control_center.engine import consenting
from control_center.engine.circumstances import answered_by, circumstances
from control_center.engine.consenting import Effect
from control_center.engine.undeliverable import tell_lifted
from control_center.engine.understanding import Heard, act, meaning, say
from control_center.engine.whose_text import by_itself, concerned_by, reached, studio_of
from control_center.store import (
    commands,
    consents,
    conversations,
    db,
    dead_numbers,
    frequency,
    heard,
    studios,
    usage,
)
from control_center.store.conversations import Arrival, Asked, Pair, Received
from control_center.store.dead_numbers import Number
from control_center.store.rulebooks import Rulebooks

log = structlog.get_logger(__name__)

_WROTE: Final = "a text came from it"
SHOWN: Final = "it came to a number that several studios share"  # the text may have been meant for another of them
REPEATED_WITHIN: Final = timedelta(minutes=15)  # how long a text without a name may be the repeat of the one before it


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
    alive: list[Number] = field(default_factory=list)  # what was thought to take no texts
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

    async def take_heard(
        self, account: str, known_by: Sequence[str], inbound: Inbound, body: str, *, parts: bool = False
    ) -> Taken | None:
        """Take in a text that a worker kept in these rows, which are its `parts` or the whole; None where another
        process has. Raises one of `db.AWAY`.
        """

        async def work(tx: db.Connection) -> Taken | None:
            if not await heard.take(tx, account, known_by, parts=parts):
                return None
            return await self._take(tx, account, inbound, body, unnamed=True)

        taken = await db.retried(self._pool, work)
        if taken is not None:
            _tell(taken)
        return taken

    async def _take(
        self, tx: db.Connection, account: str, inbound: Inbound, body: str, *, unnamed: bool = False
    ) -> Taken:
        inbound = inbound.readable
        now = self._clock()
        ours, sharing, former = await reached(tx, caller(inbound.to), account, caller(inbound.sender))
        houses = await studios.get(tx, sharing) if sharing else {}
        theirs = caller(inbound.sender, next((one.country for one in houses.values()), None))
        came = Arrival("", account, inbound.known_by, inbound.sender, inbound.to, body)
        pair = Pair("", "sms", ours, theirs)
        studio = await studio_of(tx, sharing, pair, came, inbound, now=now)
        if studio is None:
            return Taken(inbound, new=await conversations.arrive(tx, came))
        came, pair = replace(came, studio=studio), replace(pair, studio=studio)
        concerned = await concerned_by(tx, sharing, pair, came, inbound, now=now)
        # In their order: two texts to a number that several share do not wait in a circle.
        for one in sorted({studio, *sharing, *concerned}):
            await consents.lock(tx, (one, "sms", theirs))
        new = await conversations.arrive(tx, came)
        if not new or (unnamed and await _repeats(tx, pair, came, inbound, now=now, whom={studio, *concerned})):
            return Taken(inbound, studio, new=False)
        whose = await client_of(tx, pair)
        client_id = await conversations.converse(tx, pair, whose)
        book = (await self._rulebooks.of(tx, {studio: houses[studio]}))[studio]
        met, asked = await circumstances(tx, pair, inbound, book, now)
        reply = interpret(inbound.text, met)
        about = answered_by(reply, asked)
        if about is not None and about.client_id is not None and client_id == whose:
            client_id = about.client_id  # of several on one number, the one who was asked; a person's word stands
        taken = Taken(inbound, studio, client_id=client_id, meaning=meaning(reply))
        often = await frequency.texted(tx, pair, now - automatic.HOUR, now - automatic.DAY, most=automatic.A_DAY)
        heard = Heard(
            pair=pair,
            account=account,
            client_id=client_id,
            text=inbound.text,
            message_id=await conversations.receive(tx, _received(came, pair, client_id, inbound, about)),
            at=now,
            opted_out=met.opted_out,
            silent=former or inbound.answered is not None,
            said_at=inbound.at,
            tireless=automatic.tireless(*often),
        )
        await conversations.attach(tx, came, heard.message_id)
        taken.alive = await dead_numbers.lift(tx, [(one, theirs) for one in sharing], _WROTE)
        done = await act(tx, self._rulebooks, book, heard, reply)
        taken.message_id, taken.attention, taken.effects = heard.message_id, done.attention, done.effects
        others = [one for one in concerned if one != studio]
        if isinstance(reply, OptOut):
            taken.effects += [await say(tx, there, Said.STOP) for there in await _elsewhere(tx, heard, others)]
        if isinstance(reply, MayBeOptOut):
            for there in await _elsewhere(tx, heard, others):
                await _show(tx, there, taken, _received(came, there.pair, there.client_id, inbound, None))
                taken.effects.append(await say(tx, there, Said.DOUBT))
        await conversations.mark(tx, studio, heard.message_id, taken.meaning, done.attention)
        await report(tx, heard, taken)
        parts = inbound.segments or segments(inbound.text).count
        await usage.received(tx, studio, month_of(now, book.studio.timezone), parts)
        return taken


async def _elsewhere(tx: db.Connection, heard: Heard, others: Sequence[str]) -> list[Heard]:
    """A text to a number that several studios share, as each of these others has it that was not told STOP before."""
    pairs = [replace(heard.pair, studio=one) for one in others]
    said = await consents.standings(tx, [(pair.studio, pair.channel, pair.theirs) for pair in pairs])
    stopped = {studio for (studio, _, _), one in said.items() if one.stopped}
    left = [pair for pair in pairs if pair.studio not in stopped]
    return [replace(heard, pair=pair, client_id=await client_of(tx, pair)) for pair in left]


async def _show(tx: db.Connection, heard: Heard, taken: Taken, received: Received) -> None:
    """Let another studio read what may be a STOP to it, too: what it has in doubt is for somebody there to settle.

    It is one text, and counts where it was taken in.
    """
    client_id = await conversations.converse(tx, heard.pair, heard.client_id)
    number = await conversations.receive(tx, replace(received, client_id=client_id))
    attention = f"{SHOWN}: {taken.attention}"
    await conversations.mark(tx, heard.pair.studio, number, taken.meaning, attention)
    await report(tx, replace(heard, message_id=number, client_id=client_id), replace(taken, attention=attention))


async def _repeats(
    tx: db.Connection, pair: Pair, came: Arrival, inbound: Inbound, *, now: datetime, whom: Collection[str]
) -> bool:
    """Whether a text that its provider gives no name is the one before it, brought again."""
    before = await conversations.said_before(tx, pair, came.account, inbound.text, since=now - REPEATED_WITHIN)
    if before is None or await _is_undone(tx, pair, inbound, now, whom):
        return False
    await conversations.attach(tx, came, before)
    return True


async def _is_undone(tx: db.Connection, pair: Pair, inbound: Inbound, now: datetime, whom: Collection[str]) -> bool:
    """Whether these words end texting, or may, and at one of these studios somebody has let texts go there again since
    they were said: it need not have been by a text of this conversation, and to pass over a STOP is the worst that can
    happen.
    """
    reply = by_itself(inbound, now)
    if not isinstance(reply, OptOut | MayBeOptOut):
        return False
    asked = [(one, pair.channel, pair.theirs) for one in whom]
    stand = await consents.standings(tx, asked)
    return any(
        not stands.stopped and not (stands.doubtful and isinstance(reply, MayBeOptOut))
        for stands in (stand.get(one, OPEN) for one in asked)
    )


async def client_of(tx: db.Connection, pair: Pair) -> str | None:
    """Whose number it is: the one client who has it, or of several the one we wrote to there last. Never a guess."""
    clients = await conversations.clients_at(tx, pair.studio, pair.theirs)
    if len(clients) > 1:
        clients = await conversations.last_written(tx, pair, clients)
    return clients[0] if len(clients) == 1 else None


def _received(came: Arrival, pair: Pair, client_id: str | None, inbound: Inbound, about: Asked | None) -> Received:
    return Received(
        pair=pair,
        account=came.account,
        client_id=client_id,
        record=(about.kind, about.record_id) if about is not None else None,
        recipient=msgspec.json.encode(Recipient("client" if client_id is not None else "unknown")).decode(),
        subject=None,
        body=inbound.text,
        provider_id=inbound.provider_id,
        segments=inbound.segments or segments(inbound.text).count,
        media=inbound.media,
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
    theirs = number.mask_phone(caller(taken.inbound.sender))
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
    tell_lifted(taken.alive, _WROTE)
