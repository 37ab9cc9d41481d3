"""Until when a message that no trigger made has to wait: the one place that says so, to the pump and to the worker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from control_center.domain.message import Origin
from control_center.domain.planner import Expire, Send, Wait
from control_center.domain.windows import Calendar, Never, closing, next_open_all, why_closed

# Who keeps to the studio's blackout days, and to the hours of whoever is written to. What a person writes to one
# address goes when they say so, and the answer to a STOP leaves at any hour.
KEEPS_HOURS = frozenset({Origin.BULK})


def patience(
    origin: Origin, house: Calendar, now: datetime, use_by: datetime, theirs: Sequence[Calendar] = ()
) -> Send | Wait | Expire:
    """Whether a message of this origin may go now, and if not, until when it waits and what for.

    `house` has the studio's blackout days; `theirs` are the calendars of the recipient. All must be open at once.
    """
    if now >= use_by:
        return Expire(f"use-by: it was of use until {use_by.isoformat()}")
    if origin not in KEEPS_HOURS:
        return Send(use_by)
    calendars = (house, *theirs)
    opening = next_open_all(calendars, now)
    if isinstance(opening, Never):
        return Wait(use_by, opening.reason)
    if opening > now:
        shut = next((closed for closed in (why_closed(one, now) for one in calendars) if closed is not None), None)
        return Wait(min(opening, use_by), str(shut) if shut is not None else "its calendars are not open at once")
    closes = [at for at in (closing(one, now) for one in calendars) if at is not None]
    return Send(min(use_by, *closes) if closes else use_by)
