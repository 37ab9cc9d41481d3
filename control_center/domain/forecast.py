"""What comes of an action if nothing changes: when, to whom, by which leg, in which words, and why not sooner.

It asks the planner what release will ask it, only earlier. Forecast and backtest are made of these functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

import msgspec

from control_center.domain import arrival, sms, template_samples, words
from control_center.domain.action import PAUSED
from control_center.domain.catalogue_actions import Leg
from control_center.domain.confirmation import attached, enclosed
from control_center.domain.people import Recipient
from control_center.domain.planner import Expire, Lapse, Review, Send, Wait, decide
from control_center.domain.recipients import Letterbox, Routing
from control_center.domain.record import Picture
from control_center.domain.recurrence import tells
from control_center.domain.rules import Rule
from control_center.domain.shifts import LEAST_STEP, shifts
from control_center.domain.studio import Studio
from control_center.domain.template import Unrenderable
from control_center.domain.template_fields import offered
from control_center.domain.trigger import Trigger

MOST_STEPS = 4000  # looks at one action: more than ten years of closed days can ask for


class Fate(str, Enum):
    """What an action comes to."""

    GOES = "goes"
    FAILS = "fails"  # it has somebody to go to, and no words: a field without a value
    SHADOW = "shadow"  # its trigger only records what it would have sent
    REVIEW = "waits for a person"
    HELD = "held"
    FOLLOWS = "may follow"  # a step of a ladder, if nothing comes of what goes before
    LAPSES = "lapses"
    EXPIRES = "expires"


SENDING = frozenset({Fate.GOES, Fate.SHADOW, Fate.REVIEW, Fate.HELD, Fate.FOLLOWS})  # where it goes is worth looking at
_LEAVING = frozenset({Fate.GOES, Fate.SHADOW})
_ON_ITS_WAY = frozenset({Fate.GOES, Fate.FOLLOWS})
_NEEDS_WORDS = frozenset({Leg.SMS, Leg.EMAIL, Leg.LETTER})  # a call or a task comes about without them, too


@dataclass(frozen=True, slots=True)
class End:
    """Where an action gets, and when."""

    at: datetime
    fate: Fate
    reason: str = ""


class Line(msgspec.Struct, frozen=True):
    """One message or command of a forecast, or the end of an action that makes none.

    `text` is None where there are no words, and then `reason` may say why they cannot be written. `segments` are those
    of a text, as it is paid for. `shifts` are the reasons why it goes later than its activation, in their order. What
    is of a `bulk` has neither trigger nor action.
    """

    at: datetime
    fate: Fate
    trigger: str
    version: int
    action: str | None
    record: str
    client: str | None
    role: str = ""
    recipient: str = ""
    leg: str = ""
    address: str = ""
    subject: str | None = None
    text: str | None = None
    reason: str = ""
    shifts: tuple[str, ...] = ()
    segments: int | None = None
    bulk: str | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """An action's rule and record, and what its words are made of. `action` is its name, where it has one."""

    rule: Rule
    picture: Picture
    occurrence: str
    client: Picture | None
    studio: Studio
    templates: Mapping[str, words.Source]
    action: str | None = None
    use_by: datetime | None = None

    @property
    def trigger(self) -> Trigger:
        return self.rule.trigger

    def source(self, leg: Leg) -> words.Source:
        """The parts that its words for a leg are made of. Raises Unrenderable."""
        return words.source(self.trigger, self.templates, leg, moved=tells(self.occurrence))


# When -----------------------------------------------------------------------------------------------------


def follow(
    rule: Rule | None,
    picture: Picture | None,
    occurrence: str,
    start: datetime,
    until: datetime,
    *,
    session: Picture | None = None,
) -> End | None:
    """Follow one occurrence from `start` on, as release will; None where nothing comes of it before `until`."""
    if rule is not None and rule.trigger.paused == "hold":
        return End(start, Fate.HELD, PAUSED)
    now = start
    for _ in range(MOST_STEPS):
        if now > until:
            return None
        match decide(rule, picture, occurrence, now, session=session):
            case Send():
                return End(now, Fate.SHADOW if rule is not None and rule.trigger.shadow else Fate.GOES)
            case Review(reason=reason):
                return End(now, Fate.REVIEW, reason)
            case Lapse(reason=reason):
                return End(now, Fate.LAPSES, reason)
            case Expire(reason=reason):
                return End(now, Fate.EXPIRES, reason)
            case Wait(until=later):
                now = max(later, now + LEAST_STEP)
    return None


# To whom, in which words ----------------------------------------------------------------------------------


def lines(scene: Scene, end: End, routing: Routing | None, activation: datetime) -> list[Line]:
    """The lines of one action: one for each message and command it makes, or one that says why it makes none."""
    moved = shifts(scene.rule, activation, end.at)
    if end.fate not in SENDING or routing is None:
        return [line(scene, end, shifts=moved)]
    if routing.empty:
        fate = Fate.LAPSES if routing.excluded else Fate.EXPIRES
        why = routing.reason or "no route"
        over = End(end.at, fate, why) if end.fate in _LEAVING else End(end.at, end.fate, _joined(end.reason, why))
        return [line(scene, over, shifts=moved)]
    return [*_messages(scene, end, routing, moved), *_errands(scene, end, routing, moved)]


