"""Bulks that are scheduled or running, run ahead of time: who on their lists is written to when, and who is not.

As the pump will, list by list in the order of its rows, at the pace of the number that carries them. Memory holds a
page, and a short entry for each who waits for hours of their own.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeAlias

from control_center.domain.bulk import MESSAGE_LASTS, Turn
from control_center.domain.catalogue_actions import Leg
from control_center.domain.consent import Standing
from control_center.domain.forecast import MOST_STEPS, Fate, Line, links_foreseen
from control_center.domain.foreseen_days import Foreseen, shares_days
from control_center.domain.foreseen_firsts import ForeseenFirsts
from control_center.domain.message import Origin
from control_center.domain.pacing import CAMPAIGN, Budgets, Meter, meter
from control_center.domain.patience import patience
from control_center.domain.planner import Expire, Wait
from control_center.domain.sms import segments
from control_center.domain.template import Unrenderable
from control_center.domain.trigger import USUAL_PRIORITY
from control_center.engine import bulk_turn
from control_center.engine.bulk_list import with_clients
from control_center.engine.bulk_turn import About
from control_center.store import budgets, bulk_release, consents, db, firsts, records, users
from control_center.store.bulk_release import Taken
from control_center.store.bulks import Bulk
from control_center.store.rulebooks import Rulebook

PAGE = 500
OFF = "studio: it is switched off, and nothing is released for it"
_EPOCH = datetime.min.replace(tzinfo=UTC)

Message: TypeAlias = Line | Foreseen


def time_of(one: Message) -> datetime:
    """When it goes."""
    return one.at if isinstance(one, Line) else one.line.at


async def learn(tx: db.Connection, studio: str, known: ForeseenFirsts, numbers: Iterable[str]) -> None:
    """Look up which of these numbers were texted by themselves before, as far as that matters and is not known."""
    wanted = sorted(known.unknown(numbers))
    if wanted:
        had = await firsts.had(tx, [(studio, one, 0) for one in wanted])
        known.learn(wanted, {number for _, number in had})


@dataclass(slots=True)
class Paces:
    """What the numbers of a studio may carry, moved on segment by segment; all of its bulks share it."""

    gauge: Meter | None
    taken: Budgets

    def take(self, number: str, size: int, at: datetime) -> tuple[datetime, str]:
        """From when on a number takes so many segments that would go at this time, and what it waits for."""
        if self.gauge is None:
            return at, ""
        self.taken, place = self.gauge.take(self.taken, number, size, at, bulk=True)
        return (at, "") if place.kept else (place.at, place.reason)


async def messages(
    pool: db.Pool, book: Rulebook, numbers: ForeseenFirsts, now: datetime, until: datetime
) -> AsyncIterator[Message]:
    """What every bulk of a studio comes to before `until`, in time; nothing is written."""
    studio = book.studio
    async with db.session(pool) as tx:
        found = await bulk_release.ahead(tx, studio.studio, until)
        used = await budgets.read(tx, [(studio.studio, one) for one in (*studio.numbers, CAMPAIGN)]) if found else {}
    gauge = None if studio.sms_limits.none else meter(studio.sms_limits, studio.timezone)
    paces = Paces(gauge, {number: budget for (_, number), budget in used.items()})
    lists = []
    for one, at in found:
        free = Paces(None, {}) if one.channel == "email" else paces
        lists.append(_List(pool, book, bulk_turn.as_of_now(one, studio), free, numbers, max(at, now), until).messages())
    async for message in _in_time(lists):
        yield message


async def _in_time(streams: Sequence[AsyncIterator[Message]]) -> AsyncIterator[Message]:
    heads: list[tuple[datetime, int, Message]] = []
    for number, stream in enumerate(streams):
        async for message in stream:
            heapq.heappush(heads, (time_of(message), number, message))
            break
    while heads:
        _, number, message = heapq.heappop(heads)
        yield message
        async for following in streams[number]:
            heapq.heappush(heads, (time_of(following), number, following))
            break


@dataclass(frozen=True, slots=True)
class _Row:
    """Somebody on a list, and what they wait for."""

    taken: Taken
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of those of a page: their records with their clients, what they said, and from where they hear."""

    about: Mapping[tuple[str, str], About]
    said: Mapping[str, Standing]
    ours: Mapping[str, str]


