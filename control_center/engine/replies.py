"""SPINE 4. What comes back: receipts are stored, find their message, and are folded into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from control_center.domain.consent import OPEN, Said
from control_center.domain.inbound import LONGEST_NAME, readable
from control_center.domain.message import State, fold, key_of, message_of
from control_center.domain.outcome import Fate, Receipt
from control_center.engine import consenting, own_records, reports, text_plans, undeliverable
from control_center.engine.consenting import Effect
from control_center.engine.reports import Step
from control_center.engine.undeliverable import Found
from control_center.store import breakers, clock, consents, db, dead_numbers, followed, heard, receipts
from control_center.store.consents import Saying
from control_center.store.dead_numbers import Number
from control_center.store.heard import Refusal
from control_center.store.receipts import Came, Folded, Named

log = structlog.get_logger(__name__)

_LARGEST = 2**63  # a number that is no message's and that PostgreSQL would refuse

_SENT = frozenset({State.ACCEPTED, State.DELIVERED, State.UNDELIVERED})
_OPEN = frozenset({State.SUBMITTING, State.UNKNOWN})


async def take_receipts(pool: db.Pool, account: str, came: Sequence[tuple[str, Receipt, str]]) -> int:
    """Store receipts of one provider account and fold them into their messages; returns how many were new.

    Each is (what a repeat of it is known by, the receipt, the body as it came). Order and repetition do not matter,
    and one that names a message nobody knows is kept until somebody does. Raises one of `db.AWAY`.
    """
    incoming = [Came(readable(key)[:LONGEST_NAME], receipt.readable, readable(body)) for key, receipt, body in came]

    async def work(tx: db.Connection) -> _Taken:
        return await _take(tx, account, incoming)

    taken = await db.retried(pool, work)
    _tell(taken)
    return taken.new


async def adopt(pool: db.Pool, *, limit: int) -> int:
    """Fold receipts that came before we knew the provider's id of their message; returns how many those were."""

    async def work(tx: db.Connection) -> list[_Taken]:
        found = await receipts.take_out(tx, limit=limit)
        return [await _take(tx, account, came) for account, came in found.items()]

    rounds = await db.retried(pool, work)
    for taken in rounds:
        _tell(taken)
    return sum(taken.taken for taken in rounds)


@dataclass(frozen=True, slots=True)
class _Match:
    """A receipt with the message and the attempt that it names."""

    came: Came
    named: Named
    number: int

    @property
    def is_earlier(self) -> bool:
        """Of an attempt that was held to be not taken, so that another one was made."""
        return self.number < self.named.asked

    @property
    def is_outdone(self) -> bool:
        """… and that other one may arrive, or has: what became of this one is not the end of the message."""
        return self.is_earlier and self.named.state in _SENT | _OPEN


@dataclass(frozen=True, slots=True)
class _Taken:
    taken: int
    new: int
    matches: Sequence[_Match]
    folded: Sequence[Folded]
    stops: Sequence[Effect] = ()
    dead: Sequence[Found] = ()
    alive: Sequence[Number] = ()


async def _take(tx: db.Connection, account: str, came: Sequence[Came]) -> _Taken:
    once = {one.dedupe_key: one for one in came}
    matches = {one.came.dedupe_key: one for one in await _matches(tx, account, list(once.values()))}
    paired = [(matches[key].came, matches[key].named) if key in matches else (one, None) for key, one in once.items()]
    new = await receipts.add(tx, account, paired)
    fresh = [one for key, one in matches.items() if key in new]
    folded = _folded(fresh)
    stops: Sequence[Effect] = ()
    dead: Sequence[Found] = ()
    alive: Sequence[Number] = ()
    if fresh:
        await receipts.prove(tx, _proofs(fresh))
        await receipts.fold(tx, folded)
        await _count(tx, folded)
        await reports.tell(tx, _steps(folded))
        stops = await _stop(tx, [one for one in fresh if one.came.receipt.opted_out])
        alive = await dead_numbers.lift(tx, _arrived(fresh), _ARRIVED)
        if blaming := {one.named.message_id: _said(one.came.receipt) for one in fresh if one.came.receipt.dead}:
            dead = await undeliverable.reported(tx, sorted(blaming.items()), await clock.read(tx))
        blamed = [one.came.receipt for one in fresh if one.came.receipt.blocked]
        if blamed:
            await breakers.failed(tx, account, blamed[-1].reason or "", times=len(blamed))
        moved = [one for one in folded if one.named.channel == "email" and one.state is not one.named.state]
        if moved:
            reached = [(one.named.studio, one.named.message_id, one.state) for one in moved]
            await own_records.note_emails(tx, reached, await clock.read(tx))
    return _Taken(len(once), len(new), fresh, folded, stops, dead, alive)