def line(scene: Scene, end: End, *, shifts: Sequence[str] = (), **keys: object) -> Line:
    """A line about an action; `keys` are fields of it that say more."""
    picture = scene.picture
    about = Line(
        at=end.at,
        fate=end.fate,
        trigger=scene.trigger.name,
        version=scene.trigger.version,
        action=scene.action,
        record=f"{picture.kind}/{picture.record_id}",
        client=picture.record_id if picture.kind == "client" else picture.client_id,
        reason=end.reason,
        shifts=tuple(shifts),
    )
    return msgspec.structs.replace(about, **keys) if keys else about


def _messages(scene: Scene, end: End, routing: Routing, moved: Sequence[str]) -> Iterator[Line]:
    for box in routing.letterboxes:
        theirs, quiet = _arrives(scene, end, box)
        if theirs.fate is Fate.EXPIRES:
            yield line(scene, theirs, shifts=moved, role=box.recipient.role, leg=box.leg.value, address=box.address)
            continue
        written, reason = _written(scene, box.leg, box.recipient, theirs.at)
        yield line(
            scene,
            _without_words(theirs, box.leg, reason),
            shifts=(*moved, *quiet),
            role=box.recipient.role,
            recipient=_name(box.recipient),
            leg=box.leg.value,
            address=box.address,
            subject=written.subject if written else None,
            text=written.text if written else None,
            reason=_joined(end.reason, reason or routing.reason),
            segments=sms.segments(written.text).count if written and box.leg is Leg.SMS else None,
        )


def _arrives(scene: Scene, end: End, box: Letterbox) -> tuple[End, tuple[str, ...]]:
    """Where one message gets, which may have to wait for its recipient's hours, and the reason if it has to."""
    if box.leg is not Leg.SMS or end.fate not in _ON_ITS_WAY:
        return end, ()
    to = arrival.addressee(box.address, box.recipient.role, scene.client)
    later = arrival.later(scene.studio, to, scene.trigger.purpose, end.at, scene.rule.calendar)
    if later is None:
        return end, ()
    if later.until is None or (scene.use_by is not None and later.until >= scene.use_by):
        return End(end.at, Fate.EXPIRES, later.reason), ()
    return replace(end, at=later.until), (later.reason,)


def _errands(scene: Scene, end: End, routing: Routing, moved: Sequence[str]) -> Iterator[Line]:
    for errand in routing.errands:
        written, reason = _written(scene, errand.leg, errand.recipient, end.at)
        yield line(
            scene,
            _without_words(end, errand.leg, reason),
            shifts=moved,
            role=errand.recipient.role if errand.recipient else "client" if errand.client_id else "",
            recipient=_name(errand.recipient) if errand.recipient else "",
            leg=errand.leg.value,
            client=errand.client_id,
            subject=written.subject if written else None,
            text=written.text if written else None,
            reason=_joined(end.reason, reason or routing.reason),
        )
    status = scene.trigger.then_status
    if status is not None:
        yield line(scene, end, shifts=moved, leg=Leg.CHANGE_STATUS.value, text=status)


def _without_words(end: End, leg: Leg, reason: str) -> End:
    """Where it gets if its words cannot be written for this `reason`, which may be empty."""
    fails = reason and end.fate in _LEAVING and leg in _NEEDS_WORDS
    return replace(end, fate=Fate.FAILS) if fails else end


def _joined(*reasons: str) -> str:
    return "; ".join(dict.fromkeys(one for one in reasons if one))


def _name(recipient: Recipient) -> str:
    return f"{recipient.first_name} {recipient.last_name}".strip()


def _written(scene: Scene, leg: Leg, recipient: Recipient | None, now: datetime) -> tuple[words.Words | None, str]:
    """The words that leave by this leg at this instant, if it has any; else why they cannot be written."""
    try:
        return written(scene, leg, recipient, now), ""
    except Unrenderable as error:
        return None, error.reason


def written(scene: Scene, leg: Leg, recipient: Recipient | None, now: datetime) -> words.Words | None:
    """The words of one leg, as they are written at this instant; None where it has none. Raises Unrenderable."""
    trigger = scene.trigger
    known = {} if recipient is None else msgspec.to_builtins(recipient)
    links = links_foreseen(scene.picture.kind, leg)
    seen = words.fields(scene.studio, scene.picture, scene.client, known, now, links=links)
    match leg:
        case Leg.SMS:
            return words.text_message(scene.source(leg), seen, scene.studio)
        case Leg.EMAIL:
            parts = scene.source(leg)
            wanted, mail = attached(trigger, parts), words.mail(parts, seen)
            return enclosed(wanted, mail, scene.picture, scene.studio, now)[0]
        case Leg.LETTER:
            return words.letter(scene.source(leg), seen)
        case Leg.CALL:
            if trigger.words.text is None and trigger.words.template_of(leg) is None and not tells(scene.occurrence):
                return None
            return words.Words(words.note(scene.source(leg), seen))
        case Leg.TASK:
            assert trigger.task is not None, "a trigger that creates tasks says which"
            subject, description = words.task(trigger.task, seen)
            return words.Words(description or "", subject)
        case Leg.WEB_FORM:
            return words.Words(trigger.web_form or "")
        case Leg.CHANGE_STATUS:
            return words.Words(trigger.to_status or "")


def links_foreseen(kind: str, leg: Leg) -> dict[str, str]:
    """The links of a message that is not made yet: as long as real ones, and leading nowhere."""
    offers = offered(kind, leg.value)
    return {name: url for name, url in template_samples.links().items() if name in offers}
