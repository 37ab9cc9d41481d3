"""The audit trail as people and the API see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from control_center.store.db import Connection
from control_center.store.pages import Page, after, page


class Audited(msgspec.Struct, frozen=True):
    """One change: `before` and `after` are what the resource said; null where it was made or is gone."""

    id: str
    studio: str
    at: datetime
    who: str
    via: str
    verb: str
    resource: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Filter:
    """Which changes; None means any. Made from `since`, before `until`."""

    resource: str | None = None
    who: str | None = None
    since: datetime | None = None
    until: datetime | None = None


AUDIT = """
SELECT audit_id, studio_id, at, who, via, verb, resource, before, after FROM audit
 WHERE studio_id = ANY ($1::text[])
   AND ($2::text IS NULL OR resource = $2)
   AND ($3::text IS NULL OR who = $3)
   AND ($4::timestamptz IS NULL OR at >= $4)
   AND ($5::timestamptz IS NULL OR at < $5)
   AND ($6::bigint IS NULL OR audit_id < $6)
 ORDER BY audit_id DESC
 LIMIT $7"""


async def audit(
    tx: Connection, studios: Sequence[str], wanted: Filter, *, cursor: str | None = None, limit: int = 50
) -> Page[Audited]:
    """A page of what was changed in these studios, newest first. Raises Malformed for a cursor that is none."""
    before = after(cursor, tuple[int])
    rows = await tx.fetch(
        AUDIT,
        list(studios),
        wanted.resource,
        wanted.who,
        wanted.since,
        wanted.until,
        before[0] if before else None,
        limit + 1,
    )
    return page([_audited(row) for row in rows], limit, lambda one: [int(one.id)])


def _audited(row: Any) -> Audited:
    audit_id, *plain, was, became = row
    return Audited(
        str(audit_id), *plain, *(None if text is None else msgspec.json.decode(text) for text in (was, became))
    )
