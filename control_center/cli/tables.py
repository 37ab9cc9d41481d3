"""Results, as JSON for machines and as plain columns for people."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from control_center.cli.aim import show

if TYPE_CHECKING:
    from control_center.domain.zones import Zone

Item = TypeVar("Item")


def as_json(value: Any) -> None:
    """One JSON document on stdout."""
    import msgspec

    show(msgspec.json.encode(value, enc_hook=str).decode())


def columns(rows: Sequence[Mapping[str, Any]], *, none: str) -> None:
    """Rows under their names, cut to the terminal's width; `none` is what to say where there are no rows."""
    if not rows:
        show(none)
        return
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[n]) for line in cells)) for n, name in enumerate(names)]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in [[name.upper() for name in names], *cells]:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        show(text[:limit])


def listed(found: Sequence[Item], line: Callable[[Item], Mapping[str, Any]], *, json: bool, none: str) -> None:
    """All there is, as one document for machines, or for people a `line` of each; `none` where there is none."""
    if json:
        as_json({"items": found, "next_cursor": None})
    else:
        columns([line(one) for one in found], none=none)


def pairs(fields: Mapping[str, Any]) -> None:
    """One thing, a line for each of its fields that has a value."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        if value not in (None, "", [], {}):
            show(f"{name.ljust(width)}  {_cell(value)}")


def local(zone: Zone, at: datetime | None) -> str:
    """An instant as a clock in the studio shows it."""
    from control_center.domain import zones

    return "" if at is None else f"{zones.at_local(zone, at):%Y-%m-%d %H:%M}"


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else " " for character in text)
