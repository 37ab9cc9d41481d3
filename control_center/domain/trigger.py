"""A trigger: a saved rule that says which records it is about, when it acts, and what it does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from control_center.domain.catalogue import KINDS, Base, Kind
from control_center.domain.catalogue_actions import ACTIONS, ActionKind
from control_center.domain.table import Table, shown
from control_center.domain.trigger_action import Call, Words, call, send_to, to_status, words
from control_center.domain.trigger_exclusions import Exclusions, exclusions
from control_center.domain.windows import Window

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LARGEST_OFFSET = 3650  # days
DEFAULT_USE_BY = timedelta(days=14)

# Keys of contract part 6 whose feature is still to be built: refused by name, never ignored.
_LATER = frozenset(
    {"then_status", "attach", "task", "web_form", "referral", "test", "keyword", "match", "category", "form"}
)


@dataclass(frozen=True, slots=True)
class Activation:
    """From which date of the record, and how many whole days before (negative) or after it."""

    on: Base
    days: int


@dataclass(frozen=True, slots=True)
class Processing:
    """How an action runs once it is due. `window` None is all day; weekdays count from Monday = 0."""

    automatic: bool
    window: Window | None
    closed_weekdays: frozenset[int]
    blackouts: bool


@dataclass(frozen=True, slots=True)
class Trigger:
    """One version of one rule, as `parse` understood it. `status` and `type` None mean all."""

    name: str
    purpose: str
    kind: Kind
    status: str | None
    type: str | None
    activate: Activation
    action: ActionKind
    send_to: tuple[str, ...]
    words: Words
    late: str
    moved: str
    use_by: timedelta | None
    ceiling: int | None
    enabled: bool
    processing: Processing
    exclude: Exclusions
    call: Call
    to_status: str | None
    trigger_id: int = 0
    version: int = 0


def parse(table: Mapping[str, Any], *, where: str = "trigger") -> Trigger:
    """Understand one [[trigger]] table of contract part 6.

    `where` is put before field names, for instance `booking.toml: "Thanks"`. Raises Malformed naming the field,
    the value and what is allowed; a key that is not known is refused with the nearest one that is.
    """
    top = Table(table, where, "")
    name = top.text("name")
    top = Table(table, f'{where} "{name}"', "", top.used)
    kind = KINDS[top.choice("record", KINDS)]
    action = ACTIONS[top.choice("action", ACTIONS)]
    trigger = Trigger(
        name=name,
        purpose=top.choice("purpose", ("transactional", "marketing"), "marketing"),
        kind=kind,
        status=_filter(top, kind, "status"),
        type=_filter(top, kind, "type"),
        activate=_activation(top, kind),
        action=action,
        send_to=send_to(top, action),
        words=words(top, action),
        late=top.choice("late", ("send", "skip"), "send"),
        moved=top.choice("moved", ("remind", "nothing"), "remind"),
        use_by=_use_by(top),
        ceiling=top.whole("ceiling", 0, 1_000_000) if "ceiling" in table else None,
        enabled=top.boolean("enabled", default=False),
        processing=_processing(top),
        exclude=exclusions(top, kind),
        call=call(top, action),
        to_status=to_status(top, action),
    )
    top.refuse_the_rest(later=_LATER)
    return trigger


def _filter(top: Table, kind: Kind, key: str) -> str | None:
    value = top.optional(key)
    if value is not None and key not in kind.filters:
        raise top.wrong(key, f"is not offered for {kind.name}; offered: {', '.join(sorted(kind.filters))}")
    return value


def _activation(top: Table, kind: Kind) -> Activation:
    table = top.table("activate")
    base = kind.bases[table.choice("on", kind.bases)]
    days = table.whole("days", -LARGEST_OFFSET, LARGEST_OFFSET, 0)
    if base.past and days < 0:
        raise table.wrong("days", f"{days}; {base.name!r} only ever lies behind us, so 0 or more is allowed")
    table.refuse_the_rest()
    return Activation(base, days)


_PERIOD = re.compile(r"([1-9][0-9]{0,3})([dhm])")


def _use_by(top: Table) -> timedelta | None:
    value = top.take("use_by")
    if value is None:
        return None
    match = _PERIOD.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise top.wrong("use_by", f"{shown(value)}; allowed: a number and d, h or m, such as 3d or 6h")
    unit = {"d": "days", "h": "hours", "m": "minutes"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def _processing(top: Table) -> Processing:
    table = top.table("processing")
    window = table.take("window")
    if window is not None and not isinstance(window, str):
        raise table.wrong("window", f"{shown(window)}; allowed: a text such as 09:00-18:00")
    closed = table.take("not_on")
    if closed is not None and not isinstance(closed, list):
        raise table.wrong("not_on", f'{shown(closed)}; a list such as ["sat", "sun"] is needed')
    for day in closed or ():
        if day not in WEEKDAYS:
            raise table.wrong("not_on", f"{shown(day)}; allowed: {', '.join(WEEKDAYS)}")
    weekdays = frozenset(WEEKDAYS.index(day) for day in closed or ())
    if len(weekdays) == len(WEEKDAYS):
        raise table.wrong("not_on", "excludes every weekday; it would never send")
    processing = Processing(
        automatic=table.choice("mode", ("manual", "automatic"), "manual") == "automatic",
        window=None if window is None else Window.parse(window, f"{table.where}, {table.path}window"),
        closed_weekdays=weekdays,
        blackouts=table.boolean("blackouts", default=True),
    )
    table.refuse_the_rest()
    return processing
