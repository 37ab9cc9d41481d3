"""Logs: one JSON object a line on stderr, or words and colours on a terminal; nothing personal, never a secret.

Every line carries `timestamp`, `level`, `event` (one of EVENTS), and whichever of `studio`, `trigger`, `record`,
`action`, `message`, `event_id`, `attempt` and `reason` apply, so that one id follows a cause from event to receipt.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, BinaryIO, Final, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from control_center.logs.events import EVENTS
from control_center.logs.masking import Masking
from control_center.logs.traces import add_trace

__all__ = ["EVENTS", "LEVELS", "Masking", "configure", "in_words"]

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(
    *,
    style: str = "",
    level: str = "info",
    personal: bool = False,
    secrets: Iterable[str] = (),
    stream: BinaryIO | None = None,
) -> None:
    """Set this process' logs up; once, at its start.

    `style` is `json`, `console`, or nothing: words on a terminal, else JSON. `personal` lets numbers, addresses and
    message texts through. `secrets` never get through, whatever else is said. `stream` is stderr.
    """
    target = _Patient(stream or sys.stderr.buffer)
    words = style == "console" or (not style and target.isatty())
    masking = Masking(secrets=secrets, personal=personal)
    last: list[Processor] = [_console(target)] if words else [_json]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            add_trace,
            masking,
            target.owns_up,
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", target)),
        cache_logger_on_first_use=True,
    )
    _take_over_the_standard_library()


class _Patient:
    """Owns the stream. A line that it does not take, as on a full disk, is lost; whoever said it goes on."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream: Any = getattr(stream, "raw", stream)  # unbuffered: what failed once is not kept to fail again
        self._torn = b""
        self._lost = 0
        self.isatty = stream.isatty

    def write(self, line: bytes) -> None:
        try:
            line = self._torn + line
            while line:
                taken = self._stream.write(line)
                if not taken:  # a pipe that is full and waits for nobody
                    raise BlockingIOError
                line, self._torn = line[taken:], b"\n"
        except OSError:
            self._lost += 1
        else:
            self._torn, self._lost = b"", 0

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def owns_up(self, _logger: Any, _method: str, line: EventDict) -> EventDict:
        """The first line after a gap says how many are missing before it."""
        return {**line, "lost_lines": self._lost} if self._lost else line


def _json(_logger: Any, _method: str, line: EventDict) -> bytes:
    try:
        return _encode(line)
    except (TypeError, ValueError):  # half of a surrogate pair, which no UTF-8 can say
        return _encode({key: str(value).encode("utf-8", "replace").decode() for key, value in line.items()})


_encode = msgspec.json.Encoder().encode


def _console(target: _Patient) -> Processor:
    show = in_words(colours=target.isatty() and not os.environ.get("NO_COLOR"))

    def console(_logger: Any, _method: str, line: EventDict) -> bytes:
        line["timestamp"] = line["timestamp"][11:19]
        return show(line).encode("utf-8", "replace")

    return console


def in_words(*, colours: bool) -> Callable[[EventDict], str]:
    """What shows a line to people, in words and columns; below it the traceback, where there is one."""
    render = structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=24, sort_keys=False)

    def show(line: EventDict) -> str:
        return str(render(None, "", {key: value for key, value in line.items() if value is not None}))

    return show


class _Bridge(logging.Handler):
    """What libraries say reaches our log from WARNING on, as one line: their tracebacks tell us nothing we can mend."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            said = str(record.msg)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            said = f"{said} ({type(error).__name__}: {error})"
        say = structlog.get_logger().error if record.levelno >= logging.ERROR else structlog.get_logger().warning
        say("library.said", library=record.name, said=said)


def _take_over_the_standard_library() -> None:
    logging.basicConfig(handlers=[_Bridge(logging.WARNING)], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
