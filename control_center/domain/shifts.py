"""Why something goes later than its activation: what was closed in between."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from control_center.domain import zones
from control_center.domain.rules import Rule
from control_center.domain.windows import Closed, Closure, closing, why_closed

LEAST_STEP = timedelta(minutes=1)
SHIFTS_OVER = timedelta(days=92)  # how far back the closed times before a send are told


def shifts(rule: Rule, activation: datetime, at: datetime) -> tuple[str, ...]:
    """What was closed between an activation and the time at which it goes, each reason once."""
    calendar = rule.calendar
    found: dict[str, None] = {}
    now = max(activation, at - SHIFTS_OVER)
    while now < at:
        closed = why_closed(calendar, now)
        if closed is None:
            closes = closing(calendar, now)
            if closes is None:
                break
            now = max(closes, now + LEAST_STEP)
        else:
            found[_sentence(rule, closed)] = None
            now = max(_next_look(rule, closed, now), now + LEAST_STEP)
    return tuple(found)


def _sentence(rule: Rule, closed: Closed) -> str:
    window = rule.calendar.window
    if closed.by is Closure.WINDOW and window is not None:
        return "window opens {:02}:{:02}".format(*divmod(window.start, 60))
    return str(closed)


def _next_look(rule: Rule, closed: Closed, now: datetime) -> datetime:
    """When the reason may be another: at midnight, or where the window begins on the same day."""
    zone, window = rule.zone, rule.calendar.window
    day = zones.local_date(zone, now)
    if closed.by is Closure.WINDOW and window is not None:
        opens = zones.local_datetime(zone, datetime.combine(day, time(*divmod(window.start, 60))))
        if opens > now:
            return opens
    return zones.start_of_day(zone, day + timedelta(days=1))
