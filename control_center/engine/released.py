"""What one round of release did: noted while it is decided, written in its transaction, logged after the commit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from control_center.domain.action import Change, Plan, State
from control_center.domain.blast import HELD
from control_center.domain.command import Cause, Command, command
from control_center.domain.planner import Decision, Expire, Lapse, Review, Send, Wait
from control_center.domain.rules import Rule
from control_center.engine import blast
from control_center.store import actions, commands, db, ladders, messages, shadows
from control_center.store.actions import Due

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Released:
    """What one round did, by the state each action has now."""

    due: int = 0
    released: list[tuple[Due, str]] = field(default_factory=list)
    made: list[messages.New] = field(default_factory=list)
    recorded: list[shadows.New] = field(default_factory=list)  # what triggers in shadow mode would have sent
    asked: list[Command] = field(default_factory=list)
    climbing: list[ladders.Place] = field(default_factory=list)  # what is looked at again before its date
    changes: list[tuple[str, Change]] = field(default_factory=list)
    triggers: dict[tuple[str, int], str] = field(default_factory=dict)  # the names of those that exist
    shut: list[tuple[str, str, str]] = field(default_factory=list)  # blast guards: studio, trigger's name, reason
    opened: list[blast.Opened] = field(default_factory=list)


def note(done: Released, one: Due, decision: Decision, rule: Rule | None, *, by: str | None) -> None:
    """Write down a decision that sends nothing now. What a person may not process yet stays where it is."""
    action = one.action
    plan = action.turned(action.state, action.reason)
    match decision:
        case Wait(reason=reason) if by is not None:
            # What its guard holds it still holds: by the beginning of the reason it is known.
            held = f"{HELD} {by} processed it, and it still waits: {reason}"
            plan = replace(plan, reason=held if blast.held(one) else reason)
        case Wait(until=until, reason=reason):
            plan = replace(plan, state=State.PLANNED, due_at=until, reason=reason)
        case Review(reason=reason):
            plan = replace(plan, state=State.REVIEW, reason=reason)
        case Lapse(reason=reason):
            plan = replace(plan, state=State.LAPSED, reason=reason)
        case Expire(reason=reason):
            plan = replace(plan, state=State.EXPIRED, reason=reason)
        case Send():
            raise AssertionError("what may be sent is addressed, not noted")
    end(done, one, plan, rule)


def end(done: Released, one: Due, plan: Plan, rule: Rule | None) -> None:
    done.changes.append((one.studio, Change(one.action, plan)))
    if plan.state in (State.LAPSED, State.EXPIRED, State.HELD) and plan.state is not one.action.state:
        done.asked.append(_report(one, plan, rule))


def _report(one: Due, plan: Plan, rule: Rule | None) -> Command:
    """The report that an action ended without a send, or that it needs a person."""
    action = f"a-{one.action.action_id}"
    cause = Cause(rule.trigger.name if rule else None, plan.trigger_version, action, one.event_id)
    data = {"action": action, "state": plan.state.value, "reason": plan.reason}
    # An action may lapse, return and lapse again: each time is a report of its own.
    of = f"{action} {plan.state.value} {plan.due_at.isoformat()} {plan.reason}"
    verb = "action.held" if plan.state is State.HELD else "action.lapsed"
    return command(one.studio, f"{one.kind}/{one.record_id}", verb, data, cause=cause, of=of)


async def write(tx: db.Connection, done: Released, *, now: datetime, by: str | None) -> None:
    if done.changes:
        await actions.change(tx, done.changes)
    if done.released:
        await actions.release(tx, done.released, now=now, by=by)
    if done.made:
        await messages.add(tx, done.made)
        await db.notify(tx, messages.WORK_CHANNEL)
    if done.climbing:
        await ladders.add(tx, done.climbing)
    if done.recorded:
        await shadows.add(tx, done.recorded)
    if done.asked:
        await commands.enqueue(tx, done.asked)


_EVENTS = {state: f"action.{state.value}" for state in State}


def tell(done: Released) -> None:
    """Log what a committed round did."""
    for studio, trigger, reason in done.shut:
        log.warning("guard.shut", studio=studio, trigger=trigger, reason=reason)
    blast.tell_opened(done.opened)
    for due, reason in done.released:
        log.info(
            "action.released",
            studio=due.studio,
            trigger=done.triggers.get((due.studio, due.action.trigger_id)),
            action=f"a-{due.action.action_id}",
            record=f"{due.kind}/{due.record_id}",
            event_id=due.event_id,
            reason=reason or None,
        )
    for studio, change in done.changes:
        log.info(
            _EVENTS[change.plan.state],
            studio=studio,
            trigger=done.triggers.get((studio, change.plan.trigger_id)),
            action=f"a-{change.action.action_id}",
            reason=change.plan.reason,
            due_at=change.plan.due_at.isoformat() if change.plan.state is State.PLANNED else None,
        )
