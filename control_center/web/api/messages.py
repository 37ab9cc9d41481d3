"""Messages over HTTP: the list, and one with its attempts and receipts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from control_center.domain.message import State
from control_center.engine import hub
from control_center.store import db, views_attempts, views_messages
from control_center.store.views_attempts import Attempt, Receipt
from control_center.store.views_messages import Box, Filter, Message
from control_center.web.api import ids
from control_center.web.api.routes import Answer, Call, Instant, Items, ListQuery, Route, StudioQuery

STATES = "|".join(state.value for state in State)


_States = Annotated[str, Field(pattern=f"^({STATES})(,({STATES}))*$", description="one or more, by commas")]
_Words = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=ids.TEXT,
        description="all of these words, or longer ones that begin with them, in subject and text as they left or came;"
        " or a whole number or address. A long search answers with what it has found, and `next_cursor` goes on",
    ),
]
_Only = Annotated[Literal["true", "false"], Field(description="`true` leaves out all others")]


class MessagesQuery(ListQuery):
    box: Annotated[Literal["inbox", "sent"], Field(description="what came in, or what goes out")] | None = None
    unread: _Only = "false"
    unlinked: _Only = "false"
    attention: Annotated[_Only, Field(description="`true`: what a person should look at, and none has")] = "false"
    state: _States | None = None
    channel: Literal["sms", "email"] | None = None
    record: ids.RecordId | None = None
    client: ids.Name | None = None
    trigger: ids.Name | None = None
    action: ids.ActionId | None = None
    bulk: Annotated[str, Field(pattern=ids.BULK, description="such as b-12")] | None = None
    made_by: Annotated[ids.Name, Field(description="the person who wrote it, or made its bulk")] | None = None
    assigned_to: ids.Name | None = None
    since: Annotated[Instant, Field(description="made at this instant or later")] | None = None
    until: Annotated[Instant, Field(description="made before this instant")] | None = None
    search: _Words | None = None


class MessageInFull(Message, frozen=True, kw_only=True):
    """A message with every time a provider was asked, and what came back."""

    attempt_log: list[Attempt]
    receipts: list[Receipt]


async def _list(call: Call[MessagesQuery, None]) -> Answer:
    query = call.query
    wanted = Filter(
        states=[State(one) for one in query.state.split(",")] if query.state else None,
        box=Box(query.box) if query.box else None,
        unread=query.unread == "true",
        unlinked=query.unlinked == "true",
        attention=query.attention == "true",
        channel=query.channel,
        record=ids.record(query.record),
        client=query.client,
        action=ids.number(query.action, ids.ACTION, "action") if query.action else None,
        trigger=query.trigger,
        bulk=ids.number(query.bulk, ids.BULK, "bulk") if query.bulk else None,
        made_by=query.made_by,
        assigned_to=query.assigned_to,
        since=query.since,
        until=query.until,
    )
    page = await hub.messages(
        call.parts.pool, call.studio, wanted, query.search, cursor=query.cursor, limit=query.limit
    )
    return Answer(Items(page.items, page.next_cursor))


async def _get(call: Call[StudioQuery, None]) -> Answer:
    return Answer(await in_full(call, ids.number(call.path["id"], ids.MESSAGE, "message")))


async def in_full(call: Call[Any, Any], number: int) -> MessageInFull:
    """A message as it is now. Raises Problem 404."""
    async with db.session(call.parts.pool) as tx:
        found = await views_messages.message(tx, call.studio, number)
        if found is None:
            raise ids.missing("message", f"m-{number}")
        attempts = await views_attempts.attempts(tx, call.studio, number)
        receipts = await views_attempts.receipts(tx, call.studio, number)
    shown = {name: getattr(found, name) for name in Message.__struct_fields__}
    return MessageInFull(**shown, attempt_log=attempts, receipts=receipts)


ROUTES = [
    Route("GET", "/messages", "list_messages", "Messages", "viewer", _list, Message, listed=True, query=MessagesQuery),
    Route("GET", "/messages/{id}", "get_message", "One message with its attempts", "viewer", _get, MessageInFull),
]
