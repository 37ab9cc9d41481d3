"""The audit trail over HTTP: who changed what."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from control_center.store import db, views_audit
from control_center.store.audit import INSTALLATION
from control_center.store.views_audit import Audited, Filter
from control_center.web.api import ids
from control_center.web.api.routes import Answer, Call, Instant, Items, ListQuery, Route


class AuditQuery(ListQuery):
    """Which changes; what is left out leaves nothing out."""

    resource: Annotated[ids.Name, Field(description="such as trigger/12")] | None = None
    who: ids.Name | None = None
    since: Annotated[Instant, Field(description="made at this instant or later")] | None = None
    until: Annotated[Instant, Field(description="made before this instant")] | None = None


async def _list(call: Call[AuditQuery, None]) -> Answer:
    """Who is for every studio also sees what was about all of them."""
    query = call.query
    wanted = Filter(query.resource, query.who, query.since, query.until)
    studios = [call.studio, INSTALLATION] if call.caller.everywhere else [call.studio]
    async with db.session(call.parts.pool) as tx:
        page = await views_audit.audit(tx, studios, wanted, cursor=query.cursor, limit=query.limit)
    return Answer(Items(page.items, page.next_cursor))


ROUTES = [
    Route("GET", "/audit", "list_audit", "Who changed what", "owner", _list, Audited, listed=True, query=AuditQuery)
]
