"""A link in a message was followed: what it shows, and what pressing its button does, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

import structlog

from control_center.domain import answered, template, words
from control_center.domain.consent import OPEN, Purpose, Said
from control_center.domain.links import For, Links
from control_center.domain.record import Picture
from control_center.domain.reply import Asked, Standing
from control_center.domain.studio import Studio
from control_center.domain.template_fields import CONFIRMED
from control_center.engine import answering, consenting, own_records
from control_center.engine.answering import Answer
from control_center.engine.consenting import Effect
from control_center.store import consents, db, followed, records, studios
from control_center.store.consents import Saying
from control_center.store.followed import Followed
from control_center.store.rulebooks import Rulebooks

log = structlog.get_logger(__name__)

COMMENT: Final = 2000  # characters of one


class Shown(Enum):
    """How things stand with what a link is about."""

    OPEN = "open"
    DONE = "done"
    COMMENTED = "commented"
    MOVED = "moved"
    CANCELED = "canceled"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class View:
    """What the page of a link says: whose it is, about which record and when that is, and how things stand."""

    studio: Studio
    message_id: int
    record: Picture | None
    shown: Shown
    when: str = ""


class Following:
    """Answers the links in messages, for every studio of one database. Looking changes nothing."""

    def __init__(self, pool: db.Pool, clock: Callable[[], datetime], links: Links) -> None:
        self._pool = pool
        self._clock = clock
        self._links = links
        self._rulebooks = Rulebooks()

    async def subscription(self, token: str) -> View | None:
        """Whether marketing goes to the address of this link; None for a link that is none."""
        async with db.session(self._pool) as connection:
            found = await self._followed(connection, For.UNSUBSCRIBE, token)
            return await _subscription(connection, found) if found is not None else None

    async def unsubscribe(self, token: str) -> View | None:
        """End marketing to the address of this link; once it has ended, nothing more happens. None for no link."""

        async def work(tx: db.Connection) -> tuple[View | None, Effect | None]:
            found = await self._followed(tx, For.UNSUBSCRIBE, token)
            if found is None:
                return None, None
            address = (found.studio, found.channel, found.address)
            await consents.lock(tx, address)
            before = (await consents.standings(tx, [address])).get(address, OPEN)
            effect = None
            if not before.no_marketing:
                now = self._clock()
                evidence = f"followed the link of m-{found.message_id}"
                said = Saying(*address, Said.STOP, "link", evidence, Purpose.MARKETING)
                effect = await consenting.say(tx, said, now, client_id=found.client_id)
                await own_records.note_events(tx, [(found.studio, found.message_id, "unsubscribed")], now)
            return await _subscription(tx, found), effect

        view, effect = await db.retried(self._pool, work)
        if effect is not None:
            consenting.tell(effect)
        return view

    async def confirmation(self, token: str) -> View | None:
        """What a link to confirm is about, and whether it can still be confirmed."""
        async with db.session(self._pool) as connection:
            found = await self._followed(connection, For.CONFIRM, token)
            return await self._confirmation(connection, found, token) if found is not None else None

    async def confirm(self, token: str) -> View | None:
        """Confirm the record of this link, where it still can be; one that moved is told of, and not confirmed."""

        async def work(tx: db.Connection) -> View | None:
            found = await self._followed(tx, For.CONFIRM, token)
            if found is None or found.kind is None or found.record_id is None:
                return None
            await followed.lock(tx, found.studio, found.message_id)
            found = (await followed.of_numbers(tx, [found.message_id]))[found.message_id]
            view = await self._confirmation(tx, found, token)
            if view is None:
                return None
            answer = self._answer(found)
            if view.shown is Shown.OPEN:
                await answering.confirm(tx, self._rulebooks, answer)
                await own_records.note_events(tx, [(found.studio, found.message_id, "clicked")], answer.at)
                return await self._confirmation(tx, found, token)
            if view.shown is not Shown.DONE and "void" not in found.answered:
                await answering.void(tx, answer, view.shown.value)
            return view

        view = await db.retried(self._pool, work)
        if view is not None:
            _tell(view, "confirmed")
        return view

    async def question(self, token: str) -> View | None:
        """Whether a client may still say how likely they are to recommend us."""
        async with db.session(self._pool) as connection:
            found = await self._followed(connection, For.SCORE, token)
            return await self._question(connection, found) if found is not None else None

    async def score(self, token: str, number: int, comment: str) -> View | None:
        """Take a score, or the comment to the one that was given; the first score counts, and so does one comment."""

        async def work(tx: db.Connection) -> View | None:
            found = await self._followed(tx, For.SCORE, token)
            if found is None:
                return None
            await followed.lock(tx, found.studio, found.message_id)
            found = (await followed.of_numbers(tx, [found.message_id]))[found.message_id]
            view = await self._question(tx, found)
            if view is None:
                return None
            words, answer = comment.strip()[:COMMENT], self._answer(found)
            if view.shown is Shown.OPEN:
                await answering.score(tx, self._rulebooks, answer, number, words)
                await own_records.note_events(tx, [(found.studio, found.message_id, "clicked")], answer.at)
            elif view.shown is Shown.DONE and words:
                await answering.comment(tx, self._rulebooks, answer, words)
            else:
                return view
            shown = Shown.COMMENTED if words else Shown.DONE
            return View(view.studio, view.message_id, view.record, shown)

        view = await db.retried(self._pool, work)
        if view is not None:
            _tell(view, "scored")
        return view

    async def _followed(self, tx: db.Connection, what: For, token: str) -> Followed | None:
        number = self._links.message(what, token)
        found = (await followed.of_numbers(tx, [number])).get(number) if number is not None else None
        return None if found is None or found.erased else found

    def _answer(self, found: Followed) -> Answer:
        assert found.kind is not None, "it was asked about a record"
        assert found.record_id is not None, "it was asked about a record"
        by = f"link to {found.address}"
        about = (found.studio, found.kind, found.record_id)
        return Answer(found.message_id, found.sent_at, about, None, by, self._clock())

    async def _confirmation(self, tx: db.Connection, found: Followed, token: str) -> View | None:
        """How a confirmation stands; nothing comes of it once its record moved, was canceled, or is over."""
        house, picture = await _about(tx, found)
        if house is None or found.kind not in CONFIRMED:
            return None
        now = self._clock()
        if picture is not None and picture.record.flags is not None and picture.record.flags.confirmed:
            return View(house, found.message_id, picture, Shown.DONE, _when(house, picture, now))
        same = picture is not None and self._links.same_date(token, picture)
        date = answered.date_asked(picture) if picture is not None and same else None
        standing = answered.standing(Asked.CONFIRMATION, picture, date, house.timezone, now, answered=False)
        if standing is Standing.OPEN and now > found.sent_at + answered.LASTS[Asked.CONFIRMATION]:
            standing = Standing.OVER
        when = _when(house, picture, now) if picture is not None else ""
        return View(house, found.message_id, picture, _SHOWN[standing], when)

    async def _question(self, tx: db.Connection, found: Followed) -> View | None:
        house, picture = await _about(tx, found)
        if house is None or picture is None or picture.deleted or found.kind != "session":
            return None
        now = self._clock()
        if "commented" in found.answered:
            shown = Shown.COMMENTED
        elif "scored" in found.answered and found.answered_at is not None:
            late = now > found.answered_at + answered.COMMENT_LASTS
            shown = Shown.COMMENTED if late else Shown.DONE
        elif answered.rated(picture, found.sent_at, house.timezone):
            shown = Shown.COMMENTED  # they have said it in another way
        else:
            shown = Shown.OVER if now > found.sent_at + answered.LASTS[Asked.NPS] else Shown.OPEN
        return View(house, found.message_id, picture, shown)


_SHOWN: Final = {
    Standing.OPEN: Shown.OPEN,
    Standing.ANSWERED: Shown.DONE,
    Standing.MOVED: Shown.MOVED,
    Standing.CANCELED: Shown.CANCELED,
    Standing.OVER: Shown.OVER,
}


async def _subscription(tx: db.Connection, found: Followed) -> View | None:
    house = (await studios.get(tx, [found.studio])).get(found.studio)
    if house is None:
        return None
    address = (found.studio, found.channel, found.address)
    said = (await consents.standings(tx, [address])).get(address, OPEN)
    return View(house, found.message_id, None, Shown.DONE if said.bars(Purpose.MARKETING) else Shown.OPEN)


async def _about(tx: db.Connection, found: Followed) -> tuple[Studio | None, Picture | None]:
    """The studio of a message and the record that it is about."""
    house = (await studios.get(tx, [found.studio])).get(found.studio)
    if house is None or found.kind is None or found.record_id is None:
        return None, None
    key = (found.studio, found.kind, found.record_id)
    return house, (await records.get(tx, {key})).get(key)


def _when(house: Studio, picture: Picture, now: datetime) -> str:
    """The date of a record as the studio writes it; empty where it has none that can be read."""
    try:
        seen = words.fields(house, picture, None, {}, now)
        return template.render("{{ record.date }}{% if record.time %}, {{ record.time }}{% endif %}", seen)
    except template.Unrenderable:
        return ""


def _tell(view: View, what: str) -> None:
    log.info(
        "link.followed", studio=view.studio.studio, message=f"m-{view.message_id}", reason=f"{what}: {view.shown.value}"
    )
