"""Tables written as TOML, the way a person would have written the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def table(name: str, values: Mapping[str, Any]) -> str:
    """One `[[name]]` table with its sub-tables."""
    lines = [f"[[{name}]]", *_body(values, name)]
    return "\n".join(lines) + "\n"


def _body(values: Mapping[str, Any], path: str) -> list[str]:
    plain = {key: value for key, value in values.items() if not _is_table(key, value)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in values.items():
        if _is_table(key, value):
            lines += ["", f"[{path}.{_key(key)}]", *_body(value, f"{path}.{_key(key)}")]
    return lines


def _is_table(key: str, value: Any) -> bool:
    """What is short stands in one line: `activate = { on = "session", days = -7 }`."""
    return isinstance(value, Mapping) and key != "activate"


def _key(key: str) -> str:
    plain = key.replace("_", "").replace("-", "")
    return key if plain.isascii() and plain.isalnum() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
