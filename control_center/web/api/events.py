"""Events over HTTP: the same intake as from the broker, answered event by event."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from pydantic import Field

from control_center.domain.event import Event as Understood
from control_center.engine.intake import Taken
from control_center.store import db, views_events
from control_center.store.views_events import DeadEvent, Event
from control_center.web.api import ids
from control_center.web.api.routes import JSON, Answer, Call, Items, ListQuery, Route, StudioQuery
from control_center.web.problems import Problem, wrong

MOST = 10_000  # events of one call


_Subject = Annotated[str, Field(min_length=1, max_length=250, pattern=ids.TEXT, description="such as session/4711")]


class EventsQuery(ListQuery):
    subject: _Subject | None = None


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one event: `accepted`, `duplicate` (it had come before), or `rejected` with field and reason."""

    index: int
    result: str
    id: str | None = None
    source: str | None = None
    field: str | None = None
    reason: str | None = None


class Receipts(msgspec.Struct, frozen=True):
    """What became of each event, in the order they were given, and how many of each."""

    accepted: int
    duplicate: int
    rejected: int
    items: list[Receipt]


class _Head(msgspec.Struct):
    """As much of an event as can be read without understanding it."""

    id: Any = None
    source: Any = None
    studio: Any = None


async def _post(call: Call[StudioQuery, None]) -> Answer:
    given = _split(call.raw)
    heads = [_head(body) for body in given]
    foreign = {n for n, head in enumerate(heads) if isinstance(head.studio, str) and not call.caller.sees(head.studio)}
    ours = [body for n, body in enumerate(given) if n not in foreign]
    said = _said(await call.parts.intake.take_in(ours, keep_dead=False)) if ours else {}
    items = []
    for n, (body, head) in enumerate(zip(given, heads, strict=True)):
        if n in foreign:
            said_here: tuple[str, str | None, str | None] = (
                "rejected",
                "studio",
                f"there is no studio {head.studio[:60]!r}",
            )
        else:
            said_here = said[body].popleft()
        event_id = head.id if isinstance(head.id, str) else None
        source = head.source if isinstance(head.source, str) else None
        items.append(Receipt(n, said_here[0], event_id, source, said_here[1], said_here[2]))
    counts = {result: sum(one.result == result for one in items) for result in ("accepted", "duplicate", "rejected")}
    return Answer(Receipts(**counts, items=items), HTTPStatus.ACCEPTED)


def _split(raw: bytes) -> list[bytes]:
    """The bytes of each event: one object, or an array of them. Raises Problem 400 where it is not JSON."""
    try:
        if raw.lstrip()[:1] == b"[":
            bodies = [bytes(one) for one in msgspec.json.decode(raw, type=list[msgspec.Raw])]
        else:
            msgspec.json.decode(raw, type=msgspec.Raw)
            bodies = [raw]
    except (msgspec.DecodeError, RecursionError) as error:
        raise wrong("", f"the body is not JSON: {error}", HTTPStatus.BAD_REQUEST) from None
    if not 1 <= len(bodies) <= MOST:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{len(bodies)} events; allowed are 1 to {MOST} in one call")
    return bodies


def _head(body: bytes) -> _Head:
    try:
        return msgspec.json.decode(body, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Head()


def _said(taken: Taken) -> dict[bytes, deque[tuple[str, str | None, str | None]]]:
    """What became of each body. Of the same bytes given twice, the first is the one that was accepted."""
    said: dict[bytes, deque[tuple[str, str | None, str | None]]] = defaultdict(deque)
    for result, events in (("accepted", taken.new), ("duplicate", taken.duplicates)):
        for event in events:
            said[_bytes(event)].append((result, None, None))
    for dead in taken.dead:
        said[dead.body].append(("rejected", dead.field, dead.reason))
    return said


def _bytes(event: Understood) -> bytes:
    return event.body.encode()


async def _list(call: Call[EventsQuery, None]) -> Answer:
    query = call.query
    async with db.session(call.parts.pool) as tx:
        page = await views_events.events(tx, call.studio, subject=query.subject, cursor=query.cursor, limit=query.limit)
    return Answer(Items(page.items, page.next_cursor))


async def _dead(call: Call[ListQuery, None]) -> Answer:
    """A dead body belongs to no studio, so it is for those who are for every one."""
    async with db.session(call.parts.pool) as tx:
        page = await views_events.dead(tx, cursor=call.query.cursor, limit=call.query.limit)
    return Answer(Items(page.items, page.next_cursor))


_EVENT = {"$ref": "#/components/schemas/CloudEvent"}
_SCHEMA = {"oneOf": [_EVENT, {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": MOST}]}
_TYPES: Sequence[str] = (JSON, "application/cloudevents+json", "application/cloudevents-batch+json")

ROUTES = [
    Route(
        "POST",
        "/events",
        "post_events",
        "Take in one event or several; each is answered for itself",
        "owner",
        _post,
        Receipts,
        status=202,
        reads=dict.fromkeys(_TYPES, _SCHEMA),
        of_many=True,
    ),
    Route("GET", "/events", "list_events", "Events that came", "viewer", _list, Event, listed=True, query=EventsQuery),
    Route(
        "GET",
        "/events/dead",
        "list_dead_events",
        "Bodies from the broker that could not be understood",
        "owner",
        _dead,
        DeadEvent,
        listed=True,
        query=ListQuery,
        everywhere=True,
    ),
]
