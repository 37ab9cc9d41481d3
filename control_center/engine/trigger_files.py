"""Trigger files: read into plain tables, with every mistake in them told at once."""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, TypeAlias

from control_center.domain.errors import Malformed
from control_center.domain.trigger import parse

Table: TypeAlias = Mapping[str, Any]
Named: TypeAlias = tuple[str, Table]  # the file that a table stands in, for messages, and the table

_LARGEST = 2**63 - 1  # what JSON keeps exactly everywhere


class Mistakes(Malformed):
    """Everything that is wrong with some tables. As an error it reads as the first of them."""

    def __init__(self, all_: Sequence[Malformed]) -> None:
        first = all_[0]
        more = f" (and {len(all_) - 1} more)" if len(all_) > 1 else ""
        super().__init__(first.field, f"{first.reason}{more}")
        self.all = tuple(all_)


def read_files(paths: Iterable[Path]) -> list[tuple[str, dict[str, Any]]]:
    """The [[trigger]] tables of these files and folders, each with its file for messages. Raises Mistakes."""
    tables: list[tuple[str, dict[str, Any]]] = []
    mistakes: list[Malformed] = []
    files = _files(paths, mistakes)
    names = Counter(file.name for file in files)
    for file in files:
        where = file.name if names[file.name] == 1 else str(file)
        try:
            tables.extend((where, table) for table in _read_file(file, where))
        except Malformed as error:
            mistakes.append(error)
    if mistakes:
        raise Mistakes(mistakes)
    return tables


def _files(paths: Iterable[Path], mistakes: list[Malformed]) -> list[Path]:
    """These files, and those in these folders, each once; what is none goes to the mistakes."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(file for file in path.glob("*.toml") if file.is_file()) if path.is_dir() else [path]
        if not path.exists():
            mistakes.append(Malformed(str(path), "there is no such file or folder"))
        elif not inside:
            mistakes.append(Malformed(str(path), "there is no .toml file in this folder"))
        else:
            found.update(dict.fromkeys(inside))
    return list(found)


def _read_file(file: Path, where: str) -> list[dict[str, Any]]:
    try:
        content = tomllib.loads(file.read_text("utf-8-sig"))  # some editors begin a file with a mark
    except OSError as error:
        raise Malformed(where, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Malformed(where, f"is not written in UTF-8, at byte {error.start + 1}") from None
    except (ValueError, RecursionError) as error:  # thousands of digits or brackets are no TOMLDecodeError
        raise Malformed(where, f"not TOML: {error}") from None
    for key in content:
        if key != "trigger":
            raise Malformed(f"{where}, {key}", "is not a known key; a trigger file holds [[trigger]] tables")
    found = content.get("trigger", [])
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise Malformed(f"{where}, trigger", "a trigger is written under [[trigger]]")
    return [plain(table, where) for table in found]


def plain(table: Table, where: str) -> dict[str, Any]:
    """A table as it is stored: dates as text, and without keys that hold nothing. Raises Malformed.

    So a table read from a file and the same one read back from the database are equal.
    """
    name = table.get("name")
    place = f'{where} "{name}"' if isinstance(name, str) else where
    return {key: _plain(value, f"{place}, {key}") for key, value in table.items() if value is not None}


def _plain(value: Any, field: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one, f"{field}.{key}") for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_plain(one, f"{field}[{number}]") for number, one in enumerate(value, 1)]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise Malformed(field, f"{value}; a finite number is needed")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise Malformed(field, f"{str(value)[:40]}; is too large a number")
    return value


# Mistakes -------------------------------------------------------------------------------------------------


def mistakes_of(tables: Sequence[Named]) -> list[Malformed]:
    """Everything that is wrong with these tables by themselves, names used twice included."""
    return [*_repeated(tables), *(one for where, table in tables for one in _of_table(where, table))]


def _repeated(tables: Sequence[Named]) -> Iterator[Malformed]:
    names: dict[str, str] = {}
    for where, table in tables:
        name = table.get("name")
        if isinstance(name, str) and name in names:
            yield Malformed(f'{where} "{name}", name', f"is used twice, also in {names[name]}; names are unique")
        elif isinstance(name, str):
            names[name] = where


def _of_table(where: str, table: Table) -> Iterator[Malformed]:
    """The mistakes of one table: after each, the key it is about is left out and the rest is looked at."""
    place = f'{where} "{table.get("name")}", '
    rest: dict[str, Any] = dict(table)
    seen: set[str] = set()
    while (error := _caught(lambda: parse(rest, where=where))) is not None and error.field not in seen:
        follows = bool(seen) and error.reason.startswith("is missing")  # only because the key before was left out
        seen.add(error.field)
        if not follows:
            yield error
        if not error.field.startswith(place) or not _leave_out(rest, error.field.removeprefix(place)):
            return


def _caught(work: Callable[[], object]) -> Malformed | None:
    try:
        work()
    except Malformed as error:
        return error
    return None


def _leave_out(table: dict[str, Any], path: str) -> bool:
    """Take a key such as `processing.window` out of a table, without touching the table it came from."""
    key, _, deeper = path.partition(".")
    if key not in table:
        return False
    if not deeper:
        del table[key]
        return True
    inside = table[key]
    if not isinstance(inside, Mapping):
        return False
    table[key] = dict(inside)
    return _leave_out(table[key], deeper)
