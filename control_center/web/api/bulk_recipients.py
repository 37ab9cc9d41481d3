"""Who is on the list of a bulk, over HTTP: shown, taken off it while it is reviewed, and put back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import Field

from control_center.domain.bulk import Turn
from control_center.engine import bulks
from control_center.store import db, views_bulks
from control_center.store.views_bulks import Listed
from control_center.web.api import ids
from control_center.web.api.bulk import ONE, Bulk, number_of, shown, split
from control_center.web.api.routes import JSON, Answer, Call, Items, ListQuery, Model, Route, StudioQuery

_TURNS = "|".join(turn.value for turn in Turn)


class RecipientsQuery(ListQuery):
    state: Annotated[str, Field(pattern=f"^({_TURNS})(,({_TURNS}))*$", description="by commas")] | None = None


class Numbers(Model):
    """People of a list, by the numbers that it gives them."""

    recipients: Annotated[list[Annotated[int, Field(ge=1, le=10_000_000)]], Field(min_length=1, max_length=1000)]


async def _recipients(call: Call[RecipientsQuery, None]) -> Answer:
    query, bulk_id = call.query, number_of(call)
    async with db.session(call.parts.pool) as tx:
        if await views_bulks.bulk(tx, call.studio, bulk_id) is None:
            raise ids.missing("bulk", call.path["id"])
        page = await views_bulks.recipients(
            tx, call.studio, bulk_id, states=split(query.state), cursor=query.cursor, limit=query.limit
        )
    return Answer(Items(page.items, page.next_cursor))


def _ticking(*, on: bool) -> Callable[[Call[StudioQuery, Numbers]], Awaitable[Answer]]:
    async def handle(call: Call[StudioQuery, Numbers]) -> Answer:
        await bulks.tick(call.parts.pool, call.studio, number_of(call), call.body.recipients, on=on, by=call.by)
        return await shown(call, number_of(call))

    return handle


ROUTES = [
    Route(
        "GET",
        f"{ONE}/recipients",
        "list_bulk_recipients",
        "Who is on the list, and who is not and why",
        "viewer",
        _recipients,
        Listed,
        listed=True,
        query=RecipientsQuery,
    ),
    Route(
        "POST",
        f"{ONE}/untick",
        "untick_bulk_recipients",
        "Take people off a list that is reviewed",
        "front_desk",
        _ticking(on=False),
        Bulk,
        reads={JSON: Numbers},
    ),
    Route(
        "POST",
        f"{ONE}/tick",
        "tick_bulk_recipients",
        "Put people back on it",
        "front_desk",
        _ticking(on=True),
        Bulk,
        reads={JSON: Numbers},
    ),
]
