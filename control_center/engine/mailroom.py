"""A mail comes in, by a relay's call or out of a mail server's pipe: a bounce, a complaint, or a letter to be read.

A letter is kept as a message that came in, beside the texts of its client: found by the mail of ours that it answers,
else by its addresses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
import structlog

from control_center.domain.consent import OPEN, Purpose, Said
from control_center.domain.inbound import readable
from control_center.domain.links import Links
from control_center.domain.number import mask_email
from control_center.domain.people import Recipient
from control_center.domain.reply import Circumstances, MayBeOptOut, OptIn, OptOut, Plain, Reply, interpret
from control_center.domain.studio import Studio
from control_center.domain.wire import incoming_mail, letter
from control_center.domain.wire.incoming_mail import Automatic, Bounce, Complaint, Letter
from control_center.engine import consenting, returned_mail
from control_center.engine.conversations import Taken, client_of, report
from control_center.engine.returned_mail import KEPT, Came
from control_center.engine.understanding import Heard, meaning
from control_center.store import consents, conversations, db, followed, studios
from control_center.store.consents import Saying
from control_center.store.conversations import Arrival, Pair, Received
from control_center.store.followed import Followed

log = structlog.get_logger(__name__)

# Its detectors fail on odd mail, which anybody may send; it logs each with a traceback and goes on, and so do we.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)

SHORT: Final = 200  # characters: of what is shorter, the first line may be all that was meant


class Mailroom:
    """Takes in mail for every studio of one database. Any number of these may run at once."""

    def __init__(self, pool: db.Pool, clock: Callable[[], datetime], links: Links) -> None:
        self._pool = pool
        self._clock = clock
        self._links = links

    async def take(self, account: str, raw: bytes, *, to: str = "") -> Came:
        """Take in one mail of a provider account (`email/default`), as its bytes came.

        `to` is the address it was delivered to, where who brings it knows. What came before changes nothing. Raises
        one of `db.AWAY`; then it is not stored.
        """
        text, to, now = raw[:KEPT].decode("utf-8", "replace"), readable(to), self._clock()
        # In a thread: a mail with pictures takes a second, and others wait for their answers in this one.
        match await asyncio.to_thread(incoming_mail.read, raw, self._links, to=to):
            case Bounce() as came:
                return await returned_mail.bounced(self._pool, account, came, text, now)
            case Complaint() as came:
                return await returned_mail.complained(self._pool, account, came, text, now)
            case Automatic(why=why):
                log.info("mail.automatic", account=account, reason=why)
                return Came("automatic", reason=why)
            case Letter() as came:
                return await self._letter(account, came, text)

    async def _letter(self, account: str, came: Letter, text: str) -> Came:
        async def work(tx: db.Connection) -> Came:
            return await self._keep(tx, account, came, text)

        done = await db.retried(self._pool, work)
        _tell(done, came)
        return done

    async def _keep(self, tx: db.Connection, account: str, came: Letter, text: str) -> Came:
        theirs, now = came.inbound.sender, self._clock()
        met = await _answered(tx, account, came)
        house = await _studio(tx, account, came, met)
        arrival = Arrival(house.studio if house else "", account, came.inbound.known_by, theirs, came.inbound.to, text)
        if house is None:
            return Came("letter", reason="unrouted", new=await conversations.arrive(tx, arrival))
        if theirs in _ours(house):
            return Came("automatic", house.studio, reason="a copy of our own")
        pair = Pair(house.studio, "email", (met.sender if met else house.email_sender).lower(), theirs)
        await consents.lock(tx, (house.studio, "email", theirs))
        if not await conversations.arrive(tx, arrival):
            return Came("letter", house.studio, new=False)
        known = met.client_id if met is not None and met.client_id is not None else await client_of(tx, pair)
        client_id = await conversations.converse(tx, pair, known)
        message_id = await conversations.receive(tx, _received(pair, account, client_id, came, met))
        await conversations.attach(tx, arrival, message_id)
        reply = _read(came, now)
        heard = Heard(pair, account, client_id, came.inbound.text, message_id, now, opted_out=False, silent=True)
        taken = Taken(came.inbound, house.studio, message_id, client_id, meaning(reply))
        taken.attention, taken.effects = await _act(tx, heard, reply, met)
        await conversations.mark(tx, house.studio, message_id, taken.meaning, taken.attention)
        await report(tx, heard, taken)
        return Came("letter", house.studio, message_id, taken.meaning, effects=taken.effects)


async def _answered(tx: db.Connection, account: str, came: Letter) -> Followed | None:
    """The mail of ours that it answers, where it proves to know it."""
    known = await followed.of_numbers(tx, [number for number, _ in came.answered])
    for number, nonce in came.answered:
        one = known.get(number)
        if one is not None and one.nonce == nonce and one.account == account:
            return one
    return None


async def _studio(tx: db.Connection, account: str, came: Letter, met: Followed | None) -> Studio | None:
    """Whose mail it is: by what it answers, else by where it was sent; of several studios there nobody is guessed."""
    found = [met.studio] if met is not None else await followed.studios_of(tx, came.to, account.partition("/")[2])
    return (await studios.get(tx, found)).get(found[0]) if len(found) == 1 else None


def _ours(house: Studio) -> set[str]:
    return {one.lower() for one in (house.email_sender, house.reply_to or "") if one}


def _received(pair: Pair, account: str, client_id: str | None, came: Letter, met: Followed | None) -> Received:
    about = (met.kind, met.record_id) if met is not None and met.kind and met.record_id else None
    return Received(
        pair=pair,
        account=account,
        client_id=client_id,
        record=about,
        recipient=msgspec.json.encode(Recipient("client" if client_id is not None else "unknown")).decode(),
        subject=came.subject.replace("\0", "\ufffd"),
        body=came.inbound.text,
        provider_id=came.inbound.provider_id,
        segments=None,
    )


def _read(came: Letter, now: datetime) -> Reply:
    """What a letter asks for, as to being written to: in its writer's own words, or in a subject that is theirs."""
    own, met = letter.own(came.inbound.text), Circumstances(now)
    first = own.partition("\n")[0] if len(own) <= SHORT else ""
    subject = "" if letter.answers(came.subject) else came.subject
    readings = [interpret(text, met) for text in (own, first, subject) if text.strip()]
    for wanted in (OptOut, OptIn, MayBeOptOut):
        found = next((one for one in readings if isinstance(one, wanted)), None)
        if found is not None:
            return found
    return Plain()


