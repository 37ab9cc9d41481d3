"""Bulk over HTTP: a list is frozen, reviewed, and let go; then it shows its progress and can be stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import Field

from control_center.domain.bulk import AUDIENCES, LASTS, State, parse
from control_center.domain.table import Table
from control_center.engine import bulks
from control_center.engine.bulks import Wish
from control_center.engine.review_list import Miscounted
from control_center.store import db, views_bulks
from control_center.store.bulks import Bulk as Stored
from control_center.store.views_bulks import Bulk as Kept
from control_center.store.views_bulks import ListedBulk
from control_center.web.api import fields, ids
from control_center.web.api.routes import JSON, Answer, Call, Instant, Items, ListQuery, Model, Route, StudioQuery
from control_center.web.api.templates import Caution, cautions
from control_center.web.problems import Error, Problem

_STATES = "|".join(state.value for state in State)
_Word = Annotated[str, Field(min_length=1, max_length=200, pattern=ids.TEXT)]
_Words = Annotated[list[_Word], Field(min_length=1, max_length=50)]


class Audience(Model):
    """Records of a kind; their clients are written to. What is left out leaves nothing out."""

    record: Literal[AUDIENCES] = "client"  # type: ignore[valid-type]  # the kinds of the catalogue
    status: _Words | _Word | None = None
    type: _Words | _Word | None = None
    fields: Annotated[
        dict[_Word, _Words | _Word], Field(default_factory=dict, description="of the record's own fields, such as tags")
    ]


class Bulk(Kept, frozen=True, kw_only=True):
    """A bulk with its frozen words, what to think over of them before it is let go, and its progress."""

    advice: list[Caution]


class NewBulk(Model):
    """A message to everybody whom the audience finds now. It waits for its review, unless `expect` is right."""

    audience: Audience
    template: Annotated[str, Field(pattern=ids.TEMPLATE)]
    channel: Literal["sms", "email"] = "sms"
    name: _Word | None = None
    when: Annotated[Literal["now"] | Instant | None, Field(description="when it is to begin, once it is let go")] = None
    use_by: Annotated[
        str | None, Field(pattern="^[1-9][0-9]{0,3}[dhm]$", description="of use for so long after its begin: 14d, 6h")
    ] = None
    expect: Annotated[
        int | None,
        Field(ge=1, description="let it go at once, if the list has just so many; else it waits for its review"),
    ] = None


class BulkQuery(ListQuery):
    state: Annotated[str, Field(pattern=f"^({_STATES})(,({_STATES}))*$", description="by commas")] | None = None


class Start(Model):
    """That a reviewed list is let go."""

    expect: Annotated[
        int,
        Field(
            ge=0,
            le=10_000_000,
            description="how many were listed when it was looked at; where it has another number now, the answer is"
            " 409 with its `count`, and nothing was done",
        ),
    ]
    when: Literal["now"] | Instant | None = None


class Approve(Model):
    """That somebody else than who made and changed a list has reviewed it, and lets it go."""

    expect: Annotated[int, Field(ge=0, le=10_000_000, description="how many were listed when it was looked at")]
    seen: Annotated[
        str, Field(pattern="^[0-9a-f]{12}$", description="`approval.seen` of what was looked at: list, words and time")
    ]


async def _list(call: Call[BulkQuery, None]) -> Answer:
    query = call.query
    async with db.session(call.parts.pool) as tx:
        page = await views_bulks.bulks(
            tx, call.studio, states=split(query.state), cursor=query.cursor, limit=query.limit
        )
    return Answer(Items(page.items, page.next_cursor))


async def _post(call: Call[StudioQuery, NewBulk]) -> Answer:
    body = call.body
    with fields.of("bulk"):
        period = Table({"use_by": body.use_by}, "bulk", "").period("use_by")
        wish = Wish(
            audience=parse(body.audience.model_dump(exclude_none=True)),
            template=body.template,
            channel=body.channel,
            name=body.name or "",
            start_at=_when(call, body.when),
            lasts=period or LASTS,
            expect=body.expect,
        )
        made = await bulks.create(call.parts.pool, call.parts.clock, call.studio, wish, by=call.by)
    return await shown(call, made.bulk_id, made=True)


def _when(call: Call[Any, Any], when: Literal["now"] | datetime | None) -> datetime | None:
    return call.parts.clock() if when == "now" else when


async def _get(call: Call[StudioQuery, None]) -> Answer:
    return await shown(call, number_of(call))


async def _start(call: Call[StudioQuery, Start]) -> Answer:
    parts, body = call.parts, call.body
    try:
        with fields.of("bulk"):
            await bulks.start(
                parts.pool,
                parts.clock,
                call.studio,
                number_of(call),
                expect=body.expect,
                at=_when(call, body.when),
                by=call.by,
            )
    except Miscounted as error:
        raise _other_number(error) from None
    return await shown(call, number_of(call))


async def _approve(call: Call[StudioQuery, Approve]) -> Answer:
    parts, body = call.parts, call.body
    try:
        await bulks.approve(
            parts.pool, parts.clock, call.studio, number_of(call), expect=body.expect, seen=body.seen, by=call.by
        )
    except Miscounted as error:
        raise _other_number(error) from None
    return await shown(call, number_of(call))


def _other_number(error: Miscounted) -> Problem:
    errors = [Error("expect", f"the list has {error.count}")]
    return Problem(HTTPStatus.CONFLICT, str(error), errors=errors, count=error.count)


def _turning(deed: Callable[..., Awaitable[Stored]]) -> Callable[[Call[StudioQuery, Any]], Awaitable[Answer]]:
    async def handle(call: Call[StudioQuery, Any]) -> Answer:
        await deed(call.parts.pool, call.parts.clock, call.studio, number_of(call), by=call.by)
        return await shown(call, number_of(call))

    return handle


async def shown(call: Call[Any, Any], bulk_id: int, *, made: bool = False) -> Answer:
    """The bulk as it is now, for an answer. Raises Problem 404."""
    async with db.session(call.parts.pool) as tx:
        kept = await views_bulks.bulk(tx, call.studio, bulk_id)
        if kept is None:
            raise ids.missing("bulk", f"b-{bulk_id}")
        advice = cautions(await bulks.advised(tx, call.studio, kept.words, kept.channel))
    found = Bulk(**{name: getattr(kept, name) for name in Kept.__struct_fields__}, advice=advice)
    if made:
        return Answer(found, HTTPStatus.CREATED, {"Location": f"/api/v1/bulk/{found.id}"})
    return Answer(found)


def split(states: str | None) -> list[str] | None:
    """States as a query lists them; None where it names none."""
    return states.split(",") if states else None


def number_of(call: Call[Any, Any]) -> int:
    """Which bulk the address names. Raises Problem 404."""
    return ids.number(call.path["id"], ids.BULK, "bulk")


ONE = "/bulk/{id}"

ROUTES = [
    Route(
        "GET", "/bulk", "list_bulks", "Bulks, newest first", "viewer", _list, ListedBulk, listed=True, query=BulkQuery
    ),
    Route(
        "POST",
        "/bulk",
        "create_bulk",
        "Freeze a list, to be reviewed",
        "author",
        _post,
        Bulk,
        status=201,
        reads={JSON: NewBulk},
    ),
    Route("GET", ONE, "get_bulk", "One bulk with its progress", "viewer", _get, Bulk),
    Route(
        "POST",
        f"{ONE}/start",
        "start_bulk",
        "Let a reviewed list go, now or at a time; it stays in review where a second person has to approve it",
        "author",
        _start,
        Bulk,
        reads={JSON: Start},
    ),
    Route(
        "POST",
        f"{ONE}/approve",
        "approve_bulk",
        "Let a list go that somebody else made, as it was reviewed",
        "author",
        _approve,
        Bulk,
        reads={JSON: Approve},
    ),
    Route(
        "POST",
        f"{ONE}/pause",
        "pause_bulk",
        "Stop it: what has not left yet waits",
        "front_desk",
        _turning(bulks.pause),
        Bulk,
    ),
    Route("POST", f"{ONE}/resume", "resume_bulk", "Let it go on", "front_desk", _turning(bulks.resume), Bulk),
    Route(
        "POST",
        f"{ONE}/cancel",
        "cancel_bulk",
        "End it: what has not left yet never does",
        "front_desk",
        _turning(bulks.cancel),
        Bulk,
    ),
]
