"""What is asked of the API with a body, for fuzzing."""

from __future__ import annotations

import json
from typing import Any, Final

from control_center.web.api import reading
from control_center.web.api.routes import JSON, Model
from control_center.web.problems import Problem, response
from control_center.web.server import ROUTES
from tests.support import surfaces
from tests.support.hostile import Surface, storable

TRIGGER: Final[dict[str, Any]] = {
    "name": "Fuzzed",
    "record": "session",
    "status": "Booked",
    "activate": {"on": "session", "days": -7},
    "action": "sms",
    "text": "Hello {{ client.first_name }}",
    "exclude": {"canceled": True, "nps": {"only_between": [0, 6]}},
    "processing": {"mode": "automatic", "window": "09:00-18:00", "not_on": ["sun"]},
    "test": [{"given": {"record": {"status": "Booked"}}, "expect": {"to": "client"}}],
}
STUDIO: Final[dict[str, Any]] = {
    "id": "north",
    "name": "North",
    "timezone": "Europe/Berlin",
    "country": "DE",
    "work_week": ["mon", "tue"],
    "sms": {"account": "default", "numbers": ["+493025550100"]},
    "email": {"account": "default", "from": "a@north.example", "postal_address": "x"},
    "plan": {"texts_per_month": 100, "overrun": "hold"},
    "quiet_hours": {"marketing": "20:00-09:00"},
    "blast_ceiling": 500,
    "enabled": True,
}
ACT: Final = ("process", "skip", "delete", "release", "hold")
CALLS: Final[tuple[tuple[str, str, Any], ...]] = (
    ("POST", "/triggers", TRIGGER),
    ("PUT", "/triggers/1", TRIGGER),
    ("POST", "/triggers/1/preview", TRIGGER),
    ("POST", "/triggers/1/rollback", {"version": 1}),
    ("POST", "/triggers/1/copy", {"name": "Another"}),
    ("POST", "/triggers/1/forecast", {"days": 3, "closed": ["2027-06-05"], "by": "day"}),
    ("POST", "/triggers/1/backtest", {"days": 3, "draft": TRIGGER}),
    (
        "POST",
        "/templates",
        {"name": "fuzzed", "kind": "session", "sms": "Hi {{ client.first_name }}", "text": "x", "html": "<p>x</p>"},
    ),
    ("PUT", "/templates/offer", {"purpose": "marketing", "sms": "Hello", "version": 1}),
    ("POST", "/templates/preview", {"sms": "{{ client.first_name }}", "record": "session/4711", "kind": "session"}),
    ("POST", "/templates/offer/preview", {"record": "session/4711"}),
    ("POST", "/blackouts", {"name": "Away", "from": "2027-07-01", "to": "2027-07-08"}),
    ("POST", "/blackouts", {"name": "Xmas", "yearly": "12-25"}),
    ("POST", "/blackouts", {"holidays": {"country": "US", "subdivision": "IL", "years": [2027]}}),
    (
        "POST",
        "/bulk",
        {
            "audience": {"record": "client", "status": ["Active"], "fields": {"tags": ["a"]}},
            "template": "offer",
            "when": "now",
            "use_by": "2d",
        },
    ),
    ("POST", "/bulk/b-1/untick", {"recipients": [1]}),
    ("POST", "/bulk/b-1/start", {"expect": 0, "when": "2027-07-05T15:00:00Z"}),
    ("POST", "/clients/erase", {"client": "c-12", "reason": "a letter", "confirm": False}),
    ("POST", "/consents", {"address": "+13125550177", "says": "stop", "purpose": "marketing", "evidence": "said so"}),
    ("POST", "/messages", {"channel": "sms", "to": "+13125550188", "client": "c-12", "text": "Hello"}),
    ("POST", "/messages/m-1/link", {"client": "c-12", "record": "session/4711", "earlier": True}),
    ("POST", "/messages/m-1/assign", {"user": "owner *"}),
    ("POST", "/messages/m-1/task", {"subject": "Call", "due_date": "2027-06-04"}),
    ("POST", "/messages/m-1/resolve", {"outcome": "sent", "evidence": "they told us"}),
    ("POST", "/messages/m-1/resolve", {"reading": "opt_out", "score": 9}),
    *(("POST", f"/actions/{verb}", {"ids": ["a-1", "a-2"]}) for verb in ACT),
    *(("POST", f"/actions/{verb}?state=review", {"expect": 0}) for verb in ACT),
    ("POST", "/studios", STUDIO),
    ("PUT", "/studios/main", {**STUDIO, "id": "main"}),
    ("PUT", "/studios/main/catalog", json.loads(surfaces.EVENTS[-1])["data"]),
    ("POST", "/users", {"name": "Eve", "role": "viewer", "studios": ["main"], "email": "eve@studio.example"}),
    ("POST", "/commands/ack", {"up_to": 0}),
    ("POST", "/sandbox/inbound", {"from": "+13125550188", "to": "+13125550100", "text": "yes"}),
    *(("POST", "/events", json.loads(body)) for body in surfaces.EVENTS),
    ("POST", "/events", [json.loads(body) for body in surfaces.EVENTS[:4]]),
)


def _models() -> tuple[type[Model], ...]:
    """Every model that a body is read as."""
    found = [route.reads.get(JSON) for route in ROUTES]
    each = [model for one in found for model in (one if isinstance(one, tuple) else (one,))]
    return tuple(dict.fromkeys(one for one in each if isinstance(one, type) and issubclass(one, Model)))


MODELS: Final = _models()


def a_body(raw: bytes) -> Any:
    """A body as the model that has most of its fields. What is told of a wrong one can be sent."""
    try:
        found = reading.body(raw, JSON, MODELS)
    except Problem as problem:
        response(problem)
        raise
    storable(found.model_dump(exclude={"draft"}))  # is read on as a trigger of a file is, and kept nowhere
    return found


BODIES: Final = Surface("bodies", [json.dumps(body).encode() for _, _, body in CALLS], a_body, (Problem,))
