"""When a rule becomes active for a record, and what makes that activation different from the last one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import count

from msgspec import structs

from control_center.domain import zones
from control_center.domain.catalogue import Source
from control_center.domain.keyword import plain
from control_center.domain.record import Facts, Picture, Record, moment
from control_center.domain.record_parts import Instalment, Nps, Person
from control_center.domain.rules import Rule
from control_center.domain.trigger import DEFAULT_USE_BY


@dataclass(frozen=True, slots=True)
class Activation:
    """One time at which a rule is active for a record; it is `day` in the studio's zone.

    `occurrence` is the same for as long as it is the same cause: it is what keeps anything from being sent twice.
    """

    occurrence: str
    day: date
    at: datetime
    use_by: datetime


def activations(rule: Rule, facts: Record | Facts, now: datetime) -> list[Activation]:
    """The activations of a rule for a record, earliest first; none where its base is empty.

    Most bases have one. An invoice has one for each unpaid instalment. A day that comes round each year has the one
    that lies ahead and those before it that can still be of use.

    Offsets are whole local days: any offset but zero, and every date that can lie ahead, activates at the start
    of the local day; a past event without offset activates at its own instant.
    """
    base = rule.trigger.activate.on
    match base.source:
        case Source.YEARLY:
            found = [one for name, text in _days(rule, facts) for one in _yearly(rule, text, name, now)]
            return sorted(found, key=lambda one: one.at)
        case Source.INSTALMENT:
            due = [_timed(rule, _of_instalment(one), one.due) for one in facts.instalments or () if _unpaid(one)]
            return sorted((one for one in due if one is not None), key=lambda one: one.at)
        case _:
            single = _single(rule, facts)
            return [] if single is None else [single]


def activation_of(rule: Rule, facts: Record | Facts, occurrence: str, now: datetime) -> Activation | None:
    """The activation with this name; None where the record no longer has it."""
    base = rule.trigger.activate.on
    if base.source is Source.YEARLY:
        year, _, wanted = occurrence.partition(" ")
        text = next((text for name, text in _days(rule, facts) if name == wanted), None)
        # Another occurrence is left from before an edit that made the trigger hang on this base.
        return _in_year(rule, text, wanted, int(year)) if text is not None and year.isdecimal() else None
    return next((one for one in activations(rule, facts, now) if is_same(rule, one.occurrence, occurrence)), None)


_SPELLED = frozenset({Source.DATE, Source.STATUS_CHANGED, Source.STATUS_DUE})  # these are named by when they are


def is_same(rule: Rule, one: str, other: str) -> bool:
    """Whether two occurrences are one, also where the CRM writes a local time now and said an instant before."""
    if one == other or rule.trigger.activate.on.source not in _SPELLED:
        return one == other
    (name, _, at), (its_name, _, its_at) = one.rpartition("@"), other.rpartition("@")
    try:
        return name == its_name and moment(at, rule.zone.name) == moment(its_at, rule.zone.name)
    except ValueError:
        return False  # named by something else, such as one left from before an edit


def until_its_date(rule: Rule, facts: Record, active: Activation) -> Activation:
    """The same for word of a move: it is of use until the new date, however short a while a reminder would be."""
    text = facts.dates.get(rule.trigger.activate.on.key)
    if text is None:
        return active
    base = moment(text, rule.zone.name)
    return replace(active, use_by=max(active.use_by, base.instant or zones.end_of_day(rule.zone, base.day)))


def as_released(rule: Rule, occurrence: str, at: datetime, use_by: datetime) -> Activation:
    """The activation that an action was released for, from what was written down of it."""
    return Activation(occurrence, zones.local_date(rule.zone, at), at, use_by)


def dateless(rule: Rule, picture: Picture) -> str:
    """Why a rule has no activation for a record: the name of what the record lacks."""
    base, record = rule.trigger.activate.on, picture.record
    entered = (Source.STATUS_CHANGED, Source.STATUS_DUE)
    if base.source in entered and record.status_changed_at is None:
        return f"date: the {picture.kind} has no status_changed_at"
    if base.source is Source.INSTALMENT and record.instalments:
        return "paid: every instalment is paid"
    return f"date: the {picture.kind} has no {base.name}"


# One activation -------------------------------------------------------------------------------------------


def _single(rule: Rule, facts: Record | Facts) -> Activation | None:
    base = rule.trigger.activate.on
    match base.source:
        case Source.DATE:
            dates = facts.dates if isinstance(facts, Record) else dict(facts.dates)
            text = dates.get(base.key)
            return _timed(rule, base.name if base.once else text and canonical(text), text)
        case Source.NPS:
            nps = facts.nps
            return None if nps is None else _timed(rule, _of_score(nps), nps.received_at)
        case Source.STATUS_CHANGED | Source.STATUS_DUE:
            entered = facts.status_changed_at
            text = entered if base.source is Source.STATUS_CHANGED else facts.status_due_date
            return _timed(rule, entered and f"{facts.status}@{canonical(entered)}", text)
        case Source.YEARLY | Source.INSTALMENT:
            raise AssertionError("these may have several")


def _key(text: str | None) -> str | None:
    return None if text is None else canonical(text)


def _of_score(nps: Nps) -> str | None:
    """The id of the answer, without what marks an occurrence as one that came round again."""
    if nps.response_id is None:
        return _key(nps.received_at)
    return nps.response_id.replace("#", "%23").replace("~", "%7E")


def _unpaid(instalment: Instalment) -> bool:
    return instalment.due is not None and not instalment.paid


def _of_instalment(instalment: Instalment) -> str:
    return f"{instalment.instalment_id}@{_key(instalment.due)}"


def _timed(rule: Rule, occurrence: str | None, text: str | None) -> Activation | None:
    """The activation that hangs on a date, local time or instant."""
    if occurrence is None or text is None:
        return None
    trigger, zone = rule.trigger, rule.zone
    days = trigger.activate.days
    base = moment(text, zone.name)
    day = base.day + timedelta(days=days)
    if trigger.activate.on.past and not days and base.instant is not None:
        at = base.instant + (trigger.must_hold or timedelta())
        day = zones.local_date(zone, at)
    else:
        at = zones.start_of_day(zone, day)
    if trigger.use_by is not None:
        use_by = at + trigger.use_by
    elif days < 0:
        use_by = base.instant or zones.end_of_day(zone, base.day)
    else:
        use_by = at + DEFAULT_USE_BY
    return Activation(occurrence, day, at, use_by)


# Each year ------------------------------------------------------------------------------------------------

LONGEST_OFFSET_YEARS = 11  # 3,650 days, and the year that is under way
_LONGEST_NAME = 200  # characters of what becomes part of a key


def _days(rule: Rule, facts: Record | Facts) -> Iterator[tuple[str, str]]:
    """The days that come round: the client's own, or those of the family members who are written to, by name."""
    key = rule.trigger.activate.on.key
    if key == "birthday" and rule.trigger.send_to.family:
        yield from {name: person.birthday or "" for name, person in _members(rule, facts)}.items()
    elif (text := getattr(facts, key)) is not None:
        yield "", text


