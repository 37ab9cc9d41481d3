"""What a trigger would have done over the last days, from the events that are kept: nothing is written.

Records are read page by page with all that was ever heard of them, so memory holds a page; beside it stands only whose
records are whose, because a client is also shown in the events of their records.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from control_center.domain import backtest as playing
from control_center.domain import zones
from control_center.domain.activations import celebrating
from control_center.domain.backtest import Came, Play, Shown, known_at, with_beginning
from control_center.domain.blackouts import Blackouts
from control_center.domain.chains import OF_A_STATUS
from control_center.domain.consent import Purpose, Said, replay
from control_center.domain.errors import Malformed
from control_center.domain.event import Verb, decode
from control_center.domain.forecast import Fate, Line, Scene, lines
from control_center.domain.recipients import Routing, possible, route
from control_center.domain.record import Picture
from control_center.domain.rules import Rule, Rules
from control_center.domain.tally import Tally
from control_center.domain.trigger import DEFAULT_USE_BY, Trigger
from control_center.engine.foreseen_rules import closed_days, rulebook
from control_center.engine.played_chains import with_chains
from control_center.engine.trigger_checks import checked
from control_center.engine.trigger_sweep import Progress
from control_center.engine.triggers import named
from control_center.store import db, history, records
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebook

PAGE = 200
_SENDS = frozenset({Fate.GOES, Fate.REVIEW})
_Said = Mapping[tuple[str, str], Sequence[tuple[datetime, Purpose, Said]]]


async def drafted(pool: db.Pool, studio: str, table: Mapping[str, Any], where: str = "trigger") -> Trigger:
    """Understand a draft. Raises Malformed naming the field, NotFound for the studio."""
    async with db.session(pool) as tx:
        book = await rulebook(tx, studio)
        return await checked(tx, book.studio, table, where)


async def stored(pool: db.Pool, studio: str, name: str) -> Trigger:
    """A saved trigger, switched on or not. Raises NotFound."""
    async with db.session(pool) as tx:
        return (await named(tx, studio, name)).trigger


async def backtest(
    pool: db.Pool, studio: str, trigger: Trigger, now: datetime, *, days: int, progress: Progress | None = None
) -> AsyncIterator[Line]:
    """What a trigger would have done in the `days` before `now`, record by record, each in time.

    It is taken as if it had been switched on for longer than that: what was waiting at the beginning is played, too.
    Raises NotFound for the studio.
    """
    async with db.session(pool) as tx:
        book = await rulebook(tx, studio)
        days_off = await closed_days(tx, studio)
        total = await records.count_of_kind(tx, studio, trigger.kind.name)
    run = _Run(pool, book, _alone(trigger, book, days_off), trigger, now - timedelta(days=days), now)
    after, done = "", 0
    while True:
        async with db.session(pool) as tx:
            rows = await records.every_of_kind(tx, studio, trigger.kind.name, after=after, limit=PAGE)
        for found in await run.page(rows) if rows else ():
            yield found
        done += len(rows)
        if progress is not None:
            progress(done, max(done, total))
        if len(rows) < PAGE:
            return
        after = rows[-1][0].record_id


async def beside(pool: db.Pool, studio: str, trigger: Trigger, tally: Tally, since: datetime) -> datetime | None:
    """Count what other triggers really sent to those whom this one would have written to on the same day.

    Returns since when events are kept: before that, a record is known only as it was left.
    """
    last = None
    async with db.session(pool) as tx:
        async for one in history.sent(tx, studio, since=since):
            other = one.trigger_id != trigger.trigger_id and one.action_id != last  # one action may write by two ways
            if other and one.sent_at is not None:
                whos = (one.client_id, one.address) if one.client_id else (one.address,)
                if tally.also(whos, one.sent_at):
                    last = one.action_id
        return await history.oldest(tx, studio)


def _alone(trigger: Trigger, book: Rulebook, days_off: Blackouts) -> Rules:
    """The trigger as a studio's only rule, and live."""
    live = replace(trigger, trigger_id=trigger.trigger_id or 1, enabled=True, paused=None, shadow=False)
    return Rules([live], zones.zone(book.studio.timezone), days_off)


