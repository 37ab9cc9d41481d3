"""SPINE 1. A batch of events from the CRM becomes waiting actions, in one transaction.

What the events show moves our picture of the records; the picture, the studio's rules and the clock say which
actions there are to be; the difference to those that exist is written. A body that cannot be understood is set
aside and costs its neighbours nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

import structlog

from control_center.domain import reach
from control_center.domain.errors import Malformed
from control_center.domain.event import Event, Verb, decode
from control_center.domain.record import Picture
from control_center.domain.studio import Studio
from control_center.engine import copies, gaps, lines, unlisted
from control_center.engine.catalogs import Noted, SeenNames, told
from control_center.engine.seen import Seen
from control_center.engine.undeliverable import tell_lifted
from control_center.engine.unlisted import Withdrawn
from control_center.store import catalogs, db, dead_numbers, events, records, studios
from control_center.store.dead_numbers import Number
from control_center.store.events import Dead
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebooks

log = structlog.get_logger(__name__)

_CHANGED = "the CRM says something else of it"


@dataclass(slots=True)
class Taken:
    """What became of a batch: the events stored now, the copies of earlier ones, and what was set aside."""

    new: list[Event] = field(default_factory=list)
    duplicates: list[Event] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    due_now: bool = False
    noted: Noted = field(default_factory=dict, repr=False)  # names that records showed for the first time
    stopped: list[tuple[Key, str]] = field(default_factory=list)  # chains of triggers that end here, and why
    alive: list[Number] = field(default_factory=list)  # numbers that were thought to take no texts
    withdrawn: Withdrawn = field(default_factory=Withdrawn, repr=False)  # what waited for addresses that are gone


class Intake:
    """Takes batches in for every studio of one database."""

    def __init__(self, pool: db.Pool, clock: Callable[[], datetime], rulebooks: Rulebooks | None = None) -> None:
        self._pool = pool
        self._clock = clock
        self._rulebooks = rulebooks or Rulebooks()
        self._names = SeenNames()

    async def take_in(self, bodies: Sequence[bytes], *, keep_dead: bool = True) -> Taken:
        """Commit a batch. With `keep_dead`, bodies not understood are stored in the same transaction.

        A body on which we ourselves fail is set aside like one that is not understood, and the rest is taken in
        without it. Raises one of `db.AWAY` when the database is away; then nothing of the batch is stored.
        """
        understood, dead = _decode(bodies)
        try:
            taken = await self._commit(understood, dead, keep_dead=keep_dead)
        except (*db.AWAY, *db.MET):
            raise
        except Exception as error:
            if len(bodies) > 1:
                return await self._take_in_halves(bodies, keep_dead=keep_dead)
            log.exception("event.fault")
            dead = [Dead(bodies[0], "", f"our own fault: {type(error).__name__}: {error}")]
            taken = await self._commit([], dead, keep_dead=keep_dead)
        _tell(taken)
        return taken

    async def _take_in_halves(self, bodies: Sequence[bytes], *, keep_dead: bool) -> Taken:
        """Find the body that we fail on: half by half, so that one in a thousand costs ten rounds."""
        middle = len(bodies) // 2
        taken = Taken()
        for half in (bodies[:middle], bodies[middle:]):
            part = await self.take_in(half, keep_dead=keep_dead)
            taken.new += part.new
            taken.duplicates += part.duplicates
            taken.dead += part.dead
            taken.due_now |= part.due_now
        return taken

    async def _commit(self, understood: list[Event], dead: list[Dead], *, keep_dead: bool) -> Taken:
        async def work(tx: db.Connection) -> Taken:
            return await self._apply(tx, understood, list(dead), keep_dead=keep_dead)

        taken = await db.retried(self._pool, work)
        self._names.learn(taken.noted)
        return taken

    async def _apply(self, tx: db.Connection, understood: list[Event], dead: list[Dead], *, keep_dead: bool) -> Taken:
        taken = Taken(dead=dead)
        if tell := {event.studio for event in understood if event.catalog is not None}:
            await catalogs.lock(tx, tell)
        known = await studios.share(tx, (event.studio for event in understood))
        ours, again = _of_known_studios(understood, known, taken)
        stored = await events.remember(tx, ours) if ours else set()
        for event in ours:
            (taken.new if event.key in stored else again).append(event)
        if again:
            taken.duplicates, conflicts = await copies.sort_out(tx, taken.new, again)
            taken.dead += conflicts
        if taken.new:
            rulebooks = await self._rulebooks.of(tx, known)
            rules = {name: book.rules for name, book in rulebooks.items()}
            seen: list[Seen] = []
            for stretch in _stretches(event for event in taken.new if event.catalog is None):
                shown = await self._project(tx, stretch, known, taken)
                lined = await lines.bring(tx, shown, rules, self._clock())
                taken.due_now |= lined.due_now
                taken.stopped += lined.stopped
                await unlisted.withdraw(tx, shown, known, self._clock(), taken.withdrawn)
                seen += shown
            taken.noted = await self._note_names(tx, known, taken.new, seen)
        await gaps.note(tx, [*taken.new, *taken.duplicates])
        if keep_dead and taken.dead:
            await events.bury(tx, taken.dead)
        if taken.due_now:
            await db.notify(tx, lines.RELEASE_CHANNEL)
        return taken

    async def _project(
        self, tx: db.Connection, new: Iterable[Event], known: Mapping[str, Studio], taken: Taken
    ) -> list[Seen]:
        """Move the pictures of all records the events show, and store them; returns those that changed."""
        shown = [(picture, event) for event in new for picture in event.seen]
        before = await records.lock(tx, {picture.key for picture, _ in shown})
        if of_erased := [event for picture, event in shown if _tells_again(before.get(picture.key), picture)]:
            await events.empty(tx, of_erased)
        seen: dict[Key, Seen] = {}
        moved: set[tuple[str, str, str]] = set()
        for picture, event in shown:
            earlier = before.get(picture.key)
            one = seen.setdefault(picture.key, Seen(earlier, earlier))
            if one.fold(picture, event):
                moved.add(event.key)
        changed = [one for one in seen.values() if one.changed]
        if changed:
            # In the order of their keys, so that two batches with the same new records wait and do not deadlock.
            pictures = sorted((one.picture for one in changed if one.picture), key=lambda picture: picture.key)
            clients = (picture for picture in pictures if picture.kind == "client")
            reached = {one.key: reach.reach(one.record, known[one.studio].country) for one in clients}
            await records.save(tx, pictures, before, reached=reached)
            taken.alive += await dead_numbers.lift(tx, _changed_numbers(changed, known), _CHANGED)
        verdicts = [
            (event, "loaded" if event.verb is Verb.SNAPSHOT else "superseded")
            for event in new
            if event.verb is Verb.SNAPSHOT or event.key not in moved
        ]
        if verdicts:
            await events.mark(tx, verdicts)
        return changed

    async def _note_names(
        self, tx: db.Connection, known: dict[str, Studio], new: Iterable[Event], seen: Iterable[Seen]
    ) -> Noted:
        """Take over what the CRM tells of its catalogue, then the names that records show beside it.

        Last of all: a batch that waits here for another's names holds up nobody, since it wants nothing else.
        """
        if tells := [event for event in new if event.catalog is not None]:
            superseded = await told(tx, tells, self._clock())
            self._names.forget(event.studio for event in tells)
            if superseded:
                await events.mark(tx, [(event, "superseded") for event in superseded])
        return await self._names.note(tx, known, (one.picture for one in seen if one.picture))


def _tells_again(known: Picture | None, shown: Picture) -> bool:
    """Whether this is what was known of a record before it was erased with its client."""
    return known is not None and known.erased and shown.version <= known.version


def _stretches(new: Iterable[Event]) -> list[list[Event]]:
    """News and history apart, in their order: what the one shows of a record must not pass for what the other does."""
    return [list(stretch) for _, stretch in groupby(new, key=lambda event: event.verb is Verb.SNAPSHOT)]


def _changed_numbers(changed: Iterable[Seen], known: Mapping[str, Studio]) -> set[Number]:
    """The numbers of which the CRM says something else than before: what a provider said of them may be over, too."""
    return {
        (one.picture.studio, number)
        for one in changed
        if one.picture is not None and one.before is not None and one.picture.kind == "client"
        for number in reach.changed(one.before.record, one.picture.record, known[one.picture.studio].country)
    }


def _decode(bodies: Iterable[bytes]) -> tuple[list[Event], list[Dead]]:
    understood: list[Event] = []
    dead: list[Dead] = []
    for body in bodies:
        try:
            understood.append(decode(body))
        except Malformed as error:
            dead.append(Dead(body, error.field, error.reason))
    return understood, dead


def _of_known_studios(
    understood: Iterable[Event], known: Iterable[str], taken: Taken
) -> tuple[list[Event], list[Event]]:
    """The first of each event for studios that exist, and what bears the id of one of them; the rest is set aside."""
    ours: dict[tuple[str, str, str], Event] = {}
    again = []
    names = set(known)
    for event in understood:
        if event.studio not in names:
            reason = f"{event.studio!r} is not a studio here; `control-center studios list` shows those that are"
            taken.dead.append(Dead(event.body.encode(), "studio", reason))
        elif event.key in ours:
            again.append(event)
        else:
            ours[event.key] = event
    return list(ours.values()), again


def _tell(taken: Taken) -> None:
    for event in taken.new:
        log.info("event.received", studio=event.studio, event_id=event.event_id, type=event.type, record=event.subject)
    for event in taken.duplicates:
        log.info("event.duplicate", studio=event.studio, event_id=event.event_id, record=event.subject)
    for (studio, kind, record_id), reason in taken.stopped:
        log.info("chain.stopped", studio=studio, record=f"{kind}/{record_id}", reason=reason)
    tell_lifted(taken.alive, _CHANGED)
    unlisted.tell(taken.withdrawn)
    for dead in taken.dead:
        log.warning("event.dead", field=dead.field, reason=dead.reason)
