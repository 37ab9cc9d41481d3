"""What a trigger does when its message has come to nothing by a time before the date: its [[trigger.ladder]]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from control_center.domain.catalogue import Base, Kind, Source
from control_center.domain.catalogue_actions import ActionKind, Leg
from control_center.domain.table import Table, shown
from control_center.domain.trigger_action import Words
from control_center.domain.trigger_recipients import SendTo

# Each way at most once: so there are never more rungs than these.
WAYS: Mapping[str, Leg] = {"sms_other": Leg.SMS, "email": Leg.EMAIL, "call": Leg.CALL}
_DAY = timedelta(days=1)


class Unless(Enum):
    """What makes a rung needless."""

    DELIVERED = "delivered"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Rung:
    """One step: `by` so long before the date, unless this was reached, go this way."""

    unless: Unless
    by: timedelta
    way: str

    @property
    def leg(self) -> Leg:
        return WAYS[self.way]


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs in their order, and the templates of those legs that the action itself does not have."""

    rungs: tuple[Rung, ...] = ()
    templates: tuple[tuple[Leg, str], ...] = ()

    def has(self, leg: Leg) -> bool:
        return any(rung.leg is leg for rung in self.rungs)


@dataclass(frozen=True, slots=True)
class About:
    """What the trigger says besides, as far as a ladder must fit it. `days` is the offset of its activation.

    `past_date`: it is not acted on after the day of its activation.
    """

    kind: Kind
    base: Base
    days: int
    action: ActionKind
    send_to: SendTo
    words: Words
    use_by: timedelta | None
    past_date: bool


def ladder(top: Table, about: About) -> Ladder:
    """Read the [[trigger.ladder]] tables. Raises Malformed naming the one that is wrong, and what is allowed."""
    value = top.take("ladder")
    if value is None:
        return Ladder()
    if not isinstance(value, list) or not value or not all(isinstance(one, Mapping) for one in value):
        raise top.wrong("ladder", f"{shown(value)}; a step is written under [[trigger.ladder]]")
    wrong = _misplaced(about)
    if wrong:
        raise top.wrong("ladder", wrong)
    rungs: list[Rung] = []
    templates: list[tuple[Leg, str]] = []
    for number, one in enumerate(value, 1):
        table = Table(one, top.where, f"ladder[{number}].")
        rung = _rung(table, about, rungs)
        template = _template(table, rung, about)
        table.refuse_the_rest()
        rungs.append(rung)
        if template is not None:
            templates.append((rung.leg, template))
    return Ladder(tuple(rungs), tuple(templates))


def _misplaced(about: About) -> str | None:
    """Why a trigger of this shape can have no ladder."""
    if not any(leg.is_message for leg in about.action.legs):
        return f"stands beside the action {about.action.name!r}, which sends no message"
    if about.base.source is not Source.DATE or about.base.past:
        return f"counts from a date that may lie ahead, and {about.base.name!r} is none"
    if about.days > 0:
        return f"is for what goes out before its date or on that day; activate.days is {about.days}"
    if about.past_date and about.days < 0:
        return "stands beside exclude.past_date, which ends it with the day of its activation; leave one of the two out"
    if "client" not in about.send_to.everybody:
        return "is for the client, whom send_to does not name"
    return None


def _rung(table: Table, about: About, before: list[Rung]) -> Rung:
    unless = Unless(table.choice("unless", [one.value for one in Unless]))
    if unless is Unless.CONFIRMED and "confirmed" not in about.kind.exclusions:
        raise table.wrong("unless", f"'confirmed'; a record of kind {about.kind.name} cannot be confirmed")
    by = table.period("by")
    if by is None:
        raise table.wrong("by", "is missing; allowed: a number and d, h or m, such as 24h")
    if by >= (1 - about.days) * _DAY:
        raise table.wrong("by", f"{table.values['by']!r}; that is before anything goes out, {-about.days} days before")
    if about.use_by is not None and -about.days * _DAY - by >= about.use_by:
        raise table.wrong("by", f"{table.values['by']!r}; by then its use_by is over")
    if before and by >= before[-1].by:
        raise table.wrong("by", f"{table.values['by']!r}; each step is nearer to the date than the one before it")
    way = table.choice("action", WAYS)
    if any(rung.way == way for rung in before):
        left = ", ".join(one for one in WAYS if all(rung.way != one for rung in before))
        raise table.wrong("action", f"{way!r} is a step already; left: {left or 'none'}")
    return Rung(unless, by, way)


def _template(table: Table, rung: Rung, about: About) -> str | None:
    """The template of a leg that the action does not have; its own legs have their words already."""
    named, words = table.optional("template"), about.words
    if about.action.has(rung.leg):
        if named is not None:
            raise table.wrong("template", f"{about.action.name!r} has words for {rung.leg.value} itself; leave it out")
        return None
    if named is None and rung.leg.is_message and words.text is None and words.template is None:
        raise table.wrong("template", f"is missing; the trigger has no words for {rung.leg.value}")
    return named
