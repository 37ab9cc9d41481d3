"""SPINE 2. Actions that are due become messages for the workers and commands for the CRM.

One transaction: the due actions are locked, decided once more on what is committed now, and whatever each decision
says is written: messages and commands, a later time, a person's review, or an end with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import structlog

from control_center import crash_points
from control_center.domain.action import State
from control_center.domain.fence import MAY_HAVE_GONE
from control_center.domain.ladder import upcoming
from control_center.domain.planner import Expire, Lapse, Send, decide
from control_center.domain.recipients import Routing
from control_center.domain.record import Picture
from control_center.domain.recurrence import tells
from control_center.domain.template import Unrenderable
from control_center.engine import blast, recurring, shadow
from control_center.engine.addressing import Sending, message, routes
from control_center.engine.commands import Job, beside, of_errand
from control_center.engine.released import Released, end, note, tell, write
from control_center.engine.senders import stick
from control_center.store import actions, db, fences, ladders, records, scores, studios
from control_center.store.actions import Due
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebooks

log = structlog.get_logger(__name__)

BATCH = 500
FEW = 50  # of those that are released one by one, after a fault of ours


class Release:
    """Releases what is due, for every studio of one database. Any number of these may run at once."""

    def __init__(self, pool: db.Pool, clock: Callable[[], datetime], rulebooks: Rulebooks | None = None) -> None:
        self._pool = pool
        self._clock = clock
        self._rulebooks = rulebooks or Rulebooks()

    async def run_once(self) -> bool:
        """Release one batch of what is due; whether there may be more. Raises one of `db.PASSES`."""

        async def work(tx: db.Connection) -> Released:
            return await self.apply(tx, await self._claim(tx, BATCH), by=None)

        try:
            done = await db.retried(self._pool, work)
        except db.PASSES:
            raise
        except Exception:
            log.exception("release.fault")
            return await self._one_by_one()
        if done.released:
            crash_points.reach("after_release_commit")
        tell(done)
        return done.due == BATCH

    async def _claim(self, tx: db.Connection, limit: int) -> list[Due]:
        off = await studios.switched_off(tx)
        return await actions.claim_due(tx, self._clock(), without=off, limit=limit)

    async def _one_by_one(self) -> bool:
        """Release some of what is due, each by itself: one that we fail on is held for a person, and stops no other."""

        async def work(tx: db.Connection) -> list[Released]:
            return [await self._alone(tx, one) for one in await self._claim(tx, FEW)]

        every = await db.retried(self._pool, work)
        for done in every:
            tell(done)
        return len(every) == FEW

    async def _alone(self, tx: db.Connection, one: Due) -> Released:
        try:
            async with tx.transaction():
                return await self.apply(tx, [one], by=None)
        except db.PASSES:
            raise
        except Exception as error:
            log.exception("action.fault", studio=one.studio, action=f"a-{one.action.action_id}")
            done = Released(due=1)
            reason = f"our own fault: {type(error).__name__}; the log says more"
            end(done, one, one.action.turned(State.HELD, reason), None)
            await write(tx, done, now=self._clock(), by=None)
            return done

    async def catch_up(self) -> None:
        """Release all that is due, two batches side by side: while one waits for the database the other is decided.

        Raises one of `db.AWAY`, once both have come to an end.
        """

        async def keep_on() -> None:
            while await self.run_once():
                pass

        for failed in await asyncio.gather(keep_on(), keep_on(), return_exceptions=True):
            if failed is not None:
                raise failed

    async def next_due(self) -> datetime | None:
        """When there is something to release next."""
        async with db.session(self._pool) as connection:
            return await actions.next_due(connection, without=await studios.switched_off(connection))

    async def apply(self, tx: db.Connection, due: Sequence[Due], *, by: str | None) -> Released:
        """Decide and write what becomes of these locked actions. `by` is the person who processes them, if one does."""
        done = Released(due=len(due))
        if not due:
            return done
        books = await self._rulebooks.of(tx, await studios.get(tx, {one.studio for one in due}))
        pictures = await pictures_of(tx, due)
        wanted = [(one.action.trigger_id, one.action.trigger_version, pictures.get(one.key)) for one in due]
        sessions = await scores.sessions(tx, wanted, books)
        now = self._clock()
        sending: list[Sending] = []
        for one in due:
            book = books[one.studio]
            rule = book.rules.of(one.action.trigger_id, one.action.trigger_version)
            if rule is not None:
                done.triggers[one.studio, rule.trigger.trigger_id] = rule.trigger.name
            picture = pictures.get(one.key)
            decision = decide(
                rule, picture, one.action.occurrence, now, by_hand=by is not None, session=sessions.get(one.key)
            )
            if isinstance(decision, Send) and rule is not None and picture is not None:
                key = client_key(picture)
                client = pictures.get(key) if key is not None else None
                sending.append(Sending(one, book, rule, picture, client))
            else:
                note(done, one, decision, rule, by=by)
        await _address(tx, sending, done, now, by=by)
        await write(tx, done, now=now, by=by)
        await recurring.plan_next(tx, [(one.key, one.action.occurrence) for one in due], now, books=books)
        return done


def client_key(picture: Picture) -> Key | None:
    """Whose record it is: a client is its own; a record without one is nobody's."""
    client = picture.record_id if picture.kind == "client" else picture.client_id
    return None if client is None else (picture.studio, "client", client)


