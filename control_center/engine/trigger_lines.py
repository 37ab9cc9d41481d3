"""What differs between two tables, for a person: one line for each key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from control_center.engine.trigger_files import Table


def lines(before: Table, after: Table) -> list[str]:
    """One line for each key that differs, nested tables included."""
    old, new = dict(_flat(before, "")), dict(_flat(after, ""))
    shown = []
    for key in sorted(old.keys() | new.keys()):
        if key in old and key in new and old[key] == new[key]:
            continue
        if key not in old:
            shown.append(f"+ {key} = {_json(new[key])}")
        elif key not in new:
            shown.append(f"- {key} = {_json(old[key])}")
        else:
            shown.append(f"~ {key} = {_json(old[key])} -> {_json(new[key])}")
    return shown


def _flat(table: Table, path: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{path}{key}.")
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            for number, one in enumerate(value, 1):
                yield from _flat(one, f"{path}{key}[{number}].")
        else:
            yield f"{path}{key}", value


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
