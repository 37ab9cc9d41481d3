"""A studio with everything that deciding for it needs, kept for as long as its revision holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from control_center.domain import zones
from control_center.domain.blackouts import Blackouts
from control_center.domain.people import Users
from control_center.domain.rules import Rules
from control_center.domain.studio import Studio
from control_center.store import blackouts, catalogs, templates, triggers
from control_center.store.db import Connection


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A studio, its live rules with their calendars, its templates by name, and its users."""

    studio: Studio
    rules: Rules
    templates: dict[str, dict[str, Any]]
    users: Users = field(default_factory=dict)


async def read(tx: Connection, studio: Studio) -> Rulebook:
    """Read everything of a studio. The caller holds its row, or checks its revision again before acting."""
    days = Blackouts(tuple(stored.blackout for stored in await blackouts.of_studio(tx, studio.studio)))
    live, kept = await triggers.live(tx, studio.studio), await triggers.kept(tx, studio.studio)
    rules = Rules(live, zones.zone(studio.timezone), days, kept=kept)
    users = await catalogs.users(tx, studio.studio)
    return Rulebook(studio, rules, await templates.with_frames(tx, studio.studio), users)


class Rulebooks:
    """Rulebooks of one process. A revision is read with every batch, so that nothing old is acted on."""

    def __init__(self) -> None:
        self._known: dict[str, Rulebook] = {}

    async def of(self, tx: Connection, studios: dict[str, Studio]) -> dict[str, Rulebook]:
        """The rulebooks of these studios, whose rows were just read in `tx`; only changed ones are read anew."""
        for name, studio in studios.items():
            known = self._known.get(name)
            if known is None or known.studio.revision != studio.revision:
                self._known[name] = await read(tx, studio)
        return {name: self._known[name] for name in studios}