_ARRIVED: Final = "a text arrived there"


def _arrived(matches: Sequence[_Match]) -> set[Number]:
    """The numbers that a text has reached, as their carriers say."""
    texts = [one for one in matches if one.named.channel == "sms" and one.came.receipt.fate is Fate.DELIVERED]
    return {(one.named.studio, one.named.address) for one in texts}


async def _matches(tx: db.Connection, account: str, came: Sequence[Came]) -> list[_Match]:
    """Find and lock the messages of these receipts: by our reference where the provider echoes it, else by its id."""
    references = [message_of(one.receipt.reference or "") for one in came]
    numbers = {reference[0] for reference in references if reference and reference[0] < _LARGEST}
    ids = {one.receipt.provider_id for one in came if one.receipt.provider_id}
    found = await receipts.find(tx, account, sorted(numbers), sorted(ids))
    by_number = {one.message_id: one for one in found}
    by_id = {one.provider_id: one for one in found if one.provider_id and one.account == account}
    matches = []
    for one, reference in zip(came, references, strict=True):
        named = by_number.get(reference[0]) if reference else None
        if named and reference and (1 <= reference[1] <= named.asked or _was_forgotten(named)):
            matches.append(_Match(one, named, reference[1]))
        elif one.receipt.provider_id and (named := by_id.get(one.receipt.provider_id)):
            matches.append(_Match(one, named, named.asked))
    return [replace(one, came=_bare(one.came)) if one.named.erased else one for one in matches]


def _bare(came: Came) -> Came:
    """The fact alone, of a message whose client was erased: nobody knows its address any more."""
    receipt = replace(came.receipt, reason=None, opted_out=False, dead=False, numbers=())
    return replace(came, receipt=receipt, body="")


def _was_forgotten(named: Named) -> bool:
    """It may have gone out by an attempt that the database has forgotten: whoever names that one proves that it did."""
    return named.forgotten is not None


def _folded(matches: Sequence[_Match]) -> list[Folded]:
    """What the receipts of each message make of it, all of them together."""
    folded: dict[int, Folded] = {}
    for match in matches:
        named, receipt = match.named, match.came.receipt
        known = folded.get(named.message_id) or Folded(named, named.state, named.reason, None)
        reached = fold(known.state, receipt.fate)
        if reached is not None and not (match.is_outdone and reached is State.UNDELIVERED):
            known = replace(known, state=reached, reason=_reason(named, reached, receipt))
        if named.provider_id is None and receipt.provider_id and match.number == named.asked:
            known = replace(known, provider_id=receipt.provider_id)
        if known.state is not named.state or known.provider_id:
            folded[named.message_id] = known
    return list(folded.values())


def _reason(named: Named, reached: State, receipt: Receipt) -> str:
    said = _said(receipt) if reached is State.UNDELIVERED else ""
    if named.state in _SENT | _OPEN:
        return said
    return f"{said or 'a receipt came'}, although {named.state.value}: {named.reason}"


def _said(receipt: Receipt) -> str:
    """The provider's code and words; its code once, where the words have it."""
    code, words = receipt.code or "", receipt.reason or ""
    return words if code in words.split() or f"{code}:" in words.split() else f"{code} {words}".strip()


