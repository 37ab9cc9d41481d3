"""The hours of a week in which texts may arrive: for each weekday a window or none, and whether holidays count."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from control_center.domain.errors import Malformed
from control_center.domain.table import Table, shown
from control_center.domain.windows import Window

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Week:
    """From Monday to Sunday the hours of each day, None where it is closed. `holidays`: public ones are as other days.

    No window goes past midnight, so that a day is open or closed by itself.
    """

    windows: tuple[Window | None, ...]
    holidays: bool = True

    def table(self) -> dict[str, Any]:
        """As `read` reads it back."""
        days = {day: str(window) if window else False for day, window in zip(DAYS, self.windows, strict=True)}
        return {**days, "holidays": self.holidays}


def read(table: Table, *, besides: Collection[str] = (), holidays: bool = True) -> Week:
    """A week out of a table: `days` for every day that is not named. `besides` are others' keys, and `holidays` is
    meant where the table does not say. Raises Malformed.
    """
    rest = _window(table, "days", "days")
    windows = tuple(_window(table, day, day) if day in table.values else rest for day in DAYS)
    missing = [day for day in DAYS if day not in table.values]
    if missing and "days" not in table.values:
        raise table.wrong(missing[0], "is missing, and so is `days`, which stands for every day that is not named")
    if not any(windows):
        raise table.wrong("days", "every day is closed; nothing would ever go")
    week = Week(windows, table.boolean("holidays", default=holidays))
    for key in besides:
        table.take(key)
    table.refuse_the_rest()
    return week


def read_either(table: Table, key: str, *, usual: Week) -> Week | None:
    """A week as a studio writes it: one window for every day, a table, or `true` for the usual one. None: unsaid."""
    value = table.take(key)
    if value is None or value is False:
        return None
    if value is True:
        return usual
    if isinstance(value, str):
        return Week((_window(table, key, key),) * len(DAYS), usual.holidays)
    if not isinstance(value, dict):
        raise table.wrong(key, f"{shown(value)}; allowed: hours such as 09:00-20:00, a table of days, true, false")
    return read(table.table(key), holidays=usual.holidays)


def _window(table: Table, key: str, place: str) -> Window | None:
    value = table.take(key)
    if value is None or value is False:
        return None
    if not isinstance(value, str):
        raise table.wrong(place, f"{shown(value)}; allowed: hours such as 09:00-20:00, or false where it is closed")
    window = Window.parse(value, f"{table.where}, {table.path}{place}")
    if window.start > window.end:
        raise Malformed(
            f"{table.where}, {table.path}{place}",
            f"{value!r} goes past midnight; these are the hours in which texts may arrive, not the quiet ones",
        )
    return window
