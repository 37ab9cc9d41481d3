"""What follows from mail of ours that came back, and from complaints: for the message, its address, and our account."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import structlog

from control_center.domain import bounce
from control_center.domain.bounce import Verdict
from control_center.domain.consent import OPEN, Purpose, Said
from control_center.domain.message import key_of, message_of
from control_center.domain.number import mask_email
from control_center.domain.outcome import Fate, Receipt
from control_center.domain.people import Recipient
from control_center.domain.slowing import domain_of
from control_center.domain.wire.incoming_mail import Bounce, Complaint, Origin
from control_center.engine import consenting, own_records, replies
from control_center.engine.consenting import Effect
from control_center.store import breakers, consents, conversations, db, followed, heard, slowdowns
from control_center.store.consents import Saying
from control_center.store.conversations import Arrival, Pair, Received
from control_center.store.followed import Followed
from control_center.store.heard import Refusal

log = structlog.get_logger(__name__)

KEPT = 64 * 1024  # characters of a bounce that are kept for people
UNREAD = "a mail came back, and nobody can read why"


@dataclass(slots=True)
class Came:
    """What a mail that came in was taken for, and where it is kept; `message_id` None where it is no studio's."""

    what: str
    studio: str | None = None
    message_id: int | None = None
    reason: str = ""
    new: bool = True
    effects: list[Effect] = field(default_factory=list)


async def whose(tx: db.Connection, origin: Origin) -> tuple[Followed, int] | None:
    """The message of ours that a mail proves to know, and the number of its attempt."""
    attempt = message_of(origin.attempt or "")
    numbers = [*([attempt[0]] if attempt else []), *(number for number, _ in origin.named)]
    known = await followed.of_numbers(tx, [*numbers, *([origin.link] if origin.link is not None else [])])
    if attempt is not None and attempt[0] in known:
        return known[attempt[0]], attempt[1]
    for number, nonce in origin.named:
        if number in known and known[number].nonce == nonce:
            return known[number], max(1, known[number].asked)
    found = known.get(origin.link or 0)
    return (found, max(1, found.asked)) if found is not None else None


async def bounced(pool: db.Pool, account: str, came: Bounce, raw: str, now: datetime) -> Came:
    """Fold a bounce into its message, and do to its address what its code asks for. Raises one of `db.AWAY`."""
    async with db.session(pool) as connection:
        known = await whose(connection, came.origin)
    if known is not None and known[0].erased and came.code is None:
        return Came("bounce", known[0].studio, known[0].message_id, "its client was erased", new=False)
    if known is None or came.code is None:
        return await _unread(pool, account, came, raw, known[0] if known is not None else None)
    found, attempt = known
    receipt = Receipt(Fate.UNDELIVERED, key_of(found.message_id, attempt), None, came.code, came.reason)
    new = await replies.take_receipts(pool, found.account, [(came.known_by, receipt, raw[:KEPT])])
    verdict = bounce.verdict(came.code, came.reason)

    async def work(tx: db.Connection) -> list[Effect]:
        if new and bounce.blames_our_domain(came.code or ""):
            await breakers.failed(tx, found.account, f"bounce {came.code} {came.reason}")
        if new and verdict is Verdict.SLOW and await slowdowns.tell(tx, found.studio, found.sender, now):
            log.warning("sender.slowed", studio=found.studio, domain=domain_of(found.sender)[1:], reason=came.reason)
        return await _stopped(tx, found, verdict, f"{came.code} {came.reason}", now)

    effects = await db.retried(pool, work)
    done = Came("bounce", found.studio, found.message_id, f"{came.code}: {verdict.value}", bool(new), effects)
    _tell(done, found, alarming=verdict in bounce.ALARMING)
    return done


async def refused(pool: db.Pool, account: str, known_by: str, came: Refusal, now: datetime) -> None:
    """Do to an address that a relay refused what a bounce from there would. Raises one of `db.AWAY`."""
    code = bounce.code_of("", came.code)
    verdict = bounce.verdict(code, came.reason) if code is not None else Verdict.CONTENT  # not in the codes of mail

    async def work(tx: db.Connection) -> tuple[Came, Followed] | None:
        attempt = message_of(came.key)
        known = await followed.of_numbers(tx, [attempt[0]] if attempt else [])
        if not await heard.take(tx, account, [known_by]) or attempt is None or attempt[0] not in known:
            return None
        found = known[attempt[0]]
        effects = await _stopped(tx, found, verdict, f"{code} {came.reason}", now)
        await own_records.note_events(tx, [(found.studio, found.message_id, "bounced")], now)
        told = f"{code or came.code}: {verdict.value}"
        return Came("refusal", found.studio, found.message_id, told, effects=effects), found

    taken = await db.retried(pool, work)
    if taken is not None:
        _tell(*taken, alarming=verdict in bounce.ALARMING)


