"""Shadow mode: a trigger that runs live, and of which only what it would have done is written down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from control_center.domain.action import RECORDED
from control_center.domain.forecast import Scene, written
from control_center.domain.recipients import Routing
from control_center.domain.template import Unrenderable
from control_center.engine.addressing import Sending, message
from control_center.store import shadows


def messages(one: Sending, routing: Routing, now: datetime) -> Iterator[shadows.New]:
    """The messages that it would have made, in the words that would have left."""
    scene = scene_of(one)
    for box in routing.letterboxes:
        try:
            words = written(scene, box.leg, box.recipient, now)
        except Unrenderable as error:
            yield shadows.New(message(one, box), None, None, error.reason)
        else:
            assert words is not None, "a message has words"
            yield shadows.New(message(one, box), words.subject, words.text, "shadow: its trigger only records")


def reason(one: Sending, routing: Routing, now: datetime) -> str:
    """What the action says of itself: the commands that it would have given, and why any leg was not taken."""
    scene, would = scene_of(one), []
    for errand in routing.errands:
        whose = f" for client {errand.client_id}" if errand.client_id else ""
        try:
            words = written(scene, errand.leg, errand.recipient, now)
        except Unrenderable as error:
            would.append(f"{errand.leg.value}{whose} ({error.reason})")
        else:
            said = [part for part in (words.subject, words.text) if part] if words else []
            would.append(f"{errand.leg.value}{whose}" + (f" ({': '.join(said)})" if said else ""))
    if one.rule.trigger.then_status is not None:
        would.append(f"change_status ({one.rule.trigger.then_status})")
    asked = f"{RECORDED} would have asked the CRM for {', '.join(would)}" if would else f"{RECORDED} only recorded"
    return f"{asked}; {routing.reason}" if routing.reason else asked


def scene_of(one: Sending) -> Scene:
    """The same, as its words are made of it."""
    action = one.due.action
    name = f"a-{action.action_id}" if action.action_id > 0 else None
    house = one.book
    return Scene(
        one.rule, one.picture, action.occurrence, one.client, house.studio, house.templates, name, action.use_by
    )
