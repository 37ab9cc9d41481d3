"""Long lists in pages: a cursor names the last row seen by its key, so that nothing is lost or shown twice."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec

from control_center.domain.errors import Malformed

LONGEST = 200  # rows of one page
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # characters that PostgreSQL has no place for
_LARGEST = 2**63  # past what a bigint holds

Row = TypeVar("Row")
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list, and the cursor that continues after them; None at the end."""

    items: list[Row]
    next_cursor: str | None


def page(rows: Sequence[Row], limit: int, key: Callable[[Row], Any]) -> Page[Row]:
    """A page of `limit` rows out of `limit + 1` that were read: the one too many says that there are more."""
    items = list(rows[:limit])
    return Page(items, cursor(key(items[-1])) if len(rows) > limit else None)


def cursor(key: Any) -> str:
    """An opaque text for a row's key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def after(text: str | None, shape: type[Key]) -> Key | None:
    """The key that a cursor names; None where there is none. Raises Malformed for a text that is no cursor."""
    if text is None:
        return None
    try:
        key = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=shape)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        key = None
    if key is None or not all(_may_be_of_a_row(part) for part in msgspec.to_builtins(key, builtin_types=(datetime,))):
        raise Malformed("cursor", "is not one that a list gave; leave it out to begin at the start")
    return key


def _may_be_of_a_row(part: Any) -> bool:
    """Whether a row can have this in its key: what no column holds, the database would only choke on."""
    match part:
        case int():
            return -_LARGEST <= part < _LARGEST
        case str():
            return UNSTORABLE.search(part) is None
        case datetime():
            return is_storable(part)
        case _:
            return True


def is_storable(at: datetime) -> bool:
    """Whether an instant can be compared with stored ones: it needs an offset, and to be in a year of UTC."""
    try:
        return at.tzinfo is not None and bool(at.astimezone(UTC))
    except OverflowError:
        return False


def sorted_page(
    rows: Iterable[Row], key: Callable[[Row], Key], shape: type[Key], *, cursor: str | None, limit: int
) -> Page[Row]:
    """A page of a short list that was read as a whole, in the order of a key that no two rows share.

    `shape` is the key's type, a text or a tuple. Raises Malformed for a cursor that is none.
    """
    seen: Any = after(cursor, shape)
    ordered: list[tuple[Any, Row]] = sorted(((key(row), row) for row in rows), key=lambda one: one[0])
    left = [row for place, row in ordered if seen is None or place > seen]
    return page(left[: limit + 1], limit, key)