async def _stopped(tx: db.Connection, found: Followed, verdict: Verdict, evidence: str, now: datetime) -> list[Effect]:
    """Write nothing more to an address that is not there, at once or once it is certain."""
    if found.erased:
        return []  # nobody knows any more whose it is
    address = (found.studio, found.channel, found.address)
    await consents.lock(tx, address)
    if (await consents.standings(tx, [address])).get(address, OPEN).stopped or not await _certain(
        tx, found, verdict, now
    ):
        return []
    said = Saying(*address, Said.STOP, "bounce", evidence)
    return [await consenting.say(tx, said, now, client_id=found.client_id)]


async def _certain(tx: db.Connection, found: Followed, verdict: Verdict, now: datetime) -> bool:
    if verdict not in bounce.SEVERAL:
        return bounce.enough(verdict, (), now)
    remembered = bounce.SEVERAL[verdict][2]
    before = await followed.came_back(tx, found.studio, found.address, since=now - remembered)
    said = [(bounce.verdict(code, one.reason), one.at) for one in before if (code := bounce.code_of("", one.code))]
    return bounce.enough(verdict, said, now)


async def _unread(pool: db.Pool, account: str, came: Bounce, raw: str, found: Followed | None) -> Came:
    """Keep a bounce that names no message of ours, or says nothing that can be read, for a person to look at."""
    studio = found.studio if found is not None else ""
    arrival = Arrival(studio, account, came.known_by, came.sender, ", ".join(came.to), raw[:KEPT])

    async def work(tx: db.Connection) -> Came:
        new = await conversations.arrive(tx, arrival)
        done = Came("unread bounce", studio or None, None, came.reason, new)
        if new and found is not None:
            pair = Pair(studio, "email", found.sender.lower(), found.address.lower())
            one = Received(
                pair=pair,
                account=account,
                client_id=found.client_id,
                record=None if found.kind is None or found.record_id is None else (found.kind, found.record_id),
                recipient=msgspec.json.encode(Recipient("unknown")).decode(),
                subject=f"came back: {came.reason}"[:400],
                body=came.text or came.reason,
                provider_id=None,
                segments=None,
            )
            done.message_id = await conversations.receive(tx, one)
            await conversations.attach(tx, arrival, done.message_id)
            await conversations.mark(tx, studio, done.message_id, "bounce", f"{UNREAD}: m-{found.message_id}")
        return done

    done = await db.retried(pool, work)
    message = f"m-{done.message_id}" if done.message_id is not None else None
    log.warning("bounce.unread", studio=done.studio, message=message, reason=came.reason)
    return done


async def complained(pool: db.Pool, account: str, came: Complaint, raw: str, now: datetime) -> Came:
    """End marketing to whoever called a mail of ours spam. Raises one of `db.AWAY`."""

    async def work(tx: db.Connection) -> tuple[Came, Followed | None]:
        known = await whose(tx, came.origin)
        found = known[0] if known is not None else None
        if found is not None and found.erased:
            return Came("complaint", found.studio, found.message_id, came.kind, new=False), None
        arrival = Arrival(found.studio if found else "", account, came.known_by, "", "", raw[:KEPT])
        new = await conversations.arrive(tx, arrival)
        done = Came("complaint", found.studio if found else None, found.message_id if found else None, came.kind, new)
        if not new or found is None:
            return done, None
        address = (found.studio, found.channel, found.address)
        await consents.lock(tx, address)
        if not (await consents.standings(tx, [address])).get(address, OPEN).no_marketing:
            said = Saying(*address, Said.STOP, "complaint", f"{came.kind}: m-{found.message_id}", Purpose.MARKETING)
            done.effects.append(await consenting.say(tx, said, now, client_id=found.client_id))
        await own_records.note_events(tx, [(found.studio, found.message_id, "complained")], now)
        return done, found

    done, found = await db.retried(pool, work)
    for effect in done.effects:
        consenting.tell(effect)
    if found is None and done.new:
        log.warning("bounce.unread", reason=f"a complaint ({came.kind}) that names no mail of ours")
    elif found is not None:
        log.warning("complaint.taken", studio=found.studio, message=f"m-{found.message_id}", reason=came.kind)
    return done


def _tell(done: Came, found: Followed, *, alarming: bool) -> None:
    for effect in done.effects:
        consenting.tell(effect)
    tell = log.error if alarming else log.info
    tell(
        "bounce.alarming" if alarming else "bounce.taken",
        studio=found.studio,
        message=f"m-{found.message_id}",
        address=mask_email(found.address),
        account=found.account,
        reason=done.reason,
    )
