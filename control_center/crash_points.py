"""Named places where a test lets this process die at once, as by `kill -9`.

    CONTROL_CENTER_CRASH_AT=after_mark     the first time that it gets there
    CONTROL_CENTER_CRASH_AT=after_mark:20  the twentieth time

Without that variable a point is a call of a function that does nothing. What systemd starts is never armed: there the
variable is ignored, whoever set it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final

VARIABLE: Final = "CONTROL_CENTER_CRASH_AT"
OF_SYSTEMD: Final = "INVOCATION_ID"  # it gives one to every service that it starts
POINTS: Final[Mapping[str, str]] = {
    "after_inbox_commit": "A batch of events is committed; the broker does not know.",
    "before_inbox_ack": "… and the dead among them were handed on to be copied.",
    "after_release_commit": "Actions have become messages; nobody was told.",
    "after_publish_confirm": "The broker has confirmed commands; the outbox does not know.",
    "after_claim": "A worker has claimed messages, and prepared none.",
    "after_mark": "Messages are past the point of no return; no byte has left, and no note was made.",
    "after_note": "The flight recorder has a message; no byte of it has left.",
    "after_answer": "The provider has answered; nothing is written down.",
}


def _nothing(_point: str, /) -> None:
    """What a point is in a process that is not armed."""


def armed(environment: Mapping[str, str]) -> Callable[[str], None]:
    """What a point does in a process with this environment. Raises ValueError for a point that there is not."""
    named = environment.get(VARIABLE, "")
    if not named or OF_SYSTEMD in environment:
        return _nothing
    wanted, _, times = named.partition(":")
    if wanted not in POINTS or not (times or "1").isdecimal():
        raise ValueError(f"{VARIABLE} is {named!r}; allowed: NAME or NAME:TIMES of {', '.join(POINTS)}")
    print(f"this process will kill itself: {VARIABLE}={named}", file=sys.stderr)  # noqa: T201 - before there is a log
    number = count(1)

    def reached(point: str, /) -> None:
        if point == wanted and next(number) == int(times or 1):
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # nothing after this line is to happen, however late the kernel is

    return reached


reach: Final = armed(os.environ)
