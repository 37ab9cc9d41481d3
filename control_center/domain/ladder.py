"""What becomes of a released action whose message has come to nothing by a time before its date.

Pure: the trigger, the record and the states of the messages as they are now, and the next rung, make one step. A
step never texts where a text of the action may have arrived, or may still.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from control_center.domain import zones
from control_center.domain.activations import Activation, activation_of
from control_center.domain.catalogue import Source
from control_center.domain.catalogue_actions import Leg
from control_center.domain.message import State
from control_center.domain.people import GONE, Circle, Somebody, named
from control_center.domain.planner import Decision, Expire, Lapse, Review, Wait, decide
from control_center.domain.recipients import Errand, Letterbox, Stopped, allowed, closed
from control_center.domain.record import Picture, Record, moment
from control_center.domain.record_parts import Flags
from control_center.domain.recurrence import without_number
from control_center.domain.rules import Rule
from control_center.domain.trigger_ladder import Rung, Unless

BARRED_LOOK = timedelta(hours=1)  # how often a step is looked at whose record does not qualify for it
TAKEN = frozenset({State.ACCEPTED, State.DELIVERED, State.UNDELIVERED})  # by a provider, whatever became of it then
# Proven: no such text arrived, and none will. Everything else may be, or come to be, on somebody's phone.
NOT_ARRIVED = frozenset({State.UNDELIVERED, State.FAILED, State.CANCELLED, State.SUPPRESSED, State.EXPIRED})


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of the action, as it stands. `role` is whom it was written to."""

    leg: Leg
    address: str
    role: str
    state: State


@dataclass(frozen=True, slots=True)
class Standing:
    """A released action on its ladder; `rung` is the one that is next, from 0. `by_hand`: a person processed it."""

    rule: Rule | None
    picture: Picture | None
    client: Record | None
    country: str
    occurrence: str
    rung: int
    sent: Collection[Sent]
    released: Activation | None = None  # what it was released for
    by_hand: bool = False
    gone: bool = False  # the client was deleted
    countries: Collection[str] = ()  # besides `country`, those that texts go to


@dataclass(frozen=True, slots=True)
class Climb:
    """Go this way, at last."""

    to: Letterbox | Errand
    reason: str


@dataclass(frozen=True, slots=True)
class Pass:
    """This rung has nothing to do, or nowhere to go; the next one is looked at in its own time."""

    reason: str


