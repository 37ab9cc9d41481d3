"""What a studio has used of its plan of texts, over HTTP."""

from __future__ import annotations

from typing import Any

from control_center.engine import text_plans
from control_center.store import db, studios
from control_center.web.api import bearer
from control_center.web.api.routes import Answer, Call, Route, StudioQuery


async def _get(call: Call[StudioQuery, None]) -> Answer:
    parts = call.parts
    async with db.session(parts.pool) as tx:
        found = (await studios.get(tx, [call.studio])).get(call.studio)
        if found is None:
            raise bearer.no_studio(call.studio)
        texting = parts.texting is None or f"sms/{found.sms_account}" in parts.texting
        return Answer(await text_plans.report(tx, found, parts.clock(), texting=texting))


_TEXT, _NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}
_MAYBE = {"type": ["string", "null"]}
_SOURCE = {"origin": _TEXT, "trigger": _MAYBE, "texts": _NUMBER, "segments": _NUMBER}
_COUNTRY = {
    "country": {**_MAYBE, "description": "two letters; null where nobody knows", "examples": ["CA"]},
    "texts": _NUMBER,
    "segments": _NUMBER,
    "cost": {**_MAYBE, "description": "where the plan says a price for it, or one for all"},
}
_MONTH: dict[str, Any] = {
    "type": "object",
    "properties": {
        "month": {"type": "string", "examples": ["2027-06"]},
        "sent": {**_NUMBER, "description": "texts handed over; one to two numbers is two"},
        "received": _NUMBER,
        "segments_sent": _NUMBER,
        "segments_received": _NUMBER,
        "cost": {
            **_MAYBE,
            "description": "of the segments sent; null where some of them went where the plan says no price",
            "examples": ["12.35 USD"],
        },
        "by_trigger": {"type": "array", "items": {"type": "object", "properties": _SOURCE}},
        "by_country": {"type": "array", "items": {"type": "object", "properties": _COUNTRY}},
    },
}
_SHOWN: dict[str, Any] = {
    "type": "object",
    "required": ["enabled"],
    "properties": {
        "enabled": {"type": "boolean", "description": "false: the studio has no account that texts"},
        "text": _TEXT,
        "studio": _TEXT,
        "plan": {"type": ["object", "null"]},
        "used_percent": {"type": ["integer", "null"]},
        "warning": {**_MAYBE, "description": "from 80 per cent of the plan on"},
        "held": {**_NUMBER, "description": "texts that wait for the month to turn or the plan to be raised"},
        "this_month": _MONTH,
        "last_month": _MONTH,
    },
}

ROUTES = [
    Route("GET", "/usage", "get_usage", "Texts of this month and last against the plan", "viewer", _get, _SHOWN),
]
