"""What will go out, and what a trigger would have sent, over HTTP: nothing of it is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from control_center.domain import zones
from control_center.domain.errors import Malformed, NotFound
from control_center.domain.forecast import Line
from control_center.domain.tally import Group, Tally, Twice
from control_center.engine import backtest as engine
from control_center.engine import trigger_edits
from control_center.engine.forecast import Asked, forecast
from control_center.engine.masked import masked
from control_center.engine.trigger_files import plain
from control_center.store import db, pages, studios
from control_center.web.api import fields, ids
from control_center.web.api.routes import JSON, Answer, Call, Items, ListQuery, Model, Route

_Days = Annotated[int, Field(ge=1, le=366, description="how many days ahead")]
_By = Annotated[Literal["client", "trigger", "day"], Field(description="counts of these instead of lines")]
_Addresses = Annotated[bool, Field(description="numbers and addresses in full; masked otherwise")]
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_Closed = Annotated[
    str,
    Field(pattern=f"^{_DAY}(,{_DAY}){{0,99}}$", description="days that are taken for closed, too, by commas"),
]
_OLDEST = timedelta(days=1)  # a cursor goes on from the instant at which its first page was asked for


class ForecastQuery(ListQuery):
    """What a forecast is about."""

    days: _Days = 14
    trigger: ids.Name | None = None
    client: ids.Name | None = None
    closed: _Closed | None = None
    by: _By | None = None
    addresses: _Addresses = False


class OfTrigger(Model):
    """A forecast of one trigger."""

    days: _Days = 14
    closed: Annotated[tuple[Annotated[str, Field(pattern=f"^{_DAY}$")], ...], Field(max_length=100)] = ()
    by: _By | None = None
    addresses: _Addresses = False


class Backtest(Model):
    """Over which days, and with `draft` a [[trigger]] table that is played instead of the saved one."""

    days: Annotated[int, Field(ge=1, le=3660, description="how many days back")] = 30
    draft: dict[str, Any] | None = None
    addresses: _Addresses = False


class Played(msgspec.Struct, frozen=True):
    """What came of a backtest: its first lines, by record, and the counts of all of them by day.

    `twice_a_day` counts what other triggers really sent, too. `kept_since` is how far back events are kept: before
    that, a record is known only as it was left.
    """

    items: list[Line]
    lines: int
    days: list[Group]
    reasons: dict[str, int]
    twice_a_day: list[Twice]
    kept_since: datetime | None


class _Cursor(msgspec.Struct, array_like=True):
    """From which instant a forecast looks ahead, and how many of its lines were given."""

    now: datetime
    given: int


async def _forecast(call: Call[ForecastQuery, None]) -> Answer:
    query = call.query
    closed = query.closed.split(",") if query.closed is not None else []
    asked = Asked(query.days, query.trigger, query.client, _dates(closed))
    return await _page(call, asked, by=query.by, addresses=query.addresses)


async def _of_trigger(call: Call[ListQuery, OfTrigger]) -> Answer:
    saved = await trigger_edits.get(call.parts.pool, call.studio, _number(call))
    body = call.body
    asked = Asked(body.days, saved.name, None, _dates(body.closed))
    return await _page(call, asked, by=body.by, addresses=body.addresses)


def _dates(closed: Sequence[str]) -> tuple[date, ...]:
    try:
        return tuple(date.fromisoformat(one) for one in closed)
    except ValueError as error:
        raise Malformed("closed", str(error)) from None


async def _page(call: Call[Any, Any], asked: Asked, *, by: str | None, addresses: bool) -> Answer:
    """A page of lines, or all counts: those there are no more of than a studio has clients, triggers or days."""
    query: ListQuery = call.query
    start = _start(query.cursor, call.parts.clock())
    found = forecast(call.parts.pool, call.studio, asked, start.now)
    if by is not None:
        tally = Tally(zones.zone(await _timezone(call)), by)
        async for one in found:
            tally.add(one)
        groups = tally.ordered()
        rows: pages.Page[Any] = pages.page(groups[start.given :][: query.limit + 1], query.limit, lambda _: ())
    else:
        lines = await _some(found, start.given, query.limit + 1)
        told = lines if addresses else [masked(one) for one in lines]
        rows = pages.page(told, query.limit, lambda _: ())
    further = rows.next_cursor is not None
    following = pages.cursor([start.now.isoformat(), start.given + query.limit]) if further else None
    return Answer(Items(rows.items, following))


def _start(cursor: str | None, now: datetime) -> _Cursor:
    """Where a page begins. Raises Malformed for a cursor that no list gave, or one from yesterday."""
    found = pages.after(cursor, _Cursor)
    if found is None:
        return _Cursor(now, 0)
    if found.now.tzinfo is None or abs(found.now - now) > _OLDEST or not 0 <= found.given < 10**9:
        raise Malformed("cursor", "is not one that a list gave lately; leave it out to begin at the start")
    return found


async def _some(found: AsyncIterator[Line], skip: int, number: int) -> list[Line]:
    lines: list[Line] = []
    async for one in found:
        if skip:
            skip -= 1
            continue
        lines.append(one)
        if len(lines) == number:
            break
    return lines


async def _backtest(call: Call[ListQuery, Backtest]) -> Answer:
    parts, body = call.parts, call.body
    saved = await trigger_edits.get(parts.pool, call.studio, _number(call))
    trigger = saved.trigger
    if body.draft is not None:
        where = trigger_edits.WHERE
        with fields.of(f'{where} "{body.draft.get("name")}"', where):
            trigger = await engine.drafted(parts.pool, call.studio, plain(body.draft, where))
    tally = Tally(zones.zone(await _timezone(call)), "day")
    first: list[Line] = []
    now = parts.clock()
    async for one in engine.backtest(parts.pool, call.studio, trigger, now, days=body.days):
        tally.add(one)
        if len(first) < call.query.limit:
            first.append(one if body.addresses else masked(one))
    since = now - timedelta(days=body.days)
    kept = await engine.beside(parts.pool, call.studio, trigger, tally, since)
    twice = list(tally.twice())[: pages.LONGEST]
    return Answer(Played(first, tally.lines, tally.ordered(), tally.reasons, twice, kept))


async def _timezone(call: Call[Any, Any]) -> str:
    async with db.session(call.parts.pool) as tx:
        found = (await studios.get(tx, [call.studio])).get(call.studio)
    if found is None:
        raise NotFound(f"there is no studio {call.studio!r}")
    return found.timezone


def _number(call: Call[Any, Any]) -> int:
    return ids.number(call.path["id"], ids.TRIGGER, "trigger")


ROUTES = [
    Route(
        "GET",
        "/forecast",
        "get_forecast",
        "What will go out in the next days, and why not sooner",
        "viewer",
        _forecast,
        (Line, Group),
        listed=True,
        query=ForecastQuery,
    ),
    Route(
        "POST",
        "/triggers/{id}/forecast",
        "forecast_trigger",
        "What will go out of one trigger in the next days",
        "viewer",
        _of_trigger,
        (Line, Group),
        listed=True,
        query=ListQuery,
        reads={JSON: OfTrigger},
    ),
    Route(
        "POST",
        "/triggers/{id}/backtest",
        "backtest_trigger",
        "What a trigger, or a draft in its place, would have sent over the last days",
        "author",
        _backtest,
        Played,
        query=ListQuery,
        reads={JSON: Backtest},
    ),
]
