"""What a trigger does: the keys of a [[trigger]] table that depend on its action."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from control_center.domain.catalogue import Kind
from control_center.domain.catalogue_actions import ACTIONS, WITH_STATUS, ActionKind, Leg
from control_center.domain.table import Table, shown

LARGEST_DELAY = 3650  # days
_PRIORITIES = (1, 10)


@dataclass(frozen=True, slots=True)
class Call:
    """The call record that is asked of the CRM."""

    type: str | None = None
    due_days: int = 0
    assign: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """The task that is asked of the CRM. `subject` and `description` are templates."""

    subject: str
    description: str | None = None
    type: str | None = None
    priority: int | None = None
    due_days: int = 0
    assign: str | None = None


@dataclass(frozen=True, slots=True)
class Referral:
    """The program that a client enters with the message. `skip`: who is in one already gets nothing."""

    program: str
    skip: bool


@dataclass(frozen=True, slots=True)
class Words:
    """Where the words come from: a stored template by name, one for each leg, or a text of the trigger's own."""

    template: str | None
    text: str | None
    by_leg: tuple[tuple[Leg, str], ...] = ()
    moved: str | None = None  # the template that tells of a new date
    ladder: tuple[tuple[Leg, str], ...] = ()  # one for each leg that only a step of the ladder takes

    def template_of(self, leg: Leg) -> str | None:
        """The name of the template that serves this leg."""
        return dict(self.by_leg + self.ladder).get(leg, self.template)

    @property
    def templates(self) -> tuple[tuple[str, str], ...]:
        """Every template that is named, after the key that names it."""
        named = [(f"template.{leg.value}", name) for leg, name in self.by_leg]
        named += [("moved_template", self.moved)] if self.moved else []
        named += [("ladder.template", name) for _, name in self.ladder]
        return tuple(named) if self.template is None else (("template", self.template), *named)

    @property
    def none(self) -> bool:
        return self.template is None and self.text is None and not self.by_leg


def action(top: Table, kind: Kind) -> ActionKind:
    """Read `action`. Raises Malformed for one that is not offered for this kind of record."""
    chosen = ACTIONS[top.choice("action", ACTIONS)]
    if chosen.kinds is not None and kind.name not in chosen.kinds:
        offered = ", ".join(sorted(chosen.kinds))
        raise top.wrong("action", f"{chosen.name!r} is not offered for {kind.name}; it is for {offered}")
    return chosen


def words(top: Table, action: ActionKind) -> Words:
    """Read `template` and `text`. Raises Malformed where there are none, or more than the action can use."""
    named, text = top.take("template"), top.optional("text", limit=10_000)
    given = "text" if named is None else "template"
    if not action.writes and not action.has(Leg.CALL) and (named is not None or text is not None):
        why = "sends nothing" if action.has(Leg.CHANGE_STATUS) else f"takes its words from [trigger.{action.name}]"
        raise top.wrong(given, f"{action.name!r} {why}; leave it out")
    if action.own_text and named is not None:
        raise top.wrong("template", f"the words of {action.name!r} stand in the trigger; give them as text")
    if named is not None and text is not None:
        raise top.wrong("text", "stands beside a template; one of the two is needed")
    if isinstance(named, Mapping):
        return Words(None, None, _by_leg(top, action, named))
    template = top.optional("template")
    if action.writes and template is None and text is None:
        key, needs = ("text", "a text of its own") if action.own_text else ("template", "a template or a text")
        raise top.wrong(key, f"is missing; {action.name!r} needs {needs}")
    return Words(template, text)


def _by_leg(top: Table, action: ActionKind, named: Mapping[str, Any]) -> tuple[tuple[Leg, str], ...]:
    table = top.table("template")
    worded = [leg for leg in action.legs if leg.is_message or leg in (Leg.CALL, Leg.LETTER)]
    found = []
    for leg in worded:
        if leg.value in named:
            found.append((leg, table.text(leg.value)))
        elif leg is not Leg.CALL:
            raise table.wrong(leg.value, f"is missing; {action.name!r} needs words for it")
    table.used.update(leg.value for leg in worded)
    table.refuse_the_rest()
    return tuple(found)


