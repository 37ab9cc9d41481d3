"""The story of one action: what planned it, what it waits for or why it ended, and what became of its messages."""

from __future__ import annotations

from datetime import timedelta

from control_center.domain.action import State
from control_center.domain.catalogue_actions import Leg
from control_center.domain.planner import Expire, Lapse, Review, Send, Wait, decide
from control_center.engine import explain_event, explain_message
from control_center.engine.commands import ids_of
from control_center.engine.explain_words import Case, Step, Told, when
from control_center.store import command_feed, db, ladders, views_messages
from control_center.store.views_actions import Action
from control_center.store.views_messages import Message

SOON = timedelta(minutes=1)  # release is not expected to be later than this


async def of(tx: db.Connection, case: Case, action: Action, *, only: str | None = None) -> Told:
    """The whole story of an action; with `only`, the id of one message, the sentence is about that one."""
    steps = await explain_event.origin(tx, case, action) + state_of(case, action)
    messages = await _messages(tx, case, action)
    sentences = []
    for message in messages:
        told = await explain_message.of(tx, case, message)
        steps += told.steps
        if only in (None, message.id):
            sentences.append(told.sentence)
    commands = await _commands(tx, case, action)
    steps += commands + await _ladder(tx, case, action)
    if not sentences:
        sentences = [step.text for step in commands] or [_sentence(case, action)]
    return Told(" ".join(_closed(one) for one in sentences), sorted(steps, key=lambda step: step.at))


async def of_message(tx: db.Connection, case: Case, message: Message) -> Told:
    """The story of a message without an action, such as one that came in."""
    return await explain_message.of(tx, case, message)


def state_of(case: Case, action: Action) -> list[Step]:
    """That the action was made, and how it stands."""
    name = repr(action.trigger) if action.trigger else f"number {action.trigger_id}, deleted since,"
    made = (
        f"trigger {name} in version {action.trigger_version} made {action.id} for {action.record}, {action.occurrence}:"
        f" active on {when(case.zone, action.activation_at)}, of use until {when(case.zone, action.use_by)}"
    )
    ids = [action.id, action.record, *([action.event_id] if action.event_id else [])]
    if action.state == State.RELEASED.value and action.released_at is not None:
        by = f" by {action.released_by}" if action.released_by else ""
        by += f", let go past the blast guard by {action.let_go_by}" if action.let_go_by else ""
        reason = f": {action.reason}" if action.reason else ""
        return [
            Step(action.created_at, made, ids),
            Step(action.released_at, f"{action.id} was released{by}{reason}", [action.id]),
        ]
    return [Step(action.created_at, made, ids), Step(case.now, _sentence(case, action), [action.id])]


def _sentence(case: Case, action: Action) -> str:
    reason = action.reason or "no reason was written down"
    match State(action.state):
        case State.PLANNED:
            return _outlook(case, action) + _hours(case, action)
        case State.REVIEW:
            return f"{action.id} waits for a person to process or delete it: {reason}"
        case State.HELD:
            return f"{action.id} is held until a person lets it go: {reason}"
        case State.RELEASED:
            return f"{action.id} was released and made neither a message nor a command: {reason}"
        case State.LAPSED:
            back = f"; it returns if that changes before {when(case.zone, action.use_by)}"
            return f"{action.id} sent nothing: {reason}{back if case.now < action.use_by else ''}"
        case State.EXPIRED:
            return f"{action.id} ended without a send: {reason}"
        case State.DELETED:
            return f"{action.id} sent nothing: {reason}"
        case State.BASELINED:
            return f"{action.id} never sends: {reason}"


def _hours(case: Case, action: Action) -> str:
    """What its texts will wait for besides, once it is released: which is decided for each number."""
    rule = case.rules.of(action.trigger_id, action.trigger_version)
    if rule is None or not rule.trigger.action.has(Leg.SMS) or not case.studio.hours.keeps(rule.trigger.purpose):
        return ""
    return "; its texts then keep to their recipients' hours"


def _outlook(case: Case, action: Action) -> str:
    """What stands in the way of a planned action at this moment."""
    if not case.studio.enabled:
        return f"{action.id} waits: studio {case.studio.studio!r} is switched off, and nothing is released for it"
    due = when(case.zone, action.due_at)
    rule = case.rules.of(action.trigger_id, action.trigger_version)
    decision = decide(rule, case.picture, action.occurrence, case.now, session=case.session)
    match decision:
        case Lapse(reason=reason) | Expire(reason=reason):
            return f"{action.id} is looked at on {due}; as things stand it would send nothing then: {reason}"
        case Wait(until=until, reason=reason):
            return f"{action.id} waits until {when(case.zone, max(until, action.due_at))}: {action.reason or reason}"
        case Review():
            return f"{action.id} is to be shown for review on {due}: its trigger waits for a person"
        case Send() if action.due_at <= case.now - SOON:
            return f"{action.id} has been due since {due} and is not released: is the release running?"
        case Send():
            return f"{action.id} is due on {due}" + (f": {action.reason}" if action.reason else "")


async def _messages(tx: db.Connection, case: Case, action: Action) -> list[Message]:
    wanted = views_messages.Filter(action=action.number, record=(case.kind, case.record_id))
    page = await views_messages.messages(tx, case.studio.studio, wanted, limit=50)
    return page.items[::-1]


async def _commands(tx: db.Connection, case: Case, action: Action) -> list[Step]:
    """What the CRM was asked to do: its id follows from the action, so the same function finds it again."""
    rule = case.rules.of(action.trigger_id, action.trigger_version)
    if action.state != State.RELEASED.value or rule is None or case.picture is None:
        return []
    found = await command_feed.by_id(tx, case.studio.studio, ids_of(rule.trigger, case.picture, action.id))
    return [
        Step(
            one.created_at,
            f"the CRM was asked to {one.command.verb.replace('_', ' ')}; "
            + (
                f"it took the command on {when(case.zone, one.published_at)}"
                if one.published_at
                else f"the command still waits ({one.state})"
            ),
            [action.id, one.command.command_id],
        )
        for one in found
    ]


async def _ladder(tx: db.Connection, case: Case, action: Action) -> list[Step]:
    """When its ladder is looked at next. What it did already stands in the action's reason."""
    place = await ladders.of_action(tx, case.studio.studio, action.number)
    if place is None:
        return []
    text = f"step {place.rung + 1} of its ladder is looked at on {when(case.zone, place.due_at)}"
    return [Step(case.now, text + (f": {place.reason}" if place.reason else ""), [action.id])]


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?")) else f"{sentence}."
