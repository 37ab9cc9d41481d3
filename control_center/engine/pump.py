"""The pump: lets a bulk's messages into the queue no faster than the number that carries them takes them.

What waits in the queue stands before somebody else's reminder; what waits on a list stands before nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from control_center.domain.bulk import MESSAGE_LASTS, State, Turn
from control_center.domain.links import Links
from control_center.domain.message import Origin
from control_center.domain.pacing import CAMPAIGN, Budget, Place, meter
from control_center.domain.patience import patience
from control_center.domain.planner import Expire, Wait
from control_center.domain.sms import segments
from control_center.domain.template import Unrenderable
from control_center.engine import bulk_turn
from control_center.engine.bulk_list import with_clients
from control_center.engine.bulk_turn import About
from control_center.store import (
    budgets,
    bulk_release,
    bulks,
    consents,
    db,
    firsts,
    messages,
    records,
    studios,
    users,
)
from control_center.store.bulk_release import Passed, Taken, Written
from control_center.store.bulks import Bulk
from control_center.store.rulebooks import Rulebook, Rulebooks

log = structlog.get_logger(__name__)

LEAD = timedelta(seconds=5)  # of its pace that a number has before it: less would leave it idle between two turns
PAGE = 200  # rows of a list that are looked at in one turn
SOON = timedelta(seconds=10)  # what waits for longer has not come to its number yet
WINDOW = 100  # messages before a number that has no limits
_EVENTS = {Turn.BARRED: "bulk.barred", Turn.FAILED: "bulk.failed"}
STEP = timedelta(seconds=1)  # between two turns of one bulk
REST = timedelta(seconds=15)  # between looks at whether the last ones have left
LOOK = timedelta(minutes=5)  # at most, between looks at what is closed: somebody may open it


class Pump:
    """Gives bulks their turns, for every studio of one database. Any number of these may run at once."""

    def __init__(self, pool: db.Pool, clock: Callable[[], datetime], *, links: Links | None = None) -> None:
        self._pool = pool
        self._clock = clock
        self._links = links
        self._rulebooks = Rulebooks()

    async def run_once(self) -> bool:
        """Give one bulk its turn; whether one was due. Raises one of `db.AWAY`."""

        async def work(tx: db.Connection) -> bool:
            now = self._clock()
            one = await bulk_release.claim_due(tx, now, without=await studios.switched_off(tx))
            if one is None:
                return False
            house = (await studios.get(tx, [one.studio])).get(one.studio)
            if house is None:
                await bulks.cancel(tx, one, reason="its studio was deleted")
                return True
            book = (await self._rulebooks.of(tx, {one.studio: house}))[one.studio]
            await _Turn(tx, one, book, now, self._links).take()
            return True

        return await db.retried(self._pool, work)

    async def next_due(self) -> datetime | None:
        async with db.session(self._pool) as connection:
            return await bulk_release.next_due(connection)


class _Turn:
    """One turn of a locked bulk, in the transaction that holds it."""

    def __init__(self, tx: db.Connection, one: Bulk, book: Rulebook, now: datetime, links: Links | None) -> None:
        self._tx = tx
        self._bulk = bulk_turn.as_of_now(one, book.studio)
        self._book = book
        self._now = now
        self._links = links
        self._sender: dict[str, str] = {}

    async def take(self) -> None:
        one, now = self._bulk, self._now
        use_by = one.use_by or now + one.lasts
        decision = patience(Origin.BULK, self._book.rules.house, now, use_by)
        if isinstance(decision, Expire):
            await self._tx.execute(
                bulks.DROP_LISTED, one.studio, one.bulk_id, Turn.EXPIRED.value, f"{decision.reason}, before their turn"
            )
            return await self._next()
        if isinstance(decision, Wait):
            return await self._look(decision.until, decision.reason)
        if not one.sender:
            return await self._look(now + LOOK, "the studio has nothing to send from")
        rooms, place = await self._rooms()
        if not rooms:
            return await self._look(max(place.at, now + STEP), place.reason)
        taken = await bulk_release.take(self._tx, one, now, limit=PAGE)
        self._sender = await users.writes_as(self._tx, one.made_by)
        written, passed = await self._written(taken, rooms)
        if written:
            await bulk_release.release(self._tx, one, written, lasts=MESSAGE_LASTS)
            await db.notify(self._tx, messages.WORK_CHANNEL)
        if passed:
            await bulk_release.pass_over(self._tx, one, passed)
            self._tell(passed)
        return await self._next(at_once=not written and bool(passed))

    def _tell(self, passed: Sequence[Passed]) -> None:
        for each in passed:
            if each.turn in _EVENTS:
                log.info(
                    _EVENTS[each.turn],
                    studio=self._bulk.studio,
                    bulk=f"b-{self._bulk.bulk_id}",
                    recipient=each.recipient_id,
                    reason=each.reason,
                )

    async def _rooms(self) -> tuple[dict[str, int], Place]:
        """How many segments of each number of ours may be released now; none, and until when, where all are full."""
        one, studio = self._bulk, self._book.studio
        numbers = studio.numbers if one.channel == "sms" else (one.sender,)
        before = await bulk_release.waiting(self._tx, one.studio, one.channel, within=SOON)
        if one.channel != "sms" or studio.sms_limits.none:
            rooms = {number: WINDOW - before.get(number, 0) for number in numbers}
            return {number: room for number, room in rooms.items() if room > 0}, Place(self._now)
        found = await budgets.read(self._tx, [(one.studio, number) for number in (*numbers, CAMPAIGN)])
        own: dict[str, Budget] = {number: budget for (_, number), budget in found.items()}
        gauge = meter(studio.sms_limits, studio.timezone)
        rooms, places = {}, []
        for number in numbers:
            room, place = gauge.room(own, number, self._now, lead=LEAD, most=5 * WINDOW)
            places.append(place)
            if room > before.get(number, 0):
                rooms[number] = room - before.get(number, 0)
        return rooms, min(places, key=lambda place: place.at)

    async def _written(self, taken: Sequence[Taken], rooms: dict[str, int]) -> tuple[list[Written], list[Passed]]:
        """The messages of those whose turn it is, as many as their numbers have `rooms` for, and who gets none now."""
        one, channel = self._bulk, self._bulk.channel
        pictures = await records.get(self._tx, {(one.studio, each.entry.kind, each.entry.record_id) for each in taken})
        both = {found[0].key: found for found in await with_clients(self._tx, list(pictures.values()))}
        addresses = [each.entry.address or "" for each in taken]
        said = await consents.standings(self._tx, [(one.studio, channel, address) for address in addresses])
        ours = await bulk_turn.senders_of(self._tx, one, self._book.studio, addresses)
        had = await self._had(addresses)
        ids = await messages.ids(self._tx, min(len(taken), sum(rooms.values())))
        written: list[Written] = []
        passed: list[Passed] = []
        for each, address in zip(taken, addresses, strict=True):
            found = both.get((one.studio, each.entry.kind, each.entry.record_id))
            if found is None:
                passed.append(Passed(each.recipient_id, Turn.BARRED, "deleted: the record is not known"))
                continue
            standing = said.get((one.studio, channel, address))
            away = bulk_turn.turned_away(one, self._book, each, found, said=standing, now=self._now)
            if away is not None:
                passed.append(away)
            elif rooms.get(ours[address], 0) > 0:
                try:
                    message = self._write(each, found, ids[0], ours[address], first=address not in had)
                except Unrenderable as error:
                    passed.append(Passed(each.recipient_id, Turn.FAILED, error.reason))
                    continue
                rooms[ours[address]] -= segments(message.words.text).count if channel == "sms" else 1
                ids.pop(0)  # one that failed leaves its own to the next
                written.append(message)
            elif max(rooms.values()) <= 0:
                break
        return written, passed

    async def _had(self, addresses: Sequence[str]) -> set[str]:
        """Those that were texted by itself before; all of them where the first text says nothing more than others."""
        one = self._bulk
        if one.channel != "sms" or not self._book.studio.sms_identify:
            return set(addresses)
        return {number for _, number in await firsts.had(self._tx, [(one.studio, each, 0) for each in addresses])}

    def _write(self, one: Taken, about: About, message_id: int, sender: str, *, first: bool) -> Written:
        """The words for one of the list, as everything is now. Raises Unrenderable."""
        links = self._links.of_message(message_id, about[0], self._bulk.channel) if self._links is not None else {}
        made, calendar = bulk_turn.written(
            self._bulk, self._book.studio, about, self._now, links=links, sender=self._sender, first=first
        )
        recipient = msgspec.json.encode(bulk_turn.recipient_of(about)).decode()
        return Written(message_id, one, sender, recipient, made, calendar)

    async def _next(self, *, at_once: bool = False) -> None:
        """When its next turn is: in a step, when the next on the list may be written to, or never again.

        While a message of it waits it is not over: somebody may still want to pause or cancel it.
        """
        first = await bulk_release.first_due(self._tx, self._bulk)
        if first is None:
            under_way = await bulk_release.under_way(self._tx, self._bulk)
            if under_way:
                return await self._look(self._now + REST, f"{under_way:,} of its messages still wait")
            await bulk_release.look(self._tx, self._bulk, State.DONE, None)
            log.info("bulk.done", studio=self._bulk.studio, bulk=f"b-{self._bulk.bulk_id}")
            return None
        due = self._now if at_once else self._now + STEP
        reason = "those who are left wait for their hours" if first > due else ""
        return await self._look(max(first, due), reason)

    async def _look(self, at: datetime, reason: str) -> None:
        await bulk_release.look(self._tx, self._bulk, State.RUNNING, min(at, self._now + LOOK), reason)
