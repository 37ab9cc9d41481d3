"""Properties and headers of a message that no strict reader takes, read as far as they go.

The broker passes on whatever bytes a publisher has put there: a name in Latin-1, a time in microseconds. The library
that decodes them ends the connection over such a one, the broker then hands the same message out again, and with each
round that goes on those delivered beside it come nearer to their delivery limit. Nothing is ever read there by us.
"""

from __future__ import annotations

from datetime import datetime

from pamqp import decode
from pamqp.common import FieldTable


def be_lenient() -> None:
    """Have every connection of this process read properties so. Repeating it changes nothing."""
    decode.METHODS.update(shortstr=_text, timestamp=_time, table=_table)


def _text(value: bytes) -> tuple[int, str]:
    """A short text with the bytes that it takes; what is not UTF-8 is shown as Latin-1. Routing keys are such, too."""
    if not value:
        raise ValueError("a text without its length")
    end = value[0] + 1
    try:
        return end, value[1:end].decode()
    except UnicodeDecodeError:
        return end, value[1:end].decode("latin-1")


def _time(value: bytes) -> tuple[int, datetime | None]:
    """A time; None for one that no calendar has."""
    try:
        return decode.timestamp(value)
    except (ArithmeticError, OSError, ValueError):
        return 8, None


def _table(value: bytes) -> tuple[int, FieldTable]:
    """Headers; none of them where one cannot be read. How long they are is told before them."""
    try:
        return decode.field_table(value)
    except (ArithmeticError, LookupError, OSError, RecursionError, ValueError):
        if len(value) < 4:
            raise ValueError("a table without its length") from None
        return int.from_bytes(value[:4]) + 4, {}
