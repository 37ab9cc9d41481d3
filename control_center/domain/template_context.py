"""What a template sees of one message: the event's own JSON, behind the names of the field table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from control_center.domain import zones
from control_center.domain.template_dates import Face, Format, When, format_of, read
from control_center.domain.template_fields import (
    CLIENT,
    KINDS,
    LINKS,
    RECIPIENT,
    SENDER,
    STUDIO,
    At,
    Body,
    Group,
    Leaf,
    Made,
    Many,
    Shape,
)

_AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class _Style:
    """How one studio writes. One object for each way, so that what is read once can be found again by it."""

    format: Format
    zone: zones.Zone


@lru_cache(maxsize=1024)
def _style(country: str | None, zone: zones.Zone) -> _Style:
    return _Style(format_of(country), zone)


@lru_cache(maxsize=64)
def _today(today: date, style: _Style) -> When:
    return When(today, None, style.format)


# A morning's reminders are about the same few days and hours.
@lru_cache(maxsize=4096)
def _moment(text: str, style: _Style, face: Face) -> When | str | None:
    when = read(text, style.format, style.zone, face)
    return text if when is None and face is Face.BOTH else when


class _Fields(dict[str, Any]):
    """A group of fields, each read from the body when first asked for: most templates use three of eighty."""

    __slots__ = ("_body", "_shape", "_style")

    def __init__(self, shape: Group, body: Body, style: _Style) -> None:
        super().__init__()
        self._shape = shape
        self._body = body
        self._style = style

    def __missing__(self, name: str) -> Any:
        shape = self._shape[name]
        found = self._body.get(name)
        if shape is Leaf.FIELDS:
            beside = {key: value for key, value in self._body.items() if key not in self._shape}
            value: Any = {**beside, **(found if isinstance(found, dict) else {})}
        else:
            value = _value(shape, self._body, found, self._style)
        self[name] = value
        return value


def _value(shape: Shape, body: Body, found: Any, style: _Style) -> Any:
    if isinstance(shape, Leaf):
        return _leaf(shape, found, style)
    if isinstance(shape, At):
        found = body.get(shape.path[0])
        for name in shape.path[1:]:
            found = found.get(name) if isinstance(found, dict) else None
        return _leaf(shape.leaf, found, style, shape.face)
    if isinstance(shape, Made):
        try:
            return _leaf(shape.leaf, shape.make(body), style)
        except (AttributeError, IndexError, KeyError, TypeError):
            return None  # a body of another shape than an event's: as good as absent, and said so when used
    if isinstance(shape, Many):
        return [_value(shape.item, body, one, style) for one in found] if isinstance(found, list) else None
    return _Fields(shape, found, style) if isinstance(found, dict) else None


def _leaf(leaf: Leaf, found: Any, style: _Style, face: Face = Face.BOTH) -> Any:
    if not isinstance(found, str):
        return found
    if leaf is Leaf.DATE:
        return _moment(found, style, face)
    if leaf is Leaf.AMOUNT and _AMOUNT.fullmatch(found):
        return Decimal(found)
    return found


def context(
    record: Body,
    client: Body | None,
    studio: Body,
    recipient: Body,
    *,
    kind: str,
    today: date,
    zone: zones.Zone,
    links: Mapping[str, str] = MappingProxyType({}),
    sender: Body = MappingProxyType({}),
) -> dict[str, Any]:
    """What a template sees of one message, from the event's own JSON objects: plain dictionaries.

    Cheap: a field is read when it is used. `recipient` is a person of the event, or the fields of one. `links`
    may hold `confirm_link`, `unsubscribe_link` and `nps_bar`, which have no value otherwise; `sender` the `name` and
    the `signature` of the person who writes, where one does.
    """
    style = _style(studio.get("country"), zone)
    own = _Fields(KINDS[kind], record, style)
    if "nps_bar" in links:
        own["nps_bar"] = links["nps_bar"]
    return {
        "client": _Fields(CLIENT, client or {}, style),
        "record": own,
        kind: own,  # of a client it is also the client
        "studio": _Fields(STUDIO, studio, style),
        "recipient": _Fields(RECIPIENT, recipient, style),
        "sender": _Fields(SENDER, sender, style),
        "today": _today(today, style),
        **{name: links[name] for name in LINKS if name in links},
    }
