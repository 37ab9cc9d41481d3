"""The blast guard at work: what passes a trigger's ceiling is held, and a person's decision opens the guard again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

import structlog

from control_center.domain.action import State
from control_center.domain.blast import HELD, Ceiling, Guard, admit, ceiling, passes
from control_center.domain.errors import NotFound, Refused
from control_center.domain.second_person import Hands, needed
from control_center.domain.studio import Studio
from control_center.domain.trigger import Trigger
from control_center.store import actions, db, release_counts, release_guards, studios, triggers
from control_center.store.actions import Due
from control_center.store.release_guards import Key

log = structlog.get_logger(__name__)

Going: TypeAlias = tuple[Studio, Trigger, Due]  # an action that would go now
Opened: TypeAlias = tuple[str, str, str | None]  # studio, trigger's name, the person who decided, if one did


@dataclass(slots=True)
class Guarded:
    """Why which actions are held, by their number, and the triggers whose guard has shut now, or opened by itself."""

    held: dict[int, str] = field(default_factory=dict)
    shut: list[tuple[str, str, str]] = field(default_factory=list)  # studio, trigger's name, reason
    opened: list[Opened] = field(default_factory=list)


async def guard(tx: db.Connection, going: Iterable[Going], now: datetime) -> Guarded:
    """Which of these actions may not go by themselves. What a person has let go is neither held nor counted.

    The guards of their triggers stay locked until the transaction ends: call it when all else is decided.
    """
    told = Guarded()
    mine: dict[Key, list[Going]] = {}
    for one in going:
        studio, trigger, due = one
        if due.let_go_by is None:
            mine.setdefault((studio.studio, trigger.trigger_id), []).append(one)
    mine = {key: those for key, those in mine.items() if _limit(those).number}
    if not mine:
        return told
    guards = await release_guards.lock(tx, mine)
    if shut := [key for key in mine if guards[key].shut]:
        for key, name in (await release_guards.open_empty(tx, shut)).items():
            guards[key] = replace(guards[key], held_since=None, reason="")
            told.opened.append((key[0], name, None))
    after: dict[Key, tuple[Guard, int]] = {}
    for key, those in mine.items():
        admitted = await _admitted(tx, guards[key], those, told, now)
        if admitted is not None:
            after[key] = admitted
    if after:
        await release_guards.save(tx, after, now)
    return told


async def _admitted(
    tx: db.Connection, before: Guard, those: Sequence[Going], told: Guarded, now: datetime
) -> tuple[Guard, int] | None:
    """One trigger's guard afterwards and how many go by it; None where it stays as it is."""
    studio, trigger, _ = those[0]
    limit, waiting = _limit(those), 0
    if passes(before, len(those), limit, now):
        # Rare, and so the only time that what is ordinary for the trigger is looked up.
        limit = _limit(those, await release_counts.busiest(tx, studio.studio, trigger.trigger_id, now))
        waiting = await actions.count_due(tx, studio.studio, trigger.trigger_id, now)
    admitted = admit(before, those, limit, now, waiting=waiting)
    for _, _, due in admitted.held:
        told.held[due.action.action_id] = admitted.guard.reason
    if admitted.guard.shut and not before.shut:
        told.shut.append((studio.studio, trigger.name, admitted.guard.reason))
    return None if admitted.guard == before else (admitted.guard, len(admitted.goes))


def _limit(those: Sequence[Going], busiest: int = 0) -> Ceiling:
    """The ceiling that the newest version says: some may still be pending under an older one."""
    studio, trigger, _ = max(those, key=lambda one: one[1].version)
    return ceiling(trigger.ceiling, studio.blast_ceiling, busiest)


async def decided(tx: db.Connection, studio: str, on: Iterable[Due]) -> list[str]:
    """A person has decided on these actions, as they were before: open the guards that hold none any more.

    Returns the names of their triggers.
    """
    triggers_held = {one.action.trigger_id for one in on if held(one)}
    if not triggers_held:
        return []
    return await release_guards.open_again(tx, studio, triggers_held, whatever_is_held=False)


async def open_empty(tx: db.Connection) -> list[Opened]:
    """Open every guard that holds nothing any more: nobody has anything to decide there.

    What it held has lapsed, expired, moved to another day, or gone with its trigger.
    """
    shut = await release_guards.lock_shut(tx)
    opened = await release_guards.open_empty(tx, shut) if shut else {}
    return [(studio, trigger, None) for (studio, _), trigger in opened.items()]


def tell_opened(opened: Iterable[Opened]) -> None:
    """Log it, once it is committed."""
    for studio, trigger, by in opened:
        reason = "it holds nothing any more" if by is None else None
        log.info("guard.opened", studio=studio, trigger=trigger, by=by, reason=reason)


def held(one: Due) -> bool:
    """Whether the blast guard holds it, and not somebody else."""
    return one.action.state is State.HELD and one.action.reason.startswith(HELD)


async def refuse_own(tx: db.Connection, studio: str, actions: Sequence[int], *, by: str, process: bool = False) -> None:
    """Raise Refused where `by` saved the triggers of these actions, and more waits than one person writes to alone.

    Of what a guard holds, and with `process` of what is to be reviewed, too, everything counts, so that nobody lets it
    go part by part.
    """
    house = (await studios.get(tx, [studio])).get(studio)
    above = house.second_person_above if house is not None else None
    if above is None:
        return
    read = release_guards.to_process if process else release_guards.blasts
    own = [one for one in await read(tx, studio, actions) if Hands(one.saved_by).are(by)]
    number = sum(one.number for one in own)
    if needed(above, number):
        names, them = ", ".join(repr(one.trigger) for one in own), "it" if len(own) == 1 else "them"
        are = "wait for a person" if process else "are held"
        raise Refused(
            f"{number:,} of {names} {are}, more than the {above:,} that one person may write to, and {own[0].saved_by}"
            f" saved {them} last: somebody else with the role front_desk has to let them go"
        )


async def let_on(pool: db.Pool, studio: str, name: str | None, *, by: str) -> None:
    """Open a trigger's guard, or all of a studio's, as `by` decided about all that is held. Raises NotFound."""
    async with db.transaction(pool) as tx:
        shut: Iterable[int] = await release_guards.shut(tx, studio)
        if name is not None:
            saved = await triggers.by_name(tx, studio, name)
            if saved is None:
                raise NotFound(f"there is no trigger {name!r}")
            shut = [saved.trigger_id]
        opened = await release_guards.open_again(tx, studio, shut, whatever_is_held=True)
    tell_opened((studio, trigger, by) for trigger in opened)