@dataclass(slots=True)
class _Chronicle:
    """What was heard of some records, and when."""

    shown: Mapping[Key, Sequence[Shown]] = field(default_factory=dict)

    def at(self, key: Key | None, at: datetime) -> Picture | None:
        return None if key is None else known_at(self.shown.get(key, ()), at)


@dataclass(slots=True)
class _Run:
    """One backtest under way."""

    pool: db.Pool
    book: Rulebook
    rules: Rules
    trigger: Trigger
    start: datetime
    end: datetime
    _belongings: dict[str, list[str]] | None = None  # a client's records, by subject

    @property
    def studio(self) -> str:
        return self.book.studio.studio

    async def page(self, rows: Sequence[tuple[Picture, datetime]]) -> list[Line]:
        """The lines of a page of records."""
        keys = [picture.key for picture, _ in rows]
        own = await self._heard(keys, {picture.key: (picture, at) for picture, at in rows})
        if self.book.rules.change_statuses and self.trigger.activate.on.source in OF_A_STATUS:
            async with db.session(self.pool) as tx:
                own = _Chronicle(await with_chains(tx, self.studio, own.shown))
        sessions = await self._sessions(rows)
        first = await self._played(self._play(sessions, None), own, keys)
        sending = [key for key in keys if any(one.end.fate in _SENDS for one in first[key])]
        clients = await self._clients(first[key] for key in sending)
        world = _World(self.book, clients, own)
        again = await self._played(self._play(sessions, world), own, sending)
        world.said = await self._said(world.asked)
        if world.said:
            again = await self._played(self._play(sessions, world), own, sending)
        return await asyncio.to_thread(self._told, {**first, **again}, world)

    async def _played(self, play: Play, own: _Chronicle, keys: Sequence[Key]) -> dict[Key, list[Came]]:
        """In a thread, so that whatever else this process does goes on meanwhile."""
        return await asyncio.to_thread(lambda: {key: playing.play(play, own.shown[key]) for key in keys})

    def _told(self, came: Mapping[Key, Sequence[Came]], world: _World) -> list[Line]:
        return [found for those in came.values() for one in those for found in self._lines(one, world)]

    def _play(self, sessions: _Chronicle, world: _World | None) -> Play:
        """From before the first day that is told: what waited then is part of it."""
        before = max(self.trigger.use_by or DEFAULT_USE_BY, DEFAULT_USE_BY)

        def session_of(picture: Picture, at: datetime) -> Picture | None:
            return sessions.at(_session_key(picture), at)

        routed = world.routed if world is not None else _anybody
        return Play(self.rules, self.start - before, self.end, routed, session_of)

    def _lines(self, came: Came, world: _World) -> Iterator[Line]:
        if not self.start <= came.end.at <= self.end:
            return
        (rule,) = self.rules.by_id.values()
        client = world.client_of(came.picture, came.end.at)
        action, house = came.action, self.book
        scene = Scene(
            rule, came.picture, action.occurrence, client, house.studio, house.templates, use_by=action.use_by
        )
        yield from lines(scene, came.end, came.routing, came.action.activation_at)

    # What was heard ---------------------------------------------------------------------------------------

    async def _heard(self, keys: Collection[Key], rows: Mapping[Key, tuple[Picture, datetime]]) -> _Chronicle:
        """Everything that was heard of these records: by their own events, and of clients by those of their records."""
        subjects = {f"{kind}/{record_id}" for _, kind, record_id in keys}
        for _, kind, record_id in keys:
            if kind == "client":
                subjects.update((await self._records_of()).get(record_id, ()))
        async with db.session(self.pool) as tx:
            bodies = await history.events_about(tx, self.studio, subjects, until=self.end)
        return await asyncio.to_thread(_chronicle, keys, rows, bodies)

    async def _records_of(self) -> dict[str, list[str]]:
        if self._belongings is None:
            found: dict[str, list[str]] = {}
            async with db.session(self.pool) as tx:
                async for page in history.belongings(tx, self.studio):
                    for client_id, subject in page:
                        found.setdefault(client_id, []).append(subject)
            self._belongings = found
        return self._belongings

    async def _sessions(self, rows: Sequence[tuple[Picture, datetime]]) -> _Chronicle:
        """The sessions of invoices, where their score counts."""
        if self.trigger.kind.name != "invoice" or self.trigger.exclude.nps is None:
            return _Chronicle()
        keys = {key for picture, _ in rows if (key := _session_key(picture)) is not None}
        return await self._known(keys)

    async def _clients(self, came: Iterable[Sequence[Came]]) -> _Chronicle:
        """The clients of everything that went somewhere."""
        keys = {key for those in came for one in those if (key := _client_key(one.picture)) is not None}
        if self.trigger.kind.name == "client":
            return _Chronicle()
        return await self._known(keys)

    async def _known(self, keys: Collection[Key]) -> _Chronicle:
        async with db.session(self.pool) as tx:
            rows = await records.get_with_times(tx, keys)
        return await self._heard(keys, rows) if keys else _Chronicle()

    async def _said(self, asked: Collection[tuple[str, str]]) -> _Said:
        async with db.session(self.pool) as tx:
            return await history.said(tx, self.studio, asked)


