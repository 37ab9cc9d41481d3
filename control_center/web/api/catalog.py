"""A studio's catalogue over HTTP: what its CRM has, for a studio whose CRM does not tell it by events."""

from __future__ import annotations

from typing import Any

from control_center.domain.catalogue import RECORD_KINDS
from control_center.domain.studio_catalog import LONGEST, MOST, PLAIN, SECTIONS, parse
from control_center.engine import catalogs
from control_center.web.api import reading
from control_center.web.api.routes import JSON, Answer, Call, NoQuery, Route


async def _get(call: Call[NoQuery, None]) -> Answer:
    return Answer(await catalogs.read(call.parts.pool, call.studio))


async def _put(call: Call[NoQuery, None]) -> Answer:
    catalog = parse(reading.table(call.raw))
    return Answer(await catalogs.replace(call.parts.pool, call.studio, catalog, by=call.by))


_NAME = {"type": "string", "minLength": 1, "maxLength": LONGEST}
_KIND = {"type": "string", "enum": sorted(RECORD_KINDS)}
_FLAG = {"type": "boolean", "default": False}
_MAYBE = {"type": ["string", "null"], "maxLength": LONGEST}


def _entry(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": {name: properties[name] for name in sorted(properties)},
        "additionalProperties": False,
    }


_ENTRIES: dict[str, Any] = {
    "statuses": _entry(["kind", "name"], kind=_KIND, type=_MAYBE, name=_NAME, initial=_FLAG, final=_FLAG, submit=_FLAG),
    "types": _entry(["kind", "name"], kind=_KIND, name=_NAME),
    "users": _entry(
        ["name"],
        name=_NAME,
        email=_MAYBE,
        phone=_MAYBE,
        roles={"type": "array", "items": _NAME},
        active={"type": "boolean", "default": True},
    ),
    **dict.fromkeys(PLAIN, _NAME),
}
_SECTIONS = {name: {"type": "array", "items": _ENTRIES[name], "maxItems": MOST} for name in SECTIONS}
_SHOWN = {"type": "object", "required": list(SECTIONS), "properties": _SECTIONS}
_MAY_BE_NULL = {name: {**section, "type": ["array", "null"]} for name, section in _SECTIONS.items()}
_NAMED = {"type": "object", "properties": _MAY_BE_NULL, "additionalProperties": False}
_ONE = "/studios/{id}/catalog"

ROUTES = [
    Route(
        "GET",
        _ONE,
        "get_catalog",
        "What a studio's CRM has: statuses, types, people, forms and the like",
        "viewer",
        _get,
        _SHOWN,
        query=NoQuery,
        about="address",
    ),
    Route(
        "PUT",
        _ONE,
        "replace_catalog",
        "Replace the sections that are named; the others stay as they are",
        "author",
        _put,
        _SHOWN,
        query=NoQuery,
        reads={JSON: _NAMED},
        about="address",
    ),
]
