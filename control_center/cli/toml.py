"""Tables written as TOML, the way a person would have written the file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# What is short, or belongs together, stands in one line: `activate = { on = "session", days = -7 }`.
_IN_ONE_LINE = frozenset({"activate", "nps", "given", "expect", "template", "send_to"})

_VERBATIM = re.compile(r'(?!.*""")[^\\\x00-\x08\x0b-\x1f\x7f]*', re.DOTALL)


def table(name: str, values: Mapping[str, Any]) -> str:
    """One `[[name]]` table with its sub-tables. What is None is left out: TOML has no word for it."""
    lines = [f"[[{name}]]", *_body(values, name)]
    return "\n".join(lines) + "\n"


def document(values: Mapping[str, Any]) -> str:
    """A file that is one table without a heading."""
    return "\n".join(f"{_key(key)} = {_lines(value)}" for key, value in values.items() if value is not None) + "\n"


def _body(values: Mapping[str, Any], path: str) -> list[str]:
    said = {key: value for key, value in values.items() if value is not None}
    lines = [
        f"{_key(key)} = {_lines(value)}" for key, value in said.items() if not _is_table(key, value) | _is_list(value)
    ]
    for key, value in said.items():
        inside = f"{path}.{_key(key)}"
        if _is_table(key, value):
            lines += ["", f"[{inside}]", *_body(value, inside)]
        elif _is_list(value):
            for one in value:
                lines += ["", f"[[{inside}]]", *_body(one, inside)]
    return lines


def _is_table(key: str, value: Any) -> bool:
    return isinstance(value, Mapping) and key not in _IN_ONE_LINE


def _is_list(value: Any) -> bool:
    """Whether these are tables that each stand under a heading of their own."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _key(key: str) -> str:
    plain = key.replace("_", "").replace("-", "")
    return key if plain.isascii() and plain.isalnum() else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items() if one is not None)
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    return _text(value) if isinstance(value, str) else str(value)


def _lines(value: Any) -> str:
    """A text of several lines stands between three quotes, where nothing in it has another meaning there."""
    if isinstance(value, str) and "\n" in value and _VERBATIM.fullmatch(value) and not value.endswith('"'):
        return f'"""\n{value}"""'
    return _value(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
