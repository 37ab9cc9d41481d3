"""A trigger: a saved rule that says which records it is about, when it acts, and what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from control_center.domain.catalogue import EMAIL_EVENTS, KINDS, Base, Kind, Slot, Source
from control_center.domain.catalogue_actions import ActionKind, Leg
from control_center.domain.keyword import RESERVED, Keyword, plain
from control_center.domain.table import Table, shown
from control_center.domain.trigger_action import (
    Call,
    Referral,
    Task,
    Words,
    action,
    attach,
    call,
    referral,
    task,
    then_status,
    to_status,
    web_form,
    words,
)
from control_center.domain.trigger_examples import Example, examples
from control_center.domain.trigger_exclusions import Exclusions, exclusions
from control_center.domain.trigger_ladder import About, Ladder, ladder
from control_center.domain.trigger_recipients import SendTo, send_to
from control_center.domain.windows import Window

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LARGEST_OFFSET = 3650  # days
DEFAULT_USE_BY = timedelta(days=14)
USUAL_PRIORITY, LEAST_PRIORITY = 5, 9


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
    keyword: Keyword | None
    activate: Activation
    action: ActionKind
    send_to: SendTo
    words: Words
    late: str
    moved: str
    use_by: timedelta | None
    ceiling: int | None
    enabled: bool
    processing: Processing
    exclude: Exclusions
    call: Call
    task: Task | None
    web_form: str | None
    to_status: str | None
    then_status: str | None
    attach: tuple[str, ...]
    referral: Referral | None
    ladder: Ladder
    examples: tuple[Example, ...] = ()
    shadow: bool = False  # it only records what it would have sent
    trigger_id: int = 0
    version: int = 0
    must_hold: timedelta | None = None  # how long a status must last before it counts
    priority: int = USUAL_PRIORITY  # which of several a client hears on a calm day: 1 before 9
    paused: str | None = None  # while it is switched off: what waits is on "hold", or goes out to the last ("drain")

    @property
    def changes_status(self) -> bool:
        """Whether it has the CRM change a status, on its own or beside something else."""
        return self.to_status is not None or self.then_status is not None

    @property
    def matching(self) -> tuple[Any, ...]:
        """What says who matches, and when. Of days that come round each year also whose, and for how long."""
        yearly = self.activate.on.source is Source.YEARLY
        days = (self.send_to.family, self.use_by) if yearly else ()
        return self.kind.name, self.status, self.type, self.keyword, self.activate, *days


def parse(table: Mapping[str, Any], *, where: str = "trigger") -> Trigger:
    """Understand one [[trigger]] table of contract part 6.

    `where` is put before field names, for instance `booking.toml: "Thanks"`. Raises Malformed naming the field,
    the value and what is allowed; a key that is not known is refused with the nearest one that is.
    """
    top = Table(table, where, "")
    name = top.text("name")
    top = Table(table, f'{where} "{name}"', "", top.used)
    kind = KINDS[top.choice("record", KINDS)]
    chosen = action(top, kind)
    activate, wanted, written = _activation(top, kind), send_to(top, chosen, kind), words(top, chosen)
    exclude, use_by = exclusions(top, kind), top.period("use_by")
    about = About(kind, activate.on, activate.days, chosen, wanted, written, use_by, exclude.past_date)
    rungs = ladder(top, about)
    trigger = Trigger(
        name=name,
        purpose=top.choice("purpose", ("transactional", "marketing"), "marketing"),
        kind=kind,
        status=_filter(top, kind, Slot.STATUS),
        type=_filter(top, kind, Slot.TYPE) or _filter(top, kind, Slot.FORM),
        keyword=_keyword(top, kind),
        activate=activate,
        action=chosen,
        send_to=wanted,
        words=replace(written, moved=_moved_template(top, kind, chosen), ladder=rungs.templates),
        must_hold=_must_hold(top),
        priority=top.whole("priority", 1, LEAST_PRIORITY, USUAL_PRIORITY),
        late=top.choice("late", ("send", "skip"), "send"),
        moved=top.choice("moved", _MOVED, "remind"),
        use_by=use_by,
        ceiling=None if top.take("ceiling") is None else top.whole("ceiling", 0, 1_000_000),
        enabled=top.boolean("enabled", default=False),
        shadow=top.boolean("shadow", default=False),
        processing=_processing(top),
        exclude=exclude,
        call=call(top, chosen, climbs=rungs.has(Leg.CALL)),
        task=task(top, chosen),
        web_form=web_form(top, chosen),
        to_status=to_status(top, chosen),
        then_status=then_status(top, chosen, kind),
        attach=attach(top, chosen, kind, climbs=rungs.has(Leg.EMAIL)),
        referral=referral(top, chosen),
        ladder=rungs,
        examples=examples(top, kind),
    )
    top.refuse_the_rest()
    return trigger


_FILTERS = dict.fromkeys([*(name for kind in KINDS.values() for name in kind.filters), "match"])


def _filter(top: Table, kind: Kind, slot: Slot) -> str | None:
    """What the kind compares in this slot, under the name it has there. Raises Malformed for another kind's filter."""
    for key in _FILTERS:
        offered = (*kind.filters, "match") if Slot.KEYWORD in kind.filters.values() else tuple(kind.filters)
        if key in top.values and key not in offered and top.take(key) is not None:  # null is as good as left out
            raise top.wrong(key, f"is not offered for {kind.name}; offered: {', '.join(sorted(offered))}")
    name = next((name for name, found in kind.filters.items() if found is slot), None)
    if name is None or top.take(name) is None:
        return None
    return top.choice(name, EMAIL_EVENTS) if name == "event" else top.text(name)


