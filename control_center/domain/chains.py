"""Triggers that set off triggers: how far a chain may go, and which triggers would go round in a circle.

A trigger that changes a status makes an event of the CRM, and that event may fire others. An action knows the triggers
that led to it; none of them fires again for it, and after LONGEST of them nothing does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from control_center.domain.catalogue import Source
from control_center.domain.trigger import Trigger

LONGEST = 5  # triggers that set off one another
STOPPED = "chain:"  # how the reason of an occurrence begins that is not followed

OF_A_STATUS = (Source.STATUS_CHANGED, Source.STATUS_DUE)


def broken(trigger: Trigger, chain: Sequence[int]) -> str | None:
    """Why a trigger does not follow on these; None where it does. Only what hangs on a status can be set off."""
    if not chain or trigger.activate.on.source not in OF_A_STATUS:
        return None
    if trigger.trigger_id in chain:
        return f"{STOPPED} this change came of the trigger itself"
    if len(chain) >= LONGEST:
        return f"{STOPPED} {len(chain)} triggers have set off one another already"
    return None


def circle(triggers: Iterable[Trigger]) -> list[str] | None:
    """The names along a circle of enabled triggers, the first of them again at the end; None where there is none."""
    live = sorted((one for one in triggers if one.enabled), key=lambda one: one.name)
    follows = {one.name: [other for other in live if _sets_off(one, other)] for one in live}
    done: set[str] = set()
    for first in live:
        found = _walk(first, follows, [], done)
        if found is not None:
            return found
    return None


def _walk(at: Trigger, follows: dict[str, list[Trigger]], path: list[str], done: set[str]) -> list[str] | None:
    if at.name in path:
        return [*path[path.index(at.name) :], at.name]
    if at.name in done:
        return None
    for other in follows[at.name]:
        found = _walk(other, follows, [*path, at.name], done)
        if found is not None:
            return found
    done.add(at.name)
    return None


def _sets_off(one: Trigger, other: Trigger) -> bool:
    """Whether the status that `one` sets is one that `other` waits for, on records that both are about."""
    status = one.to_status or one.then_status
    if status is None or one.kind != other.kind or other.activate.on.source not in OF_A_STATUS:
        return False
    if other.status not in (None, status):
        return False
    # A trigger that waits for the status it sets changes nothing: a record in it does not enter it again.
    if one.name == other.name and one.status == status:
        return False
    return one.type is None or other.type is None or one.type == other.type
