"""A day that is still ahead, for tests whose worker is told the time while its database has the real one.

What is over for the database does not go out any more: on a fixed day such a test would fail from the next one on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def monday_ahead() -> datetime:
    """Noon in Chicago, as UTC, on the Monday of a week of Thanksgiving: standard time, a week to a year ahead."""
    today = datetime.now(UTC)
    mondays = (_monday_of_thanksgiving(year) for year in (today.year, today.year + 1))
    return next(monday for monday in mondays if monday > today + timedelta(days=7))


def _monday_of_thanksgiving(year: int) -> datetime:
    first = datetime(year, 11, 19, 18, tzinfo=UTC)
    return first + timedelta(days=-first.weekday() % 7)
