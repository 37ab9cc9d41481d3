"""Whether what a trigger writes could be written: checked when it is saved, against what is known then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control_center.domain import template
from control_center.domain.errors import Malformed
from control_center.domain.trigger import Trigger
from control_center.domain.trigger_recipients import fixed_numbers, unusable_number


def check_words(trigger: Trigger, place: str, known: Mapping[str, Mapping[str, Any]], country: str) -> None:
    """Refuse texts that cannot be filled in, templates that do not exist, and numbers that no text can go to.

    `place` names file and trigger, `known` are the studio's templates by name. Raises Malformed.
    """
    kind = trigger.kind.name
    sources = {"text": trigger.words.text}
    if trigger.task is not None:
        sources |= {"task.subject": trigger.task.subject, "task.description": trigger.task.description}
    for key, source in sources.items():
        if source is not None:
            template.check(source, kind, field=f"{place}, {key}")
    for key, name in trigger.words.templates:
        found = known.get(name)
        if found is None:
            names = ", ".join(known) or "none is saved yet"
            raise Malformed(f"{place}, {key}", f"{name!r} does not exist; known: {names}")
        if found.get("kind", "any") not in ("any", kind):
            raise Malformed(f"{place}, {key}", f"{name!r} is for {found['kind']} records, the trigger is on {kind}")
    for typed in fixed_numbers(trigger.send_to):
        reason = unusable_number(typed, country)
        if reason is not None:
            raise Malformed(f"{place}, send_to", f"{typed!r} {reason}")