async def _act(
    tx: db.Connection, heard: Heard, reply: Reply, met: Followed | None
) -> tuple[str | None, list[consenting.Effect]]:
    """Do what a letter asks for. A mail ends marketing: what is about their own appointments still comes."""
    match reply:
        case OptOut(said=said, appointment=appointment):
            attention = f"{said!r} ends marketing; they may have meant their appointment" if appointment else None
            return attention, await _stop(tx, heard, met)
        case OptIn() if met is not None and met.address.lower() == heard.pair.theirs:
            return None, await _say(tx, heard, heard.pair.theirs, Said.START, Purpose.MARKETING)
        case OptIn():
            return "asks for mail again, and answers none of ours: anybody may have written it", []
        case MayBeOptOut(words=words):
            effects = await _say(tx, heard, heard.pair.theirs, Said.DOUBT, Purpose.ALL)
            return f"may be an opt-out: {', '.join(words)}", effects
        case _:
            return None, []


async def _stop(tx: db.Connection, heard: Heard, met: Followed | None) -> list[consenting.Effect]:
    """No more marketing to whoever wrote, nor to the address that we wrote to, where that is another of theirs."""
    addresses = dict.fromkeys([heard.pair.theirs, *([met.address.lower()] if met is not None else [])])
    return [
        one for address in sorted(addresses) for one in await _say(tx, heard, address, Said.STOP, Purpose.MARKETING)
    ]


async def _say(tx: db.Connection, heard: Heard, address: str, says: Said, purpose: Purpose) -> list[consenting.Effect]:
    """Write down what an address said, unless it stands so already."""
    key = (heard.pair.studio, "email", address)
    before = (await consents.standings(tx, [key])).get(key, OPEN)
    stands = {Said.STOP: before.no_marketing, Said.START: not before.no_marketing, Said.DOUBT: before.stopped}
    if stands[says]:
        return []
    said = Saying(*key, says, "reply", heard.text[:SHORT] or "(the subject)", purpose)
    return [await consenting.say(tx, said, heard.at, client_id=heard.client_id)]


def _tell(done: Came, came: Letter) -> None:
    theirs = mask_email(came.inbound.sender)
    if not done.new:
        log.info("message.repeated", studio=done.studio, sender=theirs)
    elif done.what == "automatic":
        log.info("mail.automatic", studio=done.studio, sender=theirs, reason=done.reason)
    elif done.message_id is None:
        log.warning("message.unrouted", sender=theirs, receiver=came.inbound.to, reason=done.reason or "no studio's")
    else:
        message = f"m-{done.message_id}"
        log.info("message.received", studio=done.studio, message=message, meaning=done.reason, sender=theirs)
    for effect in done.effects:
        consenting.tell(effect)
