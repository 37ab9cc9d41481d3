"""What may follow of what goes out, and of what went out already: ladders, climbed ahead of time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from control_center.domain import consent
from control_center.domain.activations import as_released
from control_center.domain.forecast import End, Fate, Line
from control_center.domain.foreseen_ladder import follows, written_to
from control_center.domain.ladder import Standing, addresses, upcoming
from control_center.domain.recipients import Routing
from control_center.engine.addressing import Sending
from control_center.engine.ladder import standing_of, stopped_of
from control_center.engine.release import client_key, pictures_of
from control_center.engine.shadow import scene_of
from control_center.store import consents, db, ladders
from control_center.store.rulebooks import Rulebook

PAGE = 500
Stops = Mapping[consents.Address, consent.Standing]


def standing(one: Sending, routing: Routing, at: datetime) -> Standing | None:
    """Where an action that goes at this instant stands then; None where it has no ladder, or is too late for it."""
    first = upcoming(one.rule, one.picture.record, at) if routing.letterboxes else None
    if first is None or one.rule.trigger.shadow:
        return None
    action = one.due.action
    return Standing(
        rule=one.rule,
        picture=one.picture,
        client=one.client.record if one.client is not None and not one.gone else None,
        country=one.book.studio.country,
        countries=one.book.studio.countries,
        occurrence=action.occurrence,
        rung=first[0],
        sent=written_to(routing),
        gone=one.gone,
        released=as_released(one.rule, action.occurrence, action.activation_at, action.use_by),
    )


async def stops(tx: db.Connection, studio: str, standings: Sequence[Standing]) -> Stops:
    """What the addresses that their ladders may lead to have said, as far as they said anything."""
    asked = {(studio, *address) for one in standings for address in addresses(one)}
    return await consents.standings(tx, asked)


@dataclass(frozen=True, slots=True)
class Ahead:
    """The ladders of what goes, by action, and what the addresses have said that they may lead to."""

    standings: Mapping[int, Standing]
    stopped: Stops

    def lines(self, one: Sending, end: End, until: datetime) -> list[Line]:
        """What may follow on an action, if it goes."""
        at = self.standings.get(one.due.action.action_id)
        return _lines(one, at, (end.at, until), self.stopped) if at is not None and end.fate is Fate.GOES else []


async def ahead(
    tx: db.Connection, book: Rulebook, routed: Mapping[int, tuple[Sending, Routing]], going: Mapping[int, datetime]
) -> Ahead:
    """The ladders of these actions, which go at these times."""
    found = {number: standing(*routed[number], at) for number, at in going.items() if number in routed}
    standings = {number: at for number, at in found.items() if at is not None}
    return Ahead(standings, await stops(tx, book.studio.studio, list(standings.values())))


def _lines(one: Sending, at: Standing, span: tuple[datetime, datetime], stopped: Stops) -> list[Line]:
    now, until = span
    return list(follows(scene_of(one), at, now, until, stopped_of(one.book.studio.studio, at, stopped)))


async def under_way(
    pool: db.Pool, book: Rulebook, now: datetime, until: datetime, trigger_id: int | None
) -> AsyncIterator[tuple[Sending, list[Line]]]:
    """What was sent already and may yet go another way, with what may follow on it."""
    studio, after = book.studio.studio, 0
    while True:
        async with db.session(pool) as tx:
            page = await ladders.of_studio(tx, studio, until=until, trigger_id=trigger_id, after=after, limit=PAGE)
            every = [one.due for one in page]
            pictures, sent = await pictures_of(tx, every), await ladders.sent(tx, every)
            standings = [(one, standing_of(one, book, pictures, sent)) for one in page]
            stopped = await stops(tx, studio, [at for _, at in standings])
        for one, at in standings:
            if at.rule is not None and at.picture is not None:
                key = client_key(at.picture)
                sending = Sending(one.due, book, at.rule, at.picture, pictures.get(key) if key is not None else None)
                yield sending, _lines(sending, at, (now, until), stopped)
        if len(page) < PAGE:
            return
        after = page[-1].due.action.action_id
