"""How far a verb is that looks through many records, for whoever waits in front of it."""

from __future__ import annotations

import sys
from collections.abc import Callable


def on_terminal() -> Callable[[int, int], None] | None:
    """A line on a terminal that says how far it is; nothing where nobody looks at one."""
    if not sys.stderr.isatty():
        return None

    def progress(done: int, total: int) -> None:
        share = 100 if not total else min(100, done * 100 // total)
        end = "\r\x1b[K" if done >= total else ""
        sys.stderr.write(f"\r{share:3} %  {done:,} of {total:,}{end}")
        sys.stderr.flush()

    return progress
