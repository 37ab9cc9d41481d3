"""A table from a file or a request, read key by key: what is wrong is refused by name, with what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from control_center.domain.errors import Malformed

_PERIOD = re.compile(r"([1-9][0-9]{0,3})([dhm])")


@dataclass(frozen=True, slots=True)
class Table:
    """A table being read. `where` names the file or request, `path` the place inside it.

    It remembers which keys were taken, so that the rest can be refused. Every method that takes a value raises
    Malformed naming the field, the value and what is allowed.
    """

    values: Mapping[str, Any]
    where: str
    path: str
    used: set[str] = field(default_factory=set)

    def wrong(self, key: str, reason: str) -> Malformed:
        return Malformed(f"{self.where}, {self.path}{key}", reason)

    def take(self, key: str) -> Any:
        self.used.add(key)
        return self.values.get(key)

    def text(self, key: str, *, default: str | None = None, limit: int = 200) -> str:
        value = self.take(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not 1 <= len(value) <= limit or "\x00" in value:
            raise self.wrong(key, f"{shown(value)}; a text of 1 to {limit} characters is needed")
        return value

    def optional(self, key: str, *, limit: int = 200) -> str | None:
        return self.text(key, limit=limit) if self.take(key) is not None else None

    def choice(self, key: str, allowed: Collection[str], default: str | None = None) -> str:
        value = self.take(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or value not in allowed:
            near = difflib.get_close_matches(str(value), allowed, 1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise self.wrong(key, f"{shown(value)}; allowed: {', '.join(allowed)}{hint}")
        return value

    def boolean(self, key: str, *, default: bool) -> bool:
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, f"{shown(value)}; allowed: true, false")
        return value

    def whole(self, key: str, least: int, most: int, default: int | None = None) -> int:
        value = self.take(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(key, f"{shown(value)}; allowed: a whole number from {least} to {most}")
        return value

    def period(self, key: str) -> timedelta | None:
        """A length of time such as `3d` or `6h`."""
        value = self.take(key)
        if value is None:
            return None
        match = _PERIOD.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise self.wrong(key, f"{shown(value)}; allowed: a number and d, h or m, such as 3d or 6h")
        unit = {"d": "days", "h": "hours", "m": "minutes"}[match[2]]
        return timedelta(**{unit: int(match[1])})

    def table(self, key: str) -> Table:
        value = self.take(key)
        if value is not None and not isinstance(value, Mapping):
            raise self.wrong(key, f"{shown(value)}; a table is needed")
        return Table(value or {}, self.where, f"{self.path}{key}.")

    def refuse_the_rest(self, *, later: Collection[str] = ()) -> None:
        """Refuse every key that nobody took; `later` are keys whose feature is still to be built."""
        for key in self.values:
            if key in self.used:
                continue
            if key in later:
                raise self.wrong(key, "is not built yet; leave it out")
            near = difflib.get_close_matches(key, self.used, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; allowed: {', '.join(sorted(self.used))}"
            raise self.wrong(key, f"is not a known key{hint}")


def shown(value: Any) -> str:
    return "is missing" if value is None else f"{str(value)[:60]!r}"
