"""Runs the examples beside a trigger: through the planner, the addressing and the words that act."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from control_center.domain import words, zones
from control_center.domain.action import Add, Plan, State
from control_center.domain.activations import celebrating, dateless
from control_center.domain.blackouts import Blackouts
from control_center.domain.catalogue_actions import Leg
from control_center.domain.forecast import Scene, written
from control_center.domain.people import NOBODY, Recipient, Users
from control_center.domain.planner import Expire, Lapse, Review, Send, Wait, decide
from control_center.domain.qualification import unmatched
from control_center.domain.recipients import Routing, route
from control_center.domain.reconciliation import reconcile
from control_center.domain.record import Picture, Record, moment, read
from control_center.domain.rules import Rule, Rules
from control_center.domain.studio import Studio
from control_center.domain.template import Unrenderable
from control_center.domain.trigger import Trigger
from control_center.domain.trigger_examples import CLIENT_ID, COUNTRY, Example, Expected

EARLIER = timedelta(days=14)  # how long before anything can happen an example's record is known, if it does not say
_STEPS = 60  # closed times that one action may wait for


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that does not hold: which example, what it expects, what came of it."""

    example: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.example}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one occurrence comes to: when, to whom, by which legs and in which words; or nothing, for a reason."""

    send_at: datetime | None = None
    to: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    reason: str = ""


def failures(
    trigger: Trigger, studio: Studio, templates: Mapping[str, words.Source], users: Users = NOBODY
) -> list[Failure]:
    """Everything that the examples of a trigger expect and that does not come of them; empty where all hold.

    A trigger is taken as if it were switched on, in its studio's zone. Closed days are not looked at: they change
    from year to year, and an example shall not. Window and weekdays are, and `users`, who works for the studio: an
    example that counts on one of them says what no longer happens.
    """
    return [
        failure
        for example in trigger.examples
        for failure in _failures(example, outcomes(trigger, example, studio, templates, users), studio)
    ]


def _failures(example: Example, found: list[Outcome], studio: Studio) -> list[Failure]:
    sent = [one for one in found if one.send_at is not None]
    expected, zone = example.expected, zones.zone(studio.timezone)
    if expected.nothing is not None:
        return [] if not sent and _says(found, expected.nothing) else [_not_nothing(example, found, zone)]
    if not sent:
        return [Failure(example.place, _wanted(expected), f"nothing: {_reasons(found)}")]
    # Of several occurrences, such as instalments, the example is about the one that it fits best.
    return min((list(_wrong(example, one, zone)) for one in sent), key=len)


def _wanted(expected: Expected) -> str:
    return f"a send at {expected.send_at}" if expected.send_at else "a send"


def _says(found: list[Outcome], part: str) -> bool:
    return any(part.casefold() in one.reason.casefold() for one in found)


def _reasons(found: list[Outcome]) -> str:
    return "; ".join(dict.fromkeys(one.reason for one in found if one.reason)) or "no reason is known"


def _not_nothing(example: Example, found: list[Outcome], zone: zones.Zone) -> Failure:
    expected = f"nothing because of {example.expected.nothing!r}" if example.expected.nothing else "nothing"
    sent = [f"a send at {_local(zone, one.send_at)}" for one in found if one.send_at is not None]
    return Failure(example.place, expected, ", ".join(sent) or f"nothing: {_reasons(found)}")


def _wrong(example: Example, got: Outcome, zone: zones.Zone) -> Iterator[Failure]:
    expected = example.expected
    assert got.send_at is not None, "only what is sent is compared"
    if expected.send_at is not None and not _is_at(expected.send_at, got.send_at, zone):
        yield Failure(f"{example.place}.send_at", expected.send_at, _local(zone, got.send_at))
    if expected.to is not None and set(expected.to) != set(got.to):
        yield Failure(f"{example.place}.to", _list(expected.to), _list(got.to))
    if expected.by is not None and expected.by != got.by:
        yield Failure(f"{example.place}.by", _list(expected.by), _list(got.by))
    for part in expected.text_contains:
        if not any(part in text for text in got.texts):
            yield Failure(f"{example.place}.text_contains", repr(part), " / ".join(map(repr, got.texts)) or "no words")


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nobody"


def _local(zone: zones.Zone, at: datetime | None) -> str:
    return "" if at is None else f"{zones.at_local(zone, at):%Y-%m-%dT%H:%M}"


def _is_at(expected: str, got: datetime, zone: zones.Zone) -> bool:
    """Whether it is that minute, or that local day where only a day is expected."""
    found = moment(expected, zone.name)
    if found.instant is None:
        return zones.local_date(zone, got) == found.day
    return abs(got - found.instant) < timedelta(minutes=1)


# What comes of an example ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Case:
    """A rule and the record it is tried on, with everything that words are made of."""

    rule: Rule
    picture: Picture
    client: Picture
    studio: Studio
    templates: Mapping[str, words.Source]
    users: Users

    @property
    def whose(self) -> Picture | None:
        """The example's client, unless its record says that it is nobody's, or somebody's we do not know."""
        known = self.picture.kind == "client" or self.picture.client_id == CLIENT_ID
        return self.client if known else None


