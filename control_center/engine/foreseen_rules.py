"""A studio's rules for a look ahead or back: as they are now, or as if other days were closed, too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from control_center.domain import zones
from control_center.domain.blackouts import Blackout, Blackouts
from control_center.domain.errors import NotFound
from control_center.domain.rules import Rules
from control_center.store import blackouts, catalogs, db, studios, templates, triggers
from control_center.store.rulebooks import Rulebook

WHAT_IF = "what if"  # the name of a day that is closed for a forecast only


async def rulebook(tx: db.Connection, studio: str, closed: Sequence[date] = ()) -> Rulebook:
    """A studio's rules, as if these days were closed, too. Raises NotFound."""
    house = (await studios.get(tx, [studio])).get(studio)
    if house is None:
        raise NotFound(f"there is no studio {studio!r}")
    days = await closed_days(tx, studio, closed)
    live, kept = await triggers.live(tx, studio), await triggers.kept(tx, studio)
    rules = Rules(live, zones.zone(house.timezone), days, kept=kept)
    return Rulebook(house, rules, await templates.of_studio(tx, studio), await catalogs.users(tx, studio))


async def closed_days(tx: db.Connection, studio: str, closed: Sequence[date] = ()) -> Blackouts:
    """A studio's blackout days, and these."""
    stored = tuple(one.blackout for one in await blackouts.of_studio(tx, studio))
    return Blackouts((*stored, *(Blackout.on(WHAT_IF, day) for day in closed)))