def _keyword(top: Table, kind: Kind) -> Keyword | None:
    if Slot.KEYWORD not in kind.filters.values():
        return None
    first_word = top.choice("match", ("whole", "first_word"), "whole") == "first_word"
    word = plain(top.text("keyword"))
    if not word:
        raise top.wrong("keyword", "has no letter or digit; a word that people can text is needed")
    if word in RESERVED:
        raise top.wrong("keyword", f"{word!r} is reserved: providers act on it before anybody else")
    if first_word and " " in word:
        raise top.wrong("keyword", f'{word!r} is more than one word; with match = "first_word" one is needed')
    return Keyword(word, first_word)


def _activation(top: Table, kind: Kind) -> Activation:
    table = top.table("activate")
    base = kind.bases[table.choice("on", kind.bases)]
    days = table.whole("days", -LARGEST_OFFSET, LARGEST_OFFSET, 0)
    if base.past and days < 0:
        raise table.wrong("days", f"{days}; {base.name!r} only ever lies behind us, so 0 or more is allowed")
    table.refuse_the_rest()
    return Activation(base, days)


_MOVED = ("remind", "tell", "nothing")


def _moved_template(top: Table, kind: Kind, action: ActionKind) -> str | None:
    """The words that tell of a new date: needed for moved = "tell", which is for what hangs on a date that may move."""
    tell = top.values.get("moved") == "tell"
    named = top.optional("moved_template")
    if not tell:
        if named is not None:
            raise top.wrong("moved_template", 'is for moved = "tell"; leave it out')
        return None
    base = kind.bases.get(str(top.table("activate").values.get("on")))
    if base is not None and (base.source is not Source.DATE or base.past):
        raise top.wrong("moved", f"'tell' is for a date that may move, and {base.name!r} is none")
    if not action.writes:
        raise top.wrong("moved", f"'tell' needs words, and {action.name!r} writes to nobody")
    return top.text("moved_template")


def _must_hold(top: Table) -> timedelta | None:
    """How long a status must last: only for what is active at the very change of a status."""
    held = top.period("must_hold")
    activate = top.table("activate").values
    if held is not None and (activate.get("on") != "status_changed" or activate.get("days")):
        raise top.wrong("must_hold", 'is for activate = { on = "status_changed" } without days; leave it out')
    return held


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