def outcomes(
    trigger: Trigger,
    example: Example,
    studio: Studio,
    templates: Mapping[str, words.Source],
    users: Users = NOBODY,
) -> list[Outcome]:
    """What each occurrence of an example's record comes to, in time; one with the reason where there is none."""
    rules = Rules([replace(trigger, trigger_id=1, version=1, paused=None)], zones.zone(studio.timezone), Blackouts())
    rule = rules.by_id[1]
    at = _known_at(rule, example)
    picture = _picture(studio.studio, trigger.kind.name, example.record)
    client = picture if trigger.kind.name == "client" else _picture(studio.studio, "client", example.client)
    case = _Case(rule, picture, client, studio, templates, users)
    steps = [step for step in reconcile(picture, rules, (), at) if isinstance(step, Add)]
    if not steps:
        return [Outcome(reason=unmatched(rule, picture) or dateless(rule, picture))]
    ends = [(step.plan.occurrence, _sent_at(rule, picture, step.plan, at)) for step in steps]
    return [end if isinstance(end, Outcome) else _sent(case, occurrence, end) for occurrence, end in ends]


def _picture(studio: str, kind: str, body: str) -> Picture:
    """A record that we saw being created."""
    record = read(body)
    whose = None if kind == "client" else record.client_id
    return Picture(studio, kind, record.record_id, record.version, body, whose, False, record.version, None, None)


def _known_at(rule: Rule, example: Example) -> datetime:
    """When we hear of the record: as the example says, else some days before it, or what it expects, can matter."""
    zone = rule.zone
    if example.at is not None:
        return _instant(example.at, zone)
    if example.expected.send_at is not None:
        return _instant(example.expected.send_at, zone) - EARLIER
    record = read(example.record)
    earliest = min((_instant(text, zone) for text in _moments(record)), default=datetime(2027, 1, 1, tzinfo=UTC))
    return earliest - EARLIER - timedelta(days=max(0, -rule.trigger.activate.days))


def _instant(text: str, zone: zones.Zone) -> datetime:
    found = moment(text, zone.name)
    return found.instant or zones.start_of_day(zone, found.day)


def _moments(record: Record) -> Iterator[str]:
    received = record.nps.received_at if record.nps else None
    dues = [one.due for one in record.instalments or ()]
    found = (record.status_changed_at, record.status_due_date, received, *record.dates.values(), *dues)
    return (text for text in found if text is not None)


def _sent_at(rule: Rule, picture: Picture, plan: Plan, at: datetime) -> datetime | Outcome:
    """Follow one occurrence until it may go. A trigger that waits for a person gets one at once."""
    if plan.state is not State.PLANNED:
        return Outcome(reason=plan.reason)
    now, by_hand = max(plan.due_at, at), False
    for _ in range(_STEPS):
        match decide(rule, picture, plan.occurrence, now, by_hand=by_hand):
            case Send():
                return now
            case Review():
                by_hand = True
            case Wait(until=until):
                now = max(until, now + timedelta(minutes=1))
            case Lapse(reason=reason) | Expire(reason=reason):
                return Outcome(reason=reason)
    return Outcome(reason="it waits for ever: no time is open")


def _sent(case: _Case, occurrence: str, now: datetime) -> Outcome:
    """To whom an occurrence goes at this instant, and in which words."""
    whose = celebrating(case.rule, case.whose.record, occurrence) if case.whose else None
    trigger, country = case.rule.trigger, case.studio.country
    routing = route(
        trigger,
        case.picture.record,
        whose,
        country,
        lambda *_: "",
        users=case.users,
        countries=(*case.studio.countries, COUNTRY),
    )
    if routing.empty:
        return Outcome(reason=routing.reason or "no route")
    try:
        texts = tuple(dict.fromkeys(_texts(case, occurrence, routing, now)))
    except Unrenderable as error:
        return Outcome(reason=error.reason)
    return Outcome(now, _to(routing), _by(routing), texts)


def _to(routing: Routing) -> tuple[str, ...]:
    """The roles of everybody it goes to; a command about a client goes to the client."""
    boxes = [box.recipient.role for box in routing.letterboxes]
    errands = [one.recipient.role if one.recipient else "client" for one in routing.errands if one.client_id]
    return tuple(dict.fromkeys(boxes + errands))


def _by(routing: Routing) -> tuple[str, ...]:
    legs = [box.leg for box in routing.letterboxes] + [one.leg for one in routing.errands]
    return tuple(dict.fromkeys(leg.value for leg in legs))


def _texts(case: _Case, occurrence: str, routing: Routing, now: datetime) -> Iterator[str]:
    """The words of everything that goes out, subjects included. Raises Unrenderable."""
    scene = Scene(case.rule, case.picture, occurrence, case.whose, case.studio, case.templates)
    ways: list[tuple[Leg, Recipient | None]] = [(box.leg, box.recipient) for box in routing.letterboxes]
    ways += [(one.leg, one.recipient) for one in routing.errands]
    for leg, recipient in ways:
        made = written(scene, leg, recipient, now)
        yield from (text for text in (made.subject, made.text) if text) if made is not None else ()
