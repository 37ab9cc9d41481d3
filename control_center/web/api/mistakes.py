"""What is wrong with a query or a body: each field once, with the value that was given and what is allowed there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

from control_center.web.api import ids
from control_center.web.problems import Error

MOST: Final = 20  # fields that one answer names
# Names that pydantic puts into the path of a value with alternatives: they are no fields of ours.
BRANCH: Final = re.compile(r"[a-z-]+[\[(].*|constrained-\w+|str|int|bool|date|datetime")
WORDS: Final = re.compile(r"\^\(([a-z_|]+)\)(\(,\(\1\)\)\*)?\$")
INSTANT: Final = "an instant such as 2027-06-01T15:00:00Z is needed"
DAY: Final = "a day such as 2027-06-12 is needed"
NUMBER: Final = "a whole number is needed"
SHAPES: Final = {
    ids.ACTION: "write a- and a number, such as a-12",
    ids.MESSAGE: "write m- and a number, such as m-12",
    ids.BULK: "write b- and a number, such as b-12",
    ids.STUDIO: "allowed: lower-case letters, digits, - and _, at most 50",
    ids.RECORD: "write the kind and the id, such as session/4711",
    ids.CURSOR: "allowed: next_cursor of the page before",
    ids.PREFIX: "write + and the digits, such as +13125550",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": DAY,
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(,[0-9]{4}-[0-9]{2}-[0-9]{2}){0,99}$": "days such as 2027-06-12 with commas between",
    r"^20[0-9]{2}(,20[0-9]{2}){0,9}$": "years such as 2027 with commas between",
    r"^(0|[1-9][0-9]{0,17})$": NUMBER,
    "^[0-9a-f]{12}$": "allowed: the 12 letters and digits of approval.seen",
}
KINDS: Final = {
    "literal_error": "allowed: {expected}",
    "greater_than_equal": "allowed: {ge} or more",
    "less_than_equal": "allowed: {le} or less",
    "less_than": "allowed: less than {lt}",
    "string_too_short": "{min_length} characters or more are needed",
    "int_parsing": NUMBER,
    "int_type": NUMBER,
    "int_from_float": NUMBER,
    "int_parsing_size": "a smaller number is needed",
    "string_type": "a text is needed",
    "bool_parsing": "allowed: true, false",
    "bool_type": "allowed: true, false",
    "list_type": "a list is needed",
    "dict_type": "a table is needed",
    "model_type": "a table is needed",
}


def told(found: Sequence[ErrorDetails]) -> list[Error]:
    """The wrong fields, each with one sentence; alternatives of a field are told together."""
    said: dict[str, list[str]] = {}
    given: dict[str, str] = {}
    for one in found:
        path = _path(one["loc"])
        value, allowed = _reason(one)
        given.setdefault(path, value)
        reasons = said.setdefault(path, [])
        if allowed not in reasons:
            reasons.append(allowed)
    return [Error(path, given[path] + ", or ".join(reasons)) for path, reasons in said.items()][:MOST]


def _path(place: Sequence[str | int]) -> str:
    parts = [part for n, part in enumerate(place) if not (n and isinstance(part, str) and BRANCH.fullmatch(part))]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")[:200]


def _reason(error: ErrorDetails) -> tuple[str, str]:
    """The value as it is shown, which is nothing where none was given; and what is allowed."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return "", "is not a known field"
    if kind == "missing":
        return "", "is missing"
    if kind == "string_too_short" and not error["input"]:
        return "", "is empty"
    if kind == "string_too_long":
        return "", f"{len(error['input'])} characters; at most {context['max_length']}"
    allowed = _allowed(kind, context) or error["msg"].removeprefix("Value error, ")[:300]
    shown = _shown(error["input"])
    return ("" if not shown or shown in allowed else f"{shown}; "), allowed


def _shown(value: Any) -> str:
    return repr(value[:60]) if isinstance(value, str) else str(value) if isinstance(value, (bool, int, float)) else ""


def _allowed(kind: str, context: dict[str, Any]) -> str | None:
    if kind == "string_pattern_mismatch":
        return _shape(str(context["pattern"]))
    if kind == "timezone_naive" or kind.startswith("datetime_"):
        return INSTANT
    if kind.startswith("date_"):
        return DAY
    return KINDS.get(kind, "").format_map(context).replace("'", "") or None


def _shape(pattern: str) -> str:
    if words := WORDS.fullmatch(pattern):
        several = "; several with commas between" if words[2] else ""
        return f"allowed: {words[1].replace('|', ', ')}{several}"
    return SHAPES.get(pattern, f"it has to fit {pattern}")
