"""A client asks to be forgotten: what says who they are or what was said goes, and what keeps a promise stays.

One transaction: what waits is cancelled and told of, every table is emptied of them, and the trail says who asked for
it, and how many rows that were. Where anything of theirs is in somebody's hands at that moment, nothing is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from control_center.domain.action import PENDING, Change, State
from control_center.domain.errors import Conflict, Malformed, NotFound, Refused
from control_center.domain.message import State as MessageState
from control_center.domain.record import Picture, Record
from control_center.engine import blast, reports
from control_center.engine.reports import Step
from control_center.store import actions, audit, db, erasures, records, studios
from control_center.store.erasures import Piece, Whose
from control_center.store.records import Key

log = structlog.get_logger(__name__)

REASON = "erased"
_LONG_ENOUGH = 7  # characters of a number as the CRM spelled it, so that it is found in a text by nobody else's


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows were emptied, by kind, and what was cancelled."""

    client: str
    counts: dict[str, int]
    cancelled_actions: int
    cancelled_messages: int
    opened: list[blast.Opened] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(self.counts.values()) + self.cancelled_actions


class _Previewed(Exception):  # noqa: N818 - carries what was counted out of a transaction that is not to be
    def __init__(self, found: Erased) -> None:
        super().__init__("nothing is written")
        self.found = found


async def preview(pool: db.Pool, studio: str, client_id: str, *, by: str) -> Erased:
    """What `erase` would do, counted by doing it and taking it back. Raises as `erase`."""

    async def work(tx: db.Connection) -> Erased:
        raise _Previewed(await _erase(tx, studio, client_id, by=by))

    try:
        return await db.retried(pool, work)
    except _Previewed as done:
        return done.found


async def erase(pool: db.Pool, studio: str, client_id: str, *, reason: str, by: str) -> Erased:
    """Empty a studio of a client and their family, as `by` decided for a reason. Nothing of it can be taken back.

    Raises NotFound for an id that names nobody, Malformed without a reason, and Refused while anything of theirs is
    being sent or read: then it is to be asked for again.
    """
    if not reason.strip():
        raise Malformed("reason", "is empty; say why, such as the date of the letter, and name nobody")

    async def work(tx: db.Connection) -> Erased:
        done = await _erase(tx, studio, client_id, by=by)
        if done.rows:
            cancelled = {"actions": done.cancelled_actions, "messages": done.cancelled_messages}
            before, after = {"rows": done.counts}, {"reason": reason.strip(), "cancelled": cancelled}
            await audit.write(tx, by, audit.Entry(studio, "erase", f"client/{client_id}", before, after))
        return done

    done = await db.retried(pool, work)
    log.info("client.erased", studio=studio, record=f"client/{client_id}", by=str(by), rows=done.rows)
    blast.tell_opened(done.opened)
    return done


async def _erase(tx: db.Connection, studio: str, client_id: str, *, by: str) -> Erased:
    """Records first, as intake has it; then actions, so that what was let go in the same instant has its messages."""
    await studios.share(tx, [studio])
    keys = await erasures.records_of(tx, studio, client_id)
    pictures = await records.lock(tx, keys)
    ended, opened = await _drop(tx, studio, keys, by=by)
    await erasures.lock_lists(tx, studio, client_id)
    addresses = await erasures.addresses_of(tx, studio, client_id)
    pieces = await erasures.messages_of(tx, studio, client_id, addresses, keys)
    if not keys and not pieces:
        raise NotFound(f"there is no client {client_id!r} in studio {studio!r}")
    carriers = {one.rides_with for one in pieces if one.rides_with is not None} - {one.message_id for one in pieces}
    await _refuse_busy(tx, studio, pieces, sorted(carriers), addresses)
    # A text that came in may be a record of its own, also where nobody knew whose it was.
    texts = sorted({(studio, "sms", f"m-{one.message_id}") for one in pieces}.difference(keys))
    more, guards = await _drop(tx, studio, texts, by=by)
    keys = [*keys, *texts]
    client = pictures.get((studio, "client", client_id))
    whose = Whose(
        studio,
        client_id,
        keys,
        _subjects(client_id, keys, pieces, addresses),
        sorted({f"{kind}/{record_id}" for _, kind, record_id in keys} | {one.subject for one in pieces if one.subject}),
        [one.message_id for one in pieces],
        sorted(carriers),
        addresses,
        _values(client_id, addresses, client),
    )
    counts = await erasures.empty(tx, whose)
    waited = [one.message_id for one in pieces if one.state in ("queued", "held")]
    await reports.tell(tx, [Step(studio, number, MessageState.CANCELLED) for number in waited])
    return Erased(client_id, counts, ended + more, len(waited), opened + guards)


async def _refuse_busy(
    tx: db.Connection, studio: str, pieces: Sequence[Piece], carriers: Sequence[int], addresses: Sequence[str]
) -> None:
    """Nothing is taken out of the hands of whoever is about to write down what became of it."""
    busy = [one.message_id for one in pieces if one.state in ("claimed", "submitting")]
    riding = [one.message_id for one in pieces if one.state == "held" and one.rides_with is not None]
    busy += riding + await erasures.busy_carriers(tx, studio, carriers)
    if busy:
        named = ", ".join(f"m-{one}" for one in sorted(busy)[:3])
        raise Refused(f"nothing was erased: {named} is being sent at this moment; come again in a minute")
    if await erasures.is_unread(tx, addresses):
        raise Refused("nothing was erased: something from this client is being read; come again in a minute")


async def _drop(tx: db.Connection, studio: str, keys: Sequence[Key], *, by: str) -> tuple[int, list[blast.Opened]]:
    """End what waits of these records; how many that were, and the guards that hold nothing more."""
    known = await actions.of_records(tx, keys)
    waiting = sorted(one.action_id for all_of_it in known.values() for one in all_of_it if one.state in PENDING)
    due = [one for one in await actions.pick(tx, studio, waiting) if one.action.state in PENDING]
    changes = [(studio, Change(one.action, one.action.turned(State.DELETED, REASON))) for one in due]
    if len(await actions.change(tx, changes)) != len(changes):
        raise Conflict("what waited was released at the same moment")
    return len(due), [(studio, trigger, by) for trigger in await blast.decided(tx, studio, due)]


def _subjects(client_id: str, keys: Iterable[Key], pieces: Iterable[Piece], addresses: Iterable[str]) -> list[str]:
    """What commands about them are about."""
    found = {f"client/{client_id}", *(f"{kind}/{record_id}" for _, kind, record_id in keys)}
    found |= {f"message/m-{one.message_id}" for one in pieces}
    return sorted(found | {f"{'email' if '@' in one else 'sms'}/{one}" for one in addresses})


def _values(client_id: str, addresses: Sequence[str], client: Picture | None) -> list[str]:
    """What only a text about them has in it: their id as a client's, numbers, addresses. An id alone is anybody's."""
    before = '"client_id":"', '"client":"', '"client":{"id":"', "client/"
    found = {f'{one}{client_id}"'.lower() for one in before}
    found |= {one.removeprefix("+") for one in addresses}
    spelled = _spelled(client.record) if client is not None else ()
    return sorted(found | {one.strip().lower() for one in spelled if len(one.strip()) >= _LONG_ENOUGH})


def _spelled(client: Record) -> Iterable[str]:
    """Their numbers and addresses as the CRM wrote them."""
    family = client.family or ()
    yield from (one.number for phones in (client.phones, *(one.phones for one in family)) for one in phones or ())
    yield from (one.address for emails in (client.emails, *(one.emails for one in family)) for one in emails or ())