@dataclass(frozen=True, slots=True)
class Look:
    """Not now; look again at `until`. `barred`: only the record can lift what it waits for, by what it comes to say."""

    until: datetime
    reason: str = ""
    barred: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing more to climb for."""

    reason: str


Step: TypeAlias = Climb | Pass | Look | Done


# When -----------------------------------------------------------------------------------------------------


def date_of(rule: Rule, record: Record) -> datetime | None:
    """The instant that rungs count back from; a date without a time counts from its beginning."""
    base = rule.trigger.activate.on
    text = record.dates.get(base.key) if base.source is Source.DATE else None
    if text is None:
        return None
    found = moment(text, rule.zone.name)
    return found.instant or zones.start_of_day(rule.zone, found.day)


def upcoming(rule: Rule, record: Record, now: datetime, *, after: int = -1) -> tuple[int, datetime] | None:
    """The first rung behind `after` whose time lies ahead, and that time.

    One whose time is past when a message has only just been made is left out: it would leave that message no time.
    """
    date = date_of(rule, record)
    if date is None:
        return None
    rungs = list(enumerate(rule.trigger.ladder.rungs))[after + 1 :]
    return next(((number, date - rung.by) for number, rung in rungs if date - rung.by > now), None)


def next_after_edit(rule: Rule, record: Record, before: Sequence[Rung], number: int, now: datetime) -> int:
    """Which rung of `rule` is next for what stood at this one of the rungs `before`; behind the last where none is.

    That is the way that it waits to go, or one before that whose time lies ahead. A way that was gone, or passed, is
    not gone again; one that the edit adds is left out where its time is past.
    """
    over = {one.way for one in before[:number]}
    waits = {one.way for one in before[number : number + 1]}
    date, rungs = date_of(rule, record), rule.trigger.ladder.rungs
    ahead = {one.way for one in rungs if date is not None and date - one.by > now}
    found = (n for n, one in enumerate(rungs) if one.way in waits or (one.way in ahead and one.way not in over))
    return next(found, len(rungs))


# Whether, and whereto -------------------------------------------------------------------------------------


def step(at: Standing, now: datetime, stopped: Stopped) -> Step:
    """What to do about the next rung at this instant. `stopped(channel, address)`: why it takes nothing any more.

    The planner is asked first, as for any message: filters, exclusions, a date that moved, use-by and calendar count
    here as they did before.
    """
    decision = decide(at.rule, at.picture, at.occurrence, now, by_hand=at.by_hand, released=at.released)
    over = _over(at, decision, now)
    date = date_of(at.rule, at.picture.record) if at.rule is not None and at.picture is not None else None
    if over is not None or at.rule is None or at.picture is None or date is None:
        return Done(over or "")
    rung = at.rule.trigger.ladder.rungs[at.rung]
    if now < date - rung.by:
        return Look(date - rung.by)
    if _reached(rung, at, at.picture.record):
        return Pass(f"{rung.unless.value} in time")
    if isinstance(decision, Lapse):
        return Look(min(now + BARRED_LOOK, date), decision.reason, barred=True)
    if isinstance(decision, Wait):
        return Look(min(decision.until, date), decision.reason)
    found = _way(rung, at, at.rule, at.picture.record, stopped)
    if isinstance(found, str):
        return Pass(f"not {rung.unless.value}, and no {rung.way}: {found}")
    return Climb(found, f"not {rung.unless.value}, so {rung.way}")


def _over(at: Standing, decision: Decision, now: datetime) -> str | None:
    """Why there is no further step. A record that does not qualify now may do so again, until its date is here."""
    if at.rule is None or at.picture is None:
        return getattr(decision, "reason", "")
    if isinstance(decision, Expire | Review) or (isinstance(decision, Lapse) and not _may_qualify_again(at, now)):
        return decision.reason
    if at.gone:
        return GONE
    if at.rule.trigger.shadow:
        return "its trigger only records"
    if at.rung >= len(at.rule.trigger.ladder.rungs):
        return "its trigger has no further step"
    date = date_of(at.rule, at.picture.record)
    if date is None:
        return "its record has no date any more"
    here = decision.reason if isinstance(decision, Lapse) else "its date is here"
    return here if now >= date else None


def _may_qualify_again(at: Standing, now: datetime) -> bool:
    """Whether the record still has what the action was released for, so that a hold, or a status, may be lifted."""
    if at.rule is None or at.picture is None or at.picture.deleted:
        return False
    return activation_of(at.rule, at.picture.record, without_number(at.occurrence), now) is not None


def addresses(at: Standing) -> list[tuple[str, str]]:
    """Every (channel, address) that `step` may ask `stopped` about, so that one query can answer all of them."""
    client = _client(at, at.picture.record) if at.picture is not None else None
    if client is None:
        return []
    return [*((Leg.SMS.value, one) for one in client.phones), *((Leg.EMAIL.value, one) for one in client.emails)]


def _client(at: Standing, record: Record) -> Somebody | None:
    return next(named("client", Circle(record, at.client, at.country, countries=at.countries), lambda _: None), None)


def _reached(rung: Rung, at: Standing, record: Record) -> bool:
    """Whether what the rung waits for has come about. Of a mail nobody says that it arrived: taken counts as that."""
    if rung.unless is Unless.CONFIRMED:
        return bool((record.flags or Flags()).confirmed)
    client = _client(at, record)
    theirs = client.ways if client is not None else frozenset()
    return any(
        one.state is State.DELIVERED or (one.leg is Leg.EMAIL and one.state is State.ACCEPTED)
        for one in at.sent
        if one.role == "client" or one.address.casefold() in theirs
    )


def _way(rung: Rung, at: Standing, rule: Rule, record: Record, stopped: Stopped) -> Letterbox | Errand | str:
    """Where the rung leads, or why nowhere."""
    leg, client = rung.leg, _client(at, record)
    if client is None:
        return f"the {record.kind} has no client"
    if not allowed(rule.trigger, leg, "client", record, at.client):
        return f"allow marketing: the client has not ticked the box for {leg.value}"
    if leg is Leg.CALL:
        return Errand(leg, client.client_id, client.recipient)
    if leg is Leg.SMS and any(one.leg is Leg.SMS and one.state not in NOT_ARRIVED for one in at.sent):
        return "an earlier text may have arrived"
    written = {one.address.casefold() for one in at.sent if one.leg is leg}
    known = client.phones if leg is Leg.SMS else client.emails
    others = [one for one in known if one.casefold() not in written]
    against = [stopped(leg.value, one) for one in others]
    if "" in against:
        return Letterbox(leg, others[against.index("")], client.recipient)
    if others:
        return closed("the client", leg, against)
    return f"the client has no {'other number that takes texts' if leg is Leg.SMS else 'email address left'}"
