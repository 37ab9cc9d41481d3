"""Studios over HTTP. Who is for some of them sees those; the others are not there."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from control_center.domain.prefixes import LEAST
from control_center.domain.studio import Studio
from control_center.domain.text_hours import CALM, MOST_A_DAY
from control_center.domain.week import DAYS
from control_center.engine import studios as engine
from control_center.engine.editions import edition
from control_center.store import db, studios
from control_center.store.pages import sorted_page
from control_center.web.api import bearer, fields, ids, reading, versions
from control_center.web.api.routes import JSON, Answer, Call, Items, NoQuery, PageQuery, Route


def _answer(studio: Studio, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    resource = engine.resource(studio)
    made = f"/api/v1/studios/{studio.studio}" if status is HTTPStatus.CREATED else None
    return versions.answer(resource, edition(resource), made=made)


async def _list(call: Call[PageQuery, None]) -> Answer:
    async with db.session(call.parts.pool) as tx:
        found = [one for one in await studios.every(tx) if call.caller.sees(one.studio)]
    page = sorted_page(found, lambda one: one.studio, str, cursor=call.query.cursor, limit=call.query.limit)
    return Answer(Items([engine.resource(one) for one in page.items], page.next_cursor))


async def _get(call: Call[NoQuery, None]) -> Answer:
    async with db.session(call.parts.pool) as tx:
        found = (await studios.get(tx, [call.studio])).get(call.studio)
    if found is None:
        raise bearer.no_studio(call.studio)
    return _answer(found)


async def _post(call: Call[NoQuery, None]) -> Answer:
    with fields.of("studio"):
        return _answer(await engine.create(call.parts.pool, reading.table(call.raw), by=call.by), HTTPStatus.CREATED)


async def _put(call: Call[NoQuery, None]) -> Answer:
    parts = call.parts
    wanted, sharing = reading.table(call.raw), call.caller.everywhere
    with fields.of("studio"):
        saved = await engine.replace(
            parts.pool, parts.clock, call.studio, wanted, by=call.by, sharing=sharing, read=call.versions
        )
    return _answer(saved)


async def _delete(call: Call[NoQuery, None]) -> Answer:
    await engine.drop(call.parts.pool, call.studio, by=call.by, read=call.versions)
    return Answer(None, HTTPStatus.NO_CONTENT)


_TEXT = {"type": "string"}
_CHANNEL = {"type": "object", "properties": {"account": _TEXT}}
_PACE = {
    "type": "object",
    "properties": {
        "per_second": {"type": "number", "minimum": 0.01, "maximum": 1000},
        "per_day": {"type": "integer", "minimum": 1},
    },
}
_HOURS = {"type": "string", "examples": ["09:00-20:00"]}
_WEEK = {
    "description": "one window for every day, a table of days, or true for the usual hours",
    "oneOf": [
        _HOURS,
        {"type": "boolean"},
        {
            "type": "object",
            "properties": {
                **{key: {"oneOf": [_HOURS, {"type": "boolean", "enum": [False]}]} for key in ("days", *DAYS)},
                "holidays": {"type": "boolean"},
            },
        },
    ],
}
_PROPERTIES: dict[str, Any] = {
    "id": {"type": "string", "pattern": ids.STUDIO},
    "name": {"type": "string", "minLength": 1, "maxLength": 200},
    "timezone": {"type": "string", "examples": ["America/Chicago"]},
    "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
    "sms": {
        **_CHANNEL,
        "properties": {
            "account": _TEXT,
            "numbers": {"type": "array", "items": _TEXT},
            "failover_numbers": {"type": "array", "items": _TEXT},
            "countries": {"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{2}$"}},
            "identify": {
                "type": "boolean",
                "description": "begin texts with the name, and end the first one to a number with how to stop",
            },
            "limits": {
                "type": "object",
                "description": "segments that each number, and all of them as one campaign, may carry",
                "properties": {
                    "number": _PACE,
                    "campaign": _PACE,
                    "bulk_percent": {"type": "integer", "minimum": 1, "maximum": 100, "description": "of a day"},
                    "zone": {"type": "string", "description": "where a day begins; by default the studio's own"},
                    "per_prefix": {
                        "type": "integer",
                        "minimum": LEAST,
                        "maximum": 1000,
                        "description": "numbers that differ in their last three digits only, within an hour; a person"
                        " is asked above it",
                    },
                    "money_per_day": {
                        "type": "string",
                        "examples": ["25.00"],
                        "description": "what texts may cost in a day, by the prices of the plan; what would be dearer"
                        " waits for tomorrow or a person",
                    },
                },
            },
        },
    },
    "email": {**_CHANNEL, "properties": {**dict.fromkeys(("account", "from", "reply_to", "postal_address"), _TEXT)}},
    "phone": _TEXT,
    "address": _TEXT,
    "web": _TEXT,
    "plan": {
        "type": "object",
        "properties": {
            "texts_per_month": {"type": "integer", "minimum": 1, "description": "left out: without limit"},
            "overrun": {"type": "boolean", "description": "what is beyond it goes out, too"},
            "price_per_segment": {"type": "string", "examples": ["0.0079"]},
            "prices": {
                "type": "object",
                "description": "of a segment to a country, where that is another one",
                "additionalProperties": {"type": "string"},
                "examples": [{"CA": "0.0085"}],
            },
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        },
    },
    "quiet_hours": {
        "type": "object",
        "description": "the hours in which texts may arrive, by the recipient's clock",
        "properties": {"marketing": _WEEK, "transactional": _WEEK},
    },
    "marketing_per_day": {"type": "integer", "minimum": 1, "maximum": MOST_A_DAY},
    "calm_day": {"type": "string", "enum": list(CALM)},
    "blast_ceiling": {"type": "integer", "minimum": 0},
    "second_person_above": {
        "type": "integer",
        "minimum": 0,
        "description": "people: a bulk to more is let go by somebody else than who made it, and what waits for a person"
        " of a trigger by somebody else than who saved it; left out: by anybody",
    },
    "enabled": {"type": "boolean", "description": "false: nothing is released and nothing is sent"},
}


def _schema(*required: str) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": _PROPERTIES}


_SHOWN = _schema("id", "name", "timezone", "country", "enabled")
_ONE = "/studios/{id}"

ROUTES = [
    Route(
        "GET",
        "/studios",
        "list_studios",
        "Studios",
        "viewer",
        _list,
        _SHOWN,
        listed=True,
        query=PageQuery,
        about="installation",
    ),
    Route(
        "POST",
        "/studios",
        "create_studio",
        "Make a studio",
        "owner",
        _post,
        _SHOWN,
        status=201,
        query=NoQuery,
        reads={JSON: _schema("id", "name", "timezone")},
        about="installation",
        everywhere=True,
        versioned=True,
    ),
    Route(
        "GET",
        _ONE,
        "get_studio",
        "One studio",
        "viewer",
        _get,
        _SHOWN,
        query=NoQuery,
        about="address",
        versioned=True,
    ),
    Route(
        "PUT",
        _ONE,
        "replace_studio",
        "Replace all that a studio says: what is left out gets its default",
        "owner",
        _put,
        _SHOWN,
        query=NoQuery,
        reads={JSON: _schema("name", "timezone")},
        about="address",
        versioned=True,
    ),
    Route(
        "DELETE",
        _ONE,
        "delete_studio",
        "Delete a studio for which nothing waits, with its triggers, templates and blackout days",
        "owner",
        _delete,
        None,
        status=204,
        query=NoQuery,
        about="address",
        everywhere=True,
        versioned=True,
    ),
]
