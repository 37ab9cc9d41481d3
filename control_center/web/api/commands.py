"""Commands over HTTP, for a CRM without a broker: read in order, then acknowledged."""

from __future__ import annotations

from typing import Annotated

import msgspec
from pydantic import Field

from control_center.domain.command import cloud_event
from control_center.store import command_feed, db
from control_center.store.pages import LONGEST
from control_center.web.api.routes import JSON, Answer, Call, Items, Model, Route, StudioQuery

_CURSOR = r"^(0|[1-9][0-9]{0,17})$"


class CommandsQuery(StudioQuery):
    after: Annotated[str, Field(pattern=_CURSOR, description="next_cursor of the reading before")] = "0"
    limit: Annotated[int, Field(ge=1, le=LONGEST, description="commands of one reading")] = 50


class UpTo(Model):
    up_to: Annotated[str, Field(pattern=_CURSOR)] | Annotated[int, Field(ge=0, lt=10**18)]


class CommandEvent(msgspec.Struct, frozen=True):
    """A command or report as the CloudEvent that the broker would carry."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    studio: str
    sequence: int
    datacontenttype: str
    data: dict[str, msgspec.Raw]


class Acknowledged(msgspec.Struct, frozen=True):
    """How many commands were acknowledged now."""

    acknowledged: int


async def _list(call: Call[CommandsQuery, None]) -> Answer:
    """`next_cursor` is the place after the last one shown, for the next reading and for the acknowledgement."""
    async with db.transaction(call.parts.pool) as tx:
        shown = await command_feed.show(tx, call.studio, int(call.query.after), limit=call.query.limit)
    items = [msgspec.Raw(cloud_event(one.command, sequence=one.sequence, created_at=one.created_at)) for one in shown]
    return Answer(Items(items, str(shown[-1].sequence) if shown else None))


async def _acknowledge(call: Call[StudioQuery, UpTo]) -> Answer:
    async with db.transaction(call.parts.pool) as tx:
        done = await command_feed.acknowledge(tx, call.studio, int(call.body.up_to))
    return Answer(Acknowledged(done))


ROUTES = [
    Route(
        "GET",
        "/commands",
        "list_commands",
        "Commands and reports not yet acknowledged, oldest first",
        "owner",
        _list,
        CommandEvent,
        listed=True,
        query=CommandsQuery,
    ),
    Route(
        "POST",
        "/commands/ack",
        "acknowledge_commands",
        "Acknowledge everything that was read up to a cursor",
        "owner",
        _acknowledge,
        Acknowledged,
        reads={JSON: UpTo},
    ),
]
