"""Log lines read back: sifted by what they are about, and shown in words, as a terminal would have shown them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from control_center.logs import LEVELS, in_words
from control_center.logs.masking import visible

Line: TypeAlias = dict[str, Any]

# What every line of ours says, and what a renderer would take for an exception at hand.
HEAD: Final = ("timestamp", "level", "event")
NOT_OURS: Final = ("exc_info", "stack")


@dataclass(frozen=True, slots=True)
class Sought:
    """What a line has to say to be shown: each of these fields, at this level or a worse one. Nothing sought: all."""

    fields: Mapping[str, str]
    level: str = ""

    def __bool__(self) -> bool:
        return bool(self.fields or self.level)

    def found_in(self, line: Line) -> bool:
        if self.level and LEVELS.get(str(line.get("level")), 0) < LEVELS[self.level]:
            return False
        return all(line.get(name) == value for name, value in self.fields.items())


def reader(sought: Sought, *, colours: bool, machine: bool) -> Callable[[bytes], bytes | None]:
    """What becomes of each line, without its end: how it is shown, or None where it is not.

    What is no log line, such as a traceback of the interpreter, is shown as it is unless something is sought. For a
    `machine` what is JSON stays JSON, and nothing else is shown.
    """
    show = in_words(colours=colours)

    def read(raw: bytes) -> bytes | None:
        line = _decoded(raw)
        if line is None:
            return None if sought or machine else raw
        if sought and not sought.found_in(line):
            return None
        return raw if machine or not _ours(line) else show(_fit_for_a_terminal(line)).encode("utf-8", "replace")

    return read


def _decoded(raw: bytes) -> Line | None:
    try:
        line = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _ours(line: Line) -> bool:
    return (
        all(isinstance(line.get(name), str) for name in HEAD)
        and line["level"] in LEVELS
        and not any(name in line for name in NOT_OURS)
    )


def _fit_for_a_terminal(line: Line) -> Line:
    """The line with its day and time in front, UTC; whoever wrote it, nothing in it moves the cursor."""
    shown = {visible(key): visible(value) if isinstance(value, str) else value for key, value in line.items()}
    shown["timestamp"] = shown["timestamp"][:19].replace("T", " ")
    if "exception" in line:
        shown["exception"] = "\n".join(map(visible, str(line["exception"]).split("\n")))
    return shown
