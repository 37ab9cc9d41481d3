"""Texts held because the day's money is spent: of which studio, and that more may be spent."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import msgspec
from pydantic import Field

from control_center.engine import spending as engine
from control_center.store import db
from control_center.store import spending as store
from control_center.store.pages import sorted_page
from control_center.web.api.routes import JSON, Answer, Call, Items, ListQuery, Model, Route, StudioQuery


class SpentDay(msgspec.Struct, frozen=True):
    """A day whose texts would have cost more than they may; `again` is how often it got its money once more."""

    studio: str
    day: date
    spent: str
    again: int
    since: datetime | None
    reason: str
    held: int


class Overspend(Model):
    """That this day may cost its limit once more."""

    day: Annotated[date, Field(description="today by the studio's calendar, as it was looked at")]


class Overspent(msgspec.Struct, frozen=True):
    """How much there is for the day now in all, and how many texts waited for it."""

    day: date
    there_is: str
    messages: int


async def _list(call: Call[ListQuery, None]) -> Answer:
    async with db.session(call.parts.pool) as tx:
        found = await store.shut(tx, call.studio)
    shown = [
        SpentDay(one.studio, one.day, format(one.spent, "f"), one.again, one.since, one.reason, one.held)
        for one in found
    ]
    page = sorted_page(shown, lambda one: one.studio, str, cursor=call.query.cursor, limit=call.query.limit)
    return Answer(Items(page.items, page.next_cursor))


async def _overspend(call: Call[StudioQuery, Overspend]) -> Answer:
    given = await engine.overspend(call.parts.pool, call.parts.clock, call.studio, day=call.body.day, by=call.by)
    return Answer(Overspent(given.day, format(given.there_is, "f"), given.messages))


ROUTES = [
    Route(
        "GET",
        "/messages/spending",
        "list_spending",
        "The day whose texts would have cost more than they may, while some wait",
        "viewer",
        _list,
        SpentDay,
        listed=True,
        query=ListQuery,
    ),
    Route(
        "POST",
        "/messages/overspend",
        "overspend",
        "Give a day its money once more, and let go what waits for it",
        "owner",
        _overspend,
        Overspent,
        reads={JSON: Overspend},
    ),
]
