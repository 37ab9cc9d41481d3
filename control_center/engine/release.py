"""SPINE 2. Actions that are due become messages for the workers and commands for the CRM.

One transaction: the due actions are locked, decided once more on what is committed now, and whatever each decision
says is written: messages and commands, a later time, a person's review, or an end with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

import structlog

from control_center import crash_points
from control_center.domain.action import Change, Plan, State
from control_center.domain.blast import HELD
from control_center.domain.command import Cause, Command, command
from control_center.domain.fence import MAY_HAVE_GONE
from control_center.domain.ladder import upcoming
from control_center.domain.planner import Decision, Expire, Lapse, Review, Send, Wait, decide
from control_center.domain.recipients import Routing
from control_center.domain.record import Picture
from control_center.domain.recurrence import tells
from control_center.domain.rules import Rule
from control_center.domain.template import Unrenderable
from control_center.engine import blast, recurring, shadow
from control_center.engine.addressing import Sending, message, routes
from control_center.engine.commands import Job, beside, of_errand
from control_center.engine.senders import stick
from control_center.store import actions, commands, db, fences, ladders, messages, records, scores, shadows, studios
from control_center.store.actions import Due
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebooks

log = structlog.get_logger(__name__)

BATCH = 500
FEW = 50  # of those that are released one by one, after a fault of ours


@dataclass(slots=True)
class Released:
    """What one round did, by the state each action has now."""

    due: int = 0
    released: list[tuple[Due, str]] = field(default_factory=list)
    made: list[messages.New] = field(default_factory=list)
    recorded: list[shadows.New] = field(default_factory=list)  # what triggers in shadow mode would have sent
    asked: list[Command] = field(default_factory=list)
    climbing: list[ladders.Place] = field(default_factory=list)  # what is looked at again before its date
    changes: list[tuple[str, Change]] = field(default_factory=list)
    triggers: dict[tuple[str, int], str] = field(default_factory=dict)  # the names of those that exist
    shut: list[tuple[str, str, str]] = field(default_factory=list)  # blast guards: studio, trigger's name, reason
    opened: list[blast.Opened] = field(default_factory=list)


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
            _end(done, one, one.action.turned(State.HELD, reason), None)
            await _write(tx, done, now=self._clock(), by=None)
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
                _note(done, one, decision, rule, by=by)
        await _address(tx, sending, done, now, by=by)
        await _write(tx, done, now=now, by=by)
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


def _note(done: Released, one: Due, decision: Decision, rule: Rule | None, *, by: str | None) -> None:
    """Write down a decision that sends nothing now. What a person may not process yet stays where it is."""
    action = one.action
    plan = action.turned(action.state, action.reason)
    match decision:
        case Wait(reason=reason) if by is not None:
            # What its guard holds it still holds: by the beginning of the reason it is known.
            held = f"{HELD} {by} processed it, and it still waits: {reason}"
            plan = replace(plan, reason=held if blast.held(one) else reason)
        case Wait(until=until, reason=reason):
            plan = replace(plan, state=State.PLANNED, due_at=until, reason=reason)
        case Review(reason=reason):
            plan = replace(plan, state=State.REVIEW, reason=reason)
        case Lapse(reason=reason):
            plan = replace(plan, state=State.LAPSED, reason=reason)
        case Expire(reason=reason):
            plan = replace(plan, state=State.EXPIRED, reason=reason)
        case Send():
            raise AssertionError("what may be sent is addressed, not noted")
    _end(done, one, plan, rule)


def _end(done: Released, one: Due, plan: Plan, rule: Rule | None) -> None:
    done.changes.append((one.studio, Change(one.action, plan)))
    if plan.state in (State.LAPSED, State.EXPIRED, State.HELD) and plan.state is not one.action.state:
        done.asked.append(_report(one, plan, rule))


def _report(one: Due, plan: Plan, rule: Rule | None) -> Command:
    """The report that an action ended without a send, or that it needs a person."""
    action = f"a-{one.action.action_id}"
    cause = Cause(rule.trigger.name if rule else None, plan.trigger_version, action, one.event_id)
    data = {"action": action, "state": plan.state.value, "reason": plan.reason}
    # An action may lapse, return and lapse again: each time is a report of its own.
    of = f"{action} {plan.state.value} {plan.due_at.isoformat()} {plan.reason}"
    verb = "action.held" if plan.state is State.HELD else "action.lapsed"
    return command(one.studio, f"{one.kind}/{one.record_id}", verb, data, cause=cause, of=of)


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
            _end(done, one.due, one.due.action.turned(State.HELD, MAY_HAVE_GONE), one.rule)
        real = ((one, routing) for one, routing in routed if not one.rule.trigger.shadow)
        going = ((one.book.studio, one.rule.trigger, one.due) for one, routing in real if not routing.empty)
        guarded = await blast.guard(tx, going, now)
        done.shut += guarded.shut
        done.opened += guarded.opened
    begin = len(done.made)
    for one, routing in routed:
        if routing.empty:
            end = Lapse(routing.excluded) if routing.excluded else Expire(routing.reason or "no route")
            _note(done, one.due, end, one.rule, by=None)
            continue
        held = guarded.held.get(one.due.action.action_id)
        if held is not None:
            _end(done, one.due, one.due.action.turned(State.HELD, held), one.rule)
            continue
        _let_go(done, one, routing, now)
    done.made[begin:] = await stick(tx, done.made[begin:], [one.book.studio for one, _ in routed])


Routed: TypeAlias = tuple[Sending, Routing]


async def _forgotten(tx: db.Connection, routed: Sequence[Routed]) -> tuple[Sequence[Routed], list[Sending]]:
    """What may go, and what may have gone already: activated before the database forgot, and planned only since."""
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
        _note(done, one.due, Expire(routing.reason), one.rule, by=None)
        return
    done.released.append((one.due, routing.reason))
    done.made.extend(message(one, box) for box in routing.letterboxes)
    first = upcoming(one.rule, one.picture.record, now) if routing.letterboxes else None
    if first is not None:
        done.climbing.append(ladders.Place(one.due.studio, one.due.action.action_id, *first))
    done.asked.extend(made for _, made in asked)
    done.asked.extend(beside(job, [errand for errand, _ in asked]))


async def _write(tx: db.Connection, done: Released, *, now: datetime, by: str | None) -> None:
    if done.changes:
        await actions.change(tx, done.changes)
    if done.released:
        await actions.release(tx, done.released, now=now, by=by)
    if done.made:
        await messages.add(tx, done.made)
        await db.notify(tx, messages.WORK_CHANNEL)
    if done.climbing:
        await ladders.add(tx, done.climbing)
    if done.recorded:
        await shadows.add(tx, done.recorded)
    if done.asked:
        await commands.enqueue(tx, done.asked)


_EVENTS = {state: f"action.{state.value}" for state in State}


def tell(done: Released) -> None:
    """Log what a committed round did."""
    for studio, trigger, reason in done.shut:
        log.warning("guard.shut", studio=studio, trigger=trigger, reason=reason)
    blast.tell_opened(done.opened)
    for due, reason in done.released:
        log.info(
            "action.released",
            studio=due.studio,
            trigger=done.triggers.get((due.studio, due.action.trigger_id)),
            action=f"a-{due.action.action_id}",
            record=f"{due.kind}/{due.record_id}",
            event_id=due.event_id,
            reason=reason or None,
        )
    for studio, change in done.changes:
        log.info(
            _EVENTS[change.plan.state],
            studio=studio,
            trigger=done.triggers.get((studio, change.plan.trigger_id)),
            action=f"a-{change.action.action_id}",
            reason=change.plan.reason,
            due_at=change.plan.due_at.isoformat() if change.plan.state is State.PLANNED else None,
        )
