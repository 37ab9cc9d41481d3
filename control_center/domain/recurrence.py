"""When the same date comes round again: which action an occurrence already has, and which name it is kept under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from control_center.domain.action import HANDLED, PENDING, Action, Plan, State
from control_center.domain.activations import is_same
from control_center.domain.catalogue import Source
from control_center.domain.rules import Rule

_TOLD = "~told"


def recurrence(rule: Rule, wanted: Plan, earlier: Sequence[Action]) -> tuple[Action | None, Plan]:
    """The action this occurrence already has, and the plan under the occurrence's full name.

    `earlier` is what this trigger has for the record. A date that was handled, left for another about which a message
    went out, and come back to, is a new occurrence: the same date with `#2`. Under `moved = "nothing"` a date other
    than one that was sent is set aside; under `moved = "tell"` it is told of at once, with a mark of its own.
    """
    if rule.trigger.activate.on.source is Source.INSTALMENT:
        return _of_instalment(rule, wanted, earlier)
    if rule.trigger.activate.on.source is not Source.DATE or rule.trigger.activate.on.once:
        found = _same(rule, wanted, earlier)
        return found, wanted if found is None else replace(wanted, occurrence=found.occurrence)
    same = [action for action in earlier if is_same(rule, without_number(action.occurrence), wanted.occurrence)]
    others = [action for action in earlier if _said(rule, action) and action not in same]
    last = max(same, key=lambda action: action.action_id, default=None)
    if last is not None:
        if not (last.state in HANDLED and not last.unsent and any(_sent_since(last, other) for other in others)):
            wanted = replace(wanted, occurrence=last.occurrence)
        else:
            wanted, last = replace(wanted, occurrence=f"{wanted.occurrence}#{len(same) + 1}"), None
    if others and rule.trigger.moved == "nothing" and (last is None or last.may_return or _waits_to_tell(last)):
        wanted = _settled(wanted)
    if others and rule.trigger.moved == "tell" and last is None:
        wanted = replace(wanted, occurrence=wanted.occurrence + _TOLD)
    return last, wanted


def _same(rule: Rule, wanted: Plan, earlier: Sequence[Action]) -> Action | None:
    return next((action for action in earlier if is_same(rule, action.occurrence, wanted.occurrence)), None)


def _of_instalment(rule: Rule, wanted: Plan, earlier: Sequence[Action]) -> tuple[Action | None, Plan]:
    """An instalment with another due date is another occurrence; where moves are not told of, that is set aside."""
    found, instalment = _same(rule, wanted, earlier), wanted.occurrence.rpartition("@")[0]
    told = any(_said(rule, one) and one.occurrence.rpartition("@")[0] == instalment for one in earlier)
    if told and rule.trigger.moved == "nothing" and (found is None or found.may_return):
        wanted = _settled(wanted)
    return found, wanted


def tells(occurrence: str) -> bool:
    """Whether it is there to tell that the date has moved."""
    return occurrence.endswith(_TOLD)


def tells_at_once(rule: Rule, occurrence: str) -> bool:
    """Whether it still is. Under a trigger that has come to remind afresh it is the reminder of the new date."""
    return tells(occurrence) and rule.trigger.moved == "tell"


def _waits_to_tell(action: Action) -> bool:
    return action.state in PENDING and tells(action.occurrence)


def _said(rule: Rule, action: Action) -> bool:
    """Whether somebody was told of its date. What a shadow recorded counts for a shadow alone."""
    return action.released_at is not None and (rule.trigger.shadow or not action.recorded)


def without_number(occurrence: str) -> str:
    """An occurrence without its marks: `#2`, and that it tells of a move.

    Names of statuses may hold a # of their own, but never at the end of a key.
    """
    base, mark, number = occurrence.removesuffix(_TOLD).rpartition("#")
    return base if mark and number.isdecimal() else occurrence.removesuffix(_TOLD)


def _sent_since(handled: Action, other: Action) -> bool:
    """Whether `other` was sent after `handled` was dealt with; where it sent nothing, which was planned later."""
    assert other.released_at is not None
    if handled.released_at is None:
        return other.action_id > handled.action_id
    return other.released_at > handled.released_at


def _settled(wanted: Plan) -> Plan:
    reason = "moved: a message about an earlier date went out"
    return replace(wanted, state=State.BASELINED, reason=reason, due_at=wanted.activation_at)
