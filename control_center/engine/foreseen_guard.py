"""What a forecast moves on as it goes: copies of the blast guards, and of the days that marketing has taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from control_center.domain.blast import Guard, admit, ceiling
from control_center.domain.forecast import End, Fate
from control_center.domain.foreseen_days import ForeseenDays, foreseen_days
from control_center.engine.addressing import Sending
from control_center.store import day_shares, db, release_counts, release_guards


@dataclass(slots=True)
class ForeseenGuards:
    """Copies of a studio's guards, moved on action by action in the order of their times."""

    guards: dict[int, Guard]
    busiest: dict[int, int]  # by trigger, the hour that is ordinary for it

    def admit(self, sending: Sending, end: End) -> End:
        """Where an action gets that would go then: on its way, or held for the reason that people will read."""
        trigger = sending.rule.trigger
        before = self.guards.get(trigger.trigger_id, Guard())
        limit = ceiling(trigger.ceiling, sending.book.studio.blast_ceiling, self.busiest.get(trigger.trigger_id, 0))
        if sending.due.let_go_by is not None or not limit.number:
            return end
        admitted = admit(before, [sending.due], limit, end.at, waiting=1)
        self.guards[trigger.trigger_id] = admitted.guard
        return replace(end, fate=Fate.HELD, reason=admitted.guard.reason) if admitted.held else end


async def foreseen_guards(tx: db.Connection, studio: str, now: datetime) -> ForeseenGuards:
    """The guards of a studio as they are now."""
    return ForeseenGuards(
        await release_guards.of_studio(tx, studio), await release_counts.busiest_of_each(tx, studio, now)
    )


async def days_of(tx: db.Connection, studio: str) -> ForeseenDays:
    """The days of a studio's numbers and clients, as they are taken now."""
    return foreseen_days((one.whom, one.day, one.holder) for one in await day_shares.of_studio(tx, studio))
