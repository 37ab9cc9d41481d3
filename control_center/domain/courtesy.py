"""What a message that may go owes its recipient: their hours, no more marketing a day than agreed, calm days.

It turns `Send` into `Wait` or `Expire`, with a reason that a person understands, or lets it stand and says which shares
of whose day it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from control_center.domain import arrival, quiet_hours, zones
from control_center.domain.arrival import Addressee, Later, Rival, Share
from control_center.domain.message import Origin
from control_center.domain.planner import Expire, Send, Wait
from control_center.domain.quiet_hours import Hours
from control_center.domain.studio import Studio
from control_center.domain.windows import Calendar, why_closed


@dataclass(frozen=True, slots=True)
class Posted:
    """A message as far as its recipient's day is concerned.

    `whose` are the days that it takes a share of, each with the holder that it is there; `taken` what others have of
    them already: whom, day and holder. `rivals` is what else reaches its client, where days are kept calm.
    """

    studio: Studio
    message_id: int
    origin: Origin
    purpose: str
    channel: str
    to: Addressee
    use_by: datetime
    priority: int
    whose: tuple[tuple[str, str], ...] = ()
    taken: tuple[tuple[str, date, str], ...] = ()
    rivals: tuple[Rival, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of it; `shares` are taken when it goes."""

    decision: Send | Wait | Expire
    shares: tuple[Share, ...] = ()


def courtesy(posted: Posted, decision: Send | Wait, now: datetime, *others: Calendar) -> Verdict:
    """What becomes of a message that may go, or waits for `others`: the calendars that it keeps to besides."""
    kept = _hours(posted, now)
    if isinstance(decision, Wait):
        return Verdict(_waiting(posted, decision, kept, now, others))
    later = arrival.out_of_hours(kept, now, *others) if kept is not None else None
    if later is not None:
        return Verdict(_wait(posted, later))
    if kept is not None:
        decision = Send(min(decision.until, kept.until(now) or decision.until))
    return _shared(posted, decision, kept, now, others)


def _hours(posted: Posted, now: datetime) -> Hours | None:
    if not quiet_hours.keeps(posted.origin, posted.channel):
        return None
    return arrival.hours(posted.studio, posted.to, posted.purpose, now, bulk=posted.origin is Origin.BULK)


def _waiting(
    posted: Posted, decision: Wait, kept: Hours | None, now: datetime, others: Sequence[Calendar]
) -> Wait | Expire:
    """What waits for its own window anyway is looked at when the recipient's hours are open, too."""
    if kept is None or decision.until >= posted.use_by or all(why_closed(one, now) is None for one in others):
        return decision
    closed = kept.closed(decision.until)
    if closed is None:
        return decision
    return _wait(posted, Later(kept.opening(decision.until, *others), f"{decision.reason}; then {closed}"))


def _wait(posted: Posted, later: Later) -> Wait | Expire:
    """It goes later, or not at all where it is of no use by then."""
    if later.until is None:
        return Expire(f"{later.reason}; no moment is open on every clock that it may be read by")
    if later.until >= posted.use_by:
        return Expire(f"{later.reason}; it would go on {later.until:%Y-%m-%d %H:%M} UTC, when it is of no use any more")
    return Wait(later.until, later.reason)


# Days that are shared --------------------------------------------------------------------------------------------


def _shared(posted: Posted, decision: Send, kept: Hours | None, now: datetime, others: Sequence[Calendar]) -> Verdict:
    """Whether there is a share left for it on each day that it takes one of."""
    shares, house = [], zones.zone(posted.studio.timezone)
    for whom, holder in posted.whose:
        capped = whom.startswith(arrival.of_number(""))
        by = kept if capped else None
        day = by.day(now) if by is not None else zones.local_date(house, now)
        most = posted.studio.hours.marketing_per_day if capped else 1
        gone = {held for who, on, held in posted.taken if (who, on) == (whom, day) and held != holder}
        if capped and len(gone) >= most:
            return Verdict(_wait(posted, _tomorrow(kept, house, now, others, _full(most, gone))))
        found = None if capped else _more_important(posted, gone, now, house)
        if found is not None:
            return Verdict(_give_way(posted, _tomorrow(kept, house, now, others, found.reason), joins=found.waits))
        shares.append(Share(whom, day, most, holder))
        clock = by.calendars[0].zone if by is not None else house
        decision = replace(decision, until=min(decision.until, zones.end_of_day(clock, day)))
    return Verdict(decision, tuple(shares))


def _full(most: int, gone: set[str]) -> str:
    texts = "one marketing text" if most == 1 else f"{most} marketing texts"
    return f"{arrival.CAPPED} {texts} a day to one number, and {', '.join(sorted(gone))} went today"


@dataclass(frozen=True, slots=True)
class _Instead:
    """What has the day instead, and whether it has yet to go."""

    reason: str
    waits: bool


def _more_important(posted: Posted, gone: set[str], now: datetime, house: zones.Zone) -> _Instead | None:
    """Why its client is to hear of something else that day."""
    if gone:
        holders = ", ".join(sorted(gone))
        return _Instead(f"{arrival.CALM} the client was written to today already ({holders})", waits=False)
    rival = arrival.gives_way(posted.priority, posted.message_id, now, house, list(posted.rivals))
    if rival is None:
        return None
    what = "was written to" if rival.gone else "is to hear of something more important"
    return _Instead(f"{arrival.CALM} the client {what} today (m-{rival.message_id})", waits=not rival.gone)


def _tomorrow(kept: Hours | None, house: zones.Zone, now: datetime, others: Sequence[Calendar], reason: str) -> Later:
    until = arrival.tomorrow(kept, house, now, *others)
    return Later(None if until is None else max(until, now + timedelta(seconds=1)), reason)


def _give_way(posted: Posted, later: Later, *, joins: bool) -> Wait | Expire:
    """The loser of a calm day is moved, or dropped; moved past its use, it is dropped as well.

    Where days are merged it waits as well: what has the day takes its words along as it goes, if they can be one text.
    """
    kept, reason = posted.studio.hours.calm_day, later.reason
    if kept == "drop":
        return Expire(f"{reason}; dropped")
    if kept == "move" or not joins:
        return _wait(posted, Later(later.until, f"{reason}; moved to another day"))
    until = min(later.until or posted.use_by, posted.use_by)
    return Wait(until, f"{reason}; it goes in the same text, or on another day")
