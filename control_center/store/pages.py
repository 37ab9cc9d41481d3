"""Long lists in pages: a cursor names the last row seen by its key, so that nothing is lost or shown twice."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from control_center.domain.errors import Malformed

LONGEST = 200  # rows of one page

Row = TypeVar("Row")
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list, and the cursor that continues after them; None at the end."""

    items: list[Row]
    next_cursor: str | None


def page(rows: Sequence[Row], limit: int, key: Callable[[Row], Sequence[Any]]) -> Page[Row]:
    """A page of `limit` rows out of `limit + 1` that were read: the one too many says that there are more."""
    items = list(rows[:limit])
    return Page(items, cursor(key(items[-1])) if len(rows) > limit else None)


def cursor(key: Sequence[Any]) -> str:
    """An opaque text for a row's key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def after(text: str | None, shape: type[Key]) -> Key | None:
    """The key that a cursor names; None where there is none. Raises Malformed for a text that is no cursor."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=shape)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise Malformed("cursor", "is not one that a list gave; leave it out to begin at the start") from None


def sorted_page(rows: Iterable[Row], name: Callable[[Row], str], *, cursor: str | None, limit: int) -> Page[Row]:
    """A page of a short list that was read as a whole, by name. Raises Malformed for a cursor that is none."""
    seen = after(cursor, tuple[str])
    left = sorted((row for row in rows if seen is None or name(row) > seen[0]), key=name)
    return page(left[: limit + 1], limit, lambda row: [name(row)])
