"""Tracebacks as text: where and what, never the values of variables, which are customers' data and secrets."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from structlog.typing import EventDict

LONGEST = 30  # frames


@dataclass(frozen=True, slots=True)
class Trace:
    """An exception and its causes, oldest first: of each the frames, which are our code, and what it said, which may be
    anything and is for `masking` to go over.
    """

    errors: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, error: BaseException) -> Trace:
        """Of this exception, without locals and without notes."""
        errors: list[tuple[str, str]] = []
        seen: set[int] = set()
        current: BaseException | None = error
        while current is not None and id(current) not in seen:
            seen.add(id(current))
            errors.append((_frames(current.__traceback__), f"{type(current).__name__}: {current}"))
            current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        return cls(tuple(reversed(errors)))


def add_trace(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Put a Trace under `exception` where the caller gave `exc_info`."""
    given = line.pop("exc_info", None)
    line.pop("stack_info", None)
    if given:
        error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given is True else given[1]
        if error is not None:
            line["exception"] = Trace.of(error)
    return line


def _frames(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)[-LONGEST:]
    return "".join(f"{frame.filename}:{frame.lineno} {frame.name}: {frame.line}\n" for frame in frames)
