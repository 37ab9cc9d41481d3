"""Messages over HTTP: the list, and one with its attempts and receipts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from control_center.domain.message import State
from control_center.store import db, views_messages
from control_center.store.views_messages import Attempt, Filter, Message, Receipt
from control_center.web.api import ids
from control_center.web.api.routes import Answer, Call, Items, ListQuery, Route, StudioQuery

STATES = "|".join(state.value for state in State)


_States = Annotated[str, Field(pattern=f"^({STATES})(,({STATES}))*$", description="one or more, by commas")]
_Words = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=ids.TEXT, description="in words, subject, address and recipient"),
]


class MessagesQuery(ListQuery):
    state: _States | None = None
    channel: Literal["sms", "email"] | None = None
    record: ids.RecordId | None = None
    client: ids.Name | None = None
    trigger: ids.Name | None = None
    action: ids.ActionId | None = None
    search: _Words | None = None


class MessageInFull(Message, frozen=True, kw_only=True):
    """A message with every time a provider was asked, and what came back."""

    attempt_log: list[Attempt]
    receipts: list[Receipt]


async def _list(call: Call[MessagesQuery, None]) -> Answer:
    query = call.query
    wanted = Filter(
        states=[State(one) for one in query.state.split(",")] if query.state else None,
        channel=query.channel,
        record=ids.record(query.record),
        client=query.client,
        action=ids.number(query.action, ids.ACTION, "action") if query.action else None,
        trigger=query.trigger,
        text=query.search,
    )
    async with db.session(call.parts.pool) as tx:
        page = await views_messages.messages(tx, call.studio, wanted, cursor=query.cursor, limit=query.limit)
    return Answer(Items(page.items, page.next_cursor))


async def _get(call: Call[StudioQuery, None]) -> Answer:
    number = ids.number(call.path["id"], ids.MESSAGE, "message")
    async with db.session(call.parts.pool) as tx:
        found = await views_messages.message(tx, call.studio, number)
        if found is None:
            raise ids.missing("message", call.path["id"])
        attempts = await views_messages.attempts(tx, call.studio, number)
        receipts = await views_messages.receipts(tx, call.studio, number)
    shown = {name: getattr(found, name) for name in Message.__struct_fields__}
    return Answer(MessageInFull(**shown, attempt_log=attempts, receipts=receipts))


ROUTES = [
    Route("GET", "/messages", "list_messages", "Messages", "viewer", _list, Message, listed=True, query=MessagesQuery),
    Route("GET", "/messages/{id}", "get_message", "One message with its attempts", "viewer", _get, MessageInFull),
]