@dataclass(slots=True)
class _World:
    """Who could be written to, and what their addresses had said by then. `asked` collects the addresses."""

    book: Rulebook
    clients: _Chronicle
    own: _Chronicle
    asked: set[tuple[str, str]] = field(default_factory=set)
    said: _Said = field(default_factory=dict)

    def client_of(self, picture: Picture, at: datetime) -> Picture | None:
        """A record's client as they were known; a client is their own."""
        return picture if picture.kind == "client" else self.clients.at(_client_key(picture), at)

    def routed(self, rule: Rule, picture: Picture, occurrence: str, at: datetime) -> Routing:
        client = self.client_of(picture, at)
        gone = client is not None and client.deleted
        known = celebrating(rule, client.record, occurrence) if client and not gone else None
        about = (rule.trigger, picture.record, known, self.book.studio.country)
        self.asked.update(possible(*about, users=self.book.users, gone=gone, countries=self.book.studio.countries))

        def stopped(channel: str, address: str) -> str:
            said = ((purpose, says) for when, purpose, says in self.said.get((channel, address), ()) if when <= at)
            return replay(said).against(rule.trigger.purpose)

        return route(*about, stopped, users=self.book.users, gone=gone, countries=self.book.studio.countries)


def _anybody(_rule: Rule, _picture: Picture, _occurrence: str, _at: datetime) -> None:
    """Where it would go is not looked at: for finding out whom it is about at all."""


def _chronicle(
    keys: Iterable[Key], rows: Mapping[Key, tuple[Picture, datetime]], bodies: Iterable[tuple[datetime, str]]
) -> _Chronicle:
    heard: dict[Key, list[Shown]] = {key: [] for key in keys}
    for at, body in bodies:
        for shown in _seen(body, at):
            if shown.picture.key in heard:
                heard[shown.picture.key].append(shown)
    whole = {key: with_beginning(shown, *rows[key]) if key in rows else shown for key, shown in heard.items()}
    return _Chronicle(whole)


def _seen(body: str, at: datetime) -> list[Shown]:
    """The versions that an event shows, heard of then. What is not understood any more shows none."""
    try:
        event = decode(body.encode())
    except Malformed:
        return []
    return [Shown(at, picture, event.verb is Verb.SNAPSHOT, event.caused_by) for picture in event.seen]


def _client_key(picture: Picture) -> Key | None:
    return None if picture.client_id is None else (picture.studio, "client", picture.client_id)


def _session_key(picture: Picture) -> Key | None:
    session = (picture.record.links or {}).get("session")
    return None if session is None else (picture.studio, "session", session)
