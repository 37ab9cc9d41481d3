"""What narrows a list: the options that say it, and what is understood by them."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from control_center.domain.errors import Malformed

if TYPE_CHECKING:
    from control_center.domain.zones import Zone
    from control_center.store.views_actions import Filter


def _given(value: str | None) -> str | None:
    """An option that is there but empty, as a script's unset variable makes it, would narrow nothing."""
    if value == "":
        raise typer.BadParameter("is empty; leave it out where it shall not narrow the list")
    return value


States = Annotated[list[str] | None, typer.Option("--state", help="planned, review, released, ...; may be repeated.")]
OfTrigger = Annotated[str | None, typer.Option("--trigger", callback=_given, help="Only of this trigger.")]
OfRecord = Annotated[
    str | None, typer.Option("--record", callback=_given, help="Only of this record, such as session/4711.")
]
DueFrom = Annotated[
    str | None,
    typer.Option(
        "--due-from",
        callback=_given,
        metavar="TIME",
        help="Only due at this time or later, as the studio's clock shows it.",
    ),
]
DueBefore = Annotated[
    str | None, typer.Option("--due-before", callback=_given, metavar="TIME", help="Only due before this time.")
]
Due: TypeAlias = tuple[str | None, str | None]  # from, before


def filter_of(state: list[str] | None, trigger: str | None, record: str | None, *, due: Due, zone: Zone) -> Filter:
    """What a list is narrowed to. Raises Malformed for a state, a record or a time that is none."""
    from control_center.domain.action import State
    from control_center.store.views_actions import Filter

    names = [one.value for one in State]
    for one in state or ():
        if one not in names:
            raise Malformed("state", f"{one!r}; allowed: {', '.join(names)}")
    return Filter(
        states=[State(one) for one in state] if state else None,
        trigger=trigger,
        record=None if record is None else record_of(record),
        due_from=instant_of("due-from", due[0], zone),
        due_before=instant_of("due-before", due[1], zone),
    )


def instant_of(field: str, text: str | None, zone: Zone) -> datetime | None:
    """A day, or a time of the studio, or one with its offset. Raises Malformed naming the field."""
    from control_center.domain import zones

    if text is None:
        return None
    try:
        if len(text) == len("2027-06-05"):
            return zones.start_of_day(zone, date.fromisoformat(text))
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed(field, f"{text!r} is not a time; write it as 2027-06-05 or 2027-06-05T09:00") from None
    return at if at.tzinfo is not None else zones.local_datetime(zone, at)


def record_of(record: str) -> tuple[str, str]:
    kind, slash, record_id = record.partition("/")
    if not (kind and slash and record_id):
        raise Malformed("record", f"{record!r}; write the kind and the id, such as session/4711")
    return kind, record_id


def number_of(name: str, letter: str = "a") -> int:
    """The number in `a-12`; the letter may be left out."""
    digits = name.removeprefix(f"{letter}-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise Malformed("id", f"{name!r}; write {letter}- and a number, such as {letter}-12")
    return int(digits)