@dataclass(slots=True)
class _List:
    """One bulk under way. `at` is how far it is, and `reasons` are why it is not further."""

    pool: db.Pool
    book: Rulebook
    one: Bulk
    paces: Paces
    numbers: ForeseenFirsts
    at: datetime
    until: datetime
    reasons: tuple[str, ...] = ()
    _rows: list[tuple[datetime, int, _Row]] = field(default_factory=list)
    _after: tuple[datetime, int] = (_EPOCH, 0)
    _whole: bool = False  # whether every row was read
    _sender: dict[str, str] = field(default_factory=dict)

    async def messages(self) -> AsyncIterator[Message]:
        async with db.session(self.pool) as tx:
            self._sender = await users.writes_as(tx, self.one.made_by)
        while self.at <= self.until and (batch := await self._batch()):
            async with db.session(self.pool) as tx:
                known = await self._known(tx, [row.taken for _, row in batch])
            for found in await asyncio.to_thread(self._told, batch, known):
                yield found

    async def _batch(self) -> list[tuple[datetime, _Row]]:
        """Those who are next, each with the time before which it is not their turn."""
        while not self._whole and (not self._rows or self._rows[0][:2] > self._after):
            async with db.session(self.pool) as tx:
                page = await bulk_release.listed(tx, self.one, after=self._after, limit=PAGE)
            for due, taken in page:
                heapq.heappush(self._rows, (due, taken.recipient_id, _Row(taken)))
                self._after = (due, taken.recipient_id)
            self._whole = len(page) < PAGE
        found: list[tuple[datetime, _Row]] = []
        edge = max(self.at, self._rows[0][0]) if self._rows else self.at
        while self._rows and len(found) < PAGE and self._rows[0][0] <= edge:
            due, _, row = heapq.heappop(self._rows)
            found.append((due, row))
        return found

    async def _known(self, tx: db.Connection, batch: Sequence[Taken]) -> _Known:
        studio, channel = self.one.studio, self.one.channel
        entries = [each.entry for each in batch]
        pictures = await records.get(tx, {(studio, entry.kind, entry.record_id) for entry in entries})
        both = await with_clients(tx, list(pictures.values()))
        addresses = [entry.address or "" for entry in entries]
        said = await consents.standings(tx, [(studio, channel, address) for address in addresses])
        if channel == "sms":
            await learn(tx, studio, self.numbers, addresses)
        return _Known(
            {(about[0].kind, about[0].record_id): about for about in both},
            {address: standing for (_, _, address), standing in said.items()},
            await bulk_turn.senders_of(tx, self.one, self.book.studio, addresses),
        )

    def _told(self, batch: Sequence[tuple[datetime, _Row]], known: _Known) -> list[Message]:
        """What comes of each of these; in a thread, so that whatever else this process does goes on meanwhile."""
        return [found for due, row in batch for found in self._each(due, row, known)]

    def _each(self, due: datetime, row: _Row, known: _Known) -> list[Message]:
        """The message of one of the list, if it goes by the end: who waits for hours of their own comes up again."""
        entry = row.taken.entry
        about = known.about.get((entry.kind, entry.record_id))
        self.at = max(self.at, due)
        for _ in range(MOST_STEPS):
            if self.at > self.until:
                return []
            wrong = self._held() or self._closed()
            if wrong is not None:
                return [self._line(row, *wrong)]
            if about is None:
                return [self._line(row, Fate.LAPSES, "deleted: the record is not known")]
            said = known.said.get(entry.address or "")
            away = bulk_turn.turned_away(self.one, self.book, row.taken, about, said=said, now=self.at)
            if away is not None and away.turn is Turn.LISTED and away.due_at is not None:
                heapq.heappush(self._rows, (away.due_at, row.taken.recipient_id, replace(row, reason=away.reason)))
                return []
            if away is not None:
                return [self._line(row, Fate.LAPSES, away.reason)]
            line = self._written(row, about)
            at, reason = self._room(line, known.ours.get(entry.address or "", self.one.sender))
            if at <= self.at:
                return [self._shared(line, row, about)]
            self._wait(at, reason)
        return []

    def _held(self) -> tuple[Fate, str] | None:
        if not self.book.studio.enabled:
            return Fate.HELD, OFF
        return None if self.one.sender else (Fate.HELD, "the studio has nothing to send from")

    def _closed(self) -> tuple[Fate, str] | None:
        """Wait for what is closed to everybody; what becomes of whoever is left where that lasts too long."""
        while True:
            decision = patience(Origin.BULK, self.book.rules.house, self.at, self._use_by)
            if isinstance(decision, Expire):
                return Fate.EXPIRES, decision.reason
            if not isinstance(decision, Wait):
                return None
            self._wait(decision.until, decision.reason)

    @property
    def _use_by(self) -> datetime:
        return self.one.use_by or self.at + self.one.lasts

    def _wait(self, at: datetime, reason: str) -> None:
        self.at = at
        self.reasons = tuple(dict.fromkeys((*self.reasons, reason)))

    def _room(self, line: Line, number: str) -> tuple[datetime, str]:
        if line.fate is not Fate.GOES:
            return self.at, ""
        return self.paces.take(number, self.numbers.as_sent(line).segments or 1, self.at)

    def _written(self, row: _Row, about: About) -> Line:
        links = links_foreseen(about[0].kind, Leg(self.one.channel))
        try:
            made, _ = bulk_turn.written(
                self.one, self.book.studio, about, self.at, links=links, sender=self._sender, first=False
            )
        except Unrenderable as error:
            return self._line(row, Fate.FAILS, error.reason)
        who = bulk_turn.recipient_of(about)
        return self._line(
            row,
            Fate.GOES,
            recipient=f"{who.first_name} {who.last_name}".strip(),
            subject=made.subject,
            text=made.text,
            segments=segments(made.text).count if self.one.channel == "sms" else None,
        )

    def _line(self, row: _Row, fate: Fate, reason: str = "", **words: object) -> Line:
        entry = row.taken.entry
        return Line(
            at=self.at,
            fate=fate,
            trigger="",
            version=0,
            action=None,
            record=f"{entry.kind}/{entry.record_id}",
            client=entry.client_id,
            role="client",
            leg=self.one.channel,
            address=entry.address or "",
            reason=reason,
            shifts=(*self.reasons, *([row.reason] if row.reason else [])),
            bulk=f"b-{self.one.bulk_id}",
            **words,  # type: ignore[arg-type]  # fields of it that say more
        )

    def _shared(self, line: Line, row: _Row, about: About) -> Message:
        """The line, or where its recipient's day is shared with others, what they are judged by."""
        studio = self.book.studio
        if not shares_days(line, studio, self.one.purpose):
            return line
        return Foreseen(
            line=line,
            studio=studio,
            client=about[1],
            purpose=self.one.purpose,
            priority=USUAL_PRIORITY,
            calendar=self.book.rules.house,
            holder=f"{line.bulk} no. {row.taken.recipient_id}",
            use_by=min(self.at + MESSAGE_LASTS, self._use_by),
            origin=Origin.BULK,
        )
