"""Why something happened, or did not."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from pydantic import Field

from control_center.engine import explain
from control_center.engine.explain import Explanation
from control_center.web.api import ids
from control_center.web.api.routes import Answer, Call, Route, StudioQuery
from control_center.web.problems import wrong

_Id = Annotated[str, Field(min_length=1, max_length=410, pattern=ids.TEXT)]
_Message = Annotated[str, Field(pattern=ids.MESSAGE, description="such as m-12")]


class ExplainQuery(StudioQuery):
    """One of message, action, event or id; or trigger and record together."""

    id: _Id | None = None
    message: _Message | None = None
    action: ids.ActionId | None = None
    event: _Id | None = None
    trigger: ids.Name | None = None
    record: ids.RecordId | None = None


async def _explain(call: Call[ExplainQuery, None]) -> Answer:
    query, parts, everywhere = call.query, call.parts, call.caller.everywhere
    single = [one for one in (query.id, query.message, query.action, query.event) if one is not None]
    pair = [one for one in (query.trigger, query.record) if one is not None]
    if len(single) == 1 and not pair:
        told = await explain.explain(parts.pool, parts.clock, call.studio, single[0], everywhere=everywhere)
        return Answer(told)
    if not single and query.trigger is not None and query.record is not None:
        pair_of = (query.trigger, query.record)
        return Answer(await explain.explain_pair(parts.pool, parts.clock, call.studio, *pair_of, everywhere=everywhere))
    field = "record" if query.trigger and not single else "trigger" if query.record and not single else "id"
    raise wrong(field, "give one of message, action, event or id, or trigger and record", HTTPStatus.BAD_REQUEST)


ROUTES = [
    Route(
        "GET",
        "/explain",
        "explain",
        "Why it happened, or did not: by message, action, event (its id, or source#id), or trigger and record",
        "viewer",
        _explain,
        Explanation,
        query=ExplainQuery,
    )
]