async def pictures_of(tx: db.Connection, due: Sequence[Due]) -> dict[Key, Picture]:
    """The records of these actions and their clients."""
    found = await records.get(tx, {one.key for one in due})
    clients = {key for picture in found.values() if (key := client_key(picture)) is not None} - found.keys()
    return {**found, **(await records.get(tx, clients) if clients else {})}


async def _address(
    tx: db.Connection, sending: Sequence[Sending], done: Released, now: datetime, *, by: str | None
) -> None:
    """Turn actions that may go into messages and commands; one without any address ends with the reason.

    What goes by itself keeps to its trigger's ceiling: the surplus is held.
    """
    routed: Sequence[Routed] = await routes(tx, sending)
    guarded = blast.Guarded()
    if by is None:
        routed, doubtful = await _forgotten(tx, routed)
        for one in doubtful:
            end(done, one.due, one.due.action.turned(State.HELD, MAY_HAVE_GONE), one.rule)
        real = ((one, routing) for one, routing in routed if not one.rule.trigger.shadow)
        going = ((one.book.studio, one.rule.trigger, one.due) for one, routing in real if not routing.empty)
        guarded = await blast.guard(tx, going, now)
        done.shut += guarded.shut
        done.opened += guarded.opened
    begin = len(done.made)
    for one, routing in routed:
        if routing.empty:
            over = Lapse(routing.excluded) if routing.excluded else Expire(routing.reason or "no route")
            note(done, one.due, over, one.rule, by=None)
            continue
        held = guarded.held.get(one.due.action.action_id)
        if held is not None:
            end(done, one.due, one.due.action.turned(State.HELD, held), one.rule)
            continue
        _let_go(done, one, routing, now)
    done.made[begin:] = await stick(tx, done.made[begin:], [one.book.studio for one, _ in routed])


Routed: TypeAlias = tuple[Sending, Routing]


async def _forgotten(tx: db.Connection, routed: Sequence[Routed]) -> tuple[Sequence[Routed], list[Sending]]:
    """What may go, and what may have gone already: activated before the database forgot, and planned since, or anew."""
    gap = await fences.gap(tx)
    before = [
        (one.due.studio, one.due.action.action_id)
        for one, _ in routed
        if gap is not None and one.due.action.activation_at <= gap and one.due.let_go_by is None
    ]
    if gap is None or not before:
        return routed, []
    since = await fences.known_since(tx, before, gap)
    return (
        [one for one in routed if one[0].due.action.action_id not in since],
        [one for one, _ in routed if one.due.action.action_id in since],
    )


def _let_go(done: Released, one: Sending, routing: Routing, now: datetime) -> None:
    """Write its messages and commands. A letter whose words cannot be written is left out, with the reason."""
    if one.rule.trigger.shadow:
        done.released.append((one.due, shadow.reason(one, routing, now)))
        done.recorded.extend(shadow.messages(one, routing, now))
        return
    moved = tells(one.due.action.occurrence)
    job = Job(one.rule.trigger, one.picture, one.client, one.book, one.cause, now, moved)
    asked = []
    for errand in routing.errands:
        try:
            asked.append((errand, of_errand(errand, job)))
        except Unrenderable as error:
            routing.reasons.append(error.reason)
    if not asked and not routing.letterboxes:
        note(done, one.due, Expire(routing.reason), one.rule, by=None)
        return
    done.released.append((one.due, routing.reason))
    done.made.extend(message(one, box) for box in routing.letterboxes)
    first = upcoming(one.rule, one.picture.record, now) if routing.letterboxes else None
    if first is not None:
        done.climbing.append(ladders.Place(one.due.studio, one.due.action.action_id, *first))
    done.asked.extend(made for _, made in asked)
    done.asked.extend(beside(job, [errand for errand, _ in asked]))
