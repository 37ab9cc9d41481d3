"""Switching a trigger off asks what becomes of what waits: hold it, let it drain, or drop it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from control_center.domain.action import PAUSED, PENDING, Change, State
from control_center.domain.errors import Refused
from control_center.domain.planner import due
from control_center.domain.rules import Rules
from control_center.store import actions, db, release_guards

PAGE = 1000
PAUSES: Final = ("hold", "drain", "drop")
EDITS: Final = ("follow", "keep")


@dataclass(frozen=True, slots=True)
class Choices:
    """What becomes of what waits: under a trigger that is edited, and under one that is switched off."""

    edited: str = "follow"
    off: str = "hold"

    @classmethod
    def of(cls, pending: str | None) -> Self:
        """The one that was chosen, beside the default of the other. Raises Refused for none of them."""
        if pending is None:
            return cls()
        if pending in EDITS:
            return cls(edited=pending)
        if pending in PAUSES:
            return cls(off=pending)
        raise Refused(f"pending {pending!r}: allowed are {', '.join(EDITS)}; switching off, {', '.join(PAUSES)}")


def paused(choice: str) -> str | None:
    """How a trigger stands that was switched off by this choice. Raises Refused for none of the three."""
    if choice not in PAUSES:
        raise Refused(f"pending {choice!r}: allowed when a trigger is switched off are {', '.join(PAUSES)}")
    return None if choice == "drop" else choice


async def pause(tx: db.Connection, studio: str, trigger_id: int, choice: str, *, by: str, now: datetime) -> int:
    """Do to a trigger's pending actions what was chosen; returns how many changed."""
    match choice:
        case "hold":
            return await _turn(tx, studio, trigger_id, {State.PLANNED, State.REVIEW}, to=State.HELD, reason=PAUSED)
        case "drop":
            at = now.isoformat(timespec="seconds")
            reason = f"deleted by {by} at {at}, who switched its trigger off"
            await release_guards.open_again(tx, studio, [trigger_id], whatever_is_held=True)
            return await _turn(tx, studio, trigger_id, PENDING, to=State.DELETED, reason=reason)
        case _:
            return 0


async def drop(tx: db.Connection, studio: str, trigger_id: int, *, by: str) -> int:
    """Delete what waits of a trigger that is removed; returns how many that were."""
    reason = f"deleted by {by}, who removed its trigger"
    return await _turn(tx, studio, trigger_id, PENDING, to=State.DELETED, reason=reason)


async def _turn(
    tx: db.Connection, studio: str, trigger_id: int, states: Collection[State], *, to: State, reason: str
) -> int:
    after, turned = 0, 0
    while page := await actions.of_trigger(tx, studio, trigger_id, states=states, after=after, limit=PAGE):
        await actions.change(tx, [(one.studio, Change(one.action, one.action.turned(to, reason))) for one in page])
        turned += len(page)
        after = page[-1].action.action_id
    return turned


async def wake(tx: db.Connection, studio: str, trigger_id: int, rules: Rules, now: datetime) -> int:
    """Let what was held while its trigger was off wait for its time again; returns how many that were.

    What is held for another reason needs its person still. What no longer qualifies lapses when it is due.
    """
    after, woken = 0, 0
    while page := await actions.of_trigger(tx, studio, trigger_id, states={State.HELD}, after=after, limit=PAGE):
        changes = []
        for one in page:
            rule = rules.of(trigger_id, one.action.trigger_version)
            if one.action.reason == PAUSED and rule is not None:
                changes.append(
                    (one.studio, Change(one.action, replace(due(rule, one.action, now), state=State.PLANNED)))
                )
        if changes:
            await actions.change(tx, changes)
        woken += len(changes)
        after = page[-1].action.action_id
    return woken
