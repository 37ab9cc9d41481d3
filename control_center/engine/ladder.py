"""The deadline ladder: a released action whose message has come to nothing by its time goes another way.

One transaction for each batch: the ladders that are due are locked, each takes one step on what is committed now, and
its message or command is written with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from control_center.domain import consent
from control_center.domain.activations import as_released
from control_center.domain.catalogue_actions import Leg
from control_center.domain.command import Command
from control_center.domain.ladder import (
    TAKEN,
    Climb,
    Done,
    Look,
    Pass,
    Sent,
    Standing,
    Step,
    addresses,
    date_of,
    step,
    upcoming,
)
from control_center.domain.people import STAFF
from control_center.domain.recipients import Errand, Letterbox, Stopped
from control_center.domain.record import Picture
from control_center.domain.recurrence import tells
from control_center.domain.telling import enrolment
from control_center.engine.addressing import Sending, message
from control_center.engine.commands import Job, enrols_of, of_errand
from control_center.engine.release import client_key, pictures_of
from control_center.engine.senders import stick
from control_center.store import commands, consents, db, ladders, messages, studios
from control_center.store.actions import Due
from control_center.store.ladders import Climber, Place
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebook, Rulebooks

log = structlog.get_logger(__name__)

BATCH = 200
_EVENTS: Mapping[type[Step], str] = {Climb: "ladder.climbed", Pass: "ladder.passed", Done: "ladder.ended"}


@dataclass(slots=True)
class Climbed:
    """What one round did."""

    due: int = 0
    made: list[messages.New] = field(default_factory=list)
    asked: list[Command] = field(default_factory=list)
    moved: list[Place] = field(default_factory=list)
    closed: list[Due] = field(default_factory=list)
    said: list[tuple[Due, str]] = field(default_factory=list)  # kept with the action
    told: list[tuple[type[Step], Due, str]] = field(default_factory=list)  # by the kind of step


class Ladder:
    """Takes what is due a step further, for every studio of one database. Any number of these may run at once."""

    def __init__(self, pool: db.Pool, clock: Callable[[], datetime], rulebooks: Rulebooks | None = None) -> None:
        self._pool = pool
        self._clock = clock
        self._rulebooks = rulebooks or Rulebooks()

    async def run_once(self) -> bool:
        """Take one batch of what is due a step further; whether there may be more. Raises one of `db.AWAY`."""

        async def work(tx: db.Connection) -> Climbed:
            off = await studios.switched_off(tx)
            now = self._clock()
            return await self._apply(tx, await ladders.claim_due(tx, now, without=off, limit=BATCH), now)

        done = await db.retried(self._pool, work)
        for kind, due, reason in done.told:
            log.info(
                _EVENTS[kind],
                studio=due.studio,
                action=f"a-{due.action.action_id}",
                record=f"{due.kind}/{due.record_id}",
                reason=reason,
            )
        return done.due == BATCH

    async def _apply(self, tx: db.Connection, climbers: Sequence[Climber], now: datetime) -> Climbed:
        done = Climbed(due=len(climbers))
        if not climbers:
            return done
        every = [one.due for one in climbers]
        books = await self._rulebooks.of(tx, await studios.get(tx, {one.studio for one in every}))
        pictures = await pictures_of(tx, every)
        sent = await ladders.sent(tx, every)
        done.closed.extend(one for one in every if one.studio not in books)  # the studio was deleted
        standing = [
            (one, standing_of(one, books[one.due.studio], pictures, sent))
            for one in climbers
            if one.due.studio in books
        ]
        asked = {(one.due.studio, *address) for one, at in standing for address in addresses(at)}
        said = await consents.standings(tx, asked)
        for one, at in standing:
            taken = step(at, now, stopped_of(one.due.studio, at, said))
            _note(done, one, at, taken, now)
            if isinstance(taken, Climb) and at.rule is not None and at.picture is not None:
                client = _client(at.picture, pictures)
                sending = Sending(one.due, books[one.due.studio], at.rule, at.picture, client)
                _go(done, sending, taken.to, at.sent, now)
        await _write(tx, done)
        return done


def stopped_of(studio: str, at: Standing, said: Mapping[consents.Address, consent.Standing]) -> Stopped:
    """Why an address takes no such message, by what those that said anything have said."""
    purpose = at.rule.trigger.purpose if at.rule is not None else ""
    return lambda channel, address: said.get((studio, channel, address), consent.OPEN).against(purpose)


def standing_of(
    one: Climber, book: Rulebook, pictures: Mapping[Key, Picture], sent: Mapping[tuple[str, int], Sequence[Sent]]
) -> Standing:
    """Where a released action stands, with its messages as they are now."""
    action, picture = one.due.action, pictures.get(one.due.key)
    client = _client(picture, pictures)
    rule = book.rules.of(action.trigger_id, action.trigger_version)
    return Standing(
        rule=rule,
        picture=picture,
        client=client.record if client is not None else None,
        country=book.studio.country,
        countries=book.studio.countries,
        occurrence=action.occurrence,
        rung=one.rung,
        sent=sent.get((one.due.studio, action.action_id), ()),
        released=as_released(rule, action.occurrence, action.activation_at, action.use_by) if rule else None,
        by_hand=one.released_by is not None,
        gone=client is not None and client.deleted,
    )


def _client(picture: Picture | None, pictures: Mapping[Key, Picture]) -> Picture | None:
    key = client_key(picture) if picture is not None else None
    return pictures.get(key) if key is not None else None


def _note(done: Climbed, one: Climber, at: Standing, taken: Step, now: datetime) -> None:
    """Where the action stands after this step, and what is kept and told of it."""
    due, number = one.due, one.rung + 1
    match taken:
        case Look(until=until, reason=reason):
            done.moved.append(Place(due.studio, due.action.action_id, one.rung, until, reason))
            return
        case Climb(reason=reason) | Pass(reason=reason):
            said = f"ladder step {number}: {reason}"
        case Done(reason=reason):
            said = f"ladder ended before step {number}: {reason}"
    done.said.append((due, said))
    done.told.append((type(taken), due, said))
    following = None if isinstance(taken, Done) else _following(at, now, climbed=isinstance(taken, Climb))
    if following is None:
        done.closed.append(due)
    else:
        done.moved.append(Place(due.studio, due.action.action_id, *following))


def _following(at: Standing, now: datetime, *, climbed: bool) -> tuple[int, datetime] | None:
    """The next rung with its time. After a climb one that is past is left out; what was just sent needs its time."""
    rule, picture, number = at.rule, at.picture, at.rung + 1
    if rule is None or picture is None:
        return None
    if climbed:
        return upcoming(rule, picture.record, now, after=at.rung)
    date, rungs = date_of(rule, picture.record), rule.trigger.ladder.rungs
    return (number, date - rungs[number].by) if date is not None and number < len(rungs) else None


def _go(done: Climbed, one: Sending, to: Letterbox | Errand, sent: Collection[Sent], now: datetime) -> None:
    """Write the message or the command of a climb, as the release would have.

    A call in place of messages of which none was taken enters the client into the program that they would have.
    """
    if isinstance(to, Letterbox):
        made = message(one, to)
        # A reply is looked for in texts; a mail asks nothing that an answer to it could settle.
        done.made.append(made if to.leg is Leg.SMS else replace(made, question=None))
    else:
        moved = tells(one.due.action.occurrence)
        job = Job(one.rule.trigger, one.picture, one.client, one.book, one.cause, now, moved)
        done.asked.append(of_errand(to, job))
        enrols = enrols_of(job.trigger, job.picture)
        if enrols is not None and not any(was.state in TAKEN and was.role not in STAFF for was in sent):
            done.asked.append(enrolment(job.picture.studio, job.subject, enrols, job.cause))


async def _write(tx: db.Connection, done: Climbed) -> None:
    if done.moved:
        await ladders.move(tx, done.moved)
    if done.closed:
        await ladders.close(tx, done.closed)
    if done.said:
        await ladders.note(tx, done.said)
    if done.made:
        await messages.add(tx, await stick(tx, done.made))
        await db.notify(tx, messages.WORK_CHANNEL)
    if done.asked:
        await commands.enqueue(tx, done.asked)
