"""What a trigger does and to whom: the keys of a [[trigger]] table that depend on its action."""

from __future__ import annotations

import re
from dataclasses import dataclass

from control_center.domain.catalogue_actions import ActionKind
from control_center.domain.table import Table, shown

LARGEST_DELAY = 3650  # days


@dataclass(frozen=True, slots=True)
class Call:
    """The call record that `call` asks of the CRM."""

    type: str | None = None
    due_days: int = 0
    assign: str | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """Where the words come from: a stored template by name, or a text of the trigger's own."""

    template: str | None
    text: str | None


_PLAIN_RECIPIENTS = ("client", "photographer", "all_photographers")


def send_to(top: Table, action: ActionKind) -> tuple[str, ...]:
    value = top.take("send_to")
    if value is None:
        return ("client",)
    if not action.writes:
        raise top.wrong("send_to", f"{action.name!r} writes to nobody; leave it out")
    if not isinstance(value, list) or not value:
        raise top.wrong("send_to", f'{shown(value)}; a list such as ["client"] is needed')
    for item in value:
        plain = item in _PLAIN_RECIPIENTS
        family = isinstance(item, str) and re.fullmatch(r"family:[^\s\x00][^\x00\n]{0,99}", item)
        if not plain and not family:
            allowed = f"{', '.join(_PLAIN_RECIPIENTS)}, family:<relationship>"
            raise top.wrong("send_to", f"{shown(item)}; allowed: {allowed}")
    return tuple(dict.fromkeys(value))


def words(top: Table, action: ActionKind) -> Words:
    template, text = top.optional("template"), top.optional("text", limit=10_000)
    if action.name == "change_status" and (template or text):
        raise top.wrong("template" if template else "text", "'change_status' sends nothing; leave it out")
    if template and text:
        raise top.wrong("text", "stands beside a template; one of the two is needed")
    if action.writes and not template and not text:
        raise top.wrong("template", f"is missing; {action.name!r} needs a template or a text")
    return Words(template, text)


def call(top: Table, action: ActionKind) -> Call:
    table = top.table("call")
    if table.values and action.name != "call":
        raise top.wrong("call", f"stands beside the action {action.name!r}, which makes no call")
    call = Call(table.optional("type"), table.whole("due_days", 0, LARGEST_DELAY, 0), table.optional("assign"))
    table.refuse_the_rest()
    return call


def to_status(top: Table, action: ActionKind) -> str | None:
    table = top.table("change_status")
    if action.name != "change_status":
        if table.values:
            raise top.wrong("change_status", f"stands beside the action {action.name!r}")
        return None
    status = table.text("to")
    table.refuse_the_rest()
    return status
