"""A day that is still ahead, for tests whose worker is told the time while its database has the real one.

What is over for the database does not go out any more: on a fixed day such a test would fail from the next one on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

CHICAGO: Final = ZoneInfo("America/Chicago")


def monday_ahead() -> datetime:
    """Noon in Chicago, as UTC, on the Monday of a week of Thanksgiving: standard time, a week to a year ahead."""
    today = datetime.now(UTC)
    mondays = (_monday_of_thanksgiving(year) for year in (today.year, today.year + 1))
    return next(monday for monday in mondays if monday > today + timedelta(days=7))


def booked_before(moment: datetime) -> dict[str, Any]:
    """Keys of `tests.support.values.session`: booked a minute before, for the summer after."""
    dates = {"session": f"{moment + timedelta(days=201):%Y-%m-%d}T14:00", "booked": f"{moment:%Y-%m-%d}"}
    return {"status_changed_at": (moment - timedelta(minutes=1)).isoformat(), "dates": dates}


def noon_near() -> datetime:
    """A noon in Chicago, as UTC, at most three hours ago or 21 ahead: its afternoon outlasts a run of the tests."""
    earliest = datetime.now(CHICAGO) - timedelta(hours=3)
    noon = earliest.replace(hour=12, minute=0, second=0, microsecond=0)
    return (noon if noon > earliest else noon + timedelta(days=1)).astimezone(UTC)


def _monday_of_thanksgiving(year: int) -> datetime:
    first = datetime(year, 11, 19, 18, tzinfo=UTC)
    return first + timedelta(days=-first.weekday() % 7)