def _members(rule: Rule, facts: Record | Facts) -> list[tuple[str, Person]]:
    """The family members who are written to and have a birthday, each with what tells them from the others.

    A last name that is added later makes nobody another person. Who has no name, or shares it, goes by the birthday.
    """
    wanted = rule.trigger.send_to.family
    found = [one for one in facts.family or () if one.birthday and one.relationship.casefold() in wanted]
    called = [_called(one) for one in found]
    times = Counter(called)
    return [
        (name if named and times[name, named] == 1 else f"{name} {person.birthday}", person)
        for person, (name, named) in zip(found, called, strict=True)
    ]


def _called(person: Person) -> tuple[str, bool]:
    """Relationship and name, however they are spelled, and whether there is a name at all."""
    name = plain(person.first_name or "") or plain(person.last_name or "")
    return f"{plain(person.relationship)} {name}"[:_LONGEST_NAME].strip(), bool(name)


def celebrating(rule: Rule, client: Record, occurrence: str) -> Record:
    """The client as an occurrence sees them: on a family member's birthday with no other family than that member."""
    _, named, wanted = occurrence.partition(" ")
    if rule.trigger.activate.on.source is not Source.YEARLY or not named:
        return client
    return structs.replace(client, family=tuple(person for name, person in _members(rule, client) if name == wanted))


def _yearly(rule: Rule, text: str, name: str, now: datetime) -> Iterator[Activation]:
    """From the first that can still be of use to the first that lies ahead."""
    this_year = zones.local_date(rule.zone, now).year
    for year in count(this_year - LONGEST_OFFSET_YEARS):
        found = _in_year(rule, text, name, year)
        if found is not None and found.use_by > now:
            yield found
            if found.at > now:
                return


def _in_year(rule: Rule, text: str, name: str, year: int) -> Activation | None:
    """The day in that year; none in the year it is counted from, or before. 29 February is the 28th in common years."""
    origin = moment(text, rule.zone.name).day
    if year <= origin.year:
        return None
    leap_day = (origin.month, origin.day) == (2, 29) and not _is_leap(year)
    day = origin.replace(year=year, day=28) if leap_day else origin.replace(year=year)
    return _timed(rule, f"{year} {name}".rstrip(), day.isoformat())


def year_after(occurrence: str) -> str:
    """The occurrence that follows on one of a day that comes round each year."""
    year, blank, name = occurrence.partition(" ")
    return f"{int(year) + 1}{blank}{name}"


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


@lru_cache(maxsize=16384)
def canonical(text: str) -> str:
    """One spelling for each date or instant, so that another spelling of it is not another occurrence."""
    if len(text) == len("2026-11-22"):
        return text
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo is None else at.astimezone(UTC)).isoformat()