def _proofs(matches: Sequence[_Match]) -> list[tuple[Named, int, Receipt]]:
    """One proof for each attempt: the last receipt, with the provider's id where any of them has it."""
    proofs: dict[tuple[int, int], tuple[Named, int, Receipt]] = {}
    for match in matches:
        key, receipt = (match.named.message_id, match.number), match.came.receipt
        before = proofs.get(key)
        known = receipt.provider_id or (before[2].provider_id if before else None)
        proofs[key] = (match.named, match.number, replace(receipt, provider_id=known))
    return list(proofs.values())


async def _count(tx: db.Connection, folded: Sequence[Folded]) -> None:
    """A text that a receipt proves to have been taken counts, unless its worker had heard so before."""
    proven = [one.named for one in folded if one.named.state not in _SENT and one.state in _SENT]
    texts = [(named.studio, named.message_id) for named in proven if named.channel == "sms"]
    if texts:
        await text_plans.count(tx, texts)


def _steps(folded: Iterable[Folded]) -> list[Step]:
    """What the CRM is to hear. A receipt that comes before the worker's own word also says that it was sent."""
    steps = []
    for one in folded:
        studio, message_id = one.named.studio, one.named.message_id
        if one.state is one.named.state:
            continue
        if one.named.state not in _SENT:
            steps.append(Step(studio, message_id, State.ACCEPTED))
        if one.state is not State.ACCEPTED:
            steps.append(Step(studio, message_id, one.state))
    return steps


async def _stop(tx: db.Connection, matches: Sequence[_Match]) -> list[Effect]:
    """The provider knows of a STOP: so do we from now on."""
    said = {(one.named.studio, one.named.channel, one.named.address): one.came.receipt for one in matches}
    known = await consents.standings(tx, said)
    now = await clock.read(tx) if said else None
    effects = []
    for key, receipt in sorted(said.items()):
        if now is not None and not known.get(key, OPEN).stopped:
            evidence = f"receipt {receipt.reference or receipt.provider_id}: {receipt.code} {receipt.reason or ''}"
            effects.append(await consenting.say(tx, Saying(*key, Said.STOP, "provider", evidence.strip()), now))
    return effects


async def refused(pool: db.Pool, account: str, known_by: str, came: Refusal, now: datetime) -> None:
    """Do what follows for other messages from a STOP that a provider told a worker of. Raises one of `db.AWAY`."""

    async def work(tx: db.Connection) -> Effect | None:
        attempt = message_of(came.key)
        known = await followed.of_numbers(tx, [attempt[0]] if attempt else [])
        if not await heard.take(tx, account, [known_by]) or attempt is None or attempt[0] not in known:
            return None
        found = known[attempt[0]]
        said = Saying(found.studio, found.channel, found.address, Said.STOP, "provider", came.reason)
        return await consenting.follow(tx, said, now, client_id=found.client_id)

    effect = await db.retried(pool, work)
    if effect is not None:
        consenting.tell(effect)


_EVENTS: Mapping[State, str] = {state: f"message.{state.value}" for state in State}


def _tell(taken: _Taken) -> None:
    """Log what committed receipts did, and loudly where they prove us wrong."""
    for effect in taken.stops:
        consenting.tell(effect)
    for found in taken.dead:
        undeliverable.tell(found)
    undeliverable.tell_lifted(taken.alive, _ARRIVED)
    keys = {match.named.message_id: key_of(match.named.message_id, match.number) for match in taken.matches}
    changed = {one.named.message_id for one in taken.folded if one.state is not one.named.state}
    for one in taken.folded:
        named = one.named
        if named.message_id in changed:
            log.info(
                _EVENTS[one.state],
                studio=named.studio,
                message=f"m-{named.message_id}",
                attempt=keys[named.message_id],
                reason=one.reason or None,
            )
    for match in taken.matches:
        named = match.named
        if match.is_earlier or named.state not in _SENT | _OPEN:
            log.error(
                "receipt.contradicts",
                studio=named.studio,
                message=f"m-{named.message_id}",
                attempt=key_of(named.message_id, match.number),
                reason=f"the provider says {match.came.receipt.fate.value}, we had {named.state.value}: {named.reason}",
            )
    unmatched = taken.new - len(taken.matches)
    if unmatched:
        log.warning("receipt.unmatched", receipts=unmatched)
