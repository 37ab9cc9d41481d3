"""SPINE 2. Actions that are due become messages for the workers and commands for the CRM.

One transaction: the due actions are locked, decided once more on what is committed now, and whatever each decision
says is written: messages and commands, a later time, a person's review, or an end with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec
import structlog

from control_center.domain.action import Change, Plan, State
from control_center.domain.catalogue_actions import Leg
from control_center.domain.command import Cause, Command, command
from control_center.domain.planner import Decision, Expire, Lapse, Review, Send, Wait, decide
from control_center.domain.recipients import Routing, possible, route
from control_center.domain.record import Picture, Record
from control_center.domain.rules import Rule
from control_center.domain.trigger import Trigger
from control_center.engine.commands import of_leg
from control_center.store import actions, commands, consents, db, messages, records, studios
from control_center.store.actions import Due
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebook, Rulebooks

log = structlog.get_logger(__name__)

BATCH = 500


@dataclass(slots=True)
class Released:
    """What one round did, by the state each action has now."""

    due: int = 0
    released: list[tuple[Due, str]] = field(default_factory=list)
    made: list[messages.New] = field(default_factory=list)
    asked: list[Command] = field(default_factory=list)
    changes: list[tuple[str, Change]] = field(default_factory=list)
    triggers: dict[tuple[str, int], str] = field(default_factory=dict)  # the names of those that exist


class Release:
    """Releases what is due, for every studio of one database. Any number of these may run at once."""

    def __init__(self, pool: db.Pool, clock: Callable[[], datetime], rulebooks: Rulebooks | None = None) -> None:
        self._pool = pool
        self._clock = clock
        self._rulebooks = rulebooks or Rulebooks()

    async def run_once(self) -> bool:
        """Release one batch of what is due; whether there may be more. Raises one of `db.AWAY`."""

        async def work(tx: db.Connection) -> Released:
            off = await studios.switched_off(tx)
            due = await actions.claim_due(tx, self._clock(), without=off, limit=BATCH)
            return await self.apply(tx, due, by=None)

        done = await db.retried(self._pool, work)
        tell(done)
        return done.due == BATCH

    async def catch_up(self) -> None:
        """Release all that is due, two batches side by side: while one waits for the database the other is decided.

        Raises one of `db.AWAY`, once both have come to an end.
        """
        more: Sequence[bool | BaseException] = [True]
        while True in more:
            more = await asyncio.gather(self.run_once(), self.run_once(), return_exceptions=True)
            for one in more:
                if isinstance(one, BaseException):
                    raise one

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
        pictures = await _pictures(tx, due)
        now = self._clock()
        sending: list[_Sending] = []
        for one in due:
            book = books[one.studio]
            rule = book.rules.by_id.get(one.action.trigger_id)
            if rule is not None:
                done.triggers[one.studio, rule.trigger.trigger_id] = rule.trigger.name
            picture = pictures.get(one.key)
            decision = decide(rule, picture, one.action.occurrence, now, by_hand=by is not None)
            if isinstance(decision, Send) and rule is not None and picture is not None:
                key = _client_key(picture)
                client = pictures.get(key) if key is not None else None
                sending.append(_Sending(one, book, rule, picture, client))
            else:
                _note(done, one, decision, rule, by=by)
        await _address(tx, sending, done, now)
        await _write(tx, done, now=now, by=by)
        return done


@dataclass(frozen=True, slots=True)
class _Sending:
    """An action that may go now, with everything that addressing it needs."""

    due: Due
    book: Rulebook
    rule: Rule
    picture: Picture
    client: Picture | None

    @property
    def cause(self) -> Cause:
        trigger = self.rule.trigger
        return Cause(trigger.name, trigger.version, f"a-{self.due.action.action_id}", self.due.event_id)

    @property
    def addressed(self) -> tuple[Trigger, Record, Record | None, str]:
        """What decides to whom it goes."""
        client = self.client.record if self.client else None
        return self.rule.trigger, self.picture.record, client, self.book.studio.country


def _client_key(picture: Picture) -> Key | None:
    """Whose record it is: a client is its own; a record without one is nobody's."""
    client = picture.record_id if picture.kind == "client" else picture.client_id
    return None if client is None else (picture.studio, "client", client)


async def _pictures(tx: db.Connection, due: Sequence[Due]) -> dict[Key, Picture]:
    """The records of these actions and their clients."""
    found = await records.get(tx, {one.key for one in due})
    clients = {key for picture in found.values() if (key := _client_key(picture)) is not None} - found.keys()
    return {**found, **(await records.get(tx, clients) if clients else {})}