def call(top: Table, action: ActionKind, *, climbs: bool = False) -> Call:
    """The call that the action makes, or a step of its ladder where it `climbs` to one."""
    table = top.table("call") if climbs else _table_of(top, "call", action, "which makes no call")
    call = Call(table.optional("type"), table.whole("due_days", 0, LARGEST_DELAY, 0), table.optional("assign"))
    table.refuse_the_rest()
    return call


def task(top: Table, action: ActionKind) -> Task | None:
    table = _table_of(top, "task", action, "which creates no task")
    if not action.has(Leg.TASK):
        return None
    task = Task(
        subject=table.text("subject"),
        description=table.optional("description", limit=10_000),
        type=table.optional("type"),
        priority=None if table.take("priority") is None else table.whole("priority", *_PRIORITIES),
        due_days=table.whole("due_days", 0, LARGEST_DELAY, 0),
        assign=table.optional("assign"),
    )
    table.refuse_the_rest()
    return task


def web_form(top: Table, action: ActionKind) -> str | None:
    """The form that a client is to fill in."""
    table = _table_of(top, "web_form", action, "which creates no form")
    if not action.has(Leg.WEB_FORM):
        return None
    form = table.text("form")
    table.refuse_the_rest()
    return form


def to_status(top: Table, action: ActionKind) -> str | None:
    table = _table_of(top, "change_status", action, "which has `then_status` for that")
    if not action.has(Leg.CHANGE_STATUS):
        return None
    status = table.text("to")
    table.refuse_the_rest()
    return status


def _table_of(top: Table, key: str, action: ActionKind, why: str) -> Table:
    """The table of one leg, which may not stand beside an action that has another."""
    table = top.table(key)
    if table.values and not action.has(Leg(key)):
        raise top.wrong(key, f"stands beside the action {action.name!r}, {why}")
    return table


def then_status(top: Table, action: ActionKind, kind: Kind) -> str | None:
    """The status that the record is given beside what the action does."""
    status = top.optional("then_status")
    if status is not None and action.has(Leg.CHANGE_STATUS):
        raise top.wrong("then_status", f"stands beside the action {action.name!r}, which says its status itself")
    if status is not None and kind.name not in WITH_STATUS:
        raise top.wrong("then_status", f"{status!r}; a record of kind {kind.name} has no status to change")
    return status


# What may be put onto an email, and the kinds of records that have it.
ATTACHMENTS: Mapping[str, frozenset[str]] = {
    "confirmation": frozenset({"session", "appointment"}),
    "invoice": frozenset({"invoice"}),
}


def attach(top: Table, action: ActionKind, kind: Kind, *, climbs: bool = False) -> tuple[str, ...]:
    """What goes along with the emails of the action, or with that of its ladder where it `climbs` to one."""
    if top.take("attach") is None:
        return ()
    if not action.has(Leg.EMAIL) and not climbs:
        raise top.wrong("attach", f"stands beside the action {action.name!r}, which sends no email")
    return attachments(top, "attach", kind.name)


def attachments(table: Table, key: str, kind: str) -> tuple[str, ...]:
    """Read a list of what goes along with an email about records of a kind, or of `any`. Raises Malformed."""
    value = table.take(key)
    fitting = [name for name, kinds in ATTACHMENTS.items() if kind == "any" or kind in kinds]
    if not isinstance(value, list) or not value:
        raise table.wrong(key, f'{shown(value)}; a list such as ["confirmation"] is needed')
    for one in value:
        if one not in fitting:
            raise table.wrong(key, f"{shown(one)}; allowed for {kind}: {_names(fitting)}")
    return tuple(dict.fromkeys(value))


def _names(names: Collection[str]) -> str:
    return ", ".join(names) or "nothing"


def referral(top: Table, action: ActionKind) -> Referral | None:
    table = top.table("referral")
    if not table.values:
        return None
    if not any(leg.is_message for leg in action.legs):
        raise top.wrong("referral", f"stands beside the action {action.name!r}, which sends no message")
    program = table.text("program")
    skip = table.choice("if_enrolled", ("skip", "move"), "skip") == "skip"
    table.refuse_the_rest()
    return Referral(program, skip)