def _note(done: Released, one: Due, decision: Decision, rule: Rule | None, *, by: str | None) -> None:
    """Write down a decision that sends nothing now. What a person may not process yet stays where it is."""
    action = one.action
    plan = Plan(
        action.trigger_id,
        action.trigger_version,
        action.occurrence,
        action.state,
        action.activation_at,
        action.due_at,
        action.use_by,
        action.reason,
    )
    match decision:
        case Wait(reason=reason) if by is not None:
            plan = replace(plan, reason=reason)
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
    done.changes.append((one.studio, Change(action, plan)))
    if plan.state in (State.LAPSED, State.EXPIRED):
        done.asked.append(_lapsed(one, plan, rule))


def _lapsed(one: Due, plan: Plan, rule: Rule | None) -> Command:
    """The report that an action ended without a send."""
    action = f"a-{one.action.action_id}"
    cause = Cause(rule.trigger.name if rule else None, plan.trigger_version, action, one.event_id)
    data = {"action": action, "state": plan.state.value, "reason": plan.reason}
    # An action may lapse, return and lapse again: each time is a report of its own.
    of = f"{action} {plan.state.value} {plan.due_at.isoformat()} {plan.reason}"
    return command(one.studio, f"{one.kind}/{one.record_id}", "action.lapsed", data, cause=cause, of=of)


async def _address(tx: db.Connection, sending: Sequence[_Sending], done: Released, now: datetime) -> None:
    """Turn actions that may go into messages and commands; one without any address ends with the reason."""
    for one, routing in await _routed(tx, sending):
        if routing.empty:
            _note(done, one.due, Expire(routing.reason or "no route"), one.rule, by=None)
            continue
        done.released.append((one.due, routing.reason))
        done.made.extend(_messages(one, routing))
        for leg in routing.commands:
            asked_of_crm = of_leg(
                leg, one.rule.trigger, one.picture, one.client, book=one.book, cause=one.cause, now=now
            )
            done.asked.append(asked_of_crm)


async def _routed(tx: db.Connection, sending: Sequence[_Sending]) -> list[tuple[_Sending, Routing]]:
    """Where each goes. Few addresses ever say STOP: first as if none had, then anew for those where one has."""
    routes = [(one, _route(one, frozenset())) for one in sending]
    reached = {(one.due.studio, box.leg.value, box.address) for one, routing in routes for box in routing.letterboxes}
    stopped = await consents.stopped(tx, sorted(reached))
    if not stopped:
        return routes
    anew = [
        one
        for one, routing in routes
        if any((one.due.studio, box.leg.value, box.address) in stopped for box in routing.letterboxes)
    ]
    others = {(one.due.studio, channel, address) for one in anew for channel, address in possible(*one.addressed)}
    stopped |= await consents.stopped(tx, sorted(others - reached))
    changed = {one.due.action.action_id: _route(one, stopped) for one in anew}
    return [(one, changed.get(one.due.action.action_id, routing)) for one, routing in routes]


def _route(one: _Sending, stopped: AbstractSet[tuple[str, str, str]]) -> Routing:
    studio = one.due.studio
    return route(*one.addressed, lambda channel, address: (studio, channel, address) in stopped)


def _messages(one: _Sending, routing: Routing) -> list[messages.New]:
    studio, trigger, action = one.book.studio, one.rule.trigger, one.due.action
    return [
        messages.New(
            studio=studio.studio,
            action_id=action.action_id,
            channel=box.leg.value,
            address=box.address,
            account=f"sms/{studio.sms_account}" if box.leg is Leg.SMS else f"email/{studio.email_account}",
            sender=studio.sms_sender if box.leg is Leg.SMS else studio.email_sender,
            recipient=msgspec.json.encode(box.recipient).decode(),
            kind=one.due.kind,
            record_id=one.due.record_id,
            client_id=one.client.record_id if one.client else None,
            trigger_id=trigger.trigger_id,
            trigger_version=trigger.version,
            use_by=action.use_by,
        )
        for box in routing.letterboxes
    ]


async def _write(tx: db.Connection, done: Released, *, now: datetime, by: str | None) -> None:
    if done.changes:
        await actions.change(tx, done.changes)
    if done.released:
        await actions.release(tx, done.released, now=now, by=by)
    if done.made:
        await messages.add(tx, done.made)
        await db.notify(tx, messages.WORK_CHANNEL)
    if done.asked:
        await commands.enqueue(tx, done.asked)


_EVENTS = {state: f"action.{state.value}" for state in State}


def tell(done: Released) -> None:
    """Log what a committed round did."""
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
